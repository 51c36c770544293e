//! Which pages of other origins may ask (CORS, as the Fetch standard has it).
//!
//! Keys are in headers and never in cookies, so no page can do with a browser what it could not do without one: credentials
//! are never allowed, and `*` is as safe as the keys are. The admin API tells no origin anything: operators do not
//! call it from pages.

use actix_web::HttpResponse;
use actix_web::dev::RequestHead;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use url::Url;

/// What pages may read of an answer, beside its body and what they always may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Location, Retry-After, X-Request-Id, RateLimit, RateLimit-Policy, X-RateLimit-Limit, X-RateLimit-Remaining, \
     X-RateLimit-Reset, X-Degraded, Idempotency-Replayed",
);
/// What is read of a request. All names, as `*` would not mean `Authorization`.
const READ: HeaderValue = HeaderValue::from_static(
    "Authorization, X-API-Key, X-Tenant-Id, Content-Type, If-Match, If-None-Match, Idempotency-Key, X-Request-Id, \
     traceparent, Last-Event-ID, X-Refresh-Lease",
);
/// For so many seconds a browser need not ask again: what is allowed changes with a start of the server alone.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins whose pages may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// All of them.
    Any,
    /// These, byte for byte as browsers send them.
    These(Vec<HeaderValue>),
}

impl CorsOrigins {
    /// Reads `*`, or a comma-separated list of origins.
    pub fn parse(text: &str) -> Option<CorsOrigins> {
        if text == "*" {
            return Some(CorsOrigins::Any);
        }
        text.split(',').map(|part| origin(part.trim())).collect::<Option<_>>().map(CorsOrigins::These)
    }

    /// Says on an answer, a refusal too, which origin may read it.
    pub(super) fn tell(&self, request: &RequestHead, headers: &mut HeaderMap) {
        if is_for_operators(request) {
            return;
        }
        if matches!(self, CorsOrigins::These(_)) {
            // On every answer, or a cache would give one that was made for nobody to a page that may read it.
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.allowed(request) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }

    /// Whether a browser asks, for a page that may, what it may send.
    pub(super) fn is_preflight(&self, request: &RequestHead) -> bool {
        let has = |name| request.headers().contains_key(name);
        request.method == Method::OPTIONS
            && has(header::ORIGIN)
            && has(header::ACCESS_CONTROL_REQUEST_METHOD)
            && !is_for_operators(request)
            && self.allowed(request).is_some()
    }

    /// What to call the origin that may read the answer.
    fn allowed(&self, request: &RequestHead) -> Option<HeaderValue> {
        let CorsOrigins::These(origins) = self else { return Some(HeaderValue::from_static("*")) };
        let mut given = request.headers().get_all(header::ORIGIN);
        match (given.next(), given.next()) {
            (Some(origin), None) => origins.iter().find(|known| *known == origin).cloned(),
            // Two are no browser's, and whoever is in between may believe the other one.
            _ => None,
        }
    }
}

/// The answer to a browser that asks what it may send to a path with these methods.
pub(super) fn preflight(methods: HeaderValue) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, methods))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, READ))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE))
        .finish()
}

fn is_for_operators(request: &RequestHead) -> bool {
    request.uri.path().strip_prefix("/admin").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An origin of pages. One that no browser would send so is none: it would never be met.
fn origin(text: &str) -> Option<HeaderValue> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    // An asterisk may stand in a host, and whoever writes one means a pattern.
    let is_sent_so = url.origin().ascii_serialization() == text && !text.contains('*');
    if is_sent_so { HeaderValue::from_str(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{idempotency, quota, trace};

    #[test]
    fn an_origin_is_written_as_browsers_send_it_or_is_a_mistake() {
        let these = |origins: &[&'static str]| {
            Some(CorsOrigins::These(origins.iter().map(|origin| HeaderValue::from_static(origin)).collect()))
        };
        assert_eq!(CorsOrigins::parse("*"), Some(CorsOrigins::Any));
        for text in ["https://app.example.com", "http://localhost:3000", "https://[::1]:8443", "http://127.0.0.1"] {
            assert_eq!(CorsOrigins::parse(text), these(&[text]), "{text}");
        }
        assert_eq!(
            CorsOrigins::parse("https://a.example , http://b.example:81"),
            these(&["https://a.example", "http://b.example:81"])
        );
        assert_eq!(CorsOrigins::parse("https://xn--bcher-kva.example"), these(&["https://xn--bcher-kva.example"]));
        for text in [
            "",
            ",",
            "https://a.example,",
            "*,https://a.example",
            "null",
            "a.example",
            "//a.example",
            "https://",
            "https://a.example/",
            "https://a.example/x",
            "https://a.example?",
            "https://a.example#",
            "https://u@a.example",
            "https://A.example",
            "HTTPS://a.example",
            "https://a.example:443",
            "http://a.example:80",
            "https://a.example:",
            "https://a.example:99999",
            "https://b\u{fc}cher.example",
            "https://*.example",
            "https://a.example https://b.example",
            "ftp://a.example",
            "file:///x",
            "data:x",
            "app://a.example",
            "https://a\n.example",
            "http://0x7f.1",
        ] {
            assert_eq!(CorsOrigins::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_names_that_the_platform_has_are_among_those_that_are_told() {
        let has = |list: &HeaderValue, name: &str| {
            list.to_str().unwrap().split(", ").any(|told| told.eq_ignore_ascii_case(name))
        };
        for name in [idempotency::REPLAYED, quota::POLICY, quota::STANDING, trace::REQUEST_ID] {
            assert!(has(&EXPOSED, name.as_str()), "{name}");
        }
        assert!(has(&READ, idempotency::KEY.as_str()) && has(&READ, trace::REQUEST_ID.as_str()));
    }
}
