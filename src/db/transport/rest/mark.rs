//! What tells the answer to one request from that to every other.

use crate::base::id;
use crate::db::{Delivery, Error, ErrorKind, Reply};
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes the marks of one client: its own random part, then a count.
pub(super) struct Marks {
    client: u64,
    count: AtomicU64,
}

impl Marks {
    pub(super) fn new() -> Self {
        // Without randomness the count still tells this client's own requests apart.
        let client = id::random_bytes().map(u64::from_le_bytes).unwrap_or_default();
        Marks { client, count: AtomicU64::new(0) }
    }

    /// A mark that was not used before.
    pub(super) fn next(&self) -> String {
        format!("{:x}.{:x}", self.client, self.count.fetch_add(1, Ordering::Relaxed))
    }
}

/// The replies without the last, which has to be the mark. An endpoint that refuses to repeat it says nothing
/// about whose answer this is; it is taken at its word, for its tokens may allow few commands.
pub(super) fn taken_off(mut replies: Vec<Reply>, mark: &str) -> Result<Vec<Reply>, Error> {
    match replies.pop() {
        Some(Reply::Bulk(bytes)) if bytes == mark => Ok(replies),
        Some(Reply::Refused(_)) => Ok(replies),
        _ => Err(Error::new(ErrorKind::Protocol("the answer is not that of this request"), Delivery::Unknown)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_requests_have_the_same_mark() {
        let (one, other) = (Marks::new(), Marks::new());
        let marks = std::collections::HashSet::from([one.next(), one.next(), other.next(), other.next()]);
        assert_eq!(marks.len(), 4);
    }

    #[test]
    fn an_answer_is_taken_with_its_own_mark_alone() {
        let answer = |last| taken_off(vec![Reply::Int(1), last], "a.1");
        assert_eq!(answer(Reply::Bulk("a.1".into())), Ok(vec![Reply::Int(1)]));
        for other in [Reply::Bulk("a.2".into()), Reply::Nil, Reply::Int(1), Reply::Status("a.1".into())] {
            assert_eq!(answer(other).unwrap_err().delivery, Delivery::Unknown);
        }
    }
}
