//! What refusals of evaluations say beside what every problem says: one body satisfies RFC 9457 and OFREP together.

use crate::base::code::Code;
use crate::http::Problem;

/// The refusal of one evaluation.
pub(super) fn of_one(problem: Problem, key: Option<&str>) -> Problem {
    of_all(problem, None).with_member("key", key.unwrap_or_default())
}

/// The refusal of all evaluations together.
pub(super) fn of_all(problem: Problem, _: Option<&str>) -> Problem {
    let code = match problem.code() {
        Code::InvalidJson | Code::ValidationFailed => "PARSE_ERROR",
        Code::TargetingKeyMissing => "TARGETING_KEY_MISSING",
        Code::InvalidContext => "INVALID_CONTEXT",
        Code::FlagNotFound => "FLAG_NOT_FOUND",
        _ => "GENERAL",
    };
    // Clients take a refusal without them for another one.
    let details = match problem.detail() {
        "" => problem.code().title().to_owned(),
        detail => detail.to_owned(),
    };
    problem.with_member("errorCode", code).with_member("errorDetails", details)
}
