//! What an evaluation knows about whom it is for: the client's JSON object, read once into memory that is used again.
//! The objects in it are sorted and without duplicates, which is what makes looking into them cheap.

use super::context_fault::ContextFault;
use super::context_reader;
use datalogic_rs::DataValue;
use datalogic_rs::bumpalo::Bump;
use std::cell::{RefCell, RefMut};
use std::ops::Deref;

/// Memory for contexts and for what evaluations need on the way. One for each worker, reset between requests.
#[derive(Debug, Default)]
pub struct Arena {
    context: Bump,
    scratch: RefCell<Bump>,
}

/// What an arena may keep between two uses, in bytes: what one large request needed is given back.
const KEPT: usize = 256 * 1024;

impl Arena {
    /// Empty, without memory yet.
    pub fn new() -> Arena {
        Arena::default()
    }

    /// Frees what was read into it, and keeps the memory unless it is much.
    pub fn reset(&mut self) {
        empty(&mut self.context);
    }
}

#[cfg(test)]
impl Arena {
    /// The memory that it holds, in bytes.
    pub(super) fn held(&self) -> usize {
        self.context.allocated_bytes() + self.scratch.borrow().allocated_bytes()
    }
}

fn empty(memory: &mut Bump) {
    if memory.allocated_bytes() > KEPT {
        *memory = Bump::new();
    } else {
        memory.reset();
    }
}

/// An evaluation context: a JSON object of the client, without its `$flagd`, which is the evaluator's to say.
pub struct Context<'a> {
    root: &'a DataValue<'a>,
    widest: usize,
    scratch: &'a RefCell<Bump>,
}

impl<'a> Context<'a> {
    /// Reads the JSON object of a request. Where a member is there twice, the last one counts.
    ///
    /// # Errors
    /// It is no JSON object, is longer than 1 MiB, nests deeper than 64, or has a number beyond a double.
    pub fn parse(json: &str, arena: &'a Arena) -> Result<Context<'a>, ContextFault> {
        // What is read refers to the text.
        let (root, widest) = context_reader::read(arena.context.alloc_str(json), &arena.context)?;
        Ok(Context { root: arena.context.alloc(root), widest, scratch: &arena.scratch })
    }

    /// The context in the body of a request, its member `context`; an empty one where there is none. Members that are not
    /// `wanted` are gone over, and no more is known of them than that they are JSON: where nothing is said, all are wanted.
    /// Nothing where the body is not such an object: it has to be looked at anew, for what is wrong with it.
    pub fn within(body: &'a [u8], wanted: Option<&'a [Box<str>]>, arena: &'a Arena) -> Option<Context<'a>> {
        let (root, widest) = context_reader::read_in(body, wanted, &arena.context)?;
        Some(Context { root: arena.context.alloc(root), widest, scratch: &arena.scratch })
    }

    /// The context of a request that brought none.
    pub fn empty(arena: &'a Arena) -> Context<'a> {
        Context { root: arena.context.alloc(DataValue::Object(&[])), widest: 0, scratch: &arena.scratch }
    }

    /// Members of its widest object.
    pub(super) fn widest(&self) -> usize {
        self.widest
    }

    /// The object.
    pub(super) fn root(&self) -> &'a DataValue<'a> {
        self.root
    }

    /// Memory for an evaluation. None while another has it.
    pub(super) fn scratch(&self) -> Option<Scratch<'a>> {
        self.scratch.try_borrow_mut().ok().map(Scratch)
    }
}

/// The memory of the evaluation under way.
pub(super) struct Scratch<'a>(RefMut<'a, Bump>);

impl Scratch<'_> {
    /// Frees what the evaluation made.
    pub(super) fn empty(&mut self) {
        empty(&mut self.0);
    }
}

impl Deref for Scratch<'_> {
    type Target = Bump;

    fn deref(&self) -> &Bump {
        &self.0
    }
}

/// Shows nothing of what the client sent.
impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("widest", &self.widest).finish_non_exhaustive()
    }
}
