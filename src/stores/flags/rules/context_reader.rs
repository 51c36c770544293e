//! Reads a context. The engine's own parser is not used: it takes a kilobyte for the smallest object, so that a megabyte
//! of them would fill the memory, and keeps every duplicate of a member.

use super::context_fault::ContextFault;
use super::skim::{self, Written};
use crate::base::json_object::DEEPEST;
use datalogic_rs::DataValue;
use datalogic_rs::bumpalo::Bump;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// The longest context, in bytes.
const LONGEST: usize = 1024 * 1024;
/// Most objects have no more members.
const USUAL: usize = 16;
/// The member of the evaluation context that the evaluator sets.
const FLAGD: &str = "$flagd";

/// The object and how many members its widest object has.
pub(super) fn read<'a>(json: &'a str, arena: &'a Bump) -> Result<(DataValue<'a>, usize), ContextFault> {
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

/// What is wanted of the member `context` of a request's body (everything, where nothing is said) and how many members its
/// widest object has; nothing where the body is of another form, or where [`read`] would refuse what is wanted.
pub(super) fn read_in<'a>(
    body: &'a [u8],
    wanted: Option<&'a [Box<str>]>,
    arena: &'a Bump,
) -> Option<(DataValue<'a>, usize)> {
    if body.len() > LONGEST || !(body.is_ascii() || std::str::from_utf8(body).is_ok()) {
        return None;
    }
    let mut context = None;
    let rest = skim::members(skim::space(body), |name, value| {
        if meant(name, arena) != Some(b"context") {
            return skim::value(value);
        }
        let (read, rest) = match (value, wanted) {
            ([b'{', ..], Some(wanted)) => read_of(value, wanted, arena)?,
            _ => {
                let rest = skim::value(value)?;
                let text = std::str::from_utf8(skim::up_to(value, rest)?).ok()?;
                (if text == "null" { NOTHING } else { read(text, arena).ok()? }, rest)
            }
        };
        // One that comes twice is none.
        context.replace(read).is_none().then_some(rest)
    })?;
    skim::space(rest).is_empty().then_some(context.unwrap_or(NOTHING))
}

/// An empty context.
const NOTHING: (DataValue<'_>, usize) = (DataValue::Object(&[]), 0);

/// What is wanted of an object, and what is left of the text behind it.
fn read_of<'a>(text: &'a [u8], wanted: &'a [Box<str>], arena: &'a Bump) -> Option<((DataValue<'a>, usize), &'a [u8])> {
    let (widest, too_deep) = (Cell::new(0), Cell::new(false));
    let reader = Reader { arena, depth: 1, widest: &widest, too_deep: &too_deep };
    let mut read = Vec::with_capacity(wanted.len());
    let rest = skim::members(text, |name, value| {
        let rest = skim::value(value)?;
        let name = meant(name, arena);
        let wanted = wanted.iter().find(|one| Some(one.as_bytes()) == name);
        if let Some(name) = wanted.filter(|name| ***name != *FLAGD) {
            read.push((&**name, reader.value(skim::up_to(value, rest)?)?));
        }
        Some(rest)
    })?;
    Some(((reader.object(read), widest.get()), rest))
}

/// A name as it is meant; nothing where it means no text, and so cannot be asked for.
fn meant<'a>(name: Written<'a>, arena: &'a Bump) -> Option<&'a [u8]> {
    if name.has_escapes { decoded(name, arena) } else { Some(name.text) }
}

#[cold]
fn decoded<'a>(name: Written<'_>, arena: &'a Bump) -> Option<&'a [u8]> {
    let name: String = serde_json::from_slice(&[b"\"", name.text, b"\""].concat()).ok()?;
    Some(arena.alloc_slice_copy(name.as_bytes()))
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

    /// What is made of a text that is one value.
    fn value(&self, text: &'a [u8]) -> Option<DataValue<'a>> {
        if let [b'"', plain @ .., b'"'] = text
            && !plain.contains(&b'\\')
        {
            // As most are: what stands there is what is meant.
            return std::str::from_utf8(plain).ok().map(DataValue::String);
        }
        self.deserialize(&mut serde_json::Deserializer::from_slice(text)).ok()
    }

    /// The object of these members.
    fn object(&self, mut members: Vec<(&'a str, DataValue<'a>)>) -> DataValue<'a> {
        // Stable, so that of duplicates the last one stays behind the others, from where it overwrites them.
        members.sort_by_key(|(name, _)| *name);
        members.dedup_by(|later, kept| {
            let duplicate = later.0 == kept.0;
            if duplicate {
                *kept = *later;
            }
            duplicate
        });
        self.widest.set(self.widest.get().max(members.len()));
        DataValue::Object(self.arena.alloc_slice_copy(&members))
    }
}

impl<'a> DeserializeSeed<'a> for Reader<'a, '_> {
    type Value = DataValue<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<DataValue<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Reader<'a, '_> {
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

    /// As it stands in the request: only what was escaped there has to be written anew.
    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<DataValue<'a>, E> {
        Ok(DataValue::String(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<DataValue<'a>, E> {
        Ok(DataValue::String(self.arena.alloc_str(text)))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut elements: A) -> Result<DataValue<'a>, A::Error> {
        let (reader, mut read) = (self.deeper()?, Vec::new());
        while let Some(element) = elements.next_element_seed(reader)? {
            read.push(element);
        }
        Ok(DataValue::Array(self.arena.alloc_slice_copy(&read)))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<DataValue<'a>, A::Error> {
        let (reader, mut read) = (self.deeper()?, Vec::<(&str, DataValue)>::with_capacity(USUAL));
        while let Some(name) = members.next_key_seed(Name(self.arena))? {
            let value = members.next_value_seed(reader)?;
            // In no scope may a client speak for the evaluator, and paths begin in objects of any depth.
            if name != FLAGD {
                read.push((name, value));
            }
        }
        Ok(self.object(read))
    }
}

struct Name<'a>(&'a Bump);

impl<'a> DeserializeSeed<'a> for Name<'a> {
    type Value = &'a str;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<&'a str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name<'a> {
    type Value = &'a str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<&'a str, E> {
        Ok(name)
    }

    fn visit_str<E>(self, name: &str) -> Result<&'a str, E> {
        Ok(self.0.alloc_str(name))
    }
}
