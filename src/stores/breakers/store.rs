//! The circuit breakers of one tenant: each call one round trip, and what changes something one script.

use super::keys;
use super::policy::millis;
use super::record::{breaker, line, moment, transitions};
use super::scripts;
use super::transitions::Transitions;
use super::types::{Acquired, Breaker, CallOutcome, Error, FURTHER_NOTICE, Force, Forced, Policy, Report, State};
use crate::base::clock::Timestamp;
use crate::base::id;
use crate::base::text::Name;
use crate::db::{self, Command, Reply, Script, TenantDb};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// The circuit breakers of one tenant.
#[derive(Clone)]
pub struct Breakers {
    db: TenantDb,
    defaults: Policy,
    transitions: Arc<Transitions>,
}

/// The answer to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    /// The state after it.
    pub state: State,
    /// When that changes by itself, if it does.
    pub next_change: Option<Timestamp>,
}

impl Breakers {
    /// The breakers in a tenant's data; `defaults` is the policy of one that nobody configured.
    pub fn new(db: TenantDb, defaults: Policy, transitions: Arc<Transitions>) -> Breakers {
        Breakers { db, defaults, transitions }
    }

    /// Gives a breaker its settings, in place of those that it had; its state stays.
    pub async fn configure(&self, name: &Name, policy: &Policy) -> Result<Breaker, Error> {
        let command = self.script(&scripts::CONFIGURE, name).arg(policy.text());
        let mut answer = self.answer(command).await?;
        let (now, stored) = (answer.count()?, answer.text()?);
        Ok(breaker(name.clone(), &stored, now, Some(*policy), &self.defaults))
    }

    /// The breaker as it is now; one that nobody knows is closed.
    pub async fn read(&self, name: &Name) -> Result<Breaker, Error> {
        let field = |key| Command::hget(&key, name.as_str());
        let commands = vec![Command::time(), field(keys::states(&self.db)), field(keys::settings(&self.db))];
        let mut answers = Answers(self.db.pipeline(commands).await?.into_iter());
        let [seconds, micros] = answers.next()?.array_of()?;
        let now = seconds.count()?.saturating_mul(1000).saturating_add(micros.count()? / 1000);
        self.stored(name.clone(), answers.next()?, answers.next()?, now)
    }

