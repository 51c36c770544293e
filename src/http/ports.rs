//! What the platform asks of the capabilities, as traits that the application plugs in.

use crate::base::deadline::Deadline;
use crate::base::text::TenantId;
use crate::db::Error;
use crate::tenancy::{KeyId, Tenant};
use futures_util::future::LocalBoxFuture;
use std::net::IpAddr;
use std::time::Duration;

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

/// How an API key stands with the limit on its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestStanding {
    /// Requests a minute.
    pub limit: u64,
    /// Those that are left; a burst is on top of them.
    pub remaining: u64,
    /// Until there are more.
    pub reset: Duration,
}

/// Whether a request is within its key's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestVerdict {
    /// It is, and has been counted.
    Allowed(RequestStanding),
    /// It is not, and it is worth asking again after this time.
    Denied(RequestStanding, Duration),
    /// Nobody can tell, and that means no.
    Closed,
}

/// Limits requests: those of each API key, over all servers, and those that are refused for want of a valid one, of
/// each client address.
pub trait RequestLimit: Send + Sync {
    /// Counts a request, where that needs no waiting.
    fn at_once(&self, key: KeyId, tenant: &Tenant) -> Option<RequestStanding>;

    /// Counts a request.
    fn take<'a>(
        &'a self,
        key: KeyId,
        tenant: &'a Tenant,
        deadline: Deadline,
    ) -> LocalBoxFuture<'a, Result<RequestVerdict, Error>>;

    /// Whether another request from there may be refused for its key; else the time after which it may.
    fn may_fail(&self, address: IpAddr) -> Result<(), Duration>;

    /// Counts one that is; the same time if it is one too many.
    fn failed(&self, address: IpAddr) -> Result<(), Duration>;
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

    /// The metrics are about to be shown: looks at what is only looked at for them, unless that was a moment ago.
    fn before_metrics(&self) -> LocalBoxFuture<'_, ()>;
}
