//! What one worker remembers of the keys that came to it last, each with the [`Epoch`] in which it was found good. It is asked
//! before what all workers share: without a lock, and without a count of references that others write too.

use super::api_key::{KeyId, PresentedKey};
use super::credential::Credential;
use super::freshness::Epoch;
use super::last_used;
use super::registry::{Identity, Registry, Verification};
use crate::base::deadline::Deadline;
use crate::base::sum::Part;
use crate::db::Error;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// How many there is room for.
const ROOM: usize = 1024;

/// A registry as one worker asks it.
pub struct RecentKeys {
    registry: Arc<Registry>,
    hits: Part,
    /// Each has one place, by its id.
    places: RefCell<Vec<Option<Recent>>>,
}

struct Recent {
    epoch: Epoch,
    /// From when on the registry is asked again, by the steady clock, in microseconds: in another hour it is to be noted that the
    /// key was used.
    until: u64,
    identity: Rc<Identity>,
}

impl RecentKeys {
    /// None yet.
    pub fn of(registry: Arc<Registry>) -> Self {
        let places = RefCell::new((0..ROOM).map(|_| None).collect());
        RecentKeys { hits: registry.lookups().hits_of_thread(), registry, places }
    }

    /// The registry.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// [`Registry::verify_if`]: whose credential it is, if it is anybody's.
    pub async fn verify_if<P, E: From<Error>>(
        &self,
        presented: Credential<'_>,
        deadline: Deadline,
        may: impl Fn() -> Result<P, E>,
    ) -> Result<Option<Rc<Identity>>, E> {
        let (key, looked) = (presented.key(), self.registry.freshness.look_at_once());
        if let (Some(key), Some((epoch, now))) = (&key, looked)
            && let Some(identity) = self.find(key, epoch, now)
        {
            self.hits.add(1);
            return Ok(Some(identity));
        }
        let Verification::Known(identity) = self.registry.verify_if(presented, deadline, may).await? else {
            return Ok(None);
        };
        let identity = Rc::new(identity);
        // The epoch from before: what was loaded in a later one is asked for once more.
        if let Some((epoch, now)) = looked {
            self.keep(epoch, now, &identity);
        }
        Ok(Some(identity))
    }

    pub(super) fn find(&self, key: &PresentedKey<'_>, epoch: Epoch, now: u64) -> Option<Rc<Identity>> {
        let places = self.places.borrow();
        let recent = places.get(place(key.id()))?.as_ref()?;
        // First what is no work: it may be no longer known, or another key may have the same place.
        let may_be_it = recent.epoch == epoch && now < recent.until && recent.identity.key.id == key.id();
        (may_be_it && recent.identity.key.is(key)).then(|| recent.identity.clone())
    }

    fn keep(&self, epoch: Epoch, now: u64, identity: &Rc<Identity>) {
        let time = self.registry.now();
        let left = last_used::left_of_hour(time);
        // One that ends soon is looked at each time: the backend's clock may be set before it does.
        if identity.key.is_expired(time + left + last_used::HOUR) {
            return;
        }
        let until = now.saturating_add(u64::try_from(left.as_micros()).unwrap_or(u64::MAX));
        if let Some(place) = self.places.borrow_mut().get_mut(place(identity.key.id)) {
            *place = Some(Recent { epoch, until, identity: identity.clone() });
        }
    }
}

/// Ids are random text.
fn place(id: KeyId) -> usize {
    id.as_str().bytes().take(8).fold(0, |place, byte| place * 31 + usize::from(byte)) % ROOM
}
