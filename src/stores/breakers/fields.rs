//! Numbers in a request that say themselves within which bounds they must be, to the client that sent one beyond
//! them and in the schema.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Number;
use std::borrow::Cow;

/// A whole number from `LEAST` to `MOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole<const LEAST: u32, const MOST: u32>(pub(super) u32);

/// A number from `LEAST` to `MOST` parts, of which `PARTS` make one; rounded to a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fraction<const PARTS: u32, const LEAST: u32, const MOST: u32>(pub(super) u32);

impl<const PARTS: u32, const LEAST: u32, const MOST: u32> Fraction<PARTS, LEAST, MOST> {
    fn least() -> f64 {
        f64::from(LEAST) / f64::from(PARTS)
    }

    fn most() -> f64 {
        f64::from(MOST) / f64::from(PARTS)
    }
}

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Whole<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?.as_u64().and_then(|number| u32::try_from(number).ok());
        let within = number.filter(|number| (LEAST..=MOST).contains(number)).map(Whole);
        within.ok_or_else(|| D::Error::custom(format_args!("must be a whole number from {LEAST} to {MOST}")))
    }
}

impl<'de, const PARTS: u32, const LEAST: u32, const MOST: u32> Deserialize<'de> for Fraction<PARTS, LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?.as_f64();
        let within = number.filter(|number| (Self::least()..=Self::most()).contains(number));
        let parts = within.map(|number| Fraction((number * f64::from(PARTS)).round() as u32));
        let must = format_args!("must be a number from {} to {}", Self::least(), Self::most());
        parts.ok_or_else(|| D::Error::custom(must))
    }
}

impl<const LEAST: u32, const MOST: u32> JsonSchema for Whole<LEAST, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Whole{LEAST}To{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": LEAST, "maximum": MOST})
    }
}

impl<const PARTS: u32, const LEAST: u32, const MOST: u32> JsonSchema for Fraction<PARTS, LEAST, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Fraction{LEAST}To{MOST}Of{PARTS}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "minimum": Self::least(), "maximum": Self::most()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_taken_within_its_bounds_alone() {
        let read = |json: &str| serde_json::from_str::<Whole<1, 1_000_000>>(json).map(|number| number.0).ok();
        assert_eq!((read("1"), read("1000000")), (Some(1), Some(1_000_000)));
        let two_to_the_32_and_1 = "4294967297";
        for bad in ["0", "1000001", two_to_the_32_and_1, "9007199254740992", "9223372036854775808", "1e3", "1.0", "-1"]
        {
            let told = serde_json::from_str::<Whole<1, 1_000_000>>(bad).unwrap_err().to_string();
            assert!(told.starts_with("must be a whole number from 1 to 1000000"), "{bad}: {told}");
        }
        for other in ["\"5\"", "null", "true", "[5]", "{}"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_fraction_is_rounded_to_its_parts_within_its_bounds() {
        type Rate = Fraction<1_000_000, 1, 1_000_000>;
        let read = |json: &str| serde_json::from_str::<Rate>(json).map(|number| number.0).ok();
        for (json, parts) in
            [("1", 1_000_000), ("0.5", 500_000), ("1e-6", 1), ("0.3333333", 333_333), ("1.0", 1_000_000)]
        {
            assert_eq!(read(json), Some(parts), "{json}");
        }
        for bad in ["0", "0.0", "-0.0", "0.0000009", "1.000001", "2", "-1", "9007199254740992", "1e300", "5e-324"] {
            let told = serde_json::from_str::<Rate>(bad).unwrap_err().to_string();
            assert!(told.starts_with("must be a number from 0.000001 to 1"), "{bad}: {told}");
        }
        assert_eq!(read("\"0.5\""), None);
    }
}
