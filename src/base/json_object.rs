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

/// How deep objects and arrays may nest in a request, the outermost included. Whoever reads them, here or at a
/// client, often does so with a call per level.
pub const DEEPEST: usize = 64;

const TOO_DEEP: &str = "nests too deep";

/// Whether a JSON text nests deeper than [`DEEPEST`]; one look at each byte.
fn nests_too_deep(json: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' if depth == DEEPEST => return true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
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

/// From a request: one that nests too deep is refused. What is stored is read with [`JsonObject::parse`].
impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match raw.get() {
            text if !text.starts_with('{') => Err(D::Error::custom("must be an object")),
            text if nests_too_deep(text) => Err(D::Error::custom(TOO_DEEP)),
            _ => Ok(JsonObject(Some(raw))),
        }
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
            text if nests_too_deep(text) => Err(D::Error::custom(TOO_DEEP)),
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
    fn what_nests_too_deep_is_refused_in_a_request_and_read_where_it_is_stored() {
        let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        let arrays = |depth: usize| format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
        let brackets = "[{".repeat(100);
        let in_text = format!(r#"{{"a":"\\\"{brackets}","{brackets}":[],"b":[]}}"#);
        for fits in [objects(DEEPEST), arrays(DEEPEST), in_text, format!("{{\"a\":[{}1]}}", "[],{},".repeat(100))] {
            assert!(serde_json::from_str::<JsonObject>(&fits).is_ok(), "{fits}");
            assert!(serde_json::from_str::<ObjectPatch>(&fits).is_ok(), "{fits}");
        }
        for deep in [objects(DEEPEST + 1), arrays(DEEPEST + 1), objects(100_000), arrays(100_000)] {
            for error in [
                serde_json::from_str::<JsonObject>(&deep).unwrap_err(),
                serde_json::from_str::<ObjectPatch>(&deep).unwrap_err(),
            ] {
                assert!(error.to_string().starts_with(TOO_DEEP), "{error}");
            }
            assert!(JsonObject::parse(deep.as_bytes()).is_some());
        }
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
