//! The REST backend against a real HTTP server in front of a real Redis, and against servers that fail.

use crate::harness::rest_double::{Fault, RestDouble};
use agentapi::base::secret::Secret;
use agentapi::db::transport::RedisTransport;
use agentapi::db::transport::layers::pipelining::{IN_FLIGHT, Pipelining};
use agentapi::db::transport::rest::{KeyLocking, MAX_REPLY_BYTES, Rest, RestError, RestSettings, RestUrl};
use agentapi::db::{Batch, Command, Delivery, Effect, Error, ErrorKind, Refusal, Reply, Script};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Stands in every token, key and value of these tests, and in no error.
const CANARY: &str = "canary-7f3a";

struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port_text = port.to_string();
        let child = std::process::Command::new("redis-server")
            .args(["--port", &port_text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let redis = Redis { child, port };
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "redis-server does not listen");
            std::thread::yield_now();
        }
        redis
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A faithful server and a client of it.
struct Pair {
    double: RestDouble,
    rest: Rest,
    // Bound by name where the others are taken out, or it would end there.
    _redis: Redis,
}

fn install_tls_provider() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // Another test of this binary may have installed the same one.
    ONCE.call_once(|| drop(rustls::crypto::aws_lc_rs::default_provider().install_default()));
}

fn settings(url: &str, token: &str) -> RestSettings {
    install_tls_provider();
    RestSettings {
        url: RestUrl::parse(url).unwrap(),
        token: Secret::new(token.to_owned()),
        connection_timeout: Duration::from_secs(1),
        command_timeout: Duration::from_secs(5),
        max_connections: 4,
        ca_pem: None,
        max_reply_bytes: MAX_REPLY_BYTES,
    }
}

fn pair() -> Pair {
    let redis = Redis::start();
    let double = RestDouble::start(redis.port, CANARY);
    let rest = Rest::new(&settings(&double.url(), double.token())).unwrap();
    Pair { double, rest, _redis: redis }
}

/// A client of a server without a Redis, for what is answered before one is asked.
fn failing(fault: Fault) -> (RestDouble, Rest) {
    let double = RestDouble::start(1, CANARY);
    double.always(fault);
    let rest = Rest::new(&settings(&double.url(), CANARY)).unwrap();
    (double, rest)
}

fn raw(args: &[&[u8]]) -> Command {
    Command::raw(Effect::Once, args.iter().map(|arg| arg.to_vec()))
}

fn words(line: &str) -> Command {
    Command::raw(Effect::Once, line.split(' ').map(|word| word.as_bytes().to_vec()))
}

async fn say(rest: &Rest, line: &str) -> Result<Reply, Error> {
    rest.execute(&Batch::one(words(line))).await.map(|mut replies| replies.pop().unwrap())
}

fn ok() -> Reply {
    Reply::Status("OK".into())
}

fn refused(line: &str) -> Reply {
    Reply::Refused(Refusal::from_line(line))
}

fn protocol_unknown(outcome: Result<Reply, Error>) -> &'static str {
    match outcome {
        Err(Error { kind: ErrorKind::Protocol(rule), delivery: Delivery::Unknown }) => rule,
        other => panic!("{other:?}"),
    }
}

static ECHO: Script = Script::new("test/echo", "return ARGV[1]", Effect::Read);
static COUNT: Script = Script::new("test/count", "return redis.call('INCR', KEYS[1])", Effect::Once);

fn echo(text: &str) -> Command {
    Command::script(&ECHO, &[]).arg(text.to_owned())
}

#[tokio::test]
async fn every_shape_of_reply_arrives_as_redis_said_it() {
    let Pair { rest, double, _redis } = pair();
    let script = b"return {1, 'two', {false, 'OK'}, redis.status_reply('FINE')}";
    let replies = rest
        .execute(&Batch::pipeline(vec![
            words("SET k v"),
            words("GET k"),
            words("GET absent"),
            words("INCR n"),
            words("LPUSH k x"),
            raw(&[b"EVAL", script, b"0"]),
            raw(&[b"EVAL", b"return '\xc3\xa9'", b"0"]),
            raw(&[b"EVAL", b"return string.char(0, 255, 254, 13, 10)", b"0"]),
        ]))
        .await
        .unwrap();
    let nested = Reply::Array(vec![Reply::Nil, Reply::Bulk("OK".into())]);
    let expected = [
        ok(),
        Reply::Bulk("v".into()),
        Reply::Nil,
        Reply::Int(1),
        refused("WRONGTYPE Operation against a key holding the wrong kind of value"),
        Reply::Array(vec![Reply::Int(1), Reply::Bulk("two".into()), nested, Reply::Bulk("FINE".into())]),
        Reply::Bulk("é".into()),
        Reply::Bulk(b"\0\xff\xfe\r\n".as_slice().into()),
    ];
    assert!(replies == expected, "{replies:?}");
    assert_eq!((double.requests(), double.commands()), (1, 8));
}

