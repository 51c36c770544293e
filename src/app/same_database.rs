//! Finds out whether the native way and REST lead to the same database: to fail over between two different
//! ones would show every tenant another past.
//!
//! A random token is written natively and read over REST. Its key stays: a server that starts while the native
//! way is blocked finds it over REST, and knows that somebody wrote it there through that same native endpoint.

use crate::base::id;
use crate::db::transport::door::DOOR;
use crate::db::transport::layers::failover::{Proof, Switch};
use crate::db::{Command, Error, Expiry, Key, SystemDb};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A replica behind REST may lag this far.
const LAG: Duration = Duration::from_secs(5);
/// From one look at it to the next.
const LOOK: Duration = Duration::from_millis(250);
/// From one attempt to the next while one of the two ways cannot be asked.
const AGAIN: Duration = Duration::from_secs(5);
/// The same once they were seen to differ.
const MUCH_LATER: Duration = Duration::from_secs(60);

/// Two ways to be compared.
#[derive(Clone)]
pub(super) struct SameDatabase {
    native: SystemDb,
    rest: SystemDb,
    key: Key,
    switch: Arc<Switch>,
}

impl SameDatabase {
    /// Over the native way and REST; `digest` tells the native endpoint from others.
    pub(super) fn new([native, rest]: [SystemDb; 2], digest: String, switch: Arc<Switch>) -> Self {
        let key = native.key(&DOOR, &[&digest]);
        SameDatabase { native, rest, key, switch }
    }

    /// Tries until it is proved that they are the same.
    pub(super) async fn find_out(self) {
        loop {
            let proof = self.look().await.unwrap_or_else(|error| {
                tracing::debug!(%error, "whether REST leads to the same database cannot be found out yet");
                Proof::None
            });
            if proof != Proof::None && self.switch.learn(proof) {
                match proof {
                    Proof::Different => tracing::error!(
                        "failover to REST is off: UPSTASH_REDIS_REST_URL leads to another database than the native URL"
                    ),
                    _ => tracing::info!("REST leads to the same database: failover is ready"),
                }
            }
            match self.switch.proof() {
                Proof::Same => return,
                Proof::None => sleep(AGAIN).await,
                Proof::Different => sleep(MUCH_LATER).await,
            }
        }
    }

    /// Looks once; nothing when a way cannot be asked.
    pub(super) async fn are_one(&self) -> Option<bool> {
        match self.look().await.unwrap_or(Proof::None) {
            Proof::Same => Some(true),
            Proof::Different => Some(false),
            Proof::None => None,
        }
    }

    async fn look(&self) -> Result<Proof, Error> {
        let token = id::random_base62(id::SECRET_LENGTH).map_err(|_| Error::unexpected("randomness"))?;
        let token = Bytes::from(token);
        let written = self.native.run(Command::set(&self.key, token.clone(), Expiry::Never)).await;
        if let Err(error) = written.and_then(|reply| reply.done()) {
            tracing::debug!(%error, "the native way cannot be asked");
            let known = self.over(&self.rest).await?;
            return Ok(if known.is_some() { Proof::Same } else { Proof::None });
        }
        let begun = Instant::now();
        loop {
            let found = self.over(&self.rest).await?;
            // Another server may have written its own token since; that one is as new as ours.
            if found.as_ref() == Some(&token) || (found.is_some() && found == self.over(&self.native).await?) {
                return Ok(Proof::Same);
            }
            if begun.elapsed() >= LAG {
                return Ok(Proof::Different);
            }
            sleep(LOOK).await;
        }
    }

    async fn over(&self, way: &SystemDb) -> Result<Option<Bytes>, Error> {
        way.run(Command::get(&self.key)).await?.optional_bytes()
    }
}
