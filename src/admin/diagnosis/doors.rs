//! The ways to the backend and failover between them, as they are known without asking.

use crate::base::clock::Timestamp;
use crate::db::transport::door::Door;
use crate::db::transport::doors::Doors;
use schemars::JsonSchema;
use serde::Serialize;

/// One way to the backend.
#[derive(Serialize, JsonSchema)]
pub(super) struct DoorState {
    /// `native` or `rest`.
    name: &'static str,
    /// The state of its breaker: `closed` while calls pass, `open` while they are refused at once.
    state: &'static str,
    /// Since when.
    since: Timestamp,
    /// How and when a call failed last.
    last_failure: Option<LastFailure>,
}

/// A call that failed.
#[derive(Serialize, JsonSchema)]
struct LastFailure {
    /// `unreachable`, `disconnected`, `timed_out`, `protocol`, `forbidden`, `loading`, `busy`, `down` or `refused`.
    kind: &'static str,
    /// When.
    at: Timestamp,
}

/// Failover from the native way to REST and back.
#[derive(Serialize, JsonSchema)]
pub(super) struct Failover {
    /// `ready`; `active` while REST is in use; `unproven` while it is not known whether both ways lead to the same
    /// database; `off` where they do not.
    state: &'static str,
    /// When the way in use was last changed.
    last_switch: Option<Timestamp>,
    /// How long the native way must have been good before it is taken again, in seconds.
    failback_after_s: u64,
}

impl DoorState {
    pub(super) fn of(door: &Door) -> DoorState {
        let known = door.known();
        DoorState {
            name: door.name(),
            state: if known.is_open { "open" } else { "closed" },
            since: known.since,
            last_failure: known.last_failure.map(|(failure, at)| LastFailure { kind: failure.word(), at }),
        }
    }
}

impl Failover {
    pub(super) fn of(doors: &Doors) -> Option<Failover> {
        doors.switch().zip(doors.failover()).map(|(switch, readiness)| Failover {
            state: readiness.word(),
            last_switch: switch.last_switch(),
            failback_after_s: switch.pace().failback_after.as_secs(),
        })
    }
}
