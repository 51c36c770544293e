//! Versions as entity tags, and the conditions that requests put on them (RFC 9110, sections 8.8.3 and 13).

use super::problem::Problem;
use super::request::{FromRequest, Request};
use crate::base::code::Code;
use crate::base::precondition::{Precondition, Versions};
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::rc::Rc;

/// The `ETag` of a version: strong, the number in quotes.
pub fn etag(version: u64) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::try_from(format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"0\""));
    (header::ETAG, value)
}

/// `If-Match` and `If-None-Match` of a request.
#[derive(Debug, Clone, Default)]
pub struct Preconditions(pub Precondition);

impl Preconditions {
    /// The refusal of a request whose conditions do not hold.
    pub fn failed() -> Problem {
        Problem::new(Code::VersionMismatch, "If-Match or If-None-Match did not hold; nothing was changed.")
    }
}

/// Reads `*` or a list of entity tags; one that is no version of ours matches nothing. `weak` says whether
/// weak ones may match: they do for `If-None-Match`, never for `If-Match` (section 8.8.3.2).
fn versions(headers: &HeaderMap, name: HeaderName, weak: bool) -> Result<Option<Versions>, Problem> {
    let wrong = || Problem::new(Code::InvalidHeader, format!("{name} must be * or a list of quoted entity tags."));
    let (mut given, mut any, mut these) = (false, false, Vec::new());
    for value in headers.get_all(&name) {
        given = true;
        let mut rest = value.to_str().map_err(|_| wrong())?.trim();
        any |= rest == "*";
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() && rest != "*" {
            let (is_weak, opaque) = rest.strip_prefix("W/").map_or((false, rest), |strong| (true, strong));
            // A tag may hold a comma, so it ends at its quote.
            let (tag, after) = opaque.strip_prefix('"').and_then(|text| text.split_once('"')).ok_or_else(wrong)?;
            these.extend(tag.parse::<u64>().ok().filter(|_| weak || !is_weak));
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                // A list may have empty elements (RFC 9110, section 5.6.1.2).
                Some(more) => more.trim_start_matches([',', ' ', '\t']),
                None if after.is_empty() => after,
                None => return Err(wrong()),
            };
        }
    }
    Ok(given.then_some(if any { Versions::Any } else { Versions::These(these) }))
}

impl FromRequest for Preconditions {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        conditions(request.headers()).map(Preconditions)
    }
}

fn conditions(headers: &HeaderMap) -> Result<Precondition, Problem> {
    Ok(Precondition {
        matches: versions(headers, header::IF_MATCH, false)?,
        differs: versions(headers, header::IF_NONE_MATCH, true)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn conditions(headers: &[(&'static str, &str)]) -> Result<Precondition, Problem> {
        let request = headers.iter().fold(TestRequest::default(), |request, header| request.append_header(*header));
        super::conditions(request.to_request().head().headers())
    }

    #[test]
    fn tags_are_read_as_rfc_9110_says() {
        let these = |versions: &[u64]| Some(Versions::These(versions.to_vec()));
        let matches = |headers| conditions(headers).unwrap().matches;
        assert_eq!(matches(&[]), None);
        assert_eq!(matches(&[("if-match", "\"3\"")]), these(&[3]));
        assert_eq!(matches(&[("if-match", "\"1\", \"3\"")]), these(&[1, 3]));
        assert_eq!(matches(&[("if-match", "\"1\""), ("if-match", "\"3\"")]), these(&[1, 3]));
        assert_eq!(matches(&[("if-match", "W/\"3\"")]), these(&[]), "a weak tag never satisfies If-Match");
        assert_eq!(matches(&[("if-match", "\"x\"")]), these(&[]));
        assert_eq!(matches(&[("if-match", "\"a,b\", ,\"5\",")]), these(&[5]), "a comma in a tag, and empty elements");
        assert_eq!(matches(&[("if-match", "*")]), Some(Versions::Any));
        assert_eq!(conditions(&[("if-none-match", "W/\"3\"")]).unwrap().differs, these(&[3]));
    }

    #[test]
    fn a_header_that_is_no_list_of_tags_is_refused() {
        for bad in ["3", "\"3", "", "**", "\"1\",,2", "\"1\"\"2\"", "W/", ","] {
            assert_eq!(conditions(&[("if-match", bad)]).unwrap_err().code(), Code::InvalidHeader, "{bad}");
        }
    }
}
