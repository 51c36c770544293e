//! Which request this is: the client's `X-Request-Id` or a new one, and its place in a W3C trace
//! (Trace Context, section 3.2).

use crate::base::clock::{Clock, SystemClock};
use crate::base::id;
use actix_web::dev::RequestHead;
use actix_web::http::header::{HeaderName, HeaderValue};

/// The header that carries a request's id, both ways.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const PARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request's identity.
pub(super) struct Trace {
    request_id: RequestId,
    parent: Option<Parent>,
    /// The ids of its trace and of its span, where it is traced.
    span: Option<(String, String)>,
}

enum RequestId {
    /// As the client sent it.
    Given(HeaderValue),
    /// A UUID, as ASCII text.
    New([u8; 36]),
}

/// Where in a caller's trace the request stands, as sent in `traceparent`.
#[derive(Debug, PartialEq, Eq)]
struct Parent {
    trace_id: String,
    span_id: String,
    is_sampled: bool,
}

impl Trace {
    pub(super) fn of(request: &RequestHead) -> Self {
        let given = request.headers().get(&REQUEST_ID).filter(|id| is_good(id.as_bytes())).cloned();
        let request_id = given.map_or_else(|| RequestId::New(id::uuid_v7(SystemClock.coarse_now())), RequestId::Given);
        let parent = request.headers().get(&PARENT).and_then(|text| text.to_str().ok()).and_then(Parent::parse);
        Trace { request_id, parent, span: None }
    }

    /// The id, for a header.
    pub(super) fn header(&self) -> HeaderValue {
        match &self.request_id {
            RequestId::Given(id) => id.clone(),
            RequestId::New(id) => HeaderValue::from_bytes(id).unwrap_or_else(|_| HeaderValue::from_static("unknown")),
        }
    }

    /// The id, for people.
    pub(super) fn request_id(&self) -> &str {
        match &self.request_id {
            RequestId::Given(id) => id.to_str().unwrap_or_default(),
            RequestId::New(id) => std::str::from_utf8(id).unwrap_or_default(),
        }
    }

    /// It has a span of its own in this trace.
    pub(super) fn recorded_as(&mut self, trace_id: String, span_id: String) {
        self.span = Some((trace_id, span_id));
    }

    /// The id of its trace, its caller's if that began one: 32 hexadecimal digits.
    pub(super) fn trace_id(&self) -> Option<&str> {
        let own = self.span.as_ref().map(|(trace_id, _)| trace_id.as_str());
        own.or_else(|| self.parent.as_ref().map(|parent| parent.trace_id.as_str()))
    }

    /// The id of its own span, 16 hexadecimal digits.
    pub(super) fn span_id(&self) -> Option<&str> {
        self.span.as_ref().map(|(_, span_id)| span_id.as_str())
    }

    /// Where in its caller's trace it stands: the ids of the trace and of the caller's span, and whether that is recorded.
    pub(super) fn caller(&self) -> Option<(&str, &str, bool)> {
        self.parent.as_ref().map(|parent| (&*parent.trace_id, &*parent.span_id, parent.is_sampled))
    }

    /// The id of the caller's span, 16 hexadecimal digits.
    pub(super) fn parent_id(&self) -> Option<&str> {
        self.parent.as_ref().map(|parent| parent.span_id.as_str())
    }
}

fn is_good(id: &[u8]) -> bool {
    (1..=128).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

impl Parent {
    fn parse(text: &str) -> Option<Parent> {
        let mut fields = text.split('-');
        let (version, trace_id, span_id, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let hex = |field: &str, length| {
            field.len() == length && field.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let zero = |field: &str| field.bytes().all(|b| b == b'0');
        let last = version != "00" || fields.next().is_none();
        let good = hex(version, 2) && version != "ff" && hex(trace_id, 32) && hex(span_id, 16) && hex(flags, 2);
        // The lowest bit of the flags.
        let is_sampled = flags.bytes().last().is_some_and(|digit| b"13579bdf".contains(&digit));
        (good && last && !zero(trace_id) && !zero(span_id)).then(|| Parent {
            trace_id: trace_id.to_owned(),
            span_id: span_id.to_owned(),
            is_sampled,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = Parent::parse(good).unwrap();
        assert_eq!(
            (parent.trace_id.as_str(), parent.span_id.as_str()),
            ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
        );
        for (flags, is_sampled) in [("00", false), ("01", true), ("02", false), ("ff", true)] {
            assert_eq!(Parent::parse(&good.replace("-01", &format!("-{flags}"))).unwrap().is_sampled, is_sampled);
        }
        assert!(
            Parent::parse(&format!("{}-extra", good.replacen("00", "01", 1))).is_some(),
            "a later version may add fields"
        );
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            assert_eq!(Parent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_clients_request_id_is_kept_when_it_is_short_and_visible() {
        for (given, kept) in [("abc-1", true), ("a b", false), ("", false)] {
            let request = actix_web::test::TestRequest::default().insert_header(("x-request-id", given)).to_request();
            let trace = Trace::of(request.head());
            assert_eq!(trace.request_id() == given, kept, "{given}");
            assert!(kept || trace.request_id().len() == 36);
        }
    }
}
