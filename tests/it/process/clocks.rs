//! Two server processes whose clocks differ by an hour, over one Redis: its time is the only one that counts.

use super::{Process, agentapi};
use crate::harness::app::{ADMIN_KEY, Caller};
use crate::harness::redis_server::RedisServer;
use ::agentapi::base::clock::Timestamp;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const ALGORITHMS: [&str; 4] = ["sliding_window", "sliding_log", "token_bucket", "fixed_window"];
const LIMIT: u64 = 50;
/// One unit a minute or slower: none comes back while they ask.
const BUCKET: u64 = 19;

/// What makes a process believe another time, asked of `faketime` itself. Run by `faketime` a server would be its
/// child, and outlive whoever ends it.
pub fn preload() -> String {
    let output = Command::new("faketime").args(["-m", "-f", "+1h", "printenv", "LD_PRELOAD"]).output();
    let output = output.expect("faketime is needed: ./test installs it");
    let library = String::from_utf8(output.stdout).expect("a path").trim().to_owned();
    assert!(output.status.success() && !library.is_empty(), "faketime does not say what it preloads");
    library
}

/// A server on that Redis, an hour ahead or not.
fn serve(redis: &RedisServer, ahead: bool) -> Process {
    let (url, library) = (redis.url(), preload());
    let mut variables = vec![
        ("REDIS_URL", &*url),
        ("ADMIN_API_KEY", ADMIN_KEY),
        ("RATE_LIMIT_ENABLED", "false"),
        ("REQUEST_TIMEOUT", "30s"),
        ("REDIS_COMMAND_TIMEOUT", "10s"),
        ("HOST", "127.0.0.1"),
        ("WORKERS", "1"),
        ("SHUTDOWN_DELAY", "0"),
    ];
    if ahead {
        // What waits goes by the monotonic clock, which stays the real one.
        variables.extend([
            ("LD_PRELOAD", &*library),
            ("FAKETIME", "+1h"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ]);
    }
    let folder = tempfile::tempdir().unwrap();
    Process::start(agentapi(folder.path(), &["serve", "--port", "0"], &variables), folder)
}

/// The time of the day that a server's answers carry, in seconds.
async fn time_of_day(caller: &Caller) -> u64 {
    let answer = caller.get("/status").await;
    let date = answer.header("date");
    let time = date.split(' ').nth(4).unwrap_or_else(|| panic!("no time: {date}"));
    time.split(':').fold(0, |seconds, part| seconds * 60 + part.parse::<u64>().expect("a number"))
}

/// Two servers with one tenant, one of them an hour ahead, and a caller with the same key before each.
struct Apart {
    _processes: [Process; 2],
    redis: RedisServer,
    callers: [Caller; 2],
}

impl Apart {
    async fn start() -> Apart {
        let redis = RedisServer::start();
        let mut processes = [false, true].map(|ahead| serve(&redis, ahead));
        let anyone = processes.each_mut().map(Process::anyone);
        let admin = anyone[0].with("authorization", &format!("Bearer {ADMIN_KEY}"));
        let made = admin.post("/admin/v1/tenants", json!({"id": "acme", "create_key": true})).await;
        let made = made.expect(StatusCode::CREATED);
        let secret = made["api_key"]["key"].as_str().unwrap_or_else(|| panic!("no key in {made}"));
        let callers = anyone.each_ref().map(|anyone| anyone.with("authorization", &format!("Bearer {secret}")));

        // Else this test shows nothing: by their answers, and by their logs.
        let (one, other) = (time_of_day(&anyone[0]).await, time_of_day(&anyone[1]).await);
        let apart = (other + 86_400 - one) % 86_400;
        assert!((3540..3660).contains(&apart), "their answers are {apart} s apart");
        let [one, other] = processes.each_ref().map(|process| {
            let log = process.log();
            let line: Value = serde_json::from_str(log.lines().next().expect("a line")).expect("JSON");
            Timestamp::parse_rfc3339(line["timestamp"].as_str().expect("a time")).expect("a time")
        });
        assert!((3540..3660).contains(&other.since(one).as_secs()), "{one:?} {other:?}");
        Apart { _processes: processes, redis, callers }
    }

    /// Of a few windows that are much shorter than an hour, the one that ends last: windows that are aligned to the
    /// epoch do not end within the test.
    async fn window(&self) -> Duration {
        let client = redis::Client::open(self.redis.url()).expect("a URL");
        let mut connection = client.get_multiplexed_async_connection().await.expect("it is up");
        let (now, _): (u64, u64) = redis::cmd("TIME").query_async(&mut connection).await.expect("a time");
        let longest = [1140, 1380, 1740].into_iter().max_by_key(|window| window - now % window);
        Duration::from_secs(longest.expect("one of them"))
    }
}

#[tokio::test]
async fn two_servers_whose_clocks_are_an_hour_apart_admit_exactly_the_limit_together() {
    let apart = Apart::start().await;
    let window = apart.window().await;
    // Whoever comes first sets the time of a window; either does once.
    for (algorithm, first) in ALGORITHMS.into_iter().flat_map(|algorithm| [(algorithm, 0), (algorithm, 1)]) {
        let limit = if algorithm == "token_bucket" { BUCKET } else { LIMIT };
        let key = format!("first-{first}");
        let check = json!({"key": key, "limit": limit, "window": window.as_secs(), "algorithm": algorithm});
        let ask = async |server: usize, times: usize| {
            let mut allowed = 0;
            for _ in 0..times {
                let answer = apart.callers[server].post("/v1/ratelimit/check", check.clone()).await;
                let answer = answer.expect(StatusCode::OK);
                assert!(answer.get("degraded").is_none(), "{answer}");
                assert!(
                    answer["reset_ms"].as_u64().is_some_and(|reset| reset <= window.as_millis() as u64),
                    "{answer}"
                );
                allowed += u64::from(answer["allowed"] == true);
            }
            allowed
        };
        let before = [ask(first, 5).await, ask(1 - first, 2).await];
        assert_eq!(before, [5, 2], "both admit: {algorithm}");
        let allowed = join_all((0..32).map(|n| ask(n % 2, 3))).await;
        let each = [0, 1].map(|server| allowed.iter().skip(server).step_by(2).sum::<u64>());
        assert_eq!(7 + each[0] + each[1], limit, "{algorithm}: 5 by {first} and 2 by the other, then {each:?}");
        let path = format!("/v1/ratelimit?key={key}&limit={limit}&window={}&algorithm={algorithm}", window.as_secs());
        for caller in &apart.callers {
            assert_eq!(caller.get(&path).await.expect(StatusCode::OK)["current"], limit, "{algorithm}");
        }
    }
}
