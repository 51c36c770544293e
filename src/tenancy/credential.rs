//! What a client shows to say who it is: an API key, or a token that was derived from one.

use super::api_key::{ApiKey, KeyId, PresentedKey};
use super::derived_token::{PresentedToken, Purpose};
use crate::base::clock::Timestamp;

/// A credential as it came.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// An API key.
    Key(&'a str),
    /// A token, where one for this purpose will do.
    Token(&'a str, Purpose),
}

impl<'a> From<&'a str> for Credential<'a> {
    fn from(key: &'a str) -> Self {
        Credential::Key(key)
    }
}

impl<'a> Credential<'a> {
    /// From when on it is refused, where it says so itself: a token does, a key is looked up.
    pub fn ends_at(self) -> Option<Timestamp> {
        match self {
            Credential::Key(_) => None,
            Credential::Token(text, _) => Some(PresentedToken::parse(text)?.ends_at()),
        }
    }

    /// The API key, where it is a well-formed one.
    pub(super) fn key(self) -> Option<PresentedKey<'a>> {
        match self {
            Credential::Key(text) => PresentedKey::parse(text),
            Credential::Token(..) => None,
        }
    }

    /// What is well-formed; asks nobody.
    pub(super) fn parse(self) -> Option<Presented<'a>> {
        Some(match self {
            Credential::Key(_) => Presented::Key(self.key()?),
            Credential::Token(text, purpose) => Presented::Token(PresentedToken::parse(text)?, purpose),
        })
    }
}

/// A well-formed credential.
pub(super) enum Presented<'a> {
    Key(PresentedKey<'a>),
    Token(PresentedToken, Purpose),
}

impl Presented<'_> {
    /// The public id of the API key.
    pub(super) fn id(&self) -> KeyId {
        match self {
            Presented::Key(key) => key.id(),
            Presented::Token(token, _) => token.key(),
        }
    }

    /// Whether it is this key, or derived from it.
    pub(super) fn is_of(&self, key: &ApiKey) -> bool {
        match self {
            Presented::Key(presented) => key.is(presented),
            Presented::Token(token, purpose) => key.derived(token, *purpose),
        }
    }

    /// Whether it opens what this key opens, now.
    pub(super) fn opens(&self, key: &ApiKey, now: Timestamp) -> bool {
        let is_over = match self {
            Presented::Key(_) => false,
            Presented::Token(token, _) => token.ends_at() <= now,
        };
        !is_over && self.is_of(key) && !key.is_expired(now)
    }
}
