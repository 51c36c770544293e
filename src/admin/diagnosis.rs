//! `/admin/v1/redis`: the backend, looked at closely.
//!
//! A look is a few dozen commands, one after the other, within one deadline. While every way to the backend is shut nothing
//! is asked: the ways are being probed, and what is known of them says more.

mod doors;
mod measured;
mod warnings;

use crate::base::deadline::Deadline;
use crate::db::transport::doors::Doors;
use crate::db::{Delivery, Error, ErrorKind, Examination, SystemDb};
use crate::http::{Access, CallerWaits, Endpoints, Problem, json};
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use doors::{DoorState, Failover};
use measured::Measured;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::{Duration, Instant};

pub use warnings::Warning;

/// What is found behind doors that are shut.
const SHUT: Error = Error::new(ErrorKind::Unreachable, Delivery::NotSent);
/// The longest that a look takes.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What is known of the backend now. What cannot be told is null, and `unknown` says why.
#[derive(Serialize, JsonSchema)]
pub struct Diagnosis {
    /// The way that is in use: `memory`, `native` or `rest`.
    transport: &'static str,
    #[serde(flatten)]
    measured: Measured,
    /// All ways to the backend; none to the embedded one.
    doors: Vec<DoorState>,
    /// How failover stands; null where there is one way only.
    failover: Option<Failover>,
    /// What should be looked into, the worst first.
    warnings: Vec<Warning>,
}

impl Diagnosis {
    /// In a line, for people.
    pub fn summary(&self) -> String {
        self.measured.summary()
    }

    /// What should be looked into, the worst first.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// Whoever looks at the backend.
#[derive(Clone)]
pub struct Diagnostician {
    system: SystemDb,
    doors: Doors,
}

impl Diagnostician {
    /// Over one backend and the ways to it.
    pub fn new(system: SystemDb, doors: Doors) -> Diagnostician {
        Diagnostician { system, doors }
    }

    /// Looks at it, until `deadline` or for a second and a half; and how the look failed, if it did.
    pub async fn look(&self, deadline: Deadline) -> (Diagnosis, Option<Error>) {
        let deadline = Deadline::after(Instant::now(), deadline.left(PATIENCE));
        let are_shut = !self.doors.all().is_empty() && self.doors.all().iter().all(|door| door.is_open());
        let found = if are_shut { Examination::none(&SHUT) } else { self.system.by(deadline).examine().await };
        let transport = self.doors.transport();
        let measured = Measured::of(&found, transport);
        let mut warnings = warnings::of_measured(&measured, self.system.now());
        warnings.extend(warnings::of_doors(&self.doors));
        let rank = |warning: &Warning| ["critical", "warning", "info"].iter().position(|level| *level == warning.level);
        warnings.sort_by_key(rank);
        let doors = self.doors.all().iter().map(|door| DoorState::of(door)).collect();
        let failover = Failover::of(&self.doors);
        (Diagnosis { transport, measured, doors, failover, warnings }, found.failure().cloned())
    }
}

async fn diagnose(looks: web::Data<Diagnostician>, waits: CallerWaits) -> Result<HttpResponse, Problem> {
    let (diagnosis, _) = looks.look(waits.0).await;
    json(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")), &diagnosis)
}

pub(super) fn endpoints() -> Endpoints {
    Endpoints::under("/admin/v1/redis")
        .get("", Access::Admin, diagnose)
        .says("Looks at the backend: how fast it answers, what it tells of itself, the ways to it, and what should be looked into")
        .answers::<Diagnosis>(200, "What was found, in a second and a half at the most; null is what could not be told")
}
