//! `/admin/v1/tenants/{tenant}/export` and `/import`: moving a tenant between backends, line by line.
//!
//! An import checks its head before it writes: the format, that there is no such tenant, that this server has the root keys. The
//! tenant is suspended until the end has been seen and fits; whatever fails before leaves it so, to be purged.

mod export;
mod import;

use crate::base::deadline::Deadline;
use crate::base::text::TenantId;
use crate::db::Database;
use crate::http::Endpoints;
use crate::tenancy::transfer::Families;
use crate::vault::Vault;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest that one step may take. Not more than a request: what is late meets a tenant that is purged as one would.
const STEP: Duration = Duration::from_secs(2);

/// Tells whoever remembers something of a tenant that it is there anew.
pub type Arrived = Arc<dyn Fn(TenantId) -> BoxFuture<'static, ()> + Send + Sync>;

/// What moving tenants needs.
#[derive(Clone)]
pub struct Transfer {
    /// What tenants keep.
    pub database: Database,
    /// Their data keys.
    pub vault: Vault,
    /// All families of keys.
    pub families: Families,
    /// What is told of a tenant that was imported.
    pub arrived: Arrived,
}

/// The deadline of a step that begins now.
fn step() -> Deadline {
    Deadline::after(Instant::now(), STEP)
}

pub(super) fn endpoints() -> Endpoints {
    export::endpoints().and(import::endpoints())
}
