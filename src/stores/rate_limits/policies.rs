//! Named policies: terms that a tenant keeps here, so that its callers need not know them.
//!
//! A check that names one must not cost another round trip, so each process remembers what it read for a second at
//! most ([`PolicyMemory`]): a change is in force everywhere by then, and at once where it was made.

mod memory;
#[cfg(test)]
mod tests;

use super::types::{Algorithm, Quota};
use super::{keys, scripts};
use crate::base::text::Name;
use crate::db::{Command, Error, Reply, TenantDb};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

pub use memory::PolicyMemory;

/// The most policies of a tenant.
pub const MOST_POLICIES: usize = 1000;

/// Terms under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How much is allowed, and how it is counted.
    pub quota: Quota,
    /// Counts, and never denies.
    pub shadow: bool,
}

/// What became of writing a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutPolicyOutcome {
    /// There was none of this name.
    Created,
    /// There was one.
    Replaced,
    /// The tenant has as many as it may.
    LimitReached,
}

/// Some of a tenant's policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyPage {
    /// By name.
    pub items: Vec<(Name, Policy)>,
    /// The name after which the list goes on; nothing at its end.
    pub next: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    limit: u64,
    burst: u64,
    window_ms: u64,
    algorithm: Algorithm,
    shadow: bool,
}

/// The policies of a tenant.
#[derive(Clone)]
pub struct Policies {
    db: TenantDb,
    memory: Arc<PolicyMemory>,
}

impl Policies {
    /// The policies in `db`, as this process remembers them.
    pub fn new(db: TenantDb, memory: Arc<PolicyMemory>) -> Policies {
        Policies { db, memory }
    }

    /// The policies of these names, in order, each or nothing; at most a second old. At most one round trip, and none
    /// while all are remembered. Where the backend cannot be asked, the last that were known.
    ///
    /// # Errors
    /// When the backend cannot be asked and one of them was never known.
    pub async fn find(&self, names: &[&Name]) -> Result<Vec<Option<Policy>>, Error> {
        let mut found = Vec::with_capacity(names.len());
        let mut unknown = Vec::new();
        for (place, name) in names.iter().enumerate() {
            let remembered = self.memory.fresh(self.db.tenant(), name);
            if remembered.is_none() {
                unknown.push((place, *name));
            }
            found.push(remembered.flatten());
        }
        if unknown.is_empty() {
            return Ok(found);
        }
        let loaded = self.load(&unknown).await?;
        for ((place, _), policy) in unknown.into_iter().zip(loaded) {
            if let Some(there) = found.get_mut(place) {
                *there = policy;
            }
        }
        Ok(found)
    }

    async fn load(&self, unknown: &[(usize, &Name)]) -> Result<Vec<Option<Policy>>, Error> {
        match self.ask(unknown).await {
            Ok(policies) => Ok(policies),
            Err(error) => {
                let last = unknown.iter().map(|(_, name)| self.memory.last(self.db.tenant(), name).map(Some));
                last.collect::<Option<_>>().ok_or(error)
            }
        }
    }

    async fn ask(&self, unknown: &[(usize, &Name)]) -> Result<Vec<Option<Policy>>, Error> {
        let (asked, hash) = (self.memory.now(), keys::policies(&self.db));
        let reads = unknown.iter().map(|(_, name)| Command::hget(&hash, name.as_str())).collect();
        let replies = self.db.pipeline(reads).await?;
        let policies = replies.into_iter().map(parsed).collect::<Result<Vec<_>, _>>()?;
        for ((_, name), policy) in unknown.iter().zip(&policies) {
            self.memory.keep(self.db.tenant(), name, asked, *policy);
        }
        Ok(policies)
    }

    /// The policy of this name as it is in the backend now.
    pub async fn read(&self, name: &Name) -> Result<Option<Policy>, Error> {
        parsed(self.db.run(Command::hget(&keys::policies(&self.db), name.as_str())).await?)
    }

    /// Keeps a policy under this name.
    pub async fn put(&self, name: &Name, policy: Policy) -> Result<PutPolicyOutcome, Error> {
        let command =
            Command::script(&scripts::PUT_POLICY, &[&keys::policies(&self.db), &keys::policy_names(&self.db)])
                .arg(name.as_str().to_owned())
                .arg(write(&policy)?)
                .number(MOST_POLICIES as i128);
        let outcome = match self.db.run(command).await?.text()?.as_str() {
            "created" => PutPolicyOutcome::Created,
            "replaced" => PutPolicyOutcome::Replaced,
            "full" => return Ok(PutPolicyOutcome::LimitReached),
            _ => return Err(Error::unexpected("a known word")),
        };
        self.memory.changed(self.db.tenant(), name, Some(policy));
        Ok(outcome)
    }

    /// Deletes the policy of this name; says whether there was one.
    pub async fn delete(&self, name: &Name) -> Result<bool, Error> {
        let command =
            Command::script(&scripts::DELETE_POLICY, &[&keys::policies(&self.db), &keys::policy_names(&self.db)])
                .arg(name.as_str().to_owned());
        let was_there = self.db.run(command).await?.int()? == 1;
        self.memory.changed(self.db.tenant(), name, None);
        Ok(was_there)
    }

    /// At most `limit` policies, by name, from after the name `after`.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<PolicyPage, Error> {
        let from = after.map_or_else(|| "-".to_owned(), |name| format!("({name}"));
        let command =
            Command::script(&scripts::LIST_POLICIES, &[&keys::policies(&self.db), &keys::policy_names(&self.db)])
                .arg(from)
                .number(limit as i128 + 1);
        let [names, texts] = self.db.run(command).await?.array_of()?;
        let mut names = names.array()?.into_iter().map(Reply::text).collect::<Result<Vec<_>, _>>()?;
        let more = names.len() > limit;
        names.truncate(limit);
        let next = names.last().filter(|_| more).cloned();
        let mut items = Vec::with_capacity(names.len());
        for (name, text) in names.iter().zip(texts.array()?) {
            let name = Name::parse(name).map_err(|_| Error::unexpected("a name"))?;
            items.extend(parsed(text)?.map(|policy| (name, policy)));
        }
        Ok(PolicyPage { items, next })
    }
}

fn write(policy: &Policy) -> Result<String, Error> {
    let Policy { quota, shadow } = *policy;
    let stored = Stored {
        limit: quota.limit(),
        burst: quota.burst(),
        window_ms: quota.window_millis(),
        algorithm: quota.algorithm(),
        shadow,
    };
    serde_json::to_string(&stored).map_err(|_| Error::unexpected("a policy that can be written"))
}

fn parsed(reply: Reply) -> Result<Option<Policy>, Error> {
    let Some(text) = reply.optional_bytes()? else { return Ok(None) };
    let read = || {
        let Stored { limit, burst, window_ms, algorithm, shadow } = serde_json::from_slice(&text).ok()?;
        let quota = Quota::new(limit, burst, Duration::from_millis(window_ms), algorithm).ok()?;
        Some(Policy { quota, shadow })
    };
    read().map(Some).ok_or(Error::unexpected("a policy of this version"))
}
