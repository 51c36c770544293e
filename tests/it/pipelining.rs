//! Shared requests: who travels with whom, and that nobody gets what belongs to another.

use agentapi::db::transport::layers::pipelining::Pipelining;
use agentapi::db::transport::{Execution, RedisTransport};
use agentapi::db::{Batch, Command, Delivery, Effect, Error, ErrorKind, Reply, TOO_LONG};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Answers each command with its last argument, one request per permit, and remembers the requests.
struct Echo {
    gate: Semaphore,
    requests: Mutex<Vec<(usize, bool)>>,
    spoil: Spoil,
}

enum Spoil {
    Nothing,
    OneReplyLess,
    OneReplyMore,
    Panic,
    Fail(Error),
}

impl Echo {
    fn new(permits: usize, spoil: Spoil) -> Arc<Self> {
        Arc::new(Echo { gate: Semaphore::new(permits), requests: Mutex::default(), spoil })
    }

    fn sizes(&self) -> Vec<usize> {
        self.requests.lock().iter().map(|(size, _)| *size).collect()
    }
}

impl RedisTransport for Echo {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            self.requests.lock().push((batch.commands().len(), batch.is_atomic()));
            self.gate.acquire().await.unwrap().forget();
            let answer = |command: &Command| Reply::Bulk(command.args().last().unwrap().clone());
            let mut replies: Vec<Reply> = batch.commands().iter().map(answer).collect();
            match &self.spoil {
                Spoil::Nothing => {}
                Spoil::OneReplyLess => drop(replies.pop()),
                Spoil::OneReplyMore => replies.push(Reply::Nil),
                Spoil::Panic => panic!("planted"),
                Spoil::Fail(error) => return Err(error.clone()),
            }
            Ok(replies)
        })
    }
}

fn command(text: impl Into<String>) -> Command {
    Command::raw(Effect::Once, [text.into().into_bytes()])
}

fn batch(texts: &[&str]) -> Batch {
    Batch::pipeline(texts.iter().map(|text| command(*text)).collect())
}

fn replies(texts: &[&str]) -> Result<Vec<Reply>, Error> {
    Ok(texts.iter().map(|text| Reply::Bulk(text.to_string().into())).collect())
}

type Call = tokio::task::JoinHandle<Result<Vec<Reply>, Error>>;

fn call(layer: &Arc<Pipelining>, batch: Batch) -> Call {
    let layer = Arc::clone(layer);
    tokio::spawn(async move { layer.execute(&batch).await })
}

/// Lets everything that can run do so: the runtime of these tests has one thread.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_lone_caller_is_sent_at_once() {
    let echo = Echo::new(1, Spoil::Nothing);
    let layer = Pipelining::new(echo.clone(), 2);
    assert_eq!(layer.execute(&batch(&["a", "b"])).await, replies(&["a", "b"]));
    assert_eq!(echo.sizes(), [2]);
}

