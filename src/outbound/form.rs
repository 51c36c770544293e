//! What a request says: forms (`application/x-www-form-urlencoded`) and credentials, in memory that is zeroed.

use crate::base::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

/// What is written as `%XX`. A space too: every reader of forms takes `%20` for it, and not every one takes `+`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// `name=value&…`, as the body of a request.
pub(super) fn encoded(form: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    // Three bytes for one at the most, so that the body never moves and leaves a copy behind.
    let longest = form.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(longest));
    for (name, value) in form {
        if !body.is_empty() {
            body.push(b'&');
        }
        push_encoded(&mut body, name);
        body.push(b'=');
        push_encoded(&mut body, value);
    }
    body
}

/// `Authorization: Basic`, both parts encoded as in a form first (RFC 6749, section 2.3.1). The header is marked as one
/// that nobody prints; its copy is not zeroed. Nothing where the text cannot stand in a header, which base64 always can.
pub(super) fn basic(user: &str, password: &Secret) -> Option<HeaderValue> {
    let password = password.expose();
    let mut credentials = Zeroizing::new(Vec::with_capacity(3 * (user.len() + password.len()) + 1));
    push_encoded(&mut credentials, user);
    credentials.push(b':');
    push_encoded(&mut credentials, password);
    let text = Zeroizing::new(format!("Basic {}", &*Zeroizing::new(STANDARD.encode(&*credentials))));
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

fn push_encoded(body: &mut Vec<u8>, text: &str) {
    utf8_percent_encode(text, ENCODED).for_each(|part| body.extend_from_slice(part.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_keeps_its_members_apart_whatever_they_hold() {
        let text = |form: &[(&str, &str)]| String::from_utf8(encoded(form).to_vec()).unwrap();
        assert_eq!(text(&[]), "");
        assert_eq!(text(&[("a", ""), ("b", "c")]), "a=&b=c");
        assert_eq!(text(&[("a b", "1&c=2;+%\n\0é")]), "a%20b=1%26c%3D2%3B%2B%25%0A%00%C3%A9");
        assert_eq!(text(&[("x", "*-._~")]), "x=*-._%7E");
    }

    #[test]
    fn basic_credentials_are_encoded_as_in_a_form_first() {
        let decoded = |user, password: &str| {
            let header = basic(user, &Secret::new(password.to_owned())).unwrap();
            assert!(header.is_sensitive() && !format!("{header:?}").contains("Basic"));
            let text = header.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
            String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
        };
        assert_eq!(decoded("s6BhdRkqt3", "gX1fBat3bV"), "s6BhdRkqt3:gX1fBat3bV");
        assert_eq!(decoded("a:b", "c d+é\n"), "a%3Ab:c%20d%2B%C3%A9%0A");
        assert_eq!(decoded("", ""), ":");
    }

    #[test]
    fn a_body_is_as_long_as_was_made_room_for() {
        for form in [&[("é", "\n\n")][..], &[("a", "b"), ("c", "d")], &[("", "")]] {
            let longest: usize = form.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
            assert!(encoded(form).len() <= longest && encoded(form).capacity() == longest);
        }
    }
}
