//! Names in a path, read from its raw bytes.
//!
//! A name decides whose data is touched, so it is decoded strictly, from the URI as it came: leniently, two different broken
//! escapes would become the same character.

use super::problem::Problem;
use super::request::{FromRequest, Request};
use crate::base::code::Code;
use crate::base::text::{Name, NotAName, TenantId};
use actix_web::dev::Payload;
use std::borrow::Cow;
use std::rc::Rc;

/// What a name in a path can be read as.
pub trait Segment: Sized {
    /// Reads the decoded text.
    ///
    /// # Errors
    /// When the text is not such a name.
    fn parse(text: &str) -> Result<Self, NotAName>;
}

impl Segment for Name {
    fn parse(text: &str) -> Result<Self, NotAName> {
        Name::parse(text)
    }
}

impl Segment for TenantId {
    fn parse(text: &str) -> Result<Self, NotAName> {
        TenantId::parse(text)
    }
}

/// The `N`th name of the endpoint's path, counted from zero.
#[derive(Debug)]
pub struct PathArg<T, const N: usize = 0>(pub T);

impl<T: Segment + 'static, const N: usize> FromRequest for PathArg<T, N> {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        read(request, N, |text| T::parse(&text)).map(PathArg)
    }
}

/// The first name of the endpoint's path, checked and left where it is, for who only looks at it.
pub struct PathName(Rc<Request>);

impl PathName {
    /// The name.
    pub fn text(&self) -> Cow<'_, str> {
        text_of(&self.0, 0).unwrap_or_default()
    }
}

impl FromRequest for PathName {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        read(request, 0, |text| Name::check(&text)).map(|()| PathName(request.clone()))
    }
}

/// The decoded text of the `n`th name of the endpoint's path; nothing where it is not well encoded.
fn text_of(request: &Request, n: usize) -> Option<Cow<'_, str>> {
    request.endpoint.name_in(request.path(), n).and_then(decode)
}

/// Reads the `n`th name of the endpoint's path.
fn read<T>(request: &Request, n: usize, read: impl FnOnce(Cow<'_, str>) -> Result<T, NotAName>) -> Result<T, Problem> {
    text_of(request, n).ok_or(NotAName::Name).and_then(read).map_err(|error| {
        Problem::new(Code::InvalidName, format!("A name in the path {error}, percent-encoded where needed."))
    })
}

/// Percent-decodes (RFC 3986, section 2.1); nothing for a broken escape or bytes that are not UTF-8.
pub(super) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('%') {
        return Some(Cow::Borrowed(raw));
    }
    let mut rest = raw;
    while let Some((_, after)) = rest.split_once('%') {
        let digits = after.get(..2)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        rest = after.get(2..)?;
    }
    percent_encoding::percent_decode_str(raw).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn broken_escapes_and_bytes_are_refused_rather_than_replaced() {
        for bad in ["%", "%f", "%zz", "%ff", "%fe", "%c3", "a%", "%é0"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(decode("a%2Fb%00%25").as_deref(), Some("a/b\0%"));
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(text in "\\PC{0,40}") {
            let raw = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
            prop_assert_eq!(decode(&raw), Some(Cow::from(text)));
        }
    }
}
