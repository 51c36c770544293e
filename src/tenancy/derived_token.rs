//! Short-lived tokens derived from an API key, for clients that cannot send a header: a browser's `EventSource` has
//! nothing but a URL. `agt_`, the key's public id, the token's end, and an HMAC over what it is for.
//!
//! Nothing is stored: the HMAC's key is the digest of the API key's secret, which every server has where it has the API
//! key, and a token is refused as soon as that is. It opens only what asks for its purpose, with no more scopes than the
//! key has by then. A URL is written down in many places, hence the short life. Whoever can read the backend
//! can make such tokens, as nobody can make keys from it: let a purpose be one that such a reader gains nothing by.

use super::api_key::{ApiKey, KeyId};
use crate::base::clock::Timestamp;
use crate::base::id;
use crate::base::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const PREFIX: &str = "agt_";
/// The prefix, an id, twenty digits, a digest, and the dots between them.
const LONGEST: usize = 4 + 16 + 1 + 20 + 1 + 43;
/// Keeps these HMACs apart from any others that may be made under the same digest one day.
const DOMAIN: &[u8] = b"agentapi derived token 1";

/// What a token is for; there is one for each endpoint, or group of endpoints, that takes tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose(&'static str);

impl Purpose {
    /// The purpose of this name. Renaming it ends the tokens that there are.
    pub const fn new(name: &'static str) -> Purpose {
        Purpose(name)
    }
}

/// A token as a client presented it: well-formed, not known to be derived from anybody's key.
pub(super) struct PresentedToken {
    key: KeyId,
    end_millis: u64,
    hmac: [u8; 32],
}

impl PresentedToken {
    /// Reads the one way in which a token is written; asks nobody.
    pub(super) fn parse(text: &str) -> Option<PresentedToken> {
        if text.len() > LONGEST {
            return None;
        }
        let (key, rest) = text.strip_prefix(PREFIX)?.split_once('.')?;
        let (end, hmac) = rest.split_once('.')?;
        let end_millis: u64 = end.parse().ok().filter(|number: &u64| number.to_string() == end)?;
        let hmac = URL_SAFE_NO_PAD.decode(hmac).ok()?.try_into().ok()?;
        Some(PresentedToken { key: KeyId::parse(key)?, end_millis, hmac })
    }

    /// The public id of the key that it says it is derived from.
    pub(super) fn key(&self) -> KeyId {
        self.key
    }

    /// From when on it is refused.
    pub(super) fn ends_at(&self) -> Timestamp {
        Timestamp::from_millis(self.end_millis)
    }
}

impl ApiKey {
    /// A token that stands for this key, for one purpose, until `end` or until the key ends.
    pub fn derive_token(&self, purpose: Purpose, end: Timestamp) -> Secret {
        let end = self.ends_at().map_or(end, |own| own.min(end)).as_millis();
        let hmac = URL_SAFE_NO_PAD.encode(self.hmac(&message(self, purpose, end)));
        let id = self.id;
        Secret::new(format!("{PREFIX}{id}.{end}.{hmac}"))
    }

    /// Whether the presented token is derived from this key for this purpose, in a time that does not depend on where
    /// the digests differ.
    pub(super) fn derived(&self, token: &PresentedToken, purpose: Purpose) -> bool {
        let expected = self.hmac(&message(self, purpose, token.end_millis));
        id::same_digest(&expected, &token.hmac) && self.id == token.key
    }
}

/// What a token vouches for. Texts are preceded by their lengths, so that no two things read the same.
fn message(key: &ApiKey, Purpose(purpose): Purpose, end_millis: u64) -> Vec<u8> {
    let mut message = DOMAIN.to_vec();
    for text in [purpose, key.tenant.as_str(), key.id.as_str()] {
        message.extend_from_slice(&(text.len() as u64).to_be_bytes());
        message.extend_from_slice(text.as_bytes());
    }
    message.extend_from_slice(&end_millis.to_be_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::TenantId;
    use crate::tenancy::Scopes;
    use proptest::prelude::*;

    const EVENTS: Purpose = Purpose::new("events");
    const END: Timestamp = Timestamp::from_millis(1_769_846_400_123);

    fn key(tenant: &str) -> ApiKey {
        let tenant = TenantId::parse(tenant).unwrap();
        ApiKey::issue(tenant, None, Scopes::ALL, None, Timestamp::default()).unwrap().0
    }

    #[test]
    fn a_token_is_of_its_key_and_its_purpose_alone() {
        let key = key("acme");
        let token = key.derive_token(EVENTS, END);
        let presented = PresentedToken::parse(token.expose()).unwrap();
        assert_eq!((presented.key(), presented.ends_at()), (key.id, END));
        assert!(key.derived(&presented, EVENTS));
        assert!(!key.derived(&presented, Purpose::new("event")));
        assert!(!self::key("acme").derived(&presented, EVENTS));
        let (mut moved, mut renamed) = (key.clone(), key);
        moved.tenant = TenantId::parse("other").unwrap();
        assert!(!moved.derived(&presented, EVENTS), "the tenant is vouched for too");
        renamed.id = self::key("acme").id;
        assert!(!renamed.derived(&presented, EVENTS));
    }

    #[test]
    fn a_token_ends_no_later_than_its_key() {
        let mut key = key("acme");
        key.expires_at = Some(Timestamp::from_millis(5));
        assert!(key.derive_token(EVENTS, END).expose().starts_with(&format!("agt_{}.5.", key.id)));
    }

    #[test]
    fn any_single_wrong_character_is_refused_and_so_is_any_other_way_to_write_a_token() {
        let key = key("acme");
        let token = key.derive_token(EVENTS, END);
        let text = token.expose();
        assert!(text.len() <= LONGEST && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)));
        let good = |text: &str| PresentedToken::parse(text).is_some_and(|token| key.derived(&token, EVENTS));
        assert!(good(text));
        for place in 0..text.len() {
            for wrong in b"0Az-_.".iter().filter(|wrong| **wrong != text.as_bytes()[place]) {
                let mut bytes = text.as_bytes().to_vec();
                bytes[place] = *wrong;
                assert!(!good(std::str::from_utf8(&bytes).unwrap()), "{place}");
            }
            assert!(!good(text.get(..place).unwrap()));
        }
        let end = END.as_millis().to_string();
        for other in [format!("0{end}"), format!("+{end}"), format!("{end} "), format!("{}", END.as_millis() + 1)] {
            assert!(!good(&text.replace(&end, &other)), "{other}");
        }
        for other in [format!(" {text}"), format!("{text}="), format!("{text}."), text.replace("agt_", "agk_")] {
            assert!(!good(&other));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_stumble(text in "(agt_)?\\PC{0,90}") {
            prop_assert!(PresentedToken::parse(&text).is_none());
        }
    }
}
