//! Tells whose key it is. A hot request is answered from memory; [`freshness`](super::freshness) says for
//! how long, and the backend is asked for what is not remembered.

use super::api_key::{ApiKey, KeyId};
use super::cache::Remembered;
use super::credential::{Credential, Presented};
use super::freshness::{Epoch, Freshness, Token};
use super::keys::{API_KEY, tenant_key};
use super::last_used::LastUsed;
use super::tenant::Tenant;
use crate::base::clock::{Clock, Timestamp};
use crate::base::deadline::Deadline;
use crate::base::lookups::Lookups;
use crate::base::text::TenantId;
use crate::db::{Command, Error, Key, Outage, SystemDb};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How often a change is tried when others change the same thing meanwhile.
pub(super) const ATTEMPTS: usize = 16;

/// What a script answers that has changed something.
pub(super) const CHANGED: u64 = 1;

/// How much the registry may remember and ask at a time.
#[derive(Debug, Clone, Copy)]
pub struct RegistrySettings {
    /// Keys, and as many tenants.
    pub keys: usize,
    /// Ids of keys that do not exist.
    pub unknown_keys: usize,
    /// Loads from the backend at one time; more wait.
    pub loads: usize,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        RegistrySettings { keys: 10_000, unknown_keys: 10_000, loads: 64 }
    }
}

/// Whose request it is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The tenant. It may be suspended: the caller decides what that means.
    pub tenant: Arc<Tenant>,
    /// The key.
    pub key: Arc<ApiKey>,
}

/// What is to be thought of a presented key, or of a token that says it was derived from one.
#[derive(Debug, Clone)]
pub enum Verification {
    /// Malformed, nobody's, with a wrong secret, of another purpose, revoked or expired; which of them is not told.
    Unknown,
    /// This tenant's.
    Known(Identity),
}

/// Tenants and their keys. Cheap to clone; all clones share one memory.
#[derive(Clone)]
pub struct Registry {
    pub(super) db: SystemDb,
    pub(super) freshness: Arc<Freshness>,
    pub(super) remembered: Arc<Remembered>,
    last_used: Arc<LastUsed>,
    loads: Arc<Semaphore>,
    /// During which a key that is remembered may do; without one, none does.
    outage: Option<Outage>,
}

impl Registry {
    /// A registry over the server's own data. `steady` tells how old a look at the backend is and must
    /// not be set back: [`super::SteadyClock`].
    pub fn new(db: SystemDb, steady: Arc<dyn Clock>, settings: RegistrySettings) -> Self {
        Registry {
            freshness: Freshness::new(db.clone(), steady),
            remembered: Arc::new(Remembered::new(settings.keys, settings.unknown_keys)),
            last_used: Arc::new(LastUsed::new(db.clone(), settings.keys)),
            loads: Arc::new(Semaphore::new(settings.loads)),
            outage: None,
            db,
        }
    }

    /// The same, with a memory for keys during this outage.
    pub fn recalling_in(self, outage: Outage) -> Self {
        Registry { outage: Some(outage), ..self }
    }

    /// The same, for somebody who waits until then.
    pub fn by(&self, deadline: Deadline) -> Self {
        Registry { db: self.db.by(deadline), ..self.clone() }
    }

    /// How often a presented key was remembered, as one that is known or that nobody has.
    pub fn lookups(&self) -> &Lookups {
        &self.remembered.lookups
    }

    /// The backend's time now.
    pub fn now(&self) -> Timestamp {
        self.db.now()
    }

