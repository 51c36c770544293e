//! What one worker remembers of the flags that it evaluated last. It is asked before what all workers share: without a lock, and
//! without a count of references that others write too.

use super::{Current, Held, Live, note_use};
use crate::base::deadline::Deadline;
use crate::base::sum::Part;
use crate::base::text::TenantId;
use crate::db::Error;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// For how many tenants there is room. What a worker holds is not let go before its next request.
const ROOM: usize = 64;

/// The flags of all tenants as one worker asks for them.
pub struct RecentFlags {
    live: Arc<Live>,
    hits: Part,
    recent: RefCell<Recent>,
}

/// What was known when there had been so many changes.
struct Recent {
    changes: u64,
    /// Each tenant has one place, by its id.
    places: Vec<Option<Held>>,
}

impl RecentFlags {
    /// None yet.
    pub fn of(live: Arc<Live>) -> Self {
        let recent = RefCell::new(Recent { changes: 0, places: vec![None; ROOM] });
        RecentFlags { hits: live.lookups.hits_of_thread(), live, recent }
    }

    /// What all workers share.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// [`Live::current`].
    pub async fn current(&self, tenant: &TenantId, deadline: Deadline) -> Result<Current, Error> {
        note_use(&self.live.is_used);
        let asked = self.live.clock.coarse_micros();
        // Before it is asked for: what changes meanwhile is asked for again.
        let changes = self.live.changes.load(Ordering::Acquire);
        if self.live.has_looked(asked)
            && let Some(known) = self.find(tenant, changes)
        {
            self.hits.add(1);
            return Ok(self.live.used(known, asked));
        }
        let current = self.live.current(tenant, deadline).await?;
        self.recent.borrow_mut().keep(changes, &current.known);
        Ok(current)
    }

    pub(super) fn find(&self, tenant: &TenantId, changes: u64) -> Option<Held> {
        let recent = self.recent.borrow();
        let known = recent.places.get(place(tenant))?.as_ref()?;
        (recent.changes == changes && known.place.tenant == *tenant).then(|| known.clone())
    }
}

impl Recent {
    fn keep(&mut self, changes: u64, known: &Held) {
        if self.changes != changes {
            self.places.fill(None);
            self.changes = changes;
        }
        if let Some(place) = self.places.get_mut(place(&known.place.tenant)) {
            *place = Some(known.clone());
        }
    }
}

fn place(tenant: &TenantId) -> usize {
    tenant.as_str().bytes().fold(0_usize, |place, byte| place.wrapping_mul(31).wrapping_add(byte.into())) % ROOM
}
