//! One line per request: failures of the server as warnings, as many as can be read, everything else for
//! debugging, and so whoever is turned away in a crowd, for writing that down would cost more than turning away.
//! What was asked for is named by its pattern: a path holds session ids.

use super::endpoint::Endpoint;
use super::principal::Principal;
use super::trace::Trace;
use crate::base::sparing::Sparing;
use std::time::Duration;

static FAILURES: Sparing = Sparing::new();

/// Writes the line of a request to this endpoint by whom it was, where that is known, and where one is wanted.
pub(super) fn write(
    endpoint: &Endpoint,
    principal: Option<&Principal>,
    status: u16,
    trace: &Trace,
    elapsed: Duration,
    is_overload: bool,
) {
    let is_failure = status >= 500 && !is_overload;
    if is_failure || tracing::enabled!(tracing::Level::DEBUG) {
        write_line(endpoint, principal, status, trace, elapsed, is_failure);
    }
}

#[cold]
fn write_line(
    endpoint: &Endpoint,
    principal: Option<&Principal>,
    status: u16,
    trace: &Trace,
    elapsed: Duration,
    is_failure: bool,
) {
    macro_rules! line {
        ($level:ident $(, $left_out:ident)?) => {
            tracing::$level!(
                $($left_out,)?
                request_id = trace.request_id(),
                trace_id = trace.trace_id(),
                span_id = trace.span_id(),
                parent_id = trace.parent_id(),
                tenant = principal.and_then(Principal::tenant).map(|tenant| tenant.id.as_str()),
                key_id = principal.map(|principal| tracing::field::display(principal.actor())),
                method = endpoint.method.as_str(),
                route = endpoint.path,
                status,
                duration_us = elapsed.as_micros() as u64,
                "request"
            )
        };
    }
    if is_failure && let Some(left_out) = FAILURES.line() { line!(warn, left_out) } else { line!(debug) }
}
