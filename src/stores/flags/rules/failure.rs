//! Why a flag could not be decided.

use datalogic_rs::{Error, ErrorKind};
use std::borrow::Cow;

/// Why a flag could not be decided. Says nothing of what the client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A split needs `targetingKey`, and the context has none that is a text of at least one character.
    TargetingKeyMissing,
    /// Anything else; for people, in words of the rule's author at most.
    General(Cow<'static, str>),
}

impl Failure {
    /// Its code in OFREP.
    pub fn code(&self) -> &'static str {
        match self {
            Failure::TargetingKeyMissing => "TARGETING_KEY_MISSING",
            Failure::General(_) => "GENERAL",
        }
    }

    /// What happened, for people.
    pub fn detail(&self) -> &str {
        match self {
            Failure::TargetingKeyMissing => "the flag splits by targetingKey, which must be a text that is not empty",
            Failure::General(detail) => detail,
        }
    }
}

/// An operator's refusal, in the engine's terms. The kind alone carries it: a type error with a text is ours.
pub(super) fn fail(detail: impl Into<Cow<'static, str>>) -> Error {
    Error::type_error(detail)
}

/// An operator's need of a targeting key, in the engine's terms.
pub(super) fn needs_targeting_key() -> Error {
    Error::variable_not_found("targetingKey")
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error.kind {
            ErrorKind::VariableNotFound(_) => Failure::TargetingKeyMissing,
            ErrorKind::TypeError(detail) => Failure::General(detail),
            // The engine's own words could carry a value of the context.
            _ => Failure::General(Cow::Borrowed("the rule cannot be evaluated on this context")),
        }
    }
}
