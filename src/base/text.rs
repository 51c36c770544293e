//! Checked strings: what a client may choose as a name, parsed once at the border and trusted after.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;

/// What is percent-encoded of a text that becomes a segment of a path: all but the unreserved characters (RFC 3986,
/// section 2.3).
pub const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a text is not a name. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAName {
    /// A [`Name`] was malformed.
    #[error("must be 1 to 256 bytes of UTF-8 without control characters")]
    Name,
    /// A [`TenantId`] was malformed.
    #[error("must be 2 to 63 characters of a-z, 0-9 and '-', the first one not '-'")]
    TenantId,
}

/// A name that a client chose (a user, a session, a provider): 1 to 256 bytes of UTF-8 without
/// control characters. Any other character is welcome: keys are encoded where they are made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Checks the text.
    pub fn parse(text: &str) -> Result<Name, NotAName> {
        Name::check(text).map(|()| Name(text.into()))
    }

    /// The same for a text that is only looked at.
    pub fn check(text: &str) -> Result<(), NotAName> {
        // Nearly every name is plain ASCII, which is told without taking characters apart.
        let is_plain = || text.bytes().fold(true, |all, byte| all & (b' '..=b'~').contains(&byte));
        let fits = (1..=256).contains(&text.len()) && (is_plain() || !text.chars().any(char::is_control));
        if fits { Ok(()) } else { Err(NotAName::Name) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of a tenant: `[a-z0-9][a-z0-9-]{1,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Checks the text.
    pub fn parse(text: &str) -> Result<TenantId, NotAName> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (2..=63).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('-');
        if fits { Ok(TenantId(text.into())) } else { Err(NotAName::TenantId) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! checked_text {
    ($type:ident, $schema:tt) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                $type::parse(&text).map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

checked_text!(Name, {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"});
checked_text!(TenantId, {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{1,62}$"});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything_but_control_characters() {
        for good in ["a", "*", "?[{}]:/..", "t:a*", "naïve 🦀", "%00", &"x".repeat(256)] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a\nb", "\0", "\u{7f}", "\u{85}", &"x".repeat(257), &"é".repeat(129)] {
            assert_eq!(Name::parse(bad), Err(NotAName::Name), "{bad:?}");
        }
    }

    #[test]
    fn a_tenant_id_is_a_dns_like_label() {
        for good in ["ab", "0a", "a-", "acme-2", &"a".repeat(63)] {
            assert!(TenantId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "-a", "A1", "a_b", "a.b", "a b", "a\n", "aé", "{aa}", "a:b", "_system", &"a".repeat(64)] {
            assert_eq!(TenantId::parse(bad), Err(NotAName::TenantId), "{bad:?}");
        }
    }
}
