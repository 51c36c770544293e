//! Reads a context. The engine's own parser is not used: it takes a kilobyte for the smallest object, so that a megabyte
//! of them would fill the memory, and keeps every duplicate of a member.

use super::context_fault::ContextFault;
use crate::base::json_object::DEEPEST;
use datalogic_rs::DataValue;
use datalogic_rs::bumpalo::Bump;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// The longest context, in bytes.
const LONGEST: usize = 1024 * 1024;
/// The member of the evaluation context that the evaluator sets.
const FLAGD: &str = "$flagd";

/// The object and how many members its widest object has.
pub(super) fn read<'a>(json: &str, arena: &'a Bump) -> Result<(DataValue<'a>, usize), ContextFault> {
    if json.len() > LONGEST {
        return Err(ContextFault::TooLong);
    }
    let (widest, too_deep) = (Cell::new(0), Cell::new(false));
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let reader = Reader { arena, depth: 0, widest: &widest, too_deep: &too_deep };
    let value = reader.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match value {
        Ok(root @ DataValue::Object(_)) => Ok((root, widest.get())),
        Ok(_) => Err(ContextFault::NotAnObject),
        Err(_) if too_deep.get() => Err(ContextFault::TooDeep),
        Err(fault) => Err(ContextFault::Malformed { line: fault.line(), column: fault.column() }),
    }
}

#[derive(Clone, Copy)]
struct Reader<'a, 'r> {
    arena: &'a Bump,
    depth: usize,
    widest: &'r Cell<usize>,
    too_deep: &'r Cell<bool>,
}

impl<'a, 'r> Reader<'a, 'r> {
    fn deeper<E: Error>(&self) -> Result<Reader<'a, 'r>, E> {
        if self.depth == DEEPEST {
            self.too_deep.set(true);
            return Err(E::custom("nests too deep"));
        }
        Ok(Reader { depth: self.depth + 1, ..*self })
    }
}

impl<'de, 'a> DeserializeSeed<'de> for Reader<'a, '_> {
    type Value = DataValue<'a>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<DataValue<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'a> Visitor<'de> for Reader<'a, '_> {
    type Value = DataValue<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<DataValue<'a>, E> {
        Ok(DataValue::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<DataValue<'a>, E> {
        Ok(DataValue::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<DataValue<'a>, E> {
        Ok(DataValue::from_i64(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<DataValue<'a>, E> {
        Ok(i64::try_from(number).map_or_else(|_| DataValue::from_f64(number as f64), DataValue::from_i64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<DataValue<'a>, E> {
        Ok(DataValue::from_f64(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<DataValue<'a>, E> {
        Ok(DataValue::String(self.arena.alloc_str(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<DataValue<'a>, A::Error> {
        let (reader, mut read) = (self.deeper()?, Vec::new());
        while let Some(element) = elements.next_element_seed(reader)? {
            read.push(element);
        }
        Ok(DataValue::Array(self.arena.alloc_slice_copy(&read)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<DataValue<'a>, A::Error> {
        let (reader, mut read) = (self.deeper()?, Vec::<(&str, DataValue)>::new());
        while let Some(name) = members.next_key_seed(Name(self.arena))? {
            let value = members.next_value_seed(reader)?;
            // In no scope may a client speak for the evaluator, and paths begin in objects of any depth.
            if name != FLAGD {
                read.push((name, value));
            }
        }
        // Stable, so that of duplicates the last one stays behind the others, from where it overwrites them.
        read.sort_by_key(|(name, _)| *name);
        read.dedup_by(|later, kept| {
            let duplicate = later.0 == kept.0;
            if duplicate {
                *kept = *later;
            }
            duplicate
        });
        self.widest.set(self.widest.get().max(read.len()));
        Ok(DataValue::Object(self.arena.alloc_slice_copy(&read)))
    }
}

struct Name<'a>(&'a Bump);

impl<'de, 'a> DeserializeSeed<'de> for Name<'a> {
    type Value = &'a str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'a str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a> {
    type Value = &'a str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<&'a str, E> {
        Ok(self.0.alloc_str(name))
    }
}
