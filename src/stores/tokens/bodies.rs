//! What requests carry: the shapes of the HTTP API, from which it is described. What they cannot be is said where it is read.

use super::oauth::{AuthStyle, LONGEST_TOKEN};
use super::providers::ProviderSettings;
use super::types::NewToken;
use crate::base::clock::Timestamp;
use crate::base::duration::DurationField;
use crate::base::json_object::JsonObject;
use crate::base::secret::Secret;
use crate::base::word::Word;
use crate::outbound::{Outbound, TargetUrl};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::time::Duration;

const LONGEST_METADATA: usize = 16 * 1024;
const MOST_SCOPES: usize = 100;
const LONGEST_SCOPE: usize = 256;
const DEFAULT_TYPE: &str = "Bearer";
const REFRESH_BEFORE: Duration = Duration::from_secs(300);
const LONGEST_REFRESH_BEFORE: Duration = Duration::from_secs(86_400);

/// What is wrong with a body: where, as a JSON pointer, and what.
pub(super) struct BodyFault(pub(super) &'static str, pub(super) &'static str);

/// Makes a type that is read from text that passes a check, and described as text of some length.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident($inner:ty), $make:expr, $must:expr, $longest:expr) => {
        $(#[$doc])*
        pub(super) struct $name(pub(super) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let made: Option<$inner> = $make(text);
                made.map($name).ok_or_else(|| D::Error::custom($must))
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "minLength": 1, "maxLength": $longest})
            }
        }
    };
}

checked_text!(
    /// A secret.
    SecretField(Secret),
    |text: String| {
        let fits = (1..=LONGEST_TOKEN).contains(&text.len()) && !text.chars().any(char::is_control);
        let secret = Secret::new(text);
        fits.then_some(secret)
    },
    "must be 1 to 65536 bytes of text without control characters",
    65536
);

checked_text!(
    /// The type of a token.
    TypeField(String),
    |text: String| is_token_type(&text).then_some(text),
    "must be 1 to 64 visible ASCII characters",
    64
);

checked_text!(
    /// What a client is called at a provider.
    ClientField(String),
    |text: String| ((1..=512).contains(&text.len()) && !text.chars().any(char::is_control)).then_some(text),
    "must be 1 to 512 bytes of text without control characters",
    512
);

checked_text!(
    /// A token endpoint, not checked yet.
    UrlField(String),
    |text: String| (!text.is_empty()).then_some(text),
    "must be a URL",
    2048
);

/// Whether a text can be the type of a token.
pub(super) fn is_token_type(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Up to 100 scopes.
#[derive(Default, JsonSchema)]
#[schemars(transparent)]
pub(super) struct ScopesField(#[schemars(length(max = 100), inner(length(min = 1, max = 256)))] pub(super) Vec<String>);

impl<'de> Deserialize<'de> for ScopesField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scopes = Vec::<String>::deserialize(deserializer)?;
        // RFC 6749, section 3.3: a scope has no space in it, for they stand in one text.
        let is_scope = |scope: &String| {
            (1..=LONGEST_SCOPE).contains(&scope.len()) && !scope.chars().any(|c| c.is_control() || c.is_whitespace())
        };
        let fits = scopes.len() <= MOST_SCOPES && scopes.iter().all(is_scope);
        let must = "must be at most 100 scopes, each 1 to 256 bytes without spaces and control characters";
        if fits { Ok(ScopesField(scopes)) } else { Err(D::Error::custom(must)) }
    }
}

/// What a client keeps with a token.
#[derive(Default, JsonSchema)]
#[schemars(transparent)]
pub(super) struct MetadataField(pub(super) JsonObject);

impl<'de> Deserialize<'de> for MetadataField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = JsonObject::deserialize(deserializer)?;
        let must = "must be an object of at most 16384 bytes";
        if object.as_str().len() <= LONGEST_METADATA { Ok(MetadataField(object)) } else { Err(D::Error::custom(must)) }
    }
}

