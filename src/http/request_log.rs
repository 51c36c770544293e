//! One line per request: failures of the server as warnings, as many as can be read, everything else for
//! debugging, and so whoever is turned away in a crowd, for writing that down would cost more than turning away.
//! What was asked for is named by its pattern: a path holds session ids.

use super::trace::Trace;
use crate::base::sparing::Sparing;
use actix_web::HttpRequest;
use std::time::Duration;

static FAILURES: Sparing = Sparing::new();

/// Writes the line of a request to the endpoint of this path pattern.
pub(super) fn write(
    request: &HttpRequest,
    path: &str,
    status: u16,
    trace: &Trace,
    elapsed: Duration,
    is_overload: bool,
) {
    macro_rules! line {
        ($level:ident $(, $left_out:ident)?) => {
            tracing::$level!(
                $($left_out,)?
                request_id = trace.request_id(),
                trace_id = trace.trace_id(),
                parent_id = trace.parent_id(),
                method = request.method().as_str(),
                path,
                status,
                duration_us = elapsed.as_micros() as u64,
                "request"
            )
        };
    }
    if status >= 500
        && !is_overload
        && let Some(left_out) = FAILURES.line()
    {
        line!(warn, left_out)
    } else {
        line!(debug)
    }
}
