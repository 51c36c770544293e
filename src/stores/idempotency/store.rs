//! The records, and who may have them.

use super::keys::RECORD;
use super::seal::Seal;
use crate::base::id;
use crate::db::{Command, Effect, Error, Expiry, Key, Partition, Reply, Script, SystemDb, TenantDb};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a request may run before its key is free again: far longer than a request may take.
const LEASE: Duration = Duration::from_secs(60);
/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How many characters tell one attempt from all others: 131 random bits.
const ATTEMPT: usize = 22;

static ABANDON: Script = Script::new("idempotency/abandon", include_str!("abandon.lua"), Effect::Idempotent);

/// Whose requests they are.
#[derive(Clone)]
pub enum Owner {
    /// A tenant's.
    Tenant(TenantDb),
    /// An operator's.
    System(SystemDb),
}

impl Owner {
    fn key(&self, name: &str) -> Key {
        match self {
            Owner::Tenant(db) => db.key(Partition::of(name), &RECORD, &[name]),
            Owner::System(db) => db.key(&RECORD, &[name]),
        }
    }

    async fn run(&self, command: Command) -> Result<Reply, Error> {
        match self {
            Owner::Tenant(db) => db.run(command).await,
            Owner::System(db) => db.run(command).await,
        }
    }
}

/// A request that may come again.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What the caller presented.
    pub credential: &'a str,
    /// The `Idempotency-Key`.
    pub key: &'a str,
    /// A digest of all that makes two requests the same.
    pub fingerprint: [u8; 32],
}

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The headers that belong to what was created.
    pub headers: Vec<(String, String)>,
    /// Its body, JSON.
    pub body: String,
}

/// What is known of a key when a request comes with it.
#[derive(Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: this request is the first, under this note.
    First(String),
    /// The first is still running.
    Running,
    /// Another request came with it.
    Reused,
    /// The first was answered with this.
    Answered(Answer),
}

#[derive(Serialize, Deserialize)]
struct Record {
    request: String,
    /// Tells who began from others with the same request.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

impl Record {
    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The records of one owner.
#[derive(Clone)]
pub struct IdempotencyStore {
    owner: Owner,
}

impl IdempotencyStore {
    /// The records of `owner`.
    pub fn new(owner: Owner) -> Self {
        IdempotencyStore { owner }
    }

    /// Takes note of a request, unless one with its key is known.
    pub async fn begin(&self, request: Request<'_>) -> Result<Begun, Error> {
        let seal = Seal::new(request.credential, request.key);
        let (key, proof) = (self.owner.key(&seal.name()), seal.proof(&request.fingerprint));
        let attempt =
            id::random_base62(ATTEMPT).map_err(|_| Error::unexpected("an attempt that can be told from others"))?;
        let running = Record { request: proof.clone(), attempt: Some(attempt), answer: None }.text();
        // The record that is in the way may end before it is read; then the key is free after all.
        for _ in 0..3 {
            let note = Command::set_if_absent(&key, running.clone(), Expiry::After(LEASE));
            if self.owner.run(note).await?.stored()? {
                return Ok(Begun::First(running));
            }
            if let Some(known) = self.owner.run(Command::get(&key)).await?.optional_bytes()? {
                // Noted by the first try of a command whose answer was lost.
                if known == running.as_bytes() {
                    return Ok(Begun::First(running));
                }
                return judge(&known, &seal, &proof);
            }
        }
        Ok(Begun::Running)
    }

    /// Keeps the answer for 24 hours.
    pub async fn finish(&self, request: Request<'_>, answer: &Answer) -> Result<(), Error> {
        let seal = Seal::new(request.credential, request.key);
        let proof = seal.proof(&request.fingerprint);
        let plain = serde_json::to_vec(answer).map_err(|_| Error::unexpected("an answer that can be kept"))?;
        let sealed = seal.seal(&plain, &proof).map_err(|_| Error::unexpected("an answer that can be sealed"))?;
        let record = Record { request: proof, attempt: None, answer: Some(sealed) };
        let command = Command::set(&self.owner.key(&seal.name()), record.text(), Expiry::After(KEPT));
        self.owner.run(command).await?.done()
    }

    /// Forgets the request that was noted so: it may be tried again.
    pub async fn abandon(&self, request: Request<'_>, note: &str) -> Result<(), Error> {
        let key = self.owner.key(&Seal::new(request.credential, request.key).name());
        self.owner.run(Command::script(&ABANDON, &[&key]).arg(note.to_owned())).await?.count().map(drop)
    }
}

fn judge(known: &[u8], seal: &Seal, proof: &str) -> Result<Begun, Error> {
    let record: Record = serde_json::from_slice(known).map_err(|_| Error::unexpected("a record of this version"))?;
    if record.request != proof {
        return Ok(Begun::Reused);
    }
    let Some(sealed) = record.answer else { return Ok(Begun::Running) };
    let answer = seal.open(&sealed, proof).and_then(|plain| serde_json::from_slice(&plain).ok());
    answer.map(Begun::Answered).ok_or(Error::unexpected("an answer that opens"))
}
