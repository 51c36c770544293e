//! The REST backend against a real HTTP server in front of a real Redis, and against servers that fail.

mod application;
mod bounds;
mod failures;
mod hanging;
mod in_a_row;
mod kinds;
mod matrix;
mod memory;
mod scripts;
mod setup;

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

async fn say_batch(rest: &Rest, command: Command) -> Result<Reply, Error> {
    rest.execute(&Batch::one(command)).await.map(|mut replies| replies.pop().unwrap())
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
