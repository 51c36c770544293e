//! Reservations: from requests to the store, and from its outcomes to answers.

use super::super::bodies::{CommitBody, ReservationState, ReserveBody, ReservedBody, SettledBody};
use super::super::types::{MOST_UNITS, ReserveOutcome, SettleOutcome, Settlement};
use super::answers::result;
use super::handlers::{Outcome, Store, only, too_many_windows};
use super::requests::{Asking, Form};
use crate::base::code::Code;
use crate::base::duration::DurationField;
use crate::base::text::Name;
use crate::http::{Json, PathArg, Problem, Scoped, json};
use actix_web::HttpResponse;
use std::time::Duration;

/// How long units are held where nothing is said, and where something is.
const HELD: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(3600);

pub(super) async fn reserve(Scoped(limiting): Store, Json(mut body): Json<ReserveBody>) -> Outcome {
    let hold = body.ttl.take().map_or(HELD, |DurationField(time)| time);
    if !(SHORTEST..=LONGEST).contains(&hold) {
        return Err(Problem::fault("/ttl", "must be from 1s to 1h"));
    }
    let ready = Asking::one(Form::One, body.asked()).ready(&limiting.policies).await?;
    let check = only(&ready)?;
    let (decision, reservation) = match limiting.limits.reserve(check, hold).await? {
        ReserveOutcome::Decided(decision, reservation) => (decision, reservation),
        ReserveOutcome::TooManyWindows => return Err(too_many_windows(&ready, 0)),
    };
    let answer = ReservedBody {
        reservation: reservation.as_ref().map(|held| &held.id),
        expires_at: reservation.as_ref().map(|held| held.expires_at),
        result: result(check, &decision, false),
    };
    json(&mut if reservation.is_some() { HttpResponse::Created() } else { HttpResponse::Ok() }, &answer)
}

pub(super) async fn commit(
    Scoped(limiting): Store,
    PathArg(id): PathArg<Name>,
    Json(body): Json<CommitBody>,
) -> Outcome {
    if body.cost > MOST_UNITS {
        return Err(Problem::fault("/cost", "must be from 0 to 1000000000000"));
    }
    let outcome = limiting.limits.settle(&id, Settlement::Commit(body.cost)).await?;
    settled(id, ReservationState::Committed, outcome)
}

pub(super) async fn cancel(Scoped(limiting): Store, PathArg(id): PathArg<Name>) -> Outcome {
    let outcome = limiting.limits.settle(&id, Settlement::Cancel).await?;
    settled(id, ReservationState::Cancelled, outcome)
}

fn settled(reservation: Name, state: ReservationState, outcome: SettleOutcome) -> Outcome {
    match outcome {
        SettleOutcome::Settled(cost) => json(&mut HttpResponse::Ok(), &SettledBody { reservation, state, cost }),
        SettleOutcome::SettledOtherwise => {
            Err(Problem::new(Code::ReservationSettled, "It was committed with another cost, or cancelled."))
        }
        SettleOutcome::Absent => Err(Problem::new(Code::ReservationNotFound, "It has freed itself, or never was.")),
    }
}
