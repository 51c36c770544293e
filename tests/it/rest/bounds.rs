//! What an endpoint that hangs can cost: time, and nothing that nobody waits for.

use super::*;
use agentapi::base::deadline::Deadline;

const HANG: Fault = Fault::DelayBefore(Duration::from_secs(600));
/// How long the callers of these tests wait, and how long the endpoint is given otherwise.
const WAIT: Duration = Duration::from_millis(200);
const FOREVER: Duration = Duration::from_secs(300);
/// Far from both.
const SOON: Duration = Duration::from_secs(10);

fn patient(double: &RestDouble) -> Rest {
    Rest::new(&RestSettings { command_timeout: FOREVER, ..settings(&double.url(), CANARY) }).unwrap()
}

fn until(wait: Duration) -> Deadline {
    Deadline::after(Instant::now(), wait)
}

#[tokio::test]
async fn a_request_ends_with_the_deadline_of_whoever_waits_for_it() {
    let (double, _) = failing(HANG);
    let rest = Arc::new(patient(&double));
    let merged = Pipelining::new(rest.clone(), IN_FLIGHT);
    let doors: [&dyn RedisTransport; 2] = [&*rest, &merged];
    for door in doors {
        for batch in [Batch::atomic(vec![words("PING")]), Batch::pipeline(vec![words("PING")])] {
            let start = Instant::now();
            let outcome = door.execute(&batch.by(until(WAIT))).await;
            assert_eq!(outcome, Err(Error::new(ErrorKind::TimedOut, Delivery::Unknown)));
            assert!(start.elapsed() < SOON);
        }
    }
    assert_eq!(double.injected(&HANG), 4);
}

#[tokio::test]
async fn what_comes_too_late_is_not_sent() {
    let Pair { rest, double, _redis } = pair();
    let rest = Arc::new(rest);
    let merged = Pipelining::new(rest.clone(), IN_FLIGHT);
    let doors: [&dyn RedisTransport; 2] = [&*rest, &merged];
    for door in doors {
        for batch in [Batch::atomic(vec![words("INCR n")]), Batch::pipeline(vec![words("INCR n")])] {
            let outcome = door.execute(&batch.by(until(Duration::ZERO))).await;
            assert_eq!(outcome, Err(Error::new(ErrorKind::TimedOut, Delivery::NotSent)));
        }
    }
    assert_eq!(double.requests(), 0);
}

#[tokio::test]
async fn a_shared_request_lasts_as_long_as_its_most_patient_caller() {
    let Pair { rest: _, double, _redis } = pair();
    double.always(Fault::DelayAfter(WAIT * 3));
    let merged = Pipelining::new(Arc::new(patient(&double)), 1);
    let hasty = Batch::one(words("ECHO hasty")).by(until(WAIT));
    let calm = Batch::one(words("ECHO calm")).by(until(FOREVER));
    let (hasty, calm) = tokio::join!(merged.execute(&hasty), merged.execute(&calm));
    for (outcome, expected) in [(hasty, "hasty"), (calm, "calm")] {
        assert!(outcome == Ok(vec![Reply::Bulk(expected.into())]), "the hasty one is free to leave, and did not");
    }
    assert_eq!(double.requests(), 1);
}

#[tokio::test]
async fn a_status_that_says_everything_is_not_lost_to_a_body_that_never_ends() {
    let (double, _) = failing(HANG);
    let rest = patient(&double);
    let head = |status: &str| Fault::Raw(format!("HTTP/1.1 {status} X\r\ncontent-length: 100\r\n\r\nx").into_bytes());
    for (status, kind, delivery) in [
        ("429", ErrorKind::Throttled { retry_after: None }, Delivery::NotSent),
        ("403", ErrorKind::Forbidden, Delivery::Answered),
    ] {
        double.always(head(status));
        let start = Instant::now();
        assert_eq!(say(&rest, "PING").await, Err(Error::new(kind, delivery)));
        assert!(start.elapsed() < SOON);
    }
}

#[tokio::test]
async fn requests_that_go_alone_are_few_and_those_whose_callers_left_are_not_sent() {
    const MANY: usize = 40;
    let (double, _) = failing(HANG);
    let merged = Arc::new(Pipelining::new(Arc::new(patient(&double)), IN_FLIGHT));
    let calls: Vec<_> = (0..MANY)
        .map(|_| {
            let merged = Arc::clone(&merged);
            tokio::spawn(async move { merged.execute(&Batch::atomic(vec![words("INCR n")])).await })
        })
        .collect();
    let start = Instant::now();
    while double.injected(&HANG) < 16 {
        assert!(start.elapsed() < SOON, "{}", double.injected(&HANG));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for call in &calls {
        call.abort();
    }
    for call in calls {
        assert!(call.await.unwrap_err().is_cancelled());
    }
    tokio::time::sleep(WAIT).await;
    assert_eq!(double.injected(&HANG), 16, "of {MANY}");
}

#[tokio::test]
async fn large_answers_are_read_one_at_a_time_and_all_of_them_arrive() {
    let Pair { rest: _, double, _redis } = pair();
    let rest = patient(&double);
    let value = "x".repeat(1536 * 1024);
    rest.execute(&Batch::one(raw(&[b"SET", b"large", value.as_bytes()]))).await.unwrap();
    let get = Batch::one(words("GET large"));
    for outcome in futures_util::future::join_all((0..4).map(|_| rest.execute(&get))).await {
        assert!(outcome == Ok(vec![Reply::Bulk(value.clone().into())]));
    }
}
