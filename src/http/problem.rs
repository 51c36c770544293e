//! What a client is told when something is refused or fails: RFC 9457 problem details.

use super::quota;
use crate::base::code::Code;
use crate::base::sparing::Sparing;
use crate::db::{Delivery, Error, ErrorKind};
use crate::vault::VaultError;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

static FAILED_CALLS: Sparing = Sparing::new();

/// One fault in a request: where, as a JSON pointer (RFC 6901) or a parameter's name, and what.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Fault {
    /// The place.
    pub pointer: String,
    /// What is wrong there; never the value.
    pub detail: String,
}

/// A refusal or a failure, on its way to the client. Holds nothing of the server's inside.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

/// Apart, so that what may fail carries no room for it.
#[derive(Debug, Clone)]
struct Parts {
    code: Code,
    detail: Cow<'static, str>,
    faults: Vec<Fault>,
    headers: Vec<(HeaderName, HeaderValue)>,
    outcome_unknown: bool,
    /// Seconds after which it is worth asking again, where it is.
    retry_after: u64,
    /// The policies that were violated, by name.
    violated: Vec<String>,
    members: Members,
}

/// Members that one kind of endpoint adds. Few problems have any; their values may be a client's, and are not printed.
#[derive(Clone, Default, Serialize)]
#[serde(transparent)]
struct Members(Map<String, Value>);

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The type of a 429 (draft-ietf-httpapi-ratelimit-headers-10, section "Problem Types").
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

#[derive(Serialize)]
struct Body<'a> {
    r#type: Cow<'static, str>,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(rename = "violated-policies", skip_serializing_if = "<[String]>::is_empty")]
    violated: &'a [String],
    #[serde(flatten)]
    members: &'a Members,
}