#[tokio::test]
async fn integers_beyond_the_exact_range_of_a_double_are_exact() {
    let Pair { rest, double: _double, _redis } = pair();
    assert_eq!(say(&rest, "SET n 9007199254740992").await, Ok(ok()));
    assert_eq!(say(&rest, "INCR n").await.unwrap(), Reply::Int(9_007_199_254_740_993));
    assert_eq!(say(&rest, "GET n").await.unwrap().int(), Ok(9_007_199_254_740_993));
    assert_eq!(say(&rest, "SET n 1e21").await, Ok(ok()));
    assert_eq!(say(&rest, "GET n").await.unwrap().text().unwrap(), "1e21");
}

#[tokio::test]
async fn an_argument_that_json_cannot_carry_is_refused_before_anything_is_sent() {
    let Pair { rest, double, _redis } = pair();
    let batch = Batch::pipeline(vec![words("SET k v"), raw(&[b"SET", b"k", b"\xff"])]);
    let error = rest.execute(&batch).await.unwrap_err();
    assert!(matches!(error, Error { kind: ErrorKind::Protocol(_), delivery: Delivery::NotSent }), "{error:?}");
    assert_eq!(double.requests(), 0);
}

#[tokio::test]
async fn an_empty_batch_costs_no_request() {
    let Pair { rest, double, _redis } = pair();
    assert_eq!(rest.execute(&Batch::pipeline(Vec::new())).await, Ok(Vec::new()));
    assert_eq!(double.requests(), 0);
}

#[tokio::test]
async fn every_request_says_what_the_protocol_asks_for() {
    let redis = Redis::start();
    let double = RestDouble::start(redis.port, CANARY);
    let url = format!(" {}/t/acme/ ", double.url());
    let rest = Rest::new(&settings(&url, &format!(" {CANARY}\n"))).unwrap();
    say(&rest, "PING").await.unwrap().text().unwrap();
    rest.execute(&Batch::atomic(vec![words("PING")])).await.unwrap();
    let seen = double.seen();
    assert_eq!(seen[0].path, "/t/acme/pipeline");
    assert_eq!(seen[1].path, "/t/acme/multi-exec");
    for request in &seen {
        assert_eq!(request.headers["authorization"], format!("Bearer {CANARY}"));
        assert_eq!(request.headers["upstash-encoding"], "base64");
        assert_eq!(request.headers["content-type"], "application/json");
        assert!(!request.headers.contains_key("accept-encoding"), "a compressed answer could be a bomb");
    }
}

#[tokio::test]
async fn each_request_carries_the_sync_token_of_the_answer_before() {
    let Pair { rest, double, _redis } = pair();
    for _ in 0..3 {
        say(&rest, "PING").await.unwrap().text().unwrap();
    }
    let tokens: Vec<_> = double.seen().iter().map(|seen| seen.headers.get("upstash-sync-token").cloned()).collect();
    assert_eq!(tokens, [None, Some("rw=1".into()), Some("rw=2".into())]);
}

#[tokio::test]
async fn the_sync_token_of_a_late_older_answer_is_not_taken() {
    let Pair { rest, double, _redis } = pair();
    double.inject(|number, _| (number == 1).then_some(Fault::DelayAfter(Duration::from_millis(300))));
    let (slow, fast) = (Batch::one(words("PING")), Batch::one(words("PING")));
    let fast_after_slow = async {
        while double.requests() == 0 {
            tokio::task::yield_now().await;
        }
        rest.execute(&fast).await
    };
    let (slow, fast) = tokio::join!(rest.execute(&slow), fast_after_slow);
    assert!(slow.is_ok() && fast.is_ok());
    say(&rest, "PING").await.unwrap().text().unwrap();
    assert_eq!(double.seen()[2].headers["upstash-sync-token"], "rw=2");
}

#[tokio::test]
async fn a_transaction_runs_as_a_whole_or_not_at_all() {
    let Pair { rest, double: _double, _redis } = pair();
    let both = Batch::atomic(vec![words("SET a 1"), words("LPUSH a x"), words("INCR a")]);
    let wrong_type = refused("WRONGTYPE Operation against a key holding the wrong kind of value");
    assert!(rest.execute(&both).await.unwrap() == [ok(), wrong_type, Reply::Int(2)]);

    let broken = Batch::atomic(vec![words("SET b 1"), words("SET b")]);
    let error = rest.execute(&broken).await.unwrap_err();
    assert!(matches!(&error.kind, ErrorKind::Refused(refusal) if refusal.line().contains("arguments")));
    assert_eq!(error.delivery, Delivery::Answered);
    assert_eq!(say(&rest, "GET b").await.unwrap(), Reply::Nil);
}

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

