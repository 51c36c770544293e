//! Checks of one limiter that are under way at the same time, put to the backend together.
//!
//! A limit that everybody meets (what a whole tenant may use, say) is one key in one place, and every request asks for it.
//! So whoever comes while two others ask for the very same waits for one of them, and then one question is asked for all
//! who wait: a check of their costs together is what theirs would be one after the other, if it is allowed. If it is not,
//! as many as fit are asked for, and what the next one is told holds for the rest. Who is alone waits for nobody.

use super::remembered::known_or_new;
use super::store::RateLimits;
use super::types::{Check, Checked, Decision, Error};
use crate::base::text::TenantId;
use crate::db;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Limiters that are told apart when it is asked whether anybody else is under way.
const COUNTS: usize = 1024;
/// Limiters that are asked for by several at a time. For a forgotten one, fewer are asked for together.
const REMEMBERED: usize = 10_000;

/// Who asks for what in this process.
pub(super) struct Together {
    under_way: Box<[AtomicU32]>,
    queues: Cache<(TenantId, Check), Arc<Queue>>,
    hasher: RandomState,
}

/// One who waits: whom to ask in its stead, and where it hears the answer.
type Waiting = (RateLimits, oneshot::Sender<Result<Checked, Error>>);

/// Those who wait while somebody asks; nothing while nobody does.
#[derive(Default)]
struct Queue(Mutex<Option<VecDeque<Waiting>>>);

/// One that is under way, until it is dropped.
struct UnderWay<'a>(&'a AtomicU32);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Together {
    pub(super) fn new() -> Self {
        let under_way = std::iter::repeat_with(AtomicU32::default).take(COUNTS).collect();
        Together { under_way, queues: Cache::new(REMEMBERED), hasher: RandomState::new() }
    }

    /// As [`RateLimits::check`] of one check, which is not shadowed: those count whatever there is.
    ///
    /// # Errors
    /// As there. Those who were asked for together share it.
    pub(super) async fn check(&self, tenant: &TenantId, check: &Check, backend: &RateLimits) -> Result<Checked, Error> {
        let place = usize::try_from(self.hasher.hash_one((tenant, check)) % COUNTS as u64).unwrap_or(0);
        let Some(count) = self.under_way.get(place) else { return backend.check(from_ref(check)).await };
        let others = count.fetch_add(1, Relaxed);
        let _until_told = UnderWay(count);
        if others == 0 { backend.check(from_ref(check)).await } else { self.queued(tenant, check, backend).await }
    }

    async fn queued(&self, tenant: &TenantId, check: &Check, backend: &RateLimits) -> Result<Checked, Error> {
        let queue = known_or_new(&self.queues, &(tenant.clone(), check.clone()));
        let told = {
            let mut waiting = queue.0.lock();
            match &mut *waiting {
                Some(waiting) => {
                    let (tell, told) = oneshot::channel();
                    waiting.push_back((backend.clone(), tell));
                    Some(told)
                }
                None => {
                    *waiting = Some(VecDeque::new());
                    None
                }
            }
        };
        match told {
            Some(told) => told.await.unwrap_or_else(|_| Err(db::Error::unexpected("an answer for all").into())),
            None => {
                let _then_the_others = Asking { queue, check };
                backend.check(from_ref(check)).await
            }
        }
    }
}

/// Somebody who asks for itself. When it has been told, or has left, those who came meanwhile have their turn.
struct Asking<'a> {
    queue: Arc<Queue>,
    check: &'a Check,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let next = self.queue.next();
        // Without a runtime nobody waits any more.
        if let (Some(next), Ok(runtime)) = (next, Handle::try_current()) {
            // A task of its own: whoever it is for may leave, and what was counted is for all of them.
            drop(runtime.spawn(self.queue.clone().ask_for_all(self.check.clone(), next)));
        }
    }
}

impl Queue {
    /// Those who wait now; without any, nobody asks any more.
    fn next(&self) -> Option<VecDeque<Waiting>> {
        let mut waiting = self.0.lock();
        let next = waiting.take().filter(|next| !next.is_empty());
        *waiting = next.as_ref().map(|_| VecDeque::new());
        next
    }

    async fn ask_for_all(self: Arc<Self>, check: Check, mut next: VecDeque<Waiting>) {
        loop {
            // Who left before it was asked for is not counted.
            next.retain(|(_, tell)| !tell.is_closed());
            ask_for(&check, next).await;
            match self.next() {
                Some(others) => next = others,
                None => return,
            }
        }
    }
}

/// Asks for these, and tells each.
async fn ask_for(check: &Check, mut waiting: VecDeque<Waiting>) {
    let mut fit = usize::MAX;
    // Whoever came last waits longest.
    while let Some((backend, _)) = waiting.back() {
        let most = usize::try_from(check.quota.room() / check.cost.max(1)).unwrap_or(usize::MAX);
        let many = waiting.len().min(most).min(fit).max(1);
        let all = Check { cost: check.cost.saturating_mul(many as u64), ..check.clone() };
        let asked = backend.check(from_ref(&all)).await;
        match asked.as_ref().map(decided) {
            Ok(Some(decision)) if decision.allowed => {
                for (told, (_, tell)) in waiting.drain(..many).enumerate() {
                    let after = check.cost.saturating_mul((many - 1 - told) as u64);
                    let current = decision.current.saturating_sub(after);
                    // Who has left meanwhile is counted, as if it had left a moment later.
                    drop(tell.send(Ok(Checked::Decided(vec![Decision { current, ..decision }]))));
                }
                fit = usize::MAX;
            }
            Ok(Some(decision)) if many > 1 => {
                let left = check.quota.room().saturating_sub(decision.current) / check.cost.max(1);
                fit = usize::try_from(left).unwrap_or(usize::MAX).clamp(1, many - 1);
            }
            _ => {
                for (_, tell) in waiting.drain(..) {
                    drop(tell.send(asked.clone()));
                }
            }
        }
    }
}

fn decided(checked: &Checked) -> Option<Decision> {
    match checked {
        Checked::Decided(decisions) => decisions.first().copied(),
        Checked::TooManyWindows(_) => None,
    }
}

#[cfg(test)]
mod tests;
