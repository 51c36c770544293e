//! Faults in a row, at random, against callers who share requests and retries: whoever is answered has the
//! right answer, and what is said of a write is so. `REST_SEED` repeats a run.
#![allow(clippy::print_stdout, reason = "the seed is what repeats a failure")]

use super::kinds::{Kind, kinds};
use super::*;
use agentapi::base::id;
use agentapi::db::transport::layers::retry::Retry;
use agentapi::db::transport::layers::timeout::Timeout;
use futures_util::future::join_all;
use std::sync::atomic::{AtomicUsize, Ordering};

const ROUNDS: usize = 120;
const CALLERS: usize = 6;

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

#[tokio::test]
async fn whatever_fails_in_a_row_nobody_gets_a_wrong_answer_and_no_write_is_misreported() {
    let given = std::env::var("REST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from_le_bytes(id::random_bytes().unwrap()));
    println!("REST_SEED={seed}");
    let mut dice = Dice(seed);
    let redis = Redis::start();
    let double = RestDouble::start(redis.port, CANARY);
    let limit = Duration::from_secs(20);
    let bounded =
        RestSettings { max_reply_bytes: 64 * 1024, command_timeout: limit, ..settings(&double.url(), CANARY) };
    let rest = Arc::new(Rest::new(&bounded).unwrap());
    let honest = Rest::new(&settings(&double.url(), CANARY)).unwrap();
    let stack = Retry::new(Timeout::new(Pipelining::new(rest, IN_FLIGHT), limit));
    // One that sends twice, or after its time, leaves its connection to the next request as it is.
    let kinds: Vec<Kind> = kinds(&double.url()).into_iter().filter(|kind| !kind.hangs).collect();
    let (mut refused, mut served) = (0, 0);
    for round in 0..ROUNDS {
        let row: Vec<&Kind> = (0..=dice.below(3)).map(|_| &kinds[dice.below(kinds.len())]).collect();
        let case = format!("seed {seed}, round {round}: {:?}", row.iter().map(|kind| kind.name).collect::<Vec<_>>());
        let (faults, next) = (row.iter().map(|kind| kind.fault.clone()).collect::<Vec<_>>(), AtomicUsize::new(0));
        double.inject(move |_, _| faults.get(next.fetch_add(1, Ordering::SeqCst)).cloned());
        let calls = (0..CALLERS).map(|caller| {
            let own = format!("{seed}:{round}:{caller}");
            let echo = || Command::raw(Effect::Read, ["ECHO".to_owned(), own.clone()]);
            let count = Command::raw(Effect::Once, ["INCR".to_owned(), own.clone()]);
            let batch = match caller % 3 {
                0 => Batch::one(echo()),
                1 => Batch::pipeline(vec![echo(), count, echo()]),
                _ => Batch::atomic(vec![echo(), count]),
            };
            let stack = &stack;
            async move { (own, stack.execute(&batch).await, batch) }
        });
        let outcomes = join_all(calls.collect::<Vec<_>>()).await;
        double.heal();
        for (own, outcome, batch) in outcomes {
            let stored = say_batch(&honest, Command::raw(Effect::Read, ["GET".to_owned(), own.clone()])).await.unwrap();
            let done = if stored == Reply::Nil { 0 } else { 1 };
            assert!(stored == Reply::Nil || stored == Reply::Bulk("1".into()), "{case}: done twice: {stored:?}");
            match outcome {
                Ok(replies) => {
                    served += 1;
                    for (command, reply) in batch.commands().iter().zip(&replies) {
                        let is_echo = command.effect() == Effect::Read;
                        let right = if is_echo { Reply::Bulk(own.clone().into()) } else { Reply::Int(1) };
                        // What the endpoint itself says of a command is passed on.
                        let is_passed_on = matches!(reply, Reply::Refused(_) | Reply::Nil);
                        assert!(*reply == right || is_passed_on, "{case}: {reply:?} for {own}");
                        assert!(is_echo || *reply != right || done == 1, "{case}: not done");
                    }
                }
                Err(error) => {
                    refused += 1;
                    assert!(!format!("{error} {error:?}").contains(CANARY), "{case}");
                    let is_known = error.delivery != Delivery::Unknown;
                    assert!(!is_known || done == 0, "{case}: {error:?}, and it was done");
                }
            }
        }
    }
    assert!(served > ROUNDS && refused > ROUNDS / 4, "{served} served, {refused} refused: too few faults, or too many");
}
