//! What an evaluation may cost. The engine has no budget of its own and hands operators nothing of its caller's, so
//! the budget and the time of the evaluation under way stand with the thread: an evaluation never waits, and none runs
//! within another. Whatever can grow with the context (a pass over an array, a text that is put together or looked
//! through) is paid for before it is done; everything else is bounded by the size of the rule.

use super::failure::fail;
use datalogic_rs::Result;
use std::cell::Cell;

/// What one evaluation may spend. A unit is worth at most about a tenth of a microsecond, so it ends within 50 ms.
pub(super) const BUDGET: usize = 400_000;
/// Members of an object that are looked through for one unit: an absent member is only known after the last.
const MEMBERS_A_UNIT: usize = 64;

/// What an evaluation that would cost more is told.
pub(super) const SPENT: &str = "the rule does too much work on this context";

thread_local! {
    static LEFT: Cell<usize> = const { Cell::new(0) };
    static STEP: Cell<usize> = const { Cell::new(1) };
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// Begins an evaluation at `now` (unix seconds), on a context whose widest object has so many members.
pub(super) fn begin(now: u64, widest: usize) {
    LEFT.set(BUDGET);
    STEP.set(1 + widest / MEMBERS_A_UNIT);
    NOW.set(now);
}

/// The time of the evaluation in unix seconds.
pub(super) fn now() -> u64 {
    NOW.get()
}

/// What the last evaluation cost, or this one so far.
pub(super) fn spent() -> usize {
    BUDGET - LEFT.get()
}

/// Pays for work.
///
/// # Errors
/// There is not enough left.
pub(super) fn spend(units: usize) -> Result<()> {
    match LEFT.get().checked_sub(units) {
        Some(left) => {
            LEFT.set(left);
            Ok(())
        }
        None => Err(fail(SPENT)),
    }
}

/// Pays for so many nodes of a rule, each of which may look into the widest object.
///
/// # Errors
/// There is not enough left.
pub(super) fn spend_nodes(nodes: usize) -> Result<()> {
    spend(nodes.saturating_mul(STEP.get()))
}

/// Pays for a look at so many bytes.
///
/// # Errors
/// There is not enough left.
pub(super) fn spend_bytes(bytes: usize) -> Result<()> {
    spend(bytes / 64)
}
