//! A number that many threads add to, for what every request counts: an atomic addition waits until all that was written
//! before is seen by everyone, which takes as long as fifty other instructions. Here each thread adds to a part of its own.

use parking_lot::Mutex;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The number, modulo 2^64.
#[derive(Debug, Default)]
pub struct Sum {
    shared: AtomicU64,
    parts: Mutex<Vec<Arc<AtomicU64>>>,
}

impl Sum {
    /// Adds to what all threads share, for what is rare.
    pub fn add(&self, number: u64) {
        self.shared.fetch_add(number, Relaxed);
    }

    /// A part for one thread. It stays when the thread ends: to be made once per worker.
    pub fn part(&self) -> Part {
        let part = Arc::<AtomicU64>::default();
        self.parts.lock().push(part.clone());
        Part { part, on_one_thread: PhantomData }
    }

    /// The sum now.
    pub fn get(&self) -> u64 {
        let parts = self.parts.lock();
        parts.iter().fold(self.shared.load(Relaxed), |sum, part| sum.wrapping_add(part.load(Relaxed)))
    }
}

/// What one thread adds; see [`Sum::part`].
#[derive(Debug)]
pub struct Part {
    part: Arc<AtomicU64>,
    /// Nobody else writes it: it is neither cloned nor shared among threads.
    on_one_thread: PhantomData<Cell<u64>>,
}

impl Part {
    /// Adds to the part.
    pub fn add(&self, number: u64) {
        self.part.store(self.part.load(Relaxed).wrapping_add(number), Relaxed);
    }

    /// Takes from it.
    pub fn take(&self, number: u64) {
        self.add(number.wrapping_neg());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_add_and_take_is_all_there_once_they_are_done() {
        let sum = Sum::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let part = sum.part();
                    for _ in 0..10_000 {
                        part.add(3);
                        part.take(1);
                        sum.add(1);
                    }
                });
            }
        });
        assert_eq!(sum.get(), 4 * 10_000 * 3);
        sum.part().take(120_001);
        assert_eq!(sum.get(), u64::MAX, "modulo 2^64");
    }
}
