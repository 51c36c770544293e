//! What is left of the server when ten times as much is asked of it as it can do. `./bench overload` runs it.
//!
//! The request is heavy and legal: a batch that reads 60 sessions of 10 KiB, of one of four tenants. First a
//! few callers who each wait for their answer find out how many of them a second can be served. Then ten
//! times as many are sent, at fixed moments, whatever becomes of them; whoever is turned away does not wait
//! before the next. Printed: how many were served in time beside the first figure, how soon the others were
//! turned away (as callers see it, who share the cores with the server, and as the server counts it), and
//! the server's memory at its largest.

use crate::Failure;
use crate::processes::{Process, pin};
use crate::server::{self, ADMIN_KEY};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TENANTS: usize = 4;
const SESSIONS: usize = 60;
const BYTES: usize = 10 * 1024;
/// Callers who wait for their answer, and connections that more than can be served comes over.
const FEW: usize = 8;
const MANY: usize = 400;
const TIMES: f64 = 10.0;
/// What the server gives a request; an answer after that is of no use.
const IN_TIME: Duration = Duration::from_secs(2);

/// One answer: whether it was 200, and how long it took.
type Seen = (u16, Duration);

pub fn run() -> Result<(), Failure> {
    let scratch = tempfile::tempdir()?;
    let redis = Process::redis(scratch.path())?;
    let server = server::start(scratch.path(), redis.port(), server::UNLIMITED)?;
    let requests = Arc::new((0..TENANTS).map(|n| batch(&server, n)).collect::<Result<Vec<_>, _>>()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let port = server.port();
    // Else whoever sends ten times as much takes the time that it would take to serve them.
    for process in [&server, &redis] {
        process.pin(0)?;
    }
    pin(std::process::id(), 1)?;
    runtime.block_on(offer(port, &requests, FEW, None, Duration::from_secs(1)))?;
    let alone = runtime.block_on(offer(port, &requests, FEW, None, Duration::from_secs(4)))?;
    let sustainable = served(&alone) as f64 / 4.0;
    let crowd = runtime.block_on(offer(port, &requests, MANY, Some(sustainable * TIMES), Duration::from_secs(8)))?;

    let mut out = std::io::stdout().lock();
    writeln!(out, "\nbatches of {SESSIONS} sessions of {BYTES} bytes, {TENANTS} tenants")?;
    let p99 = millis(percentile(alone.iter().map(|(_, took)| *took), 0.99));
    writeln!(out, "{FEW} callers who wait:   {sustainable:.0}/s served, p99 {p99:.1} ms")?;
    let (offered, good) = (crowd.len() as f64 / 8.0, served(&crowd) as f64 / 8.0);
    let ratio = good / sustainable;
    writeln!(out, "{MANY} callers who do not: {offered:.0}/s sent, {good:.0}/s served in time: {ratio:.2} of it")?;
    let of = |status: u16| crowd.iter().filter(move |(seen, _)| *seen == status).map(|(_, took)| *took);
    let [p50, p99] = [0.5, 0.99].map(|part| millis(percentile(of(503), part)));
    writeln!(out, "turned away: {} as seen by callers, p50 {p50:.1} ms, p99 {p99:.1} ms", of(503).count())?;
    writeln!(out, "served: p99 {:.0} ms", millis(percentile(of(200), 0.99)))?;
    let others = crowd.iter().filter(|(status, _)| !matches!(status, 200 | 503)).count();
    writeln!(out, "neither: {others}")?;
    let metrics = String::from_utf8(server::call(&server, "GET", "/metrics", "", None)?.expect(200)?)?;
    for line in metrics.lines().filter(|line| line.contains("overload_refusal") && !line.starts_with('#')) {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "memory at its largest: {} MiB", server.peak_memory()? >> 20)?;
    Ok(())
}

/// Makes a tenant with its sessions, and gives the request that reads them all.
fn batch(server: &Process, n: usize) -> Result<Vec<u8>, Failure> {
    let tenant = json!({"id": format!("overload-{n}"), "create_key": true});
    let made = server::call(server, "POST", "/admin/v1/tenants", ADMIN_KEY, Some(&tenant))?.expect(201)?;
    let key = server::find_api_key(&serde_json::from_slice(&made)?).ok_or("the new tenant has no key")?;
    let mut ids = Vec::new();
    for user in 0..SESSIONS {
        let session = json!({"user_id": format!("u{user}"), "data": {"text": "x".repeat(BYTES)}});
        let made = server::call(server, "POST", "/v1/sessions", &key, Some(&session))?.expect(201)?;
        let made: Value = serde_json::from_slice(&made)?;
        ids.push(made.get("id").and_then(Value::as_str).ok_or("a session without an id")?.to_owned());
    }
    let body = json!({"get": ids}).to_string();
    let head = format!(
        "POST /v1/sessions/batch HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Ok([head.into_bytes(), body.into_bytes()].concat())
}

/// Sends for so long, over so many connections: so many a second, or each as soon as the last was answered.
async fn offer(
    port: u16,
    requests: &Arc<Vec<Vec<u8>>>,
    callers: usize,
    rate: Option<f64>,
    time: Duration,
) -> Result<Vec<Seen>, Failure> {
    let (begun, next) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (requests, next) = (requests.clone(), next.clone());
            tokio::spawn(async move {
                let (mut seen, mut connection) = (Vec::new(), None);
                let mut room = vec![0; 1 << 16];
                loop {
                    let n = next.fetch_add(1, Relaxed);
                    let due = rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(n as f64 / rate));
                    if due.max(begun.elapsed()) >= time {
                        return seen;
                    }
                    tokio::time::sleep_until((begun + due).into()).await;
                    let Some(request) = requests.get(n as usize % requests.len()) else { return seen };
                    let sent = Instant::now();
                    match exchange(port, &mut connection, request, &mut room).await {
                        Ok(status) => seen.push((status, sent.elapsed())),
                        Err(_) => {
                            connection = None;
                            seen.push((0, sent.elapsed()));
                        }
                    }
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await?);
    }
    Ok(all)
}

/// One request and its whole answer, whose status is given.
async fn exchange(
    port: u16,
    connection: &mut Option<TcpStream>,
    request: &[u8],
    room: &mut [u8],
) -> Result<u16, Failure> {
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => TcpStream::connect(("127.0.0.1", port)).await?,
    };
    stream.write_all(request).await?;
    let mut filled = 0;
    let (head_ends, text) = loop {
        let count = stream.read(room.get_mut(filled..).unwrap_or_default()).await?;
        if count == 0 {
            return Err("an answer without an end of its head".into());
        }
        filled += count;
        let got = room.get(..filled).unwrap_or_default();
        if let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") {
            break (end + 4, String::from_utf8_lossy(got.get(..end).unwrap_or_default()).to_ascii_lowercase());
        }
    };
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("an answer without a status")?;
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let mut left = (head_ends + length.unwrap_or(0)).saturating_sub(filled);
    while left > 0 {
        match stream.read(room).await? {
            0 => return Err("an answer that ended early".into()),
            count => left = left.saturating_sub(count),
        }
    }
    if !text.contains("connection: close") {
        *connection = Some(stream);
    }
    Ok(status)
}

fn served(seen: &[Seen]) -> usize {
    seen.iter().filter(|(status, took)| *status == 200 && *took <= IN_TIME).count()
}

fn percentile(times: impl Iterator<Item = Duration>, part: f64) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    let place = ((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1));
    times.get(place).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