    /// Tells whose key was presented. A change by an admin is in force on every server for requests that
    /// start a second later. An error means that the backend could not be asked: refuse with 503.
    pub async fn verify<'a>(
        &self,
        presented: impl Into<Credential<'a>>,
        deadline: Deadline,
    ) -> Result<Verification, Error> {
        self.verify_if(presented.into(), deadline, || Ok::<(), Error>(())).await
    }

    /// The same. Where the backend must be waited for because of a key that was not found good before, `may`
    /// says whether that is done; what it gives is held until the backend has answered.
    pub async fn verify_if<P, E: From<Error>>(
        &self,
        presented: Credential<'_>,
        deadline: Deadline,
        may: impl Fn() -> Result<P, E>,
    ) -> Result<Verification, E> {
        let Some(presented) = presented.parse() else { return Ok(Verification::Unknown) };
        let remembered = self.freshness.epoch_at_once().and_then(|epoch| self.remembered.key(presented.id(), epoch));
        let known = match remembered {
            Some(known) => {
                self.remembered.lookups.count(true);
                known
            }
            // Boxed, as it is rare and large: every request would carry the room for it.
            None => Box::pin(self.find_identity(&presented, deadline, may)).await?,
        };
        let now = self.db.now();
        match known {
            Some(identity) if presented.opens(&identity.key, now) => {
                self.last_used.stamp(identity.key.id, now);
                Ok(Verification::Known(identity))
            }
            _ => Ok(Verification::Unknown),
        }
    }

    async fn find_identity<P, E: From<Error>>(
        &self,
        presented: &Presented<'_>,
        deadline: Deadline,
        may: impl Fn() -> Result<P, E>,
    ) -> Result<Option<Identity>, E> {
        let may_stranger = || {
            let before = self.remembered.before(presented.id());
            if before.is_some_and(|identity| presented.is_of(&identity.key)) { Ok(None) } else { may().map(Some) }
        };
        let (epoch, mut place) = match self.freshness.epoch_at_once() {
            Some(epoch) => (epoch, None),
            None => {
                let place = may_stranger()?;
                (self.freshness.epoch(deadline).await?, place)
            }
        };
        let remembered = self.remembered.key(presented.id(), epoch);
        self.remembered.lookups.count(remembered.is_some());
        let known = match remembered {
            Some(known) => known,
            None => {
                if place.is_none() {
                    place = may_stranger()?;
                }
                self.load_identity(presented.id(), epoch, deadline).await?
            }
        };
        drop(place);
        Ok(known)
    }

    /// The key of this id, for somebody who has shown it and is still there; nothing once it is revoked or expired. Costs
    /// no round trip while what is remembered is fresh.
    pub async fn look_again(&self, id: KeyId, deadline: Deadline) -> Result<Option<Identity>, Error> {
        let epoch = self.freshness.epoch(deadline).await?;
        let known = match self.remembered.key(id, epoch) {
            Some(known) => known,
            None => self.load_identity(id, epoch, deadline).await?,
        };
        Ok(known.filter(|identity| !identity.key.is_expired(self.db.now())))
    }

    /// Tells whose key was presented by what is remembered, while the backend cannot be asked: as the last look left
    /// it, provided that the server was in use when the outage began. Nothing where that is not known: the key may
    /// exist, and be asked for. What was revoked elsewhere since is not known either.
    pub fn recall_in_outage<'a>(&self, presented: impl Into<Credential<'a>>) -> Option<Verification> {
        // First what is no work: there is an outage once in a long while, and requests come all the time.
        self.recall(presented.into(), self.epoch_before_outage()?)
    }

    /// The same for somebody who has just failed to ask the backend, whether an outage has been noticed or not: the
    /// last look must not be longer ago than it may be before an outage.
    pub fn recall_unreachable<'a>(&self, presented: impl Into<Credential<'a>>) -> Option<Verification> {
        self.outage.as_ref()?;
        self.recall(presented.into(), self.epoch_before_outage().or_else(|| self.freshness.epoch_of_last_look())?)
    }

    fn recall(&self, presented: Credential<'_>, epoch: Epoch) -> Option<Verification> {
        let presented = presented.parse()?;
        // That a key was unknown then says little: it may have been made since.
        let identity = self.remembered.key(presented.id(), epoch)??;
        let good = presented.opens(&identity.key, self.db.now());
        Some(if good { Verification::Known(identity) } else { Verification::Unknown })
    }

    /// Whether any key can be told in this outage by what is remembered.
    pub fn recalls(&self) -> bool {
        self.epoch_before_outage().is_some()
    }

    fn epoch_before_outage(&self) -> Option<Epoch> {
        self.freshness.epoch_before_outage(self.outage.as_ref()?.number()?)
    }

    /// A tenant, remembered as keys are; for an admin who acts for it.
    pub async fn tenant(&self, id: &TenantId, deadline: Deadline) -> Result<Option<Arc<Tenant>>, Error> {
        let epoch = self.freshness.epoch(deadline).await?;
        self.tenant_in(id, epoch, deadline).await
    }

    async fn tenant_in(&self, id: &TenantId, epoch: Epoch, deadline: Deadline) -> Result<Option<Arc<Tenant>>, Error> {
        if let Some(tenant) = self.remembered.tenant(id, epoch) {
            return Ok(Some(tenant));
        }
        let Some(record) = self.freshness.load(&self.tenant_key(id), epoch, deadline).await? else { return Ok(None) };
        let tenant = Arc::new(Tenant::read(&record)?);
        self.remembered.keep_tenant(epoch, Arc::clone(&tenant));
        Ok(Some(tenant))
    }

    /// Asks the backend, for a bounded number of callers at one time: keys that nobody has can be made up
    /// without end, and each new one must be asked for.
    async fn load_identity(&self, id: KeyId, epoch: Epoch, deadline: Deadline) -> Result<Option<Identity>, Error> {
        // The semaphore is never closed, and a load without a permit would only be one too many.
        let permit = self.loads.acquire().await.ok();
        let identity = match self.freshness.load(&self.api_key(id), epoch, deadline).await? {
            None => None,
            Some(record) => {
                let key = ApiKey::read(&record)?;
                let tenant = self.tenant_in(&key.tenant, epoch, deadline).await?;
                tenant.map(|tenant| Identity { tenant, key: Arc::new(key) })
            }
        };
        drop(permit);
        self.remembered.keep_key(id, epoch, identity.clone());
        Ok(identity)
    }

    /// A tenant as it is stored, with the text of its record.
    pub(super) async fn read_tenant(&self, id: &TenantId) -> Result<Option<(Bytes, Tenant)>, Error> {
        let read = Command::get(&self.tenant_key(id));
        let Some(record) = self.db.run(read).await?.optional_bytes()? else { return Ok(None) };
        let tenant = Tenant::read(&record)?;
        Ok(Some((record, tenant)))
    }

    /// A key as it is stored, with the text of its record.
    pub(super) async fn read_key(&self, id: KeyId) -> Result<Option<(Bytes, ApiKey)>, Error> {
        let read = Command::get(&self.api_key(id));
        let Some(record) = self.db.run(read).await?.optional_bytes()? else { return Ok(None) };
        let key = ApiKey::read(&record)?;
        Ok(Some((record, key)))
    }

    pub(super) fn tenant_key(&self, id: &TenantId) -> Key {
        tenant_key(&self.db, id)
    }

    pub(super) fn api_key(&self, id: KeyId) -> Key {
        self.db.key(&API_KEY, &[id.as_str()])
    }

    /// Runs a script that changes something, with a token of this change as its last argument: whether it
    /// did. This server's own memory ends with it at once.
    pub(super) async fn change(&self, script: Command) -> Result<bool, Error> {
        Ok(self.outcome_of_change(script).await? == CHANGED)
    }

    /// The same for a script that has more than one way to change nothing.
    pub(super) async fn outcome_of_change(&self, script: Command) -> Result<u64, Error> {
        let token = Token::random()?;
        let outcome = self.db.run(script.arg(token.bytes().clone())).await?.count()?;
        if outcome == CHANGED {
            self.freshness.begin(token);
        }
        Ok(outcome)
    }
}
