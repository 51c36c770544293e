//! Scripts over REST: by digest, in full where it must be, and as Upstash wants them.

use super::*;

#[tokio::test]
async fn scripts_go_by_digest_and_in_full_only_when_they_are_not_known() {
    let Pair { rest, double, _redis } = pair();
    let batch = Batch::pipeline(vec![words("INCR n"), echo("a"), words("INCR n"), echo("b")]);
    for round in 0..3 {
        let replies = rest.execute(&batch).await.unwrap();
        let (a, b) = (Reply::Bulk("a".into()), Reply::Bulk("b".into()));
        let n = 2 * (round % 2);
        assert!(replies == [Reply::Int(n + 1), a, Reply::Int(n + 2), b], "{replies:?}");
        if round == 1 {
            say(&rest, "SCRIPT FLUSH").await.unwrap().done().unwrap();
            say(&rest, "DEL n").await.unwrap().int().unwrap();
        }
    }
    let said: Vec<_> = double.seen().iter().map(|seen| seen.commands.join(" ")).collect();
    let by_digest = "INCR EVALSHA INCR EVALSHA";
    assert_eq!(said, [by_digest, "EVAL EVALSHA", by_digest, "SCRIPT", "DEL", by_digest, "EVAL EVALSHA"]);
}

#[tokio::test]
async fn scripts_in_a_transaction_are_said_in_full_once() {
    let Pair { rest, double, _redis } = pair();
    let replies = rest.execute(&Batch::atomic(vec![echo("a"), echo("b")])).await.unwrap();
    assert!(replies == [Reply::Bulk("a".into()), Reply::Bulk("b".into())]);
    assert_eq!(double.seen()[0].commands, ["EVAL", "EVALSHA"]);
    assert_eq!(double.requests(), 1);
}

#[tokio::test]
async fn a_server_that_keeps_forgetting_scripts_is_told_them_in_full_and_then_believed() {
    let Pair { rest, double, _redis } = pair();
    double.always(Fault::ItemError(0, "NOSCRIPT No matching script. Please use EVAL."));
    assert_eq!(say_batch(&rest, echo("a")).await, Ok(refused("NOSCRIPT No matching script. Please use EVAL.")));
    assert_eq!(double.requests(), 3);
}

#[tokio::test]
async fn a_resend_that_cannot_be_made_leaves_the_fate_of_what_ran_unknown() {
    let Pair { rest, double, _redis } = pair();
    double.inject(|number, _| (number % 2 == 0).then(|| Fault::answer(429, "")));
    let mixed = Batch::pipeline(vec![words("INCR n"), echo("a")]);
    assert_eq!(rest.execute(&mixed).await.unwrap_err().delivery, Delivery::Unknown);
    let alone = Batch::one(echo("a"));
    assert_eq!(rest.execute(&alone).await.unwrap_err().delivery, Delivery::NotSent);
}

#[tokio::test]
async fn on_upstash_scripts_promise_to_touch_their_keys_alone() {
    let Pair { rest, double, _redis } = pair();
    let rest = rest.with_key_locking(KeyLocking::On);
    for _ in 0..2 {
        assert_eq!(say_batch(&rest, echo("a")).await, Ok(Reply::Bulk("a".into())));
    }
    let said: Vec<_> = double.seen().iter().map(|seen| seen.commands.join(" ")).collect();
    assert_eq!(said, ["EVALSHA", "EVAL", "EVALSHA"], "the promise changes the digest");
}
