//! Floor 1: requests to servers that tenants name, which must not be turned against what stands around this one.
//!
//! A [`TargetUrl`] is checked before it is stored, and what its name resolves to is judged again for every connection, by
//! the resolver that the connection is made with. So there is no moment between the judgement and the use of an address,
//! and a name that changes its mind (DNS rebinding) gains nothing. Redirects are not followed, proxies of the environment
//! not used, and every answer is bounded in time and size. Knows nothing of OAuth and nothing of Redis.

mod address;
mod client;
mod failure;
mod form;
mod resolver;
mod settings;
mod target;

pub use client::{LONGEST_ANSWER, Outbound, Received};
pub use failure::Failure;
pub use settings::{OutboundSettings, PrivateAddresses};
pub use target::TargetUrl;
