//! PUBLISH, and who hears it: whoever listens in this process. Each has a queue that is bounded; one that is full when
//! something is published is closed, as Redis closes the connection of who does not read.

use super::refusal::{Answer, wrong_arity};
use super::table::Table;
use crate::db::reply::Reply;
use crate::db::transport::MAX_MESSAGE_BYTES;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How many messages wait for one listener at most.
const QUEUE: usize = 256;

/// Who listens, by channel.
#[derive(Default)]
pub(super) struct Channels(Mutex<HashMap<Bytes, Vec<Sender<Bytes>>>>);

impl Channels {
    /// From now on what is published there is put into the queue, until that is full or dropped.
    pub fn listen(&self, name: &str) -> Receiver<Bytes> {
        let (sender, queue) = channel(QUEUE);
        let mut all = self.0.lock();
        let listeners = all.entry(Bytes::copy_from_slice(name.as_bytes())).or_default();
        listeners.retain(|listener| !listener.is_closed());
        listeners.push(sender);
        queue
    }

    /// Puts a message into the queues of a channel, and closes those that cannot take it: how many took it.
    fn publish(&self, name: &Bytes, message: &Bytes) -> usize {
        let mut all = self.0.lock();
        let Some(listeners) = all.get_mut(name) else { return 0 };
        let fits = message.len() <= MAX_MESSAGE_BYTES;
        listeners.retain(|listener| fits && listener.try_send(message.clone()).is_ok());
        let heard = listeners.len();
        if heard == 0 {
            all.remove(name);
        }
        heard
    }
}

pub(super) fn publish(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, name, message] = args else { return Err(wrong_arity("publish")) };
    let heard = table.channels().map_or(0, |channels| channels.publish(name, message));
    Ok(Reply::Int(i64::try_from(heard).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_full_is_closed_and_the_others_go_on() {
        let channels = Channels::default();
        let (mut slow, mut quick) = (channels.listen("c"), channels.listen("c"));
        let publish = |text: &'static str| channels.publish(&"c".into(), &text.into());
        for _ in 0..QUEUE {
            assert_eq!(publish("m"), 2);
            assert_eq!(quick.try_recv(), Ok("m".into()));
        }
        assert_eq!(publish("last"), 1);
        assert_eq!(quick.try_recv(), Ok("last".into()));
        let mut held = 0;
        while slow.try_recv().is_ok() {
            held += 1;
        }
        assert_eq!(held, QUEUE);
        assert!(slow.is_closed() && !quick.is_closed());
    }

    #[test]
    fn nothing_is_kept_of_those_who_have_gone() {
        let channels = Channels::default();
        for _ in 0..100 {
            drop(channels.listen("c"));
        }
        assert_eq!(channels.0.lock().values().map(Vec::len).sum::<usize>(), 1);
        assert_eq!(channels.publish(&"c".into(), &"m".into()), 0);
        assert!(channels.0.lock().is_empty());
    }
}
