//! Promises that are kept while things break: what was acknowledged is there, nothing is done twice, and
//! nobody waits longer than was said. Each test injects its faults under load, proves that it did, and prints
//! its figures (`--nocapture`).
//!
//! The races run 2,000 times by default; with `CHAOS_FULL=1` they run 10,000 times.
#![allow(clippy::print_stdout, reason = "the figures are what these tests are for")]

mod black_hole;
mod checks;
mod crash;
mod doors;
mod healing;
mod increments;
mod races;
mod stop;
mod writer;

use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};

/// What a busy machine may add to a time that was promised.
const SLACK: Duration = Duration::from_millis(500);

/// Whether to do all that was promised, however long it takes.
fn is_full() -> bool {
    std::env::var("CHAOS_FULL").is_ok_and(|full| full == "1")
}

/// Lets one of these tests run at a time: each is a load of its own.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// One answer: when it was asked for, how long it took, its status.
#[derive(Clone, Copy)]
struct Sample {
    begun: Instant,
    took: Duration,
    status: u16,
}

/// The time that this part of them, in thousandths, did not exceed.
fn percentile(times: &mut [Duration], thousandths: usize) -> Duration {
    assert!(!times.is_empty(), "nothing was measured");
    times.sort_unstable();
    times[(times.len() * thousandths).div_ceil(1000).clamp(1, times.len()) - 1]
}

/// The shortest, the middle and the longest, as text.
fn spread(times: &mut [Duration]) -> String {
    let of = |thousandths, times: &mut [Duration]| percentile(times, thousandths);
    format!("min {:?}, median {:?}, max {:?}", of(0, times), of(500, times), of(1000, times))
}

#[test]
fn percentiles_are_of_the_nearest_rank() {
    let mut times: Vec<_> = (1..=1000).rev().map(Duration::from_millis).collect();
    let at = |thousandths, times: &mut [Duration]| percentile(times, thousandths).as_millis();
    assert_eq!([0, 500, 999, 1000].map(|part| at(part, &mut times)), [1, 500, 999, 1000]);
}
