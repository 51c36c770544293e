//! What a key may do: areas of the API, each to read or to write.
//!
//! The two are separate scopes and neither implies the other: a key that only feeds data in need not be
//! able to read any out, so `sessions:write` alone cannot read a session.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

macro_rules! areas {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A part of the API that scopes tell apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Area { $($(#[$doc])* $name,)* }

        impl Area {
            /// Every area, in the order of the API.
            pub const ALL: &'static [Area] = &[$(Area::$name,)*];

            /// The word before the colon.
            pub const fn as_str(self) -> &'static str {
                match self { $(Area::$name => $text,)* }
            }
        }
    };
}

areas! {
    /// Sessions.
    Sessions = "sessions";
    /// User documents.
    Users = "users";
    /// Encrypted tokens.
    Tokens = "tokens";
    /// Feature flags.
    Flags = "flags";
    /// Circuit breakers.
    Breakers = "breakers";
    /// Rate limits.
    RateLimit = "ratelimit";
    /// The cache.
    Cache = "cache";
    /// Locks.
    Locks = "locks";
    /// Usage.
    Usage = "usage";
    /// The tenant's own configuration.
    Config = "config";
    /// Chat messages.
    Chat = "chat";
    /// Events.
    Events = "events";
    /// The Upstash-compatible gateway.
    Redis = "redis";
}

/// To look or to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// To look.
    Read,
    /// To change.
    Write,
}

impl Access {
    /// Both.
    pub const ALL: &'static [Access] = &[Access::Read, Access::Write];

    /// The word after the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
        }
    }
}

/// One permission, written `sessions:read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Where.
    pub area: Area,
    /// What.
    pub access: Access,
}

/// The text is not a scope. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a scope: '*', or an area and ':read' or ':write', such as sessions:read")]
pub struct NotAScope;

impl Scope {
    /// The permission for `access` to `area`.
    pub const fn new(area: Area, access: Access) -> Scope {
        Scope { area, access }
    }

    /// Every scope there is, area by area.
    pub fn all() -> impl Iterator<Item = Scope> {
        Area::ALL.iter().flat_map(|area| Access::ALL.iter().map(|access| Scope::new(*area, *access)))
    }

    const fn bit(self) -> u32 {
        1 << (self.area as u32 * 2 + self.access as u32)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.area.as_str(), self.access.as_str())
    }
}

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Scope, NotAScope> {
        let (area, access) = text.split_once(':').ok_or(NotAScope)?;
        let area = Area::ALL.iter().find(|a| a.as_str() == area).ok_or(NotAScope)?;
        let access = Access::ALL.iter().find(|a| a.as_str() == access).ok_or(NotAScope)?;
        Ok(Scope::new(*area, *access))
    }
}

/// A set of scopes. As JSON a list of strings, `["*"]` for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scopes(u32);

impl Scopes {
    /// All of them, those of areas to come too; written `*`.
    pub const ALL: Scopes = Scopes(u32::MAX);
    /// None.
    pub const NONE: Scopes = Scopes(0);

    /// Reads a list such as `["sessions:read", "cache:write"]` or `["*"]`.
    pub fn parse<S: AsRef<str>>(list: impl IntoIterator<Item = S>) -> Result<Scopes, NotAScope> {
        list.into_iter().try_fold(Scopes::NONE, |scopes, text| match text.as_ref() {
            "*" => Ok(Scopes::ALL),
            text => Ok(scopes.with(text.parse()?)),
        })
    }

    /// Reads a stored list. A word from a later version is passed over, which grants less and never more.
    pub(super) fn parse_known<S: AsRef<str>>(list: impl IntoIterator<Item = S>) -> Scopes {
        list.into_iter().filter_map(|text| Scopes::parse([text]).ok()).fold(Scopes::NONE, |a, b| Scopes(a.0 | b.0))
    }

    /// These and one more.
    pub const fn with(self, scope: Scope) -> Scopes {
        Scopes(self.0 | scope.bit())
    }

    /// Whether the scope is among them.
    pub const fn allows(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The list as it is written.
    pub fn to_list(self) -> Vec<String> {
        if self == Scopes::ALL {
            return vec!["*".to_owned()];
        }
        Scope::all().filter(|scope| self.allows(*scope)).map(|scope| scope.to_string()).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Scopes::NONE, Scopes::with)
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_list().serialize(serializer)
    }
}

/// For requests: an unknown scope or an empty list is a mistake.
impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let list = Vec::<String>::deserialize(deserializer)?;
        if list.is_empty() {
            return Err(D::Error::custom("must name at least one scope"));
        }
        Scopes::parse(list).map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Scopes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scopes".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words: Vec<String> = std::iter::once("*".to_owned()).chain(Scope::all().map(|s| s.to_string())).collect();
        schemars::json_schema!({"type": "array", "minItems": 1, "items": {"type": "string", "enum": words}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_written_and_read_back_and_is_its_own_bit() {
        let mut bits = 0;
        for scope in Scope::all() {
            assert_eq!(scope.to_string().parse(), Ok(scope));
            assert_eq!(bits & scope.bit(), 0, "{scope}");
            bits |= scope.bit();
        }
        assert_eq!(bits.count_ones(), 26);
        for bad in ["", "*", "sessions", "sessions:", ":read", "sessions:admin", "Sessions:read", "sessions:read "] {
            assert_eq!(bad.parse::<Scope>(), Err(NotAScope), "{bad}");
        }
    }

    #[test]
    fn a_set_allows_what_it_names_and_writing_does_not_imply_reading() {
        let scopes = Scopes::parse(["sessions:write", "cache:read"]).unwrap();
        let allowed: Vec<String> = Scope::all().filter(|s| scopes.allows(*s)).map(|s| s.to_string()).collect();
        assert_eq!(allowed, ["sessions:write", "cache:read"]);
        assert!(Scope::all().all(|scope| Scopes::ALL.allows(scope)));
        assert!(!Scope::all().any(|scope| Scopes::NONE.allows(scope)));
    }

    #[test]
    fn all_is_a_star_and_is_more_than_every_scope_of_today() {
        assert_eq!(serde_json::to_string(&Scopes::ALL).unwrap(), r#"["*"]"#);
        assert_eq!(Scopes::parse(["users:read", "*"]), Ok(Scopes::ALL));
        let today: Scopes = Scope::all().collect();
        assert_ne!(today, Scopes::ALL);
        assert_eq!(today.to_list().len(), 26);
    }

    #[test]
    fn a_request_with_an_unknown_scope_or_none_is_refused_and_a_stored_one_grants_less() {
        for bad in [r"[]", r#"["sessions:read","nonsense"]"#, r#""*""#, "null", "[1]"] {
            assert!(serde_json::from_str::<Scopes>(bad).is_err(), "{bad}");
        }
        let known = Scopes::parse_known(["sessions:read", "later:write"]);
        assert_eq!(known, Scopes::NONE.with(Scope::new(Area::Sessions, Access::Read)));
    }
}
