//! From the backend into the process: a tenant's flags are read and compiled, once for each version.

use super::{Known, Live, Place};
use crate::base::deadline::Deadline;
use crate::base::sparing::Sparing;
use crate::base::text::TenantId;
use crate::db::{Command, Error, ErrorKind};
use crate::stores::flags::compiled::Compiled;
use crate::stores::flags::{document, keys};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::watch;

static UNREADABLE: Sparing = Sparing::new();

impl Live {
    /// A tenant's flags: those that are known, else read now.
    pub(super) async fn known(&self, tenant: &TenantId, deadline: Deadline) -> Result<Arc<Known>, Error> {
        let known = self.known.get(tenant);
        self.lookups.count(known.is_some());
        if let Some(known) = known {
            return Ok(known);
        }
        let findings = self.findings.load(Ordering::Acquire);
        let load = async {
            let compiled = Arc::new(self.read(tenant, deadline).await?);
            self.pending.follow(tenant, &compiled.counts);
            let place = Arc::new(Place {
                tenant: tenant.clone(),
                news: watch::Sender::new(compiled.id.clone()),
                loading: tokio::sync::Mutex::default(),
                is_used: AtomicBool::new(true),
                since: AtomicU64::new(0),
            });
            Ok::<_, Error>(Arc::new(Known { compiled, place }))
        };
        let known = self.known.get_or_insert_async(tenant, load).await?;
        // Others may have had to go for it.
        self.note_change();
        if self.findings.load(Ordering::Acquire) == findings {
            return Ok(known);
        }
        // A look that came by before it was kept has not seen it.
        self.refresh(&known, deadline).await?;
        Ok(self.known.get(tenant).unwrap_or(known))
    }

    /// Loads a tenant's flags if they are not what the backend has: this process may be the one that changed them. What this
    /// version cannot read is left as it was known, and no matter of other tenants.
    pub(super) async fn refresh(&self, known: &Known, deadline: Deadline) -> Result<(), Error> {
        match self.compare_and_load(known, deadline).await {
            Err(Error { kind: ErrorKind::Refused(refusal), .. }) if !refusal.is_of_the_moment() => {
                tracing::error!(code = refusal.code(), "a stored set of flags is none");
                Ok(())
            }
            Err(Error { kind: ErrorKind::Unexpected(_), .. }) => Ok(()),
            other => other,
        }
    }

    async fn compare_and_load(&self, known: &Known, deadline: Deadline) -> Result<(), Error> {
        let db = self.database.tenant(&known.place.tenant).by(deadline);
        let fields = Command::hmget(&keys::flagset(&db), &["version", "digest"]);
        let [version, digest] = db.run(fields).await?.array_of()?;
        let [version, digest] = [version.optional_bytes()?, digest.optional_bytes()?].map(Option::unwrap_or_default);
        let there = (String::from_utf8_lossy(&version), String::from_utf8_lossy(&digest));
        if Compiled::named(&there.0, &there.1) == known.compiled.id {
            return Ok(());
        }
        self.load(&known.place, deadline).await
    }

    /// Loads a tenant's flags, whatever they are.
    pub(super) async fn load(&self, place: &Arc<Place>, deadline: Deadline) -> Result<(), Error> {
        let _loading = place.loading.lock().await;
        let compiled = match self.read(&place.tenant, deadline).await {
            Ok(compiled) => Arc::new(compiled),
            // Evaluating goes on with what there is: a newer server may have written what this one cannot read.
            Err(Error { kind: ErrorKind::Unexpected(_), .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        if compiled.version == 0 {
            // Or a tenant of the same id would be told of what this one's flags gave.
            self.pending.drop_of(&place.tenant);
        }
        // What was forgotten meanwhile and read again may be newer than this.
        let takes_it = |known: &Known| Arc::ptr_eq(&known.place, place) && known.compiled.id != compiled.id;
        if !self.known.peek(&place.tenant).is_some_and(|known| takes_it(&known)) {
            return Ok(());
        }
        self.pending.follow(&place.tenant, &compiled.counts);
        let id = compiled.id.clone();
        self.known.insert(place.tenant.clone(), Arc::new(Known { compiled, place: place.clone() }));
        self.note_change();
        place.news.send_replace(id);
        Ok(())
    }

    /// Reads and compiles a tenant's flags.
    async fn read(&self, tenant: &TenantId, deadline: Deadline) -> Result<Compiled, Error> {
        let db = self.database.tenant(tenant).by(deadline);
        let fields = Command::hmget(&keys::flagset(&db), &["version", "digest", "document"]);
        let [version, digest, document] = db.run(fields).await?.array_of()?;
        let document = document.optional_bytes()?;
        let (version, digest) = match &document {
            Some(_) => (version.text()?, digest.text()?),
            None => ("0".to_owned(), String::new()),
        };
        let compile = move || compiled(&version, &digest, document);
        let compiled = tokio::task::spawn_blocking(compile).await.ok().flatten();
        let compiled = compiled.map(|compiled| Compiled { reasons: self.reasons.clone(), ..compiled });
        compiled.ok_or_else(|| {
            if let Some(left_out) = UNREADABLE.line() {
                tracing::error!(left_out, "a stored set of flags cannot be read by this version");
            }
            Error::unexpected("a set of flags")
        })
    }
}

fn compiled(version: &str, digest: &str, document: Option<Bytes>) -> Option<Compiled> {
    let size = document.as_ref().map_or(0, Bytes::len);
    let document = document.map_or_else(|| Some(document::empty()), |text| serde_json::from_slice(&text).ok())?;
    Compiled::new(version.parse().ok()?, digest, &document, size).ok()
}
