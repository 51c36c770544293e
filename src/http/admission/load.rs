//! What one request takes of what there is, and gives back by going away: slots, room for its body, and room
//! for its answer while that is being sent.

use super::{ANSWERS_OF_TENANT, Counter, Crowd, Entrance};
use crate::http::problem::Problem;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

/// What the body of each request may have beside the room for all: most have no more, and there are only so many requests.
pub(super) const SMALL: usize = 4096;

/// What a request takes beside its first slot; given back when this is dropped.
pub(in crate::http) struct Load {
    pub(super) entrance: Rc<Entrance>,
    pub(super) share: Option<Counter>,
    /// Slots beyond the first.
    pub(super) more: Cell<u32>,
    /// Of the body, so far.
    pub(super) bytes: Cell<usize>,
}

/// How much of a body needs room.
fn room(bytes: usize) -> usize {
    bytes.saturating_sub(SMALL)
}

impl Load {
    /// How many slots the request has.
    pub(in crate::http) fn slots(&self) -> u32 {
        1 + self.more.get()
    }

    /// Gives back what the request has beyond so many slots.
    pub(in crate::http) fn weigh(&self, slots: u32) {
        let kept = self.more.get().min(slots.saturating_sub(1));
        let back = self.more.replace(kept) - kept;
        self.entrance.admission.in_flight.fetch_sub(back, Relaxed);
        if let Some(counter) = &self.share {
            counter.slots.fetch_sub(back, Relaxed);
        }
    }

    /// Takes room for so many more bytes of the request's body.
    ///
    /// # Errors
    /// 503 `overloaded` when the bodies of others fill it, `tenant_busy` when those of the tenant fill its part.
    pub(in crate::http) fn hold(&self, bytes: usize) -> Result<(), Problem> {
        let admission = &self.entrance.admission;
        let before = self.bytes.replace(self.bytes.get() + bytes);
        let bytes = room(before + bytes) - room(before);
        if bytes == 0 {
            return Ok(());
        }
        let all = admission.body_bytes.fetch_add(bytes, Relaxed) + bytes;
        let own = self.share.as_ref().map_or(0, |share| share.body_bytes.fetch_add(bytes, Relaxed) + bytes);
        if own > admission.most_body_bytes_of_tenant {
            return Err(admission.refuse(Crowd::BodiesOfTenant));
        }
        if all <= admission.most_body_bytes { Ok(()) } else { Err(admission.refuse(Crowd::Bodies)) }
    }

    /// Whether the tenant reads its large answers as fast as it asks for them.
    ///
    /// # Errors
    /// 503 `tenant_busy` when those that are still being sent fill its part.
    pub(in crate::http) fn room_to_answer(&self) -> Result<(), Problem> {
        let sending = self.share.as_ref().map_or(0, |share| share.answer_bytes.load(Relaxed));
        if sending < ANSWERS_OF_TENANT { Ok(()) } else { Err(self.entrance.admission.refuse(Crowd::AnswersOfTenant)) }
    }

    /// Takes so many bytes for an answer, for as long as it is being sent.
    pub(in crate::http) fn sends(&self, bytes: usize) -> Sending {
        let (entrance, share) = (self.entrance.clone(), self.share.clone());
        entrance.admission.answer_bytes.fetch_add(bytes, Relaxed);
        if let Some(share) = &share {
            share.answer_bytes.fetch_add(bytes, Relaxed);
        }
        Sending { entrance, share, bytes }
    }
}

/// The bytes of an answer on its way; given back when this is dropped.
pub(in crate::http) struct Sending {
    entrance: Rc<Entrance>,
    share: Option<Counter>,
    bytes: usize,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.entrance.admission.answer_bytes.fetch_sub(self.bytes, Relaxed);
        if let Some(share) = &self.share {
            share.answer_bytes.fetch_sub(self.bytes, Relaxed);
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let admission = &self.entrance.admission;
        let (more, bytes) = (self.more.get(), room(self.bytes.get()));
        if let Some(counter) = &self.share {
            counter.slots.fetch_sub(1 + more, Relaxed);
            if bytes > 0 {
                counter.body_bytes.fetch_sub(bytes, Relaxed);
            }
        }
        if more > 0 {
            admission.in_flight.fetch_sub(more, Relaxed);
        }
        if bytes > 0 {
            admission.body_bytes.fetch_sub(bytes, Relaxed);
        }
    }
}