    /// At most `limit` breakers in the order of the bytes of their names, from behind `after`, and the name after which
    /// there are more.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<(Vec<Breaker>, Option<String>), Error> {
        let keys = [keys::states(&self.db), keys::settings(&self.db), keys::names(&self.db)];
        let command = Command::script(&scripts::LIST, &keys.each_ref())
            .arg(after.map_or_else(|| "-".to_owned(), |after| format!("({after}")))
            .number(limit.saturating_add(1) as u64);
        let [now, names, states, settings] = self.db.run(command).await?.array_of()?;
        let now = now.count()?;
        let rows = names.array()?.into_iter().zip(states.array()?).zip(settings.array()?);
        let mut items = Vec::with_capacity(rows.len());
        for ((name, state), settings) in rows {
            let name = Name::parse(&name.text()?).map_err(|_| db::Error::unexpected("a name"))?;
            items.push(self.stored(name, state, settings, now)?);
        }
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| has_more).map(|last| last.name.as_str().to_owned());
        Ok((items, next))
    }

    /// Asks before a call.
    pub async fn acquire(&self, name: &Name, instance: Option<&Name>) -> Result<Acquired, Error> {
        // To be told apart from other permits, not to be kept secret from whoever may report anyway.
        let id = id::uuid_v7(self.db.now());
        let command = self
            .script(&scripts::ACQUIRE, name)
            .arg(id.to_vec())
            .arg(self.defaults.text())
            .arg(instance.map_or("", Name::as_str).to_owned());
        let [allowed, state, since, retry_after, path] = self.db.run(command).await?.array_of()?;
        let (allowed, state, since) = (allowed.int()? == 1, state_of(state)?, since.count()?);
        self.announce(name, &path.text()?);
        let permit = match state {
            _ if !allowed => None,
            State::HalfOpen => Some(format!("{since}-{}", String::from_utf8_lossy(&id))),
            _ => Some(format!("c{since}")),
        };
        let permit =
            permit.map(|text| Name::parse(&text)).transpose().map_err(|_| db::Error::unexpected("a number"))?;
        let left = Duration::from_millis(retry_after.count()?);
        let until_further_notice = !allowed && left.is_zero();
        let retry_after = if until_further_notice { FURTHER_NOTICE } else { left };
        Ok(Acquired { allowed, state, permit, retry_after, until_further_notice })
    }

    /// Tells how calls went. It counts once at most: when the answer is lost, nobody knows whether it did.
    pub async fn report(&self, name: &Name, report: &Report) -> Result<Reported, Error> {
        let outcome = match report.outcome {
            CallOutcome::Success => "success",
            CallOutcome::Failure => "failure",
            CallOutcome::Timeout => "timeout",
        };
        let (since, probe) = report.permit.as_ref().map_or(("", ""), |permit| permit_of(permit.as_str()));
        let instance = report.instance.as_ref().map_or("", Name::as_str);
        let command = self
            .script(&scripts::REPORT, name)
            .arg(self.defaults.text())
            .arg(outcome)
            .number(report.count.max(1))
            .arg(report.duration.map(|duration| millis(duration).to_string()).unwrap_or_default())
            .arg(since.to_owned())
            .arg(probe.to_owned())
            .arg(digest(instance))
            .arg(instance.to_owned())
            .number(chance());
        let [word, ends, path] = self.db.run(command).await?.array_of()?;
        let word = word.text()?;
        if word == "full" {
            return Err(Error::TooMany);
        }
        self.announce(name, &path.text()?);
        let state = State::parse(&word).ok_or(db::Error::unexpected("a state"))?;
        Ok(Reported { state, next_change: moment(ends.count()?) })
    }

    /// Sets a state by hand, or lets the breaker decide again.
    pub async fn force(&self, name: &Name, force: &Force) -> Result<Breaker, Error> {
        let state = match force.state {
            Forced::Open => State::ForcedOpen,
            Forced::Closed => State::ForcedClosed,
            Forced::Disabled => State::Disabled,
            Forced::Auto => State::Closed,
        };
        let command = self
            .script(&scripts::FORCE, name)
            .arg(state.as_str())
            .arg(line(&force.actor))
            .arg(force.reason.as_deref().map(line).unwrap_or_default())
            .arg(force.ttl.map(|ttl| millis(ttl).to_string()).unwrap_or_default());
        let mut answer = self.answer(command).await?;
        let (now, stored, settings) = (answer.count()?, answer.next()?, answer.next()?);
        self.announce(name, &answer.text()?);
        self.stored(name.clone(), stored, settings, now)
    }

    /// Forgets a breaker and its settings.
    pub async fn forget(&self, name: &Name) -> Result<(), Error> {
        let path = self.db.run(self.script(&scripts::FORGET, name)).await?.text()?;
        self.announce(name, &path);
        Ok(())
    }

    fn script(&self, script: &'static Script, name: &Name) -> Command {
        let keys = [keys::states(&self.db), keys::settings(&self.db), keys::names(&self.db)];
        Command::script(script, &keys.each_ref()).arg(name.as_str().to_owned())
    }

    /// What follows the `ok` of a script.
    async fn answer(&self, command: Command) -> Result<Answers, Error> {
        let mut answers = Answers(self.db.run(command).await?.array()?.into_iter());
        match answers.text()?.as_str() {
            "ok" => Ok(answers),
            "full" => Err(Error::TooMany),
            _ => Err(db::Error::unexpected("a known word").into()),
        }
    }

    fn announce(&self, name: &Name, path: &str) {
        for transition in transitions(path) {
            self.transitions.announce(self.db.tenant(), name, transition);
        }
    }

    fn stored(&self, name: Name, state: Reply, settings: Reply, now: u64) -> Result<Breaker, Error> {
        let policy = settings.optional_bytes()?.and_then(|text| Policy::parse(&String::from_utf8_lossy(&text)));
        let state = state.optional_bytes()?.unwrap_or_default();
        Ok(breaker(name, &String::from_utf8_lossy(&state), now, policy, &self.defaults))
    }
}

/// Answers, to be read one after the other.
struct Answers(std::vec::IntoIter<Reply>);

impl Answers {
    fn next(&mut self) -> Result<Reply, db::Error> {
        self.0.next().ok_or(db::Error::unexpected("a further answer"))
    }

    fn text(&mut self) -> Result<String, db::Error> {
        self.next()?.text()
    }

    fn count(&mut self) -> Result<u64, db::Error> {
        self.next()?.count()
    }
}

fn state_of(reply: Reply) -> Result<State, db::Error> {
    State::parse(&reply.text()?).ok_or(db::Error::unexpected("a state"))
}

/// The change of state after which a permit was given, and the id of a probe. What no breaker ever gave belongs to no
/// state.
fn permit_of(permit: &str) -> (&str, &str) {
    let (since, probe) = permit.split_once('-').unwrap_or((permit.strip_prefix('c').unwrap_or("-"), ""));
    if !since.is_empty() && since.bytes().all(|byte| byte.is_ascii_digit()) { (since, probe) } else { ("-", "") }
}

/// What tells instances apart: 72 bits of a SHA-256. All that do not say who they are count as one.
fn digest(instance: &str) -> String {
    id::fingerprint(instance).chars().take(12).collect()
}

/// By how much an open time is longer than it must be, of 65,535. It only keeps callers out of step, so the cheapest
/// chance will do.
fn chance() -> u16 {
    RandomState::new().build_hasher().finish() as u16
}