/// A token to be kept.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenBody {
    /// What opens the provider's API.
    access_token: SecretField,
    /// What gets another access token.
    refresh_token: Option<SecretField>,
    /// `Bearer` when not given.
    token_type: Option<TypeField>,
    /// What it allows.
    #[serde(default)]
    scopes: ScopesField,
    /// When the access token ends, RFC 3339 in UTC; never when neither this nor `expires_in` is given.
    #[serde(default, deserialize_with = "Timestamp::deserialize_optional")]
    expires_at: Option<Timestamp>,
    /// The same as the time from now, at least a second.
    expires_in: Option<DurationField>,
    /// Whatever is to be kept with it, an object of at most 16 KiB, nested at most 64 deep.
    #[serde(default)]
    metadata: MetadataField,
}

impl TokenBody {
    /// The token, if it is one at this time.
    pub(super) fn token(self, now: Timestamp) -> Result<NewToken, BodyFault> {
        let expires_at = match (self.expires_at, self.expires_in) {
            (Some(_), Some(_)) => return Err(BodyFault("/expires_in", "goes without expires_at")),
            (Some(end), None) if end <= now => return Err(BodyFault("/expires_at", "must be in the future")),
            (Some(end), None) => Some(end),
            (None, Some(DurationField(life))) if life < Duration::from_secs(1) => {
                return Err(BodyFault("/expires_in", "must be at least a second"));
            }
            (None, Some(DurationField(life))) => Some(now + life),
            (None, None) => None,
        };
        Ok(NewToken {
            access_token: self.access_token.0,
            refresh_token: self.refresh_token.map(|secret| secret.0),
            token_type: self.token_type.map_or_else(|| DEFAULT_TYPE.to_owned(), |kind| kind.0),
            scopes: self.scopes.0,
            expires_at,
            metadata: self.metadata.0,
        })
    }
}

/// For how long a lease is wanted.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LeaseBody {
    /// From 1 s to 5 min; 30 s when not given.
    ttl: Option<DurationField>,
}

impl LeaseBody {
    pub(super) fn ttl(&self) -> Result<Duration, BodyFault> {
        let ttl = self.ttl.map_or(Duration::from_secs(30), |DurationField(ttl)| ttl);
        let fits = (Duration::from_secs(1)..=Duration::from_secs(300)).contains(&ttl);
        if fits { Ok(ttl) } else { Err(BodyFault("/ttl", "must be from 1 second to 5 minutes")) }
    }
}

/// How the server may refresh tokens of a provider by itself (RFC 6749, section 6).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderBody {
    /// The token endpoint; `https`, and not a private address unless the operator allows that.
    token_url: UrlField,
    client_id: ClientField,
    /// Never shown again.
    client_secret: SecretField,
    /// `client_secret_basic` when not given.
    auth_style: Option<Word<AuthStyle>>,
    /// What is asked for with each refresh; as before when not given.
    #[serde(default)]
    scopes: ScopesField,
    /// How long before its end a token is refreshed, at most 24 h; 300 s when not given.
    refresh_before: Option<DurationField>,
}

impl ProviderBody {
    /// The settings, if they may be, and the client's secret.
    pub(super) fn provider(self, outbound: &Outbound) -> Result<(ProviderSettings, Secret), BodyFault> {
        let token_url = self.token_url.0;
        TargetUrl::parse(&token_url, outbound.settings()).map_err(|must| BodyFault("/token_url", must))?;
        let refresh_before = self.refresh_before.map_or(REFRESH_BEFORE, |DurationField(before)| before);
        if refresh_before > LONGEST_REFRESH_BEFORE {
            return Err(BodyFault("/refresh_before", "must be at most 24 hours"));
        }
        let settings = ProviderSettings {
            token_url,
            client_id: self.client_id.0,
            auth_style: self.auth_style.map(|Word(style)| style).unwrap_or_default(),
            scopes: self.scopes.0,
            refresh_before,
        };
        Ok((settings, self.client_secret.0))
    }
}
