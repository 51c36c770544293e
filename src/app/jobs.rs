//! The jobs of this process: what is done by them, and who does it.

use super::tenant_deletion::TenantDeletion;
use crate::base::id::NoRandomness;
use crate::jobs::{Jobs, Runner, RunnerSettings, Work};
use crate::stores::tokens::{KeyChange, Rewrap, Rotate};
use std::sync::Arc;

/// Whoever does the jobs of this process.
pub(super) fn runner(
    jobs: &Jobs,
    tenant_deletion: TenantDeletion,
    key_change: KeyChange,
) -> Result<Arc<Runner>, NoRandomness> {
    let mut works: Vec<Arc<dyn Work>> = vec![Arc::new(tenant_deletion)];
    // A server without root keys leaves these to one that has some.
    if key_change.vault.ring().is_some() {
        works.extend([Arc::new(Rotate(key_change.clone())) as Arc<dyn Work>, Arc::new(Rewrap(key_change))]);
    }
    Ok(Arc::new(Runner::new(jobs.clone(), works, RunnerSettings::default())?))
}
