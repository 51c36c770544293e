//! Versions as entity tags, and the conditions that requests put on them (RFC 9110, sections 8.8.3 and 13).

use super::problem::Problem;
use crate::base::code::Code;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest};
use std::future::{Ready, ready};

/// The `ETag` of a version: strong, the number in quotes.
pub fn etag(version: u64) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::try_from(format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"0\""));
    (header::ETAG, value)
}

/// A list of entity tags in a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    /// `*`: any version.
    Any,
    /// One of these. A tag that no version has is kept as nothing, and matches nothing.
    Versions(Vec<Option<u64>>),
}

/// `If-Match` and `If-None-Match` of a request.
#[derive(Debug, Clone, Default)]
pub struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

impl Preconditions {
    /// Whether the resource, at this version or absent, is one that the request asked for.
    pub fn hold_for(&self, version: Option<u64>) -> bool {
        let matches = |tags: &Tags| match (tags, version) {
            (_, None) => false,
            (Tags::Any, Some(_)) => true,
            (Tags::Versions(versions), current) => versions.contains(&current),
        };
        self.if_match.as_ref().is_none_or(matches) && !self.if_none_match.as_ref().is_some_and(matches)
    }

    /// For a read: whether the client already has this version, so that 304 is the answer.
    pub fn has(&self, version: u64) -> bool {
        let other = Preconditions { if_match: None, if_none_match: self.if_none_match.clone() };
        !other.hold_for(Some(version))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// The refusal of a request whose conditions do not hold.
    pub fn failed() -> Problem {
        Problem::new(Code::VersionMismatch, "If-Match or If-None-Match did not hold; nothing was changed.")
    }
}

/// Reads `*` or a list of entity tags. `weak` says whether weak ones may match: they do for
/// `If-None-Match`, never for `If-Match` (RFC 9110, section 8.8.3.2).
fn tags(request: &HttpRequest, name: HeaderName, weak: bool) -> Result<Option<Tags>, Problem> {
    let wrong = || Problem::new(Code::InvalidHeader, format!("{name} must be * or a list of quoted entity tags."));
    let mut versions = Vec::new();
    let mut any = false;
    for value in request.headers().get_all(&name) {
        for tag in value.to_str().map_err(|_| wrong())?.split(',').map(str::trim) {
            let (is_weak, opaque) = tag.strip_prefix("W/").map_or((false, tag), |rest| (true, rest));
            match opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
                Some(text) => versions.push(text.parse().ok().filter(|_| weak || !is_weak)),
                None if tag == "*" => any = true,
                None => return Err(wrong()),
            }
        }
    }
    Ok(if any { Some(Tags::Any) } else { (!versions.is_empty()).then_some(Tags::Versions(versions)) })
}

impl FromRequest for Preconditions {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = || {
            Ok(Preconditions {
                if_match: tags(request, header::IF_MATCH, false)?,
                if_none_match: tags(request, header::IF_NONE_MATCH, true)?,
            })
        };
        ready(read())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn conditions(headers: &[(&'static str, &str)]) -> Result<Preconditions, Problem> {
        let request = headers.iter().fold(TestRequest::default(), |request, header| request.append_header(*header));
        Preconditions::from_request(&request.to_http_request(), &mut Payload::None).into_inner()
    }

    #[test]
    fn conditions_are_judged_as_rfc_9110_says() {
        type Case = (&'static [(&'static str, &'static str)], Option<u64>, bool);
        let cases: &[Case] = &[
            (&[], None, true),
            (&[], Some(3), true),
            (&[("if-match", "\"3\"")], Some(3), true),
            (&[("if-match", "\"1\", \"3\"")], Some(3), true),
            (&[("if-match", "\"1\""), ("if-match", "\"3\"")], Some(3), true),
            (&[("if-match", "W/\"3\"")], Some(3), false),
            (&[("if-match", "\"x\"")], Some(3), false),
            (&[("if-match", "*")], Some(3), true),
            (&[("if-match", "*")], None, false),
            (&[("if-match", "\"3\"")], None, false),
            (&[("if-none-match", "*")], None, true),
            (&[("if-none-match", "*")], Some(3), false),
            (&[("if-none-match", "W/\"3\"")], Some(3), false),
            (&[("if-none-match", "\"2\"")], Some(3), true),
        ];
        for (headers, version, holds) in cases {
            assert_eq!(conditions(headers).unwrap().hold_for(*version), *holds, "{headers:?} {version:?}");
        }
    }

    #[test]
    fn a_header_that_is_no_list_of_tags_is_refused() {
        for bad in ["3", "\"3", "", "**", "\"1\",,2"] {
            assert_eq!(conditions(&[("if-match", bad)]).unwrap_err().code(), Code::InvalidHeader, "{bad}");
        }
    }
}
