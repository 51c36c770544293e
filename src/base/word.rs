//! One of a few words, read from text alone. serde takes an enum without data from an object too
//! (`{"open": null}`); no client is to rely on that.

use serde::de::value::CowStrDeserializer;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// An enum of words in a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(transparent)]
pub struct Word<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        T::deserialize(CowStrDeserializer::new(text)).map(Word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Answer {
        Yes,
    }

    #[test]
    fn a_word_is_read_from_text_and_from_nothing_else() {
        let read = |text| serde_json::from_str::<Word<Answer>>(text).ok().map(|word| word.0);
        assert_eq!((read(r#""yes""#), read(r#""\u0079es""#)), (Some(Answer::Yes), Some(Answer::Yes)));
        assert!(serde_json::from_str::<Answer>(r#"{"yes":null}"#).is_ok(), "what it is for");
        for other in [r#"{"yes":null}"#, r#""no""#, r#""Yes""#, "7", "null", "[\"yes\"]", "true"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
