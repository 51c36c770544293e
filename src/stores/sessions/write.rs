//! Writing what a session holds: replacing it, and merging changes in. Both write only over what they have
//! read, and read again where somebody was faster, so that no writer undoes another.

use super::id::SessionId;
use super::keys::{self, SessionKeys};
use super::merge_patch;
use super::record::{Found, HEAD, Head, Named, Record, Times, WHOLE};
use super::scripts;
use super::store::{ATTEMPTS, Noted, Sessions, answer, own_ttl, pause, times};
use super::types::{CreateOutcome, Error, NewSession, PatchOutcome, PatchSession, PutOutcome, PutSession, Session};
use crate::base::duration::millis;
use crate::base::json_object::{JsonObject, ObjectPatch};
use crate::base::precondition::Precondition;
use crate::base::text::Name;
use crate::db::{self, Command};
use std::time::Duration;

/// How large patches may make `data` and `metadata`, in bytes each. What one request may bring is bounded by
/// its body; many small ones must not get past that.
const LARGEST: usize = 1024 * 1024;

/// A session to be written over one that was read.
struct Write<'a> {
    user: &'a Name,
    read_version: u64,
    read_family: Option<&'a str>,
    user_to_be: &'a Name,
    data: &'a JsonObject,
    metadata: &'a JsonObject,
    /// The lifetime of its own from now on, where that is to change.
    own_ttl: Option<Option<Duration>>,
    longest: Duration,
}

impl Sessions {
    /// Replaces the session, or creates it under this id, without a refresh token. A replaced one keeps its
    /// creation, its absolute end and its refresh token.
    pub async fn put(&self, id: &SessionId, put: PutSession, only: &Precondition) -> Result<PutOutcome, Error> {
        if id.is_reserved() {
            return Ok(PutOutcome::ReservedId);
        }
        let at = id.reference();
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let reply = self.db.run(Command::hmget(&keys::session(&self.db, at), HEAD)).await?;
            let head = match Head::read(reply)? {
                Found::Session(head) if head.times.live(self.db.now()) => head,
                _ if !only.holds(None) => return Ok(PutOutcome::VersionMismatch),
                _ => match self.create(new_session(id, &put)).await? {
                    CreateOutcome::Created { session, .. } => return Ok(PutOutcome::Created(session)),
                    CreateOutcome::LimitReached => return Ok(PutOutcome::LimitReached),
                    CreateOutcome::ReservedId => return Ok(PutOutcome::ReservedId),
                    CreateOutcome::Exists => continue,
                },
            };
            if !only.holds(Some(head.version)) {
                return Ok(PutOutcome::VersionMismatch);
            }
            if head.user != put.user_id && !self.make_room(&put.user_id).await? {
                return Ok(PutOutcome::LimitReached);
            }
            let refreshable = if head.family.is_some() { self.settings.refresh_ttl } else { Duration::ZERO };
            let write = Write {
                user: &head.user,
                read_version: head.version,
                read_family: head.family.as_deref(),
                user_to_be: &put.user_id,
                data: &put.data,
                metadata: &put.metadata,
                own_ttl: Some(put.ttl),
                longest: put.ttl.unwrap_or(self.settings.ttl).max(refreshable),
            };
            if let Some(session) = self.write(id, &write).await? {
                return Ok(PutOutcome::Replaced(session));
            }
        }
        Err(Error::EditConflict)
    }

    /// Merges changes into the session. Two writers at once both have their changes in it.
    pub async fn patch(
        &self,
        id: &SessionId,
        patch: &PatchSession,
        only: &Precondition,
    ) -> Result<PatchOutcome, Error> {
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let reply = self.db.run(Command::hmget(&keys::session(&self.db, id.reference()), WHOLE)).await?;
            let record = self.readable(Record::whole(reply)?).filter(|record| record.times.live(self.db.now()));
            let Some(record) = record else { return Ok(PatchOutcome::Absent) };
            if !only.holds(Some(record.version)) {
                return Ok(PatchOutcome::VersionMismatch);
            }
            let data = record.data.unwrap_or_default();
            let (Some(data), Some(metadata)) =
                (applied(&data, &patch.data), applied(&record.metadata, &patch.metadata))
            else {
                return Ok(PatchOutcome::TooLarge);
            };
            let write = Write {
                user: &record.user,
                read_version: record.version,
                read_family: None,
                user_to_be: &record.user,
                data: &data,
                metadata: &metadata,
                own_ttl: None,
                longest: own_ttl(&record.times).unwrap_or(self.settings.ttl),
            };
            if let Some(session) = self.write(id, &write).await? {
                return Ok(PatchOutcome::Patched(session));
            }
        }
        Err(Error::EditConflict)
    }

    /// Writes over the session if it still is as it was read.
    async fn write(&self, id: &SessionId, write: &Write<'_>) -> Result<Option<Session>, Error> {
        let at = id.reference();
        self.remember(write.user_to_be.as_str(), at.partition, Some(write.longest), Noted::New).await?;
        let keys = SessionKeys::new(&self.db, at, write.user.as_str());
        let user_to_be = keys::user_sessions(&self.db, at.partition, write.user_to_be.as_str());
        let family = self.family_key(at, write.read_family);
        let fence = keys::fence(&self.db, at.partition, write.user.as_str());
        let command = Command::script(
            &scripts::UPDATE,
            &[&keys.session, &keys.user, &keys.all, &keys.expiries, &user_to_be, &family, &fence],
        )
        .arg(at.fingerprint.clone())
        .arg(write.user.as_str().to_owned())
        .number(write.read_version)
        .arg(write.read_family.unwrap_or_default().to_owned())
        .arg(write.user_to_be.as_str().to_owned())
        .arg(write.data.as_str().to_owned())
        .arg(write.metadata.as_str().to_owned())
        .arg(write.own_ttl.map(|own| own.map_or(0, millis).to_string()).unwrap_or_default());
        // A replacement begins anew; a patch is a use.
        let command = self.policy(command).arg(if write.own_ttl.is_some() { "set" } else { "slide" });
        let (word, rest) = answer(self.db.run(command).await?)?;
        match word.as_str() {
            "ok" => {
                self.upkeep.wrote(&self.db, at.partition);
                Ok(Some(write.written(times(rest)?).just_used(Named::Id(id))))
            }
            "gone" | "moved" => Ok(None),
            _ => Err(db::Error::unexpected("a known word").into()),
        }
    }
}

impl Write<'_> {
    fn written(&self, times: Times) -> Record {
        Record {
            user: self.user_to_be.clone(),
            data: Some(self.data.clone()),
            metadata: self.metadata.clone(),
            version: self.read_version + 1,
            times,
        }
    }
}

fn new_session(id: &SessionId, put: &PutSession) -> NewSession {
    NewSession {
        user_id: put.user_id.clone(),
        data: put.data.clone(),
        metadata: put.metadata.clone(),
        ttl: put.ttl,
        absolute_ttl: None,
        id: Some(id.clone()),
        refresh: false,
    }
}

/// The object after the patch; nothing if it would be too large or the patch nests too deep.
fn applied(object: &JsonObject, patch: &ObjectPatch) -> Option<JsonObject> {
    match patch {
        ObjectPatch::Keep => Some(object.clone()),
        ObjectPatch::Clear => Some(JsonObject::default()),
        ObjectPatch::Merge(patch) => {
            let merged = merge_patch::merged(object.as_str(), patch.as_str())?;
            let grows = merged.len() > object.as_str().len();
            if grows && merged.len() > LARGEST { None } else { JsonObject::parse(merged.as_bytes()) }
        }
    }
}
