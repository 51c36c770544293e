//! JSON objects that are objects. serde reads a struct from an array of its members too, in the order in
//! which they happen to be written; no client is to rely on that order.

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// A struct that is read from an object alone. For the whole body of a request and every struct in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, schemars::JsonSchema)]
#[schemars(transparent)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Pair {
        a: u8,
        b: Option<u8>,
    }

    #[test]
    fn a_struct_is_read_from_an_object_and_from_nothing_else() {
        let read = |text| serde_json::from_str::<Object<Pair>>(text).ok().map(|object| object.0);
        assert_eq!(read(r#"{"b":2,"a":1}"#), Some(Pair { a: 1, b: Some(2) }));
        assert_eq!(read(r#"{"a":1}"#), Some(Pair { a: 1, b: None }));
        assert!(serde_json::from_str::<Pair>("[1,2]").is_ok(), "what it is for");
        for other in ["[1,2]", "[]", "null", "1", r#""a""#, r#"{"b":2}"#, "{}"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
