//! The admin API, `/admin/v1`: tenants, their API keys, and the state of the backend, for the holder of the
//! admin key.
//!
//! The handlers find the [`Registry`](crate::tenancy::Registry) as application data. Every change is
//! written to the log as an audit line.

mod diagnosis;
mod keys;
mod tenants;
#[cfg(test)]
mod tests;

use crate::http::Endpoints;

/// The endpoints of this module.
pub fn endpoints() -> Endpoints {
    tenants::endpoints().and(keys::endpoints()).and(diagnosis::endpoints())
}
