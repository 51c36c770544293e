//! Values of an evaluation as JSON for people: whole if they are small, and otherwise as much as one looks at.

use datalogic_rs::DataValue;
use datalogic_rs::datavalue::NumberValue;
use serde_json::{Number, Value};

/// How many characters of a text, and how many elements of a list, are shown.
const CHARACTERS: usize = 200;
const ELEMENTS: usize = 20;
/// How deep lists and objects are shown.
const LEVELS: usize = 4;

/// The value, shortened.
pub(super) fn shown(value: &DataValue<'_>) -> Value {
    shown_at(value, 0)
}

fn shown_at(value: &DataValue<'_>, level: usize) -> Value {
    match value {
        DataValue::Null => Value::Null,
        DataValue::Bool(truth) => Value::Bool(*truth),
        DataValue::Number(NumberValue::Integer(number)) => Value::from(*number),
        DataValue::Number(NumberValue::Float(number)) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        DataValue::String(text) => Value::String(shortened(text)),
        DataValue::Array(_) | DataValue::Object(_) if level == LEVELS => Value::String("…".to_owned()),
        DataValue::Array(elements) => elements.iter().take(ELEMENTS).map(|one| shown_at(one, level + 1)).collect(),
        DataValue::Object(members) => {
            let members = members.iter().take(ELEMENTS);
            members.map(|(name, value)| (shortened(name), shown_at(value, level + 1))).collect()
        }
    }
}

/// The text, or its beginning.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
