//! What answers without end cost a server in memory, measured on a process of its own: here, other tests run.

use super::kinds::HUGE;
use super::*;
use crate::harness::app::{ADMIN_KEY, Caller, install_crypto};
use crate::harness::redis_server::{RedisServer, free_port};
use futures_util::future::join_all;

const MEBIBYTE: u64 = 1024 * 1024;
/// What the one large answer that is being read may hold.
const LARGE_ANSWER: u64 = MAX_REPLY_BYTES as u64;
/// What the rest of the process may grow by, in a build for debugging.
const SLACK: u64 = 96 * MEBIBYTE;

struct Server(Child);

impl Server {
    fn over(double: &RestDouble, port: &str) -> Server {
        let variables = [
            ("HOST", "127.0.0.1"),
            ("PORT", port),
            ("WORKERS", "1"),
            ("ADMIN_API_KEY", ADMIN_KEY),
            ("RATE_LIMIT_ENABLED", "false"),
            ("REDIS_PROTOCOL", "rest"),
            ("UPSTASH_REDIS_REST_URL", &double.url()),
            ("UPSTASH_REDIS_REST_TOKEN", double.token()),
            ("REQUEST_TIMEOUT", "10s"),
            ("REDIS_COMMAND_TIMEOUT", "4s"),
        ];
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_agentapi"));
        command.arg("serve").env_clear().envs(variables).stdout(Stdio::null()).stderr(Stdio::null());
        Server(command.spawn().unwrap())
    }

    /// A figure of `/proc/PID/status`, in bytes.
    fn bytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn answers_without_end_cost_no_more_than_the_bound_of_one() {
    install_crypto();
    let redis = RedisServer::start();
    let double = RestDouble::start(redis.port(), "token");
    let port = free_port().to_string();
    let server = Server::over(&double, &port);
    let base = format!("http://127.0.0.1:{port}");
    let start = Instant::now();
    while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(start.elapsed() < Duration::from_secs(30), "the server does not listen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let admin = Caller::of(&base).with("authorization", &format!("Bearer {ADMIN_KEY}"));
    let path = "/admin/v1/tenants";
    admin.get(path).await.expect(reqwest::StatusCode::OK);
    let before = server.bytes("VmRSS");
    for fault in [
        Fault::GzipBomb(4),
        Fault::Announce(HUGE as u64),
        Fault::Bulky(HUGE as u64),
        Fault::Flood(HUGE),
        Fault::FloodOf { start: r#"[{"result":""#, piece: "AAAA", bytes: usize::MAX },
    ] {
        double.always(fault.clone());
        for answer in join_all((0..8).map(|_| admin.get(path))).await {
            assert!(answer.refused(503, "backend_unavailable")["outcome"].is_null(), "{fault:?}");
        }
        double.heal();
        assert!(double.injected(&fault) > 0, "{fault:?}");
        let start = Instant::now();
        while admin.get(path).await.status != reqwest::StatusCode::OK {
            assert!(start.elapsed() < Duration::from_secs(30), "it does not serve after {fault:?}");
        }
    }
    let grown = server.bytes("VmHWM").saturating_sub(before);
    assert!(grown > 32 * MEBIBYTE, "grown by {grown}: the floods did not arrive");
    assert!(grown < LARGE_ANSWER + SLACK, "grown by {} MiB", grown / MEBIBYTE);
}
