//! When each key was used last, to the hour: enough to find keys that nobody needs, and one write an
//! hour for each key and process. Off the request's path: no request waits for it or fails with it.

use super::api_key::KeyId;
use super::keys::{API_KEY, API_KEY_USED};
use super::scripts::STAMP_KEY;
use crate::base::clock::Timestamp;
use crate::db::{Command, SystemDb};
use quick_cache::sync::Cache;
use std::time::Duration;

const HOUR_MILLIS: u64 = 3_600_000;
pub(super) const HOUR: Duration = Duration::from_millis(HOUR_MILLIS);

/// How long the hour lasts yet in which a key used now was used.
pub(super) fn left_of_hour(now: Timestamp) -> Duration {
    Duration::from_millis(HOUR_MILLIS - now.as_millis() % HOUR_MILLIS)
}

/// Which hours have been written.
pub(super) struct LastUsed {
    db: SystemDb,
    written: Cache<KeyId, Timestamp>,
}

impl LastUsed {
    pub(super) fn new(db: SystemDb, keys: usize) -> Self {
        LastUsed { db, written: Cache::new(keys) }
    }

    /// Notes that the key was used.
    pub(super) fn stamp(&self, id: KeyId, now: Timestamp) {
        let hour = Timestamp::from_millis(now.as_millis() - now.as_millis() % HOUR_MILLIS);
        if self.written.get(&id) == Some(hour) {
            return;
        }
        // Two requests may both get here and write the same twice: not worth a lock on every request.
        self.written.insert(id, hour);
        let keys = [self.db.key(&API_KEY, &[id.as_str()]), self.db.key(&API_KEY_USED, &[id.as_str()])];
        let db = self.db.clone();
        tokio::spawn(async move {
            let command = Command::script(&STAMP_KEY, &[&keys[0], &keys[1]]).arg(hour.to_string());
            if let Err(error) = db.run(command).await.and_then(|reply| reply.count()) {
                tracing::warn!(%error, key_id = %id, "the last use of an API key could not be written");
            }
        });
    }
}
