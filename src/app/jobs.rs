//! The jobs of this process: what is done by them, and who does it.

use super::tenant_deletion::TenantDeletion;
use crate::base::id::NoRandomness;
use crate::jobs::{Jobs, Runner, RunnerSettings, Work};
use std::sync::Arc;

/// Whoever does the jobs of this process.
pub(super) fn runner(jobs: &Jobs, tenant_deletion: TenantDeletion) -> Result<Arc<Runner>, NoRandomness> {
    let works: Vec<Arc<dyn Work>> = vec![Arc::new(tenant_deletion)];
    Ok(Arc::new(Runner::new(jobs.clone(), works, RunnerSettings::default())?))
}
