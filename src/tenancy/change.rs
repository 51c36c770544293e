//! A member of a merge patch (RFC 7396): absent keeps, `null` removes, anything else sets.

use serde::{Deserialize, Deserializer};

/// What a patch says about one optional value. Use it with `#[serde(default)]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// The member is absent.
    #[default]
    Keep,
    /// The member is `null`.
    Remove,
    /// The member has a value.
    Set(T),
}

impl<T> Change<T> {
    /// Changes the value.
    pub fn apply(self, to: &mut Option<T>) {
        self.apply_as(to, |value| value);
    }

    /// Changes a value of another type.
    pub fn apply_as<U>(self, to: &mut Option<U>, convert: impl FnOnce(T) -> U) {
        match self {
            Change::Keep => {}
            Change::Remove => *to = None,
            Change::Set(value) => *to = Some(convert(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(deserializer)? {
            None => Change::Remove,
            Some(value) => Change::Set(value),
        })
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Change<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Option::<T>::json_schema(generator)
    }
}
