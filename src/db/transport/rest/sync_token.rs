//! Read your writes: the endpoint names in `upstash-sync-token` how far it has come, and a replica that is
//! sent that name waits until it has come as far.

use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderValue};

/// The header, in both directions.
pub(super) const SYNC_TOKEN: &str = "upstash-sync-token";

/// Longer ones are not kept: they would ride on every request.
const LONGEST: usize = 1024;

/// The newest token that was received.
#[derive(Default)]
pub(super) struct SyncToken(Mutex<Newest>);

#[derive(Default)]
struct Newest {
    started: u64,
    token: Option<HeaderValue>,
    of: u64,
}

/// When a request started, among all requests of this client.
#[derive(Clone, Copy)]
pub(super) struct Turn(u64);

impl SyncToken {
    /// Starts a request: its turn, and the token to send if there is one.
    pub(super) fn begin(&self) -> (Turn, Option<HeaderValue>) {
        let mut newest = self.0.lock();
        newest.started += 1;
        (Turn(newest.started), newest.token.clone())
    }

    /// Keeps the token of an answer, unless a request that started later was answered before.
    pub(super) fn learn(&self, turn: Turn, headers: &HeaderMap) {
        let Some(token) = headers.get(SYNC_TOKEN).filter(|token| !token.is_empty() && token.len() <= LONGEST) else {
            return;
        };
        let mut newest = self.0.lock();
        if turn.0 > newest.of {
            newest.of = turn.0;
            newest.token = Some(token.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(token: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(SYNC_TOKEN.parse().unwrap(), HeaderValue::from_static(token))])
    }

    #[test]
    fn an_older_answer_that_comes_late_does_not_replace_a_newer_token() {
        let sync = SyncToken::default();
        let (first, none) = sync.begin();
        let (second, _) = sync.begin();
        assert!(none.is_none());
        sync.learn(second, &answer("two"));
        sync.learn(first, &answer("one"));
        assert_eq!(sync.begin().1.unwrap(), "two");
    }

    #[test]
    fn an_empty_or_missing_token_leaves_the_last_one() {
        let sync = SyncToken::default();
        sync.learn(sync.begin().0, &answer("one"));
        sync.learn(sync.begin().0, &answer(""));
        sync.learn(sync.begin().0, &HeaderMap::new());
        assert_eq!(sync.begin().1.unwrap(), "one");
    }
}
