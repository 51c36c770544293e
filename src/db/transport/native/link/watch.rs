//! Sees that a connection serves. A peer that is gone without a word (a black hole), one that drips bytes
//! which complete nothing, and one that is so far behind that it answers only callers who have given up
//! look alike from here: calls wait, and nobody is served.
//!
//! A tick is as long as an attempt may take, and at least half a second. Two ticks in a row at whose ends calls
//! wait, and between which nobody got an answer in time, are timeouts in a row: of every caller that there
//! was. No PING is sent: each command is one, so an idle connection is asked nothing (and, where commands are
//! billed, costs nothing) until somebody needs it, whose first command then finds out within two ticks. By
//! default that is 1 to 1.5 s.
//!
//! One timer per connection and tick, none while it is idle, and no look at the clock per call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// A connection that serves nobody for this many ticks is given up.
const MOST: u32 = 2;

/// The watch over one connection.
pub(super) struct Watch {
    tick: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// How many had been served at the last tick, and how many ticks it has been as many.
    served: u64,
    quiet: u32,
}

impl Watch {
    pub(super) fn new(tick: Duration) -> Self {
        Watch { tick, timer: None, served: 0, quiet: 0 }
    }

    /// Ready once the connection is to be given up. To be polled after whatever has arrived was handed out:
    /// a thread that was held up finds answers that are not late through the peer's fault.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, anybody_waits: bool, served: u64) -> Poll<()> {
        loop {
            let Some(timer) = &mut self.timer else {
                if !anybody_waits {
                    return Poll::Pending;
                }
                (self.served, self.quiet) = (served, 0);
                self.timer = Some(Box::pin(tokio::time::sleep(self.tick)));
                continue;
            };
            ready!(timer.as_mut().poll(context));
            if !anybody_waits {
                self.timer = None;
                return Poll::Pending;
            }
            self.quiet = if served == self.served { self.quiet + 1 } else { 0 };
            self.served = served;
            if self.quiet >= MOST {
                return Poll::Ready(());
            }
            timer.as_mut().reset(Instant::now() + self.tick);
        }
    }
}