async fn say_batch(rest: &Rest, command: Command) -> Result<Reply, Error> {
    rest.execute(&Batch::one(command)).await.map(|mut replies| replies.pop().unwrap())
}

#[tokio::test]
async fn a_resend_that_cannot_be_made_leaves_the_fate_of_what_ran_unknown() {
    let Pair { rest, double, _redis } = pair();
    double.inject(|number, _| (number % 2 == 0).then(|| Fault::answer(429, "")));
    let mixed = Batch::pipeline(vec![words("INCR n"), Command::script(&COUNT, &[])]);
    assert_eq!(rest.execute(&mixed).await.unwrap_err().delivery, Delivery::Unknown);
    let alone = Batch::one(Command::script(&COUNT, &[]));
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

/// As the server's workers are: a runtime with one thread each, one client for all on the main thread's, and
/// the workers do not end together.
#[test]
fn sixty_four_callers_on_several_runtimes_share_requests_and_get_their_own_answers() {
    const ROUNDS: usize = 50;
    let Pair { rest, double, _redis } = pair();
    let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let layer = home.block_on(async { Arc::new(Pipelining::new(Arc::new(rest), IN_FLIGHT)) });
    let worker = |worker: usize| {
        let layer = Arc::clone(&layer);
        let callers = (0..32).map(move |caller| {
            let layer = Arc::clone(&layer);
            async move {
                for round in 0..ROUNDS * (worker + 1) {
                    let text = format!("{worker}:{caller}:{round}");
                    let batch = Batch::pipeline(vec![echo(&text), words("GET absent")]);
                    assert!(layer.execute(&batch).await.unwrap() == [Reply::Bulk(text.into()), Reply::Nil]);
                }
            }
        });
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(futures_util::future::join_all(callers));
        })
    };
    for worker in [worker(0), worker(1)] {
        worker.join().unwrap();
    }
    let per_operation = double.requests() as f64 / (32 * 3 * ROUNDS) as f64;
    assert!(per_operation <= 0.1, "{per_operation}");
}

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
    for fault in [Fault::Flood(400_000_000), Fault::answer(200, vec![b' '; 100_001])] {
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

fn certificate() -> (rustls::ServerConfig, String) {
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    install_tls_provider();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    (config, key.cert.pem())
}

#[tokio::test]
async fn over_tls_only_whom_we_trust_sees_the_token() {
    let redis = Redis::start();
    let (config, own) = certificate();
    let (_, other) = certificate();
    let double = RestDouble::start_tls(redis.port, CANARY, config);
    let trusting = |pem: String| RestSettings { ca_pem: Some(pem.into_bytes()), ..settings(&double.url(), CANARY) };
    let rest = Rest::new(&trusting(other)).unwrap();
    assert_eq!(say(&rest, "PING").await, Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent)));
    assert_eq!(double.requests(), 0);
    let rest = Rest::new(&trusting(own)).unwrap();
    assert_eq!(say(&rest, "PING").await, Ok(Reply::Bulk("PONG".into())));
}

#[test]
fn settings_that_cannot_work_are_refused_without_showing_a_secret() {
    let good = settings("https://localhost", CANARY);
    let cases = [
        (RestSettings { token: Secret::new(" ".into()), ..good.clone() }, RestError::Token),
        (RestSettings { token: Secret::new(format!("{CANARY}\nx")), ..good.clone() }, RestError::Token),
        (RestSettings { ca_pem: Some(b"".to_vec()), ..good.clone() }, RestError::Certificates),
        (RestSettings { ca_pem: Some(CANARY.as_bytes().to_vec()), ..good.clone() }, RestError::Certificates),
    ];
    for (settings, expected) in cases {
        let error = Rest::new(&settings).err().unwrap();
        assert_eq!(error, expected);
        assert!(!format!("{error} {error:?} {settings:?}").contains(CANARY));
    }
}

/// Runs itself again in a process whose system has no CA bundle.
#[test]
fn an_http_endpoint_needs_no_ca_bundle_and_an_https_one_says_what_is_missing() {
    const INSIDE: &str = "AGENTAPI_TEST_WITHOUT_CA_BUNDLE";
    if std::env::var_os(INSIDE).is_some() {
        assert!(Rest::new(&settings("http://127.0.0.1:1", CANARY)).is_ok());
        assert_eq!(Rest::new(&settings("https://127.0.0.1:1", CANARY)).err(), Some(RestError::NoTrust));
        return;
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "rest::an_http_endpoint_needs_no_ca_bundle_and_an_https_one_says_what_is_missing"])
        .env(INSIDE, "1")
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}
