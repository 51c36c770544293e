//! What is wrong with a document of flags, and where.

use std::fmt::Write;

/// The most faults that are told at once.
const MOST: usize = 100;

/// Something that is wrong with a document of flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it is in the document, an RFC 6901 pointer.
    pub pointer: String,
    /// What is wrong, for people.
    pub detail: String,
}

impl Fault {
    /// The same for somebody who knows of one flag of the document alone: a place in it is told from there.
    pub fn within(self, key: &str) -> Fault {
        let flag = At::Member(&At::Member(&At::Document, "flags"), key).pointer();
        let inside = self.pointer.strip_prefix(&flag).filter(|inside| inside.is_empty() || inside.starts_with('/'));
        Fault { pointer: inside.map_or(self.pointer.clone(), str::to_owned), ..self }
    }
}

/// A place in the document, known by the places around it, so that nothing is written until there is a fault.
#[derive(Clone, Copy)]
pub(super) enum At<'p> {
    Document,
    Member(&'p At<'p>, &'p str),
    Element(&'p At<'p>, usize),
}

impl At<'_> {
    /// The place as an RFC 6901 pointer.
    pub(super) fn pointer(&self) -> String {
        let mut pointer = String::new();
        self.write(&mut pointer);
        pointer
    }

    fn write(&self, to: &mut String) {
        match self {
            At::Document => {}
            At::Member(around, name) => {
                around.write(to);
                to.push('/');
                to.push_str(&name.replace('~', "~0").replace('/', "~1"));
            }
            At::Element(around, index) => {
                around.write(to);
                // Writing to a text cannot fail.
                let written = write!(to, "/{index}");
                debug_assert!(written.is_ok());
            }
        }
    }
}

/// The faults found so far, of which only the first hundred are kept.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn push(&mut self, at: &At<'_>, detail: impl Into<String>) {
        if !self.is_full() {
            self.push_at(at.pointer(), detail);
        }
    }

    pub(super) fn push_at(&mut self, pointer: String, detail: impl Into<String>) {
        if !self.is_full() {
            self.0.push(Fault { pointer, detail: detail.into() });
        }
    }

    /// Whether one more would not be told.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_result<T>(self, value: T) -> Result<T, Vec<Fault>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

/// What someone wrote, short enough to be told.
pub(super) fn quoted(text: &str) -> String {
    let (start, more) = match text.char_indices().nth(64) {
        Some((end, _)) => (text.get(..end).unwrap_or_default(), "…"),
        None => (text, ""),
    };
    format!("\"{}{more}\"", start.escape_debug())
}