#[tokio::test]
async fn no_more_requests_than_allowed_are_in_flight_and_the_rest_share_the_next() {
    let echo = Echo::new(0, Spoil::Nothing);
    let layer = Arc::new(Pipelining::new(echo.clone(), 2));
    let mut calls = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        calls.push(call(&layer, batch(&[name])));
        settle().await;
    }
    assert_eq!(echo.sizes(), [1, 1]);
    echo.gate.add_permits(1);
    settle().await;
    assert_eq!(echo.sizes(), [1, 1, 3]);
    echo.gate.add_permits(2);
    for (call, name) in calls.into_iter().zip(["a", "b", "c", "d", "e"]) {
        assert_eq!(call.await.unwrap(), replies(&[name]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_cost_a_tenth_of_a_request_per_operation_or_less() {
    const ROUNDS: usize = 50;
    /// A round trip.
    struct Far(Arc<Echo>);
    impl RedisTransport for Far {
        fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(2)).await;
                self.0.execute(batch).await
            })
        }
    }
    let echo = Echo::new(Semaphore::MAX_PERMITS, Spoil::Nothing);
    let layer = Arc::new(Pipelining::new(Arc::new(Far(echo.clone())), 2));
    let callers: Vec<_> = (0..64)
        .map(|caller| {
            let layer = Arc::clone(&layer);
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    let (first, second) = (format!("{caller}:{round}"), format!("{round}:{caller}"));
                    let batch = batch(&[&first, &second]);
                    assert_eq!(layer.execute(&batch).await, replies(&[&first, &second]));
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let per_operation = echo.sizes().len() as f64 / (64 * ROUNDS) as f64;
    assert!(per_operation <= 0.1, "{per_operation}");
}

#[tokio::test]
async fn an_atomic_batch_and_one_that_is_not_text_travel_alone() {
    let echo = Echo::new(0, Spoil::Nothing);
    let layer = Arc::new(Pipelining::new(echo.clone(), 1));
    let first = call(&layer, batch(&["a"]));
    settle().await;
    let atomic = call(&layer, Batch::atomic(vec![command("b"), command("c")]));
    let binary = call(&layer, Batch::one(Command::raw(Effect::Once, [b"\xff".to_vec()])));
    settle().await;
    assert_eq!(*echo.requests.lock(), [(1, false), (2, true), (1, false)]);
    echo.gate.add_permits(3);
    for call in [first, atomic, binary] {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_caller_that_leaves_takes_nothing_from_the_others() {
    let echo = Echo::new(0, Spoil::Nothing);
    let layer = Arc::new(Pipelining::new(echo.clone(), 1));
    let sent = call(&layer, batch(&["sent"]));
    settle().await;
    let [leaves, stays] = ["leaves", "stays"].map(|name| call(&layer, batch(&[name])));
    settle().await;
    sent.abort();
    leaves.abort();
    settle().await;
    echo.gate.add_permits(2);
    assert_eq!(stays.await.unwrap(), replies(&["stays"]));
    assert_eq!(echo.sizes(), [1, 1], "what nobody waits for any more is not sent");
    // One who leaves in the middle of a shared request.
    let first = call(&layer, batch(&["first"]));
    settle().await;
    let [leaves, stays] = ["leaves", "stays"].map(|name| call(&layer, batch(&[name, name])));
    settle().await;
    echo.gate.add_permits(1);
    settle().await;
    leaves.abort();
    settle().await;
    echo.gate.add_permits(1);
    assert_eq!(stays.await.unwrap(), replies(&["stays", "stays"]));
    assert_eq!(first.await.unwrap(), replies(&["first"]));
    assert_eq!(echo.sizes(), [1, 1, 1, 4]);
}

#[tokio::test]
async fn a_wrong_number_of_replies_is_delivered_to_nobody() {
    for spoil in [Spoil::OneReplyLess, Spoil::OneReplyMore] {
        let echo = Echo::new(0, spoil);
        let layer = Arc::new(Pipelining::new(echo.clone(), 1));
        let calls = ["a", "b", "c"].map(|name| call(&layer, batch(&[name])));
        settle().await;
        echo.gate.add_permits(3);
        for call in calls {
            let error = call.await.unwrap().unwrap_err();
            assert!(matches!(error.kind, ErrorKind::Protocol(_)));
            assert_eq!(error.delivery, Delivery::Unknown);
        }
    }
}

#[tokio::test]
async fn a_failure_reaches_every_participant_with_its_delivery() {
    for delivery in [Delivery::NotSent, Delivery::Unknown] {
        let error = Error::new(ErrorKind::Unreachable, delivery);
        let echo = Echo::new(3, Spoil::Fail(error.clone()));
        let layer = Arc::new(Pipelining::new(echo.clone(), 1));
        for call in ["a", "b", "c"].map(|name| call(&layer, batch(&[name]))) {
            assert_eq!(call.await.unwrap(), Err(error.clone()));
        }
    }
}

#[tokio::test]
async fn a_panic_below_is_an_error_for_all_and_the_layer_goes_on() {
    let echo = Echo::new(0, Spoil::Panic);
    let layer = Arc::new(Pipelining::new(echo.clone(), 1));
    let sent = call(&layer, batch(&["sent"]));
    settle().await;
    let waiting = call(&layer, batch(&["waiting"]));
    settle().await;
    echo.gate.add_permits(1);
    assert_eq!(sent.await.unwrap(), Err(Error::new(ErrorKind::Disconnected, Delivery::Unknown)));
    assert_eq!(waiting.await.unwrap(), Err(Error::new(ErrorKind::Disconnected, Delivery::NotSent)));
    let next = call(&layer, batch(&["next"]));
    settle().await;
    assert_eq!(echo.sizes(), [1, 1], "the place of the request that panicked is free again");
    next.abort();
}

#[test]
fn a_runtime_that_ends_frees_its_callers_elsewhere() {
    let echo = Echo::new(0, Spoil::Nothing);
    let layer = Arc::new(Pipelining::new(echo.clone(), 1));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (ending, staying) = (runtime(), runtime());
    ending.block_on(async {
        drop(call(&layer, batch(&["a"])));
        settle().await;
    });
    staying.block_on(async {
        let waiting = call(&layer, batch(&["b"]));
        settle().await;
        drop(std::thread::spawn(move || drop(ending)).join());
        let error = Error::new(ErrorKind::Disconnected, Delivery::NotSent);
        assert_eq!(waiting.await.unwrap(), Err(error));
        echo.gate.add_permits(1);
        assert_eq!(layer.execute(&batch(&["c"])).await, replies(&["c"]));
    });
}

#[tokio::test]
async fn a_shared_request_is_bounded_in_commands_and_in_bytes() {
    let echo = Echo::new(0, Spoil::Nothing);
    let layer = Arc::new(Pipelining::new(echo.clone(), 1));
    let megabytes = |count: usize| Batch::one(command("x".repeat(count * 1024 * 1024)));
    let many = |count: usize| Batch::pipeline((0..count).map(|_| command("x")).collect());
    let mut calls = vec![call(&layer, many(1))];
    settle().await;
    let thousand = (0..31).map(|_| many(32)).chain([many(8)]);
    for batch in thousand.chain([many(1), megabytes(3), megabytes(2), megabytes(9)]) {
        calls.push(call(&layer, batch));
    }
    settle().await;
    echo.gate.add_permits(20);
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(echo.sizes(), [1, 1000, 2, 1, 1]);
}

#[tokio::test]
async fn the_queue_is_bounded_and_counts_only_those_who_wait() {
    let echo = Echo::new(0, Spoil::Nothing);
    let layer = Arc::new(Pipelining::new(echo.clone(), 1));
    let sent = call(&layer, batch(&["sent"]));
    settle().await;
    let waiting: Vec<_> = (0..4096).map(|_| call(&layer, batch(&["x"]))).collect();
    settle().await;
    let throttled = Error::new(ErrorKind::Throttled { retry_after: None }, Delivery::NotSent);
    assert_eq!(layer.execute(&batch(&["one too many"])).await, Err(throttled));
    waiting[0].abort();
    settle().await;
    let last = call(&layer, batch(&["last"]));
    settle().await;
    echo.gate.add_permits(Semaphore::MAX_PERMITS >> 1);
    assert_eq!(last.await.unwrap(), replies(&["last"]));
    assert!(sent.await.unwrap().is_ok());
}

#[tokio::test]
async fn the_queue_is_bounded_in_bytes_and_counts_only_those_who_wait() {
    let echo = Echo::new(0, Spoil::Nothing);
    let layer = Arc::new(Pipelining::new(echo.clone(), 1));
    let megabytes = |count: usize| Batch::one(command("x".repeat(count * 1024 * 1024)));
    let sent = call(&layer, megabytes(40));
    settle().await;
    let waiting: Vec<_> = (0..4).map(|_| call(&layer, megabytes(8))).collect();
    settle().await;
    let throttled = Error::new(ErrorKind::Throttled { retry_after: None }, Delivery::NotSent);
    for _ in 0..2 {
        assert_eq!(layer.execute(&batch(&["x"])).await, Err(throttled.clone()), "32 MiB wait");
    }
    waiting[0].abort();
    settle().await;
    let last = call(&layer, batch(&["last"]));
    settle().await;
    assert_eq!(layer.execute(&megabytes(8)).await, Err(throttled));
    echo.gate.add_permits(20);
    assert_eq!(last.await.unwrap(), replies(&["last"]));
    assert!(sent.await.unwrap().is_ok());
    // All of it was given back.
    let sent = call(&layer, batch(&["sent"]));
    settle().await;
    let again: Vec<_> = (0..4).map(|_| call(&layer, megabytes(8))).collect();
    settle().await;
    echo.gate.add_permits(20);
    for call in again.into_iter().chain([sent]) {
        assert!(call.await.unwrap().is_ok());
    }
}

/// Answers with the last argument, unless all of them together are longer than ten bytes.
#[derive(Default)]
struct Narrow(Mutex<Vec<usize>>);

impl RedisTransport for Narrow {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.0.lock().push(batch.commands().len());
            let answers: Vec<_> =
                batch.commands().iter().filter_map(|command| command.args().last().cloned()).collect();
            if answers.iter().map(|answer| answer.len()).sum::<usize>() > 10 {
                return Err(Error::new(ErrorKind::Protocol(TOO_LONG), Delivery::Unknown));
            }
            Ok(answers.into_iter().map(Reply::Bulk).collect())
        })
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_for_all_fails_only_whom_it_is_too_long_for() {
    let narrow = Arc::new(Narrow::default());
    let layer = Arc::new(Pipelining::new(narrow.clone(), 1));
    let read = |text: &str| Batch::one(Command::raw(Effect::Read, [text.to_owned()]));
    let too_long = Err(Error::new(ErrorKind::Protocol(TOO_LONG), Delivery::Unknown));
    let first = call(&layer, read("first"));
    let small: Vec<_> = ["a", "b", "c", "d", "e"].map(|text| (text, call(&layer, read(text)))).into();
    let greedy = call(&layer, read("much too long for one"));
    let once = call(&layer, batch(&["once"]));
    assert_eq!(first.await.unwrap(), replies(&["first"]));
    for (text, caller) in small {
        assert_eq!(caller.await.unwrap(), replies(&[text]), "{text}");
    }
    assert_eq!(greedy.await.unwrap(), too_long);
    assert_eq!(once.await.unwrap(), too_long, "it may have run: it is not sent twice");
    let sizes = narrow.0.lock().clone();
    assert!(sizes.contains(&8), "they travelled together at first: {sizes:?}");
}

#[tokio::test]
async fn a_heavy_batch_goes_alone_and_leaves_the_places_of_others() {
    let echo = Echo::new(0, Spoil::Nothing);
    let layer = Arc::new(Pipelining::new(echo.clone(), 1));
    let heavy = || Batch::pipeline((0..33).map(|n| command(n.to_string())).collect());
    let many: Vec<_> = (0..20).map(|_| call(&layer, heavy())).collect();
    settle().await;
    let one = call(&layer, batch(&["a"]));
    let atomic = call(&layer, Batch::atomic(vec![command("b")]));
    settle().await;
    let sizes = echo.sizes();
    assert_eq!(sizes.iter().filter(|size| **size == 33).count(), 8, "the others wait: {sizes:?}");
    assert_eq!(sizes.iter().filter(|size| **size == 1).count(), 2, "these do not: {sizes:?}");
    echo.gate.add_permits(22);
    for caller in many.into_iter().chain([one, atomic]) {
        assert!(caller.await.unwrap().is_ok());
    }
}
