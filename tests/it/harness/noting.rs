//! A backend of which it is noted what scripts run, and which may be told everything twice that may be said twice.

use agentapi::db::transport::{Execution, RedisTransport};
use agentapi::db::{Batch, Effect};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Notes scripts, and repeats what may be repeated, as a retry does whose first answer was lost.
pub struct Noting {
    inner: Arc<dyn RedisTransport>,
    slice: &'static str,
    ran: Mutex<BTreeSet<&'static str>>,
    twice: bool,
}

impl Noting {
    /// Over this one, of the scripts whose names begin so.
    pub fn over(inner: Arc<dyn RedisTransport>, slice: &'static str, twice: bool) -> Noting {
        Noting { inner, slice, ran: Mutex::default(), twice }
    }

    /// The scripts that have run.
    pub fn ran(&self) -> BTreeSet<&'static str> {
        self.ran.lock().unwrap().clone()
    }

    pub fn says_twice(&self) -> bool {
        self.twice
    }
}

impl RedisTransport for Noting {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        let scripts = batch.commands().iter().filter_map(|command| command.running()).map(|script| script.name());
        self.ran.lock().unwrap().extend(scripts.filter(|name| name.starts_with(self.slice)));
        Box::pin(async move {
            if self.twice && batch.effect() != Effect::Once {
                drop(self.inner.execute(batch).await?);
            }
            self.inner.execute(batch).await
        })
    }
}
