//! Answers that are kept to be given again when a creation is sent twice with one `Idempotency-Key`
//! (draft-ietf-httpapi-idempotency-key-header-07).
//!
//! Such an answer may hold a session id or an API key, and a dump of the backend must not. So nothing of
//! it, of the key or of the request is stored in the clear: all of it is sealed under keys derived from the
//! caller's credential, which is not stored anywhere. Only who sent the first request can read its answer.

mod keys;
mod seal;
mod store;
#[cfg(test)]
mod tests;

pub use keys::FAMILIES;
pub use store::{Answer, Begun, IdempotencyStore, Owner, Request};
