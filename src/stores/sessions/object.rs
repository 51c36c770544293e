//! JSON objects as text: what a client stored comes back byte for byte, its numbers included, and
//! is never taken apart on the way.

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::fmt;

/// The text of a JSON object.
#[derive(Clone, Default)]
pub struct JsonObject(Option<Box<RawValue>>);

impl JsonObject {
    /// Checks that the bytes are one JSON object in UTF-8.
    pub fn parse(bytes: &[u8]) -> Option<JsonObject> {
        if bytes == b"{}" {
            return Some(JsonObject::default());
        }
        let raw: &RawValue = serde_json::from_slice(bytes).ok()?;
        raw.get().starts_with('{').then(|| JsonObject(Some(raw.to_owned())))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("{}", |raw| raw.get())
    }
}

/// Shows the size alone.
impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonObject({} bytes)", self.as_str().len())
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(raw) => raw.serialize(serializer),
            None => serializer.serialize_map(Some(0))?.end(),
        }
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if raw.get().starts_with('{') { Ok(JsonObject(Some(raw))) } else { Err(D::Error::custom("must be an object")) }
    }
}

impl schemars::JsonSchema for JsonObject {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Object".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "object"})
    }
}

/// What a merge patch (RFC 7396) does to a member that is an object. In a request body the member is
/// absent (with `#[serde(default)]`), `null`, or an object; anything else is refused, because the member
/// always is an object.
#[derive(Debug, Clone, Default)]
pub enum ObjectPatch {
    /// The member is absent: nothing changes.
    #[default]
    Keep,
    /// `null`: the member becomes empty.
    Clear,
    /// An object: its members are merged in.
    Merge(JsonObject),
}

impl<'de> Deserialize<'de> for ObjectPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match raw.get() {
            "null" => Ok(ObjectPatch::Clear),
            text if text.starts_with('{') => Ok(ObjectPatch::Merge(JsonObject(Some(raw)))),
            _ => Err(D::Error::custom("must be an object or null")),
        }
    }
}

impl schemars::JsonSchema for ObjectPatch {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ObjectPatch".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": ["object", "null"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_keeps_its_exact_text() {
        let text = r#"{"n": 1.0e2, "big": 123456789012345678901234567890, "é":"\u00e9"}"#;
        let object = JsonObject::parse(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&object).unwrap(), text);
        assert_eq!(serde_json::to_string(&JsonObject::default()).unwrap(), "{}");
    }

    #[test]
    fn only_one_json_object_is_an_object() {
        for bad in ["", "null", "1", "[]", "\"{}\"", "{", "{}{}", "{a:1}", "{\"a\":1,}"] {
            assert!(JsonObject::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(JsonObject::parse(b"{\"a\":\"\xff\"}").is_none());
    }

    #[test]
    fn a_body_is_read_with_the_path_of_a_fault() {
        #[derive(Debug, Deserialize)]
        struct Body {
            #[serde(default)]
            data: ObjectPatch,
        }
        let read = |text: &str| {
            let mut json = serde_json::Deserializer::from_str(text);
            serde_path_to_error::deserialize::<_, Body>(&mut json).map(|b| b.data).map_err(|e| e.path().to_string())
        };
        assert!(matches!(read("{}"), Ok(ObjectPatch::Keep)));
        assert!(matches!(read(r#"{"data": null}"#), Ok(ObjectPatch::Clear)));
        assert!(matches!(read(r#"{"data": {"a":1}}"#), Ok(ObjectPatch::Merge(o)) if o.as_str() == r#"{"a":1}"#));
        assert_eq!(read(r#"{"data": 1}"#).unwrap_err(), "data");
    }
}