impl Problem {
    /// A problem of this kind, with a sentence for people.
    #[cold]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Problem(Box::new(Parts {
            code,
            detail: detail.into(),
            faults: Vec::new(),
            headers: Vec::new(),
            outcome_unknown: false,
            retry_after: 1,
            violated: Vec::new(),
            members: Members::default(),
        }))
    }

    /// A 429: these policies were violated, and it is worth asking again after this time.
    pub fn quota_exceeded(violated: Vec<String>, retry_after: Duration) -> Self {
        // As the fields name them.
        let violated = violated.iter().map(|name| quota::encoded(name).into_owned()).collect();
        let mut problem =
            Problem::new(Code::RateLimited, "Ask again after the time in Retry-After.").after(retry_after);
        problem.0.violated = violated;
        problem
    }

    /// A body, query or header that is not valid, with its faults.
    pub fn invalid(code: Code, faults: Vec<Fault>) -> Self {
        let mut problem = Problem::new(code, code.title());
        problem.0.faults = faults;
        problem
    }

    /// One fault in the body.
    pub fn fault(pointer: &str, detail: &str) -> Self {
        Problem::invalid(Code::ValidationFailed, vec![Fault { pointer: pointer.to_owned(), detail: detail.to_owned() }])
    }

    /// It is worth asking again after this time.
    pub(super) fn after(mut self, retry_after: Duration) -> Self {
        self.0.retry_after = quota::whole_seconds(retry_after);
        self
    }

    /// Adds a header to the answer.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Adds a member to the body (RFC 9457, section 3.2), which must not be one that every problem has.
    pub fn with_member(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.members.0.insert(name.to_owned(), value.into());
        self
    }

    /// Says that what was asked for may or may not have been done.
    pub(super) fn with_unknown_outcome(mut self) -> Self {
        self.0.outcome_unknown = true;
        self
    }

    /// Whether what was asked for may have been done all the same.
    pub(super) fn has_unknown_outcome(&self) -> bool {
        self.0.outcome_unknown
    }

    /// The kind.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The sentence for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is wrong with the request, place by place.
    pub fn faults(&self) -> &[Fault] {
        &self.0.faults
    }

    /// For a request that writes nothing, an unknown outcome is of no concern.
    pub fn of_a_read(mut self) -> Self {
        self.0.outcome_unknown = false;
        self
    }

    /// The answer.
    pub(super) fn into_response(self, request_id: &str) -> HttpResponse {
        let status = StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = Body {
            r#type: match self.0.code {
                Code::RateLimited => QUOTA_EXCEEDED.into(),
                code => format!("/docs#{}", code.as_str()).into(),
            },
            title: self.0.code.title(),
            status: status.as_u16(),
            detail: &self.0.detail,
            code: self.0.code.as_str(),
            request_id,
            errors: &self.0.faults,
            outcome: self.0.outcome_unknown.then_some("unknown"),
            violated: &self.0.violated,
            members: &self.0.members,
        };
        let mut response = HttpResponse::build(status);
        response.content_type("application/problem+json");
        match self.0.code {
            Code::Unauthorized => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            Code::BackendUnavailable
            | Code::IdempotencyKeyInUse
            | Code::Overloaded
            | Code::RateLimited
            | Code::TenantBusy
            | Code::TooManyStreams => {
                response.insert_header((header::RETRY_AFTER, self.0.retry_after));
            }
            _ => {}
        }
        for header in self.0.headers {
            response.insert_header(header);
        }
        response.body(serde_json::to_vec(&body).unwrap_or_default())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let defect = match &error.kind {
            ErrorKind::Full => {
                return Problem::new(Code::StorageFull, "Nothing was stored. Reading and deleting still work.");
            }
            ErrorKind::Refused(refusal) => matches!(refusal.code(), "WRONGTYPE" | "CROSSSLOT" | "NOSCRIPT"),
            _ => false,
        };
        if defect {
            tracing::error!(%error, "the backend's data or answer is not what this version writes");
            return Problem::new(Code::Internal, "The request could not be completed.");
        }
        if let Some(left_out) = FAILED_CALLS.line() {
            tracing::warn!(%error, left_out, "a backend call failed");
        }
        let mut problem = Problem::new(Code::BackendUnavailable, "Try again later.");
        // An answer that makes no sense says nothing about what was done before it was given.
        let makes_no_sense = matches!(error.kind, ErrorKind::Unexpected(_)) && error.delivery != Delivery::NotSent;
        problem.0.outcome_unknown = error.delivery == Delivery::Unknown || makes_no_sense;
        if let ErrorKind::Throttled { retry_after: Some(pause) } = error.kind {
            problem.0.retry_after = pause.as_secs().max(1);
        }
        problem
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Backend(error) => error.into(),
            VaultError::NoRandomness => crate::base::id::NoRandomness.into(),
            VaultError::NotConfigured => {
                Problem::new(Code::VaultNotConfigured, "The operator has to set TOKEN_ENCRYPTION_KEY.")
            }
            VaultError::KeyMissing(root_key) => {
                if let Some(left_out) = FAILED_CALLS.line() {
                    tracing::error!(%root_key, left_out, "TOKEN_ENCRYPTION_KEYS_PREVIOUS lacks a root key that is needed");
                }
                Problem::new(Code::VaultKeyMissing, "The operator has to give this server an earlier key back.")
            }
            VaultError::TenantGone => Problem::new(Code::TenantNotFound, "The tenant was deleted meanwhile."),
            VaultError::Contended => Problem::new(Code::EditConflict, "Try again."),
            // Of a record, a store makes of it what it must; what remains is a data key.
            VaultError::Unopenable => {
                tracing::error!("a data key does not open");
                Problem::new(Code::Internal, "The request could not be completed.")
            }
        }
    }
}

impl From<crate::base::id::NoRandomness> for Problem {
    fn from(error: crate::base::id::NoRandomness) -> Self {
        tracing::error!(%error, "no identifier can be made");
        Problem::new(Code::Internal, "The request could not be completed.")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_backend_shows_nothing_of_the_backend() {
        let refusal = crate::db::Refusal::from_line("WRONGTYPE canary");
        for kind in
            [ErrorKind::Unreachable, ErrorKind::Refused(refusal), ErrorKind::Full, ErrorKind::Protocol("canary")]
        {
            let problem = Problem::from(Error::new(kind, Delivery::Answered));
            assert!(!format!("{problem:?}").contains("canary"));
        }
    }

    #[tokio::test]
    async fn members_that_were_added_stand_beside_those_of_every_problem_and_are_not_printed() {
        let problem = Problem::new(Code::NotFound, "d").with_member("key", "canary").with_member("n", 1);
        let printed = format!("{problem:?}");
        assert!(!printed.contains("canary") && printed.contains("\"key\""), "{printed}");
        let body = actix_web::body::to_bytes(problem.into_response("id").into_body()).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let expected = serde_json::json!({"type": "/docs#not_found", "title": "There is nothing here", "status": 404,
            "detail": "d", "code": "not_found", "request_id": "id", "key": "canary", "n": 1});
        assert_eq!(body, expected);
    }
}
