//! `/admin/v1/redis`: what is known of the backend, without asking it.

use crate::base::clock::Timestamp;
use crate::db::transport::door::Door;
use crate::db::transport::doors::{Doors, Readiness};
use crate::http::{Access, Endpoints, Problem, json};
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

/// What is known of the backend now.
#[derive(Serialize, JsonSchema)]
struct Diagnosis {
    /// The way that is in use: `memory`, `native` or `rest`.
    transport: &'static str,
    /// All ways to the backend; none to the embedded one.
    doors: Vec<DoorState>,
    /// How failover stands; null where there is one way only.
    failover: Option<Failover>,
    /// What should be looked into.
    warnings: Vec<Warning>,
}

/// One way to the backend.
#[derive(Serialize, JsonSchema)]
struct DoorState {
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
struct Failover {
    /// `ready`; `active` while REST is in use; `unproven` while it is not known whether both ways lead to the same
    /// database; `off` where they do not.
    state: &'static str,
    /// When the way in use was last changed.
    last_switch: Option<Timestamp>,
    /// How long the native way must have been good before it is taken again, in seconds.
    failback_after_s: u64,
}

/// Something to look into.
#[derive(Serialize, JsonSchema)]
struct Warning {
    /// `info`, `warning` or `critical`.
    level: &'static str,
    /// What it is, for programs.
    code: &'static str,
    /// What it is, for people.
    detail: &'static str,
}

impl DoorState {
    fn of(door: &Door) -> DoorState {
        let known = door.known();
        DoorState {
            name: door.name(),
            state: if known.is_open { "open" } else { "closed" },
            since: known.since,
            last_failure: known.last_failure.map(|(failure, at)| LastFailure { kind: failure.word(), at }),
        }
    }
}

fn of_failover(readiness: Readiness) -> Option<Warning> {
    let (level, code, detail) = match readiness {
        Readiness::Active => {
            ("warning", "failover_active", "The native way is or was shut a moment ago: requests go over REST.")
        }
        Readiness::Off => (
            "critical",
            "failover_off_different_databases",
            "UPSTASH_REDIS_REST_URL leads to another database than the native URL: there is no failover.",
        ),
        Readiness::Unproven => (
            "warning",
            "failover_unproven",
            "It is not known yet whether both ways lead to the same database: until then there is no failover.",
        ),
        Readiness::Ready => return None,
    };
    Some(Warning { level, code, detail })
}

fn warnings(doors: &Doors) -> Vec<Warning> {
    let is_in_use = |door: &Door| doors.in_use().is_some_and(|in_use| in_use.name() == door.name());
    let shut = doors.all().iter().filter(|door| door.is_open()).map(|door| Warning {
        level: if is_in_use(door) { "critical" } else { "warning" },
        code: "door_open",
        detail: match door.name() {
            "rest" => "The breaker of REST is open: it fails, and is probed until it answers.",
            _ => "The breaker of the native way is open: it fails, and is probed until it answers.",
        },
    });
    doors.failover().and_then(of_failover).into_iter().chain(shut).collect()
}

async fn diagnose(doors: web::Data<Doors>) -> Result<HttpResponse, Problem> {
    let failover = doors.switch().zip(doors.failover()).map(|(switch, readiness)| Failover {
        state: readiness.word(),
        last_switch: switch.last_switch(),
        failback_after_s: switch.pace().failback_after.as_secs(),
    });
    let diagnosis = Diagnosis {
        transport: doors.transport(),
        doors: doors.all().iter().map(|door| DoorState::of(door)).collect(),
        failover,
        warnings: warnings(&doors),
    };
    json(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")), &diagnosis)
}

pub(super) fn endpoints() -> Endpoints {
    Endpoints::under("/admin/v1/redis")
        .get("", Access::Admin, diagnose)
        .says("What is known of the backend: the ways to it, failover between them, and what should be looked into")
        .answers::<Diagnosis>(200, "What is known now; it is not asked")
}
