//! The admin API, `/admin/v1`: tenants, their API keys, jobs, and the state of the backend, for the holder of the
//! admin key.
//!
//! The handlers take the [`Registry`](crate::tenancy::Registry) as an argument ([`Tenancy`](crate::http::Tenancy)). Every change
//! is written to the log as an audit line.

mod diagnosis;
mod jobs;
mod keys;
mod tenant_deletion;
mod tenants;
#[cfg(test)]
mod tests;
mod transfer;

use crate::http::Endpoints;

pub use diagnosis::{Diagnosis, Diagnostician, Warning};
pub use tenant_deletion::BackupRetention;
pub use transfer::{Arrived, Transfer};

/// The endpoints of this module.
pub fn endpoints() -> Endpoints {
    tenants::endpoints()
        .and(tenant_deletion::endpoints())
        .and(transfer::endpoints())
        .and(keys::endpoints())
        .and(jobs::endpoints())
        .and(diagnosis::endpoints())
}
