//! Which tenants' flags changed since this process looked last, for one command whatever their number.
//!
//! Whoever changes flags notes the tenant in one sorted set, with a score above all others. A look reads from the last
//! score that was seen on, that one included: if it is gone, and its tenant was not noted anew, the backend has lost
//! what it knew, and everything has to be looked at.

use super::keys;
use super::scripts;
use crate::base::text::TenantId;
use crate::db::{Command, Error, Listener, Reply, SystemDb};

/// How many tenants are noted.
const NOTED: u32 = 10_000;
/// How many are read at a time.
const PAGE: usize = 1000;

/// The last note that was seen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    score: u64,
    tenant: Option<TenantId>,
}

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The flags of these tenants changed.
    These(Vec<TenantId>),
    /// Anybody's may have changed.
    Unknown,
}

/// Takes a tenant's note away. Who has seen that one last, takes everything for changed.
pub(super) async fn erase(db: &SystemDb, tenant: &TenantId) -> Result<(), Error> {
    db.run(Command::zrem(&keys::changes(db), tenant.as_str())).await?.int().map(drop)
}

/// Where it is published that a tenant's flags changed: its id.
const CHANNEL: &str = "flag-changes";

/// Notes that a tenant's flags changed, and tells whoever listens.
pub(super) async fn note(db: &SystemDb, tenant: &TenantId) -> Result<(), Error> {
    let note = Command::script(&scripts::ANNOUNCE, &[&keys::changes(db)]);
    let note = note.arg(tenant.as_str().to_owned()).number(NOTED);
    let publish = Command::publish(&db.channel(CHANNEL), &tenant.as_str().into());
    let [noted, heard] =
        db.pipeline(vec![note, publish]).await?.try_into().map_err(|_| Error::unexpected("two answers"))?;
    noted.text()?;
    heard.int().map(drop)
}

/// Listens to what [`note`] tells.
pub(super) fn listen(db: &SystemDb) -> Listener {
    db.listen(&db.channel(CHANNEL))
}

/// Whose flags changed, as a message tells it.
pub(super) fn told(message: &[u8]) -> Option<TenantId> {
    serde_json::from_slice(message).ok()
}

/// Looks for changes since `seen`, and the last note there is.
pub(super) async fn look(db: &SystemDb, seen: &Seen) -> Result<(Found, Seen), Error> {
    let (mut last, mut tenants, mut is_witnessed) = (seen.clone(), Vec::new(), seen.tenant.is_none());
    loop {
        let command = Command::zrange_scored_from(&keys::changes(db), last.score, PAGE);
        let page = notes(db.run(command).await?)?;
        let (is_full, before) = (page.len() >= PAGE, last.score);
        for (tenant, score) in page {
            let note = Seen { score, tenant: Some(tenant.clone()) };
            is_witnessed |= note.tenant == seen.tenant;
            if note != *seen && note != last {
                tenants.push(tenant);
            }
            last = note;
        }
        if !is_full || last.score == before {
            break;
        }
    }
    if is_witnessed {
        return Ok((Found::These(tenants), last));
    }
    Ok((Found::Unknown, if tenants.is_empty() { Seen::default() } else { last }))
}

fn notes(reply: Reply) -> Result<Vec<(TenantId, u64)>, Error> {
    let mut items = reply.array()?.into_iter();
    let mut notes = Vec::with_capacity(items.len() / 2);
    while let (Some(tenant), Some(score)) = (items.next(), items.next()) {
        let tenant = TenantId::parse(&tenant.text()?).map_err(|_| Error::unexpected("a tenant"))?;
        notes.push((tenant, score.text()?.parse().map_err(|_| Error::unexpected("a score"))?));
    }
    Ok(notes)
}
