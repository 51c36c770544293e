//! What the platform asks of the capabilities, as traits that the application plugs in.

use crate::base::deadline::Deadline;
use crate::base::text::TenantId;
use crate::db::Error;
use futures_util::future::LocalBoxFuture;

/// A request that carries an `Idempotency-Key`.
#[derive(Clone, Copy)]
pub struct KeyedRequest<'a> {
    /// Whose it is; none on the admin API.
    pub tenant: Option<&'a TenantId>,
    /// What the caller presented: the answer is sealed with it, so that only this caller can have it again.
    pub credential: &'a str,
    /// The header's value.
    pub key: &'a str,
    /// A digest of all that makes two requests the same: method, path, query and body.
    pub fingerprint: [u8; 32],
    /// Until when its caller waits.
    pub deadline: Deadline,
}

/// An answer that is kept to be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Its status.
    pub status: u16,
    /// The headers that belong to the resource, such as `Location` and `ETag`.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What is known of a key when a request comes with it.
#[derive(Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: this is the first, under this note, and must be [finished](IdempotencyRecords::finish) or
    /// [abandoned](IdempotencyRecords::abandon).
    First(String),
    /// The first is still running.
    Running,
    /// Another request came with this key.
    Reused,
    /// The first was answered with this.
    Answered(KeptAnswer),
}

/// Remembers the answers to requests that carry an `Idempotency-Key`
/// (draft-ietf-httpapi-idempotency-key-header-07), for 24 hours.
pub trait IdempotencyRecords: Send + Sync {
    /// Takes note of a request, unless one with its key is known.
    fn begin<'a>(&'a self, request: KeyedRequest<'a>) -> LocalBoxFuture<'a, Result<Begun, Error>>;

    /// Keeps the answer.
    fn finish<'a>(&'a self, request: KeyedRequest<'a>, answer: &'a KeptAnswer)
    -> LocalBoxFuture<'a, Result<(), Error>>;

    /// Forgets the request that was noted so: it may be tried again.
    fn abandon<'a>(&'a self, request: KeyedRequest<'a>, note: &'a str) -> LocalBoxFuture<'a, Result<(), Error>>;
}

/// How the backend is, as far as requests are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendState {
    /// `memory`, `native` or `rest`.
    pub transport: &'static str,
    /// `healthy`, `unhealthy`, `error`, or `not_initialized` where no Redis is used.
    pub redis_status: &'static str,
    /// Whether the backend answers.
    pub answers: bool,
    /// Whether this process serves sessions from its memory, because the backend cannot be asked or does not have all
    /// of them yet.
    pub stands_in: bool,
    /// Whether requests can be served: what the backend is for, or at least sessions.
    pub serves: bool,
    /// Where the backend is reached in two ways: `ready`, `active` while REST stands in, `unproven` or `off`.
    pub failover: Option<&'static str>,
    /// Whether something is not as it should be although requests are served.
    pub is_degraded: bool,
}

/// Tells how the backend is.
pub trait Health: Send + Sync {
    /// Asks it, unless it was asked a moment ago.
    fn backend(&self) -> LocalBoxFuture<'_, BackendState>;

    /// Whole seconds since the server started.
    fn uptime(&self) -> u64;
}
