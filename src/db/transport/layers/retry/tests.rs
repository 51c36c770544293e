use super::*;
use crate::base::deadline::Deadline;
use crate::db::command::Command;
use crate::db::error::Refusal;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Answers from a list, and counts.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<(VecDeque<Answer>, u32)>>, Arc<Mutex<Vec<String>>>);

type Answer = Result<Vec<Reply>, Error>;

impl RedisTransport for Scripted {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        let mut state = self.0.lock();
        state.1 += 1;
        let names = batch.commands().iter().flat_map(|command| command.args().first());
        let names: Vec<_> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        self.1.lock().push(names.concat());
        let answer = state.0.pop_front().unwrap_or(Ok(vec![Reply::Int(1)]));
        Box::pin(async { answer })
    }
}

async fn calls(effect: Effect, first: Result<Vec<Reply>, Error>) -> u32 {
    let inner = Scripted::default();
    inner.0.lock().0.push_back(first);
    let batch = Batch::one(Command::raw(effect, ["X"]));
    let outcome = Retry::new(inner.clone()).execute(&batch).await;
    let calls = inner.0.lock().1;
    assert_eq!(outcome.is_ok_and(|r| r == [Reply::Int(1)]), calls == 2, "the second answer is what the caller gets");
    calls
}

#[tokio::test]
async fn a_batch_that_was_not_sent_goes_again_whatever_it_does() {
    for effect in [Effect::Read, Effect::Idempotent, Effect::Once] {
        assert_eq!(calls(effect, Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent))).await, 2);
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_repeated_only_where_twice_is_once() {
    let lost = || Err(Error::new(ErrorKind::TimedOut, Delivery::Unknown));
    assert_eq!(calls(Effect::Read, lost()).await, 2);
    assert_eq!(calls(Effect::Idempotent, lost()).await, 2);
    assert_eq!(calls(Effect::Once, lost()).await, 1);
}

#[tokio::test]
async fn a_transient_refusal_goes_again_and_a_final_one_does_not() {
    let refused = |line| Ok(vec![Reply::Refused(Refusal::from_line(line))]);
    assert_eq!(calls(Effect::Once, refused("LOADING Redis is loading")).await, 2);
    assert_eq!(calls(Effect::Read, refused("WRONGTYPE no")).await, 1);
    assert_eq!(calls(Effect::Read, Err(Error::new(ErrorKind::Forbidden, Delivery::NotSent))).await, 1);
}

/// What comes of three commands, and what went over the wire.
async fn three(atomic: bool, answers: [Answer; 2]) -> (Answer, Vec<String>) {
    let inner = Scripted::default();
    inner.0.lock().0.extend(answers);
    let commands = ["A", "B", "C"].map(|name| Command::raw(Effect::Once, [name])).to_vec();
    let batch = if atomic { Batch::atomic(commands) } else { Batch::pipeline(commands) };
    let outcome = Retry::new(inner.clone()).execute(&batch).await;
    let sent = inner.1.lock().clone();
    (outcome, sent)
}

fn line(line: &str) -> Reply {
    Reply::Refused(Refusal::from_line(line))
}

#[tokio::test]
async fn of_a_pipeline_only_what_was_refused_for_now_goes_again() {
    let first = || Ok(vec![line("READONLY no"), Reply::Int(1), line("LOADING no")]);
    let (outcome, sent) = three(false, [first(), Ok(vec![Reply::Int(2), Reply::Int(3)])]).await;
    assert_eq!(outcome, Ok(vec![Reply::Int(2), Reply::Int(1), Reply::Int(3)]));
    assert_eq!(sent, ["ABC", "AC"]);
    let finally = Ok(vec![line("OOM no"), line("LOADING no")]);
    let (outcome, _) = three(false, [first(), finally]).await;
    assert_eq!(outcome, Ok(vec![line("OOM no"), Reply::Int(1), line("LOADING no")]));
    let (outcome, _) = three(false, [first(), Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent))]).await;
    assert_eq!(outcome, first(), "the answers that came stand");
    let lost = Error::new(ErrorKind::TimedOut, Delivery::Unknown);
    let (outcome, _) = three(false, [first(), Err(lost.clone())]).await;
    assert_eq!(outcome, Err(lost), "nobody knows what the refused ones did the second time");
    for last in ["OOM no", "MISCONF no", "NOAUTH no", "WRONGPASS no", "NOPERM no"] {
        let (_, sent) = three(false, [Ok(vec![line(last), line(last), line(last)]), first()]).await;
        assert_eq!(sent, ["ABC"], "{last}");
    }
}

