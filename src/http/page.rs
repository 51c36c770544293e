//! Lists, a page at a time. A cursor is opaque, and bound to the list and the tenant it was made for.

use super::answer::json;
use super::problem::{Fault, Problem};
use super::query::{Parameter, Query};
use super::request::{FromRequest, Request};
use crate::base::code::Code;
use crate::base::id;
use actix_web::HttpResponse;
use actix_web::dev::Payload;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use std::rc::Rc;

/// `?limit=`
pub const LIMIT: Parameter =
    Parameter { name: "limit", kind: "integer", meaning: "Items in a page, 1 to 1000; 100 when not given" };
/// `?cursor=`
pub const CURSOR: Parameter = Parameter { name: "cursor", kind: "string", meaning: "`next_cursor` of the page before" };

/// Which page of a list is asked for.
#[derive(Debug)]
pub struct PageRequest {
    /// The most items, 1 to 1000.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<String>,
    binding: String,
}

/// A page.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl PageRequest {
    /// The refusal of a cursor that was not made by this list.
    pub fn foreign_cursor() -> Problem {
        let fault = Fault { pointer: "cursor".to_owned(), detail: "was not made by this list".to_owned() };
        Problem::invalid(Code::InvalidCursor, vec![fault])
    }

    /// A cursor to a position of this list.
    pub fn cursor(&self, position: &str) -> String {
        seal(&self.binding, position)
    }

    /// The answer: these items, and a cursor to the position where the list goes on.
    pub fn answer<T: Serialize>(&self, items: Vec<T>, next: Option<&str>) -> Result<HttpResponse, Problem> {
        json(&mut HttpResponse::Ok(), &Page { items, next_cursor: next.map(|position| self.cursor(position)) })
    }
}

/// The first eight characters of a digest tie a position to its list. There is nothing to forge: a
/// position only says where in the caller's own list to go on.
fn tag(binding: &str, position: &str) -> String {
    let mut digest = id::fingerprint(&format!("{binding}\n{position}"));
    digest.truncate(8);
    digest
}

fn seal(binding: &str, position: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}{position}", tag(binding, position)))
}

fn open(binding: &str, cursor: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (given, position) = text.split_at_checked(8)?;
    (given == tag(binding, position)).then(|| position.to_owned())
}

impl FromRequest for PageRequest {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        read(request, &Query::of(request)?)
    }
}

fn read(request: &Request, query: &Query) -> Result<PageRequest, Problem> {
    let number = |text: &str| text.parse().ok().filter(|limit| (1..=1000).contains(limit));
    let limit = query.read("limit", "must be a whole number from 1 to 1000", number)?.unwrap_or(100);
    let tenant = request.tenant().map_or("", |tenant| tenant.id.as_str());
    let binding = format!("{tenant}\n{}", request.path());
    let after =
        query.get("cursor").map(|cursor| open(&binding, cursor).ok_or_else(PageRequest::foreign_cursor)).transpose()?;
    Ok(PageRequest { limit, after, binding })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_opens_for_its_own_list_alone(position in "\\PC{0,60}", other in "[a-z]{1,8}") {
            let cursor = seal("acme\n/v1/sessions", &position);
            prop_assert_eq!(open("acme\n/v1/sessions", &cursor), Some(position));
            prop_assert_eq!(open(&other, &cursor), None);
        }

        #[test]
        fn no_text_makes_it_panic(cursor in "\\PC{0,60}") {
            prop_assert_eq!(open("acme", &cursor), None);
        }
    }
}
