//! Floor 2: jobs. Long work that survives a restart and runs on one instance at a time. A job is a record with a cursor;
//! [`Work`] does it in bounded steps, and the [`Runner`] of whichever instance has the lease on the job saves the cursor
//! after each. Knows no HTTP and no store, and not what the work is.

mod answer;
mod counts;
mod keys;
mod record;
mod runner;
mod scripts;
mod store;
#[cfg(test)]
mod tests;
mod types;
mod work;

pub use answer::JobAnswer;
pub use keys::{FAMILIES, current_key};
pub use runner::{Runner, RunnerSettings};
pub use scripts::SCRIPTS;
pub use store::{JobList, Jobs};
pub use types::{Job, JobId, JobState};
pub use work::{Step, Then, Work};