#[tokio::test]
async fn a_transaction_goes_again_whole_or_not_at_all() {
    let all = |text: &str| Ok(vec![line(text), line(text), line(text)]);
    let done = || Ok(vec![Reply::Int(1), Reply::Int(2), Reply::Int(3)]);
    let (outcome, sent) = three(true, [all("READONLY no"), done()]).await;
    assert_eq!((outcome, sent), (done(), vec!["ABC".to_owned(), "ABC".to_owned()]));
    let (_, sent) = three(true, [Ok(vec![Reply::Int(1), line("READONLY no"), Reply::Int(1)]), done()]).await;
    assert_eq!(sent, ["ABC"], "a part of it has run");
}

#[tokio::test]
async fn a_caller_who_would_not_live_to_see_it_gets_no_second_attempt() {
    let inner = Scripted::default();
    inner.0.lock().0.push_back(Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent)));
    let late = Deadline::after(std::time::Instant::now(), Duration::ZERO);
    let outcome = Retry::new(inner.clone()).execute(&Batch::one(Command::raw(Effect::Read, ["X"])).by(late)).await;
    assert!(outcome.is_err());
    assert_eq!(inner.0.lock().1, 1);
}

#[tokio::test]
async fn a_throttling_backend_is_asked_again_when_it_says_and_only_if_that_is_soon() {
    let throttled = |retry_after| Err(Error::new(ErrorKind::Throttled { retry_after }, Delivery::NotSent));
    assert_eq!(calls(Effect::Once, throttled(Some(Duration::ZERO))).await, 2);
    assert_eq!(calls(Effect::Once, throttled(Some(Duration::from_secs(2)))).await, 1);
    assert_eq!(calls(Effect::Once, throttled(None)).await, 1);
}

#[tokio::test]
async fn retries_end_when_the_budget_is_spent_and_come_back_with_traffic() {
    let inner = Scripted::default();
    let retry = Retry::new(inner.clone());
    let batch = Batch::one(Command::raw(Effect::Read, ["X"]));
    let fail = |times| {
        let error = || Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent));
        *inner.0.lock() = ((0..times).map(|_| error()).collect(), 0);
    };
    fail(100);
    for _ in 0..30 {
        assert!(retry.execute(&batch).await.is_err());
    }
    assert_eq!(inner.0.lock().1, 40, "thirty calls, ten retries");
    fail(0);
    for _ in 0..10 {
        assert!(retry.execute(&batch).await.is_ok());
    }
    fail(1);
    assert!(retry.execute(&batch).await.is_ok(), "ten good calls earned a retry");
}

#[tokio::test]
async fn what_may_have_run_the_first_time_is_not_undone_by_a_second_that_did_nothing() {
    let lost = || Error::new(ErrorKind::Disconnected, Delivery::Unknown);
    let (unsent, answered) = (ErrorKind::Unreachable, ErrorKind::Forbidden);
    for (effect, second, known) in [
        (Effect::Idempotent, Err(Error::new(unsent.clone(), Delivery::NotSent)), Delivery::Unknown),
        (Effect::Idempotent, Err(Error::new(answered, Delivery::Answered)), Delivery::Unknown),
        (Effect::Idempotent, Ok(vec![line("OOM no")]), Delivery::Unknown),
        (Effect::Idempotent, Ok(vec![line("LOADING no")]), Delivery::Unknown),
        (Effect::Read, Err(Error::new(unsent, Delivery::NotSent)), Delivery::NotSent),
    ] {
        let inner = Scripted::default();
        inner.0.lock().0.extend([Err(lost()), second.clone()]);
        let batch = Batch::one(Command::raw(effect, ["X"]));
        let outcome = Retry::new(inner).execute(&batch).await;
        assert_eq!(outcome.unwrap_err().delivery, known, "{effect:?}, then {second:?}");
    }
    let inner = Scripted::default();
    inner.0.lock().0.extend([Err(lost()), Ok(vec![line("WRONGTYPE no")])]);
    let outcome = Retry::new(inner).execute(&Batch::one(Command::raw(Effect::Idempotent, ["X"]))).await;
    assert_eq!(outcome, Ok(vec![line("WRONGTYPE no")]), "the first time it was refused as well");
}
