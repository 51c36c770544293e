//! What goes wrong between here and the endpoint, and what is said about it.

use super::*;

#[tokio::test]
async fn a_wrong_number_of_results_belongs_to_nobody() {
    let Pair { rest, double, _redis } = pair();
    for fault in [Fault::OneResultLess, Fault::OneResultMore] {
        double.always(fault);
        let rule = protocol_unknown(say(&rest, "PING").await);
        assert_eq!(rule, "the number of results is not that of the commands");
    }
    double.heal();
    assert!(say(&rest, "PING").await.is_ok());
}

#[tokio::test]
async fn garbage_has_an_unknown_fate_and_the_next_call_is_served() {
    let Pair { rest, double, _redis } = pair();
    let html = "<html><body>502 Bad Gateway canary-7f3a</body></html>";
    let nothing_good = [
        Fault::answer(502, html),
        Fault::answer(200, html),
        Fault::answer(200, ""),
        Fault::answer(204, ""),
        Fault::answer(200, r#"[{"result":"T0s="#),
        Fault::answer(200, r#"[{"result":true}]"#),
        Fault::answer(200, r#"[{"result":{"a":1}}]"#),
        Fault::answer(200, r#"[{"result":"canary-7f3a"}]"#),
        Fault::answer(200, r#"[{"result":12345678901234567890123}]"#),
        Fault::answer(200, r#"[{"result":0.5}]"#),
        Fault::answer(200, "[{}]"),
        Fault::answer(200, b"[{\"result\":\"\xff\xfe\"}]".to_vec()),
        Fault::answer(500, r#"[{"result":1}]"#),
    ];
    for fault in nothing_good {
        double.always(fault.clone());
        let outcome = say(&rest, "PING").await;
        assert!(!format!("{outcome:?}").contains(CANARY), "{outcome:?}");
        protocol_unknown(outcome);
        double.heal();
        assert_eq!(say(&rest, "PING").await, Ok(Reply::Bulk("PONG".into())), "after {fault:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_everything_is_read_with_its_code() {
    let (double, rest) = failing(Fault::answer(400, r#"{"error":"ERR max requests limit exceeded canary-7f3a"}"#));
    let error = say(&rest, "PING").await.unwrap_err();
    assert!(matches!(&error.kind, ErrorKind::Refused(refusal) if refusal.code() == "ERR"));
    assert_eq!(error.delivery, Delivery::Answered);
    assert!(!format!("{error} {error:?}").contains(CANARY));
    double.always(Fault::answer(400, r#"{"error":"READONLY Writes are temporarily rejected due to server upgrade"}"#));
    assert_eq!(say(&rest, "PING").await.unwrap_err().delivery, Delivery::NotSent);
}

#[tokio::test]
async fn a_wrong_token_is_forbidden_and_shown_nowhere() {
    let redis = Redis::start();
    let double = RestDouble::start(redis.port, "right");
    let rest = Rest::new(&settings(&double.url(), CANARY)).unwrap();
    let error = say(&rest, "PING").await.unwrap_err();
    assert_eq!(error, Error::new(ErrorKind::Forbidden, Delivery::Answered));
    for (status, body) in [(401, "<html>"), (403, ""), (403, r#"{"error":"NOPERM x"}"#)] {
        double.always(Fault::answer(status, body));
        assert_eq!(say(&rest, "PING").await.unwrap_err().kind, ErrorKind::Forbidden);
    }
}

#[tokio::test]
async fn too_many_requests_were_not_run_and_say_when_to_come_back() {
    let answer = |after: &str| {
        let headers = vec![("retry-after", after.to_owned())];
        Fault::Answer { status: 429, headers, body: br#"{"error":"ERR slow down"}"#.to_vec() }
    };
    let (double, rest) = failing(answer("7"));
    for (after, expected) in [("7", Some(7)), ("99999999999", Some(60)), ("soon", None), ("-1", None)] {
        double.always(answer(after));
        let retry_after = expected.map(Duration::from_secs);
        let error = Error::new(ErrorKind::Throttled { retry_after }, Delivery::NotSent);
        assert_eq!(say(&rest, "PING").await, Err(error));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_token_stays_here() {
    let elsewhere = RestDouble::start(1, CANARY);
    for status in [301, 302, 307, 308] {
        let headers = vec![("location", format!("{}/pipeline", elsewhere.url()))];
        let (_double, rest) = failing(Fault::Answer { status, headers, body: Vec::new() });
        assert_eq!(protocol_unknown(say(&rest, "PING").await), "a redirect, which is not followed");
    }
    assert_eq!(elsewhere.requests(), 0);
}

#[tokio::test]
async fn an_answer_is_read_up_to_the_bound_whether_its_length_is_announced_or_not() {
    let (double, _) = failing(Fault::HangUpBefore);
    let bounded = RestSettings { max_reply_bytes: 100_000, ..settings(&double.url(), CANARY) };
    let rest = Rest::new(&bounded).unwrap();
    let announced = [Fault::answer(200, vec![b' '; 100_001]), Fault::Announce(100_001), Fault::Announce(1 << 62)];
    for fault in announced.into_iter().chain([Fault::Flood(400_000_000)]) {
        double.always(fault);
        let start = Instant::now();
        assert_eq!(protocol_unknown(say(&rest, "PING").await), "the answer is longer than allowed");
        assert!(start.elapsed() < Duration::from_secs(2), "stopped early");
    }
    // What fits is read to its end: spaces are no answer, but they are not too long either.
    double.always(Fault::Flood(90_000));
    assert_eq!(protocol_unknown(say(&rest, "PING").await), "the answer is not JSON of its form");
}

#[tokio::test]
async fn a_connection_that_is_lost_says_whether_the_batch_can_have_run() {
    let Pair { rest, double, _redis } = pair();
    let unknown = Error::new(ErrorKind::Disconnected, Delivery::Unknown);
    double.always(Fault::HangUpBefore);
    assert_eq!(say(&rest, "INCR n").await, Err(unknown.clone()));
    for fault in [Fault::HangUpAfter, Fault::Truncated] {
        double.always(fault);
        assert_eq!(say(&rest, "INCR n").await, Err(unknown.clone()));
    }
    double.heal();
    assert_eq!(say(&rest, "GET n").await.unwrap().int(), Ok(2), "the client sent each request once");
    let requests = double.requests();
    assert_eq!(requests, 4);
}

#[tokio::test]
async fn nobody_listening_means_not_sent() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let rest = Rest::new(&settings(&format!("http://127.0.0.1:{port}"), CANARY)).unwrap();
    assert_eq!(say(&rest, "PING").await, Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent)));
}

#[tokio::test]
async fn a_slow_answer_is_given_up_in_time_and_a_slow_drip_within_it_is_read() {
    let redis = Redis::start();
    let double = RestDouble::start(redis.port, CANARY);
    let hasty = RestSettings { command_timeout: Duration::from_millis(200), ..settings(&double.url(), CANARY) };
    let rest = Rest::new(&hasty).unwrap();
    for fault in [Fault::DelayBefore(Duration::from_secs(3)), Fault::Drip(Duration::from_millis(50))] {
        double.always(fault);
        let start = Instant::now();
        assert_eq!(say(&rest, "PING").await, Err(Error::new(ErrorKind::TimedOut, Delivery::Unknown)));
        assert!(start.elapsed() < Duration::from_secs(2));
    }
    double.always(Fault::Drip(Duration::from_millis(1)));
    let patient = Rest::new(&settings(&double.url(), CANARY)).unwrap();
    assert_eq!(say(&patient, "PING").await, Ok(Reply::Bulk("PONG".into())));
}
