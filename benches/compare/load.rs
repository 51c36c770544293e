//! The load: `redis-benchmark` and `wrk`, and what the servers used meanwhile.

use crate::Failure;
use crate::processes::{self, Process, whole_machine};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// One variant in one round.
pub struct Measurement {
    /// Requests answered per second.
    pub per_second: f64,
    /// The time within which 99 of 100 requests were answered, in milliseconds; where the tool tells it.
    pub p99_millis: Option<f64>,
    /// CPU time of the HTTP server per request, in microseconds; where there is one.
    pub server_micros: Option<f64>,
    /// CPU time of Redis per request, in microseconds.
    pub redis_micros: f64,
    /// Cores that were busy with something else.
    pub others: f64,
}

/// What a source of load says of its run.
pub struct Told {
    /// Requests that were answered.
    pub requests: f64,
    /// How many of them per second.
    pub per_second: f64,
    /// As in [`Measurement`].
    pub p99_millis: Option<f64>,
}

/// What is asked, the same each time.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Whom.
    pub server: &'a Process,
    /// The path.
    pub path: &'a str,
    /// Who asks.
    pub api_key: Option<&'a str>,
    /// What is posted: a file in which `wrk` finds it, made by [`post`]. Without one, `GET`.
    pub script: Option<&'a Path>,
    /// Each answer is a refusal, rather than none.
    pub is_refused: bool,
}

/// Writes down for `wrk` that it posts these JSON bodies, by turns.
pub fn post(directory: &Path, name: &str, bodies: &[Value]) -> Result<PathBuf, Failure> {
    let file = directory.join(name).with_extension("lua");
    let bodies: String = bodies.iter().map(|body| format!("[[{body}]],\n")).collect();
    let script = format!(
        "wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nlocal requests, turn = {{\n{bodies}}}, 0\n\
         function init() for n, body in ipairs(requests) do requests[n] = wrk.format(nil, nil, nil, body) end end\n\
         function request() turn = turn % #requests + 1 return requests[turn] end\n"
    );
    std::fs::write(&file, script)?;
    Ok(file)
}

/// Sends requests for a second, so that connections, caches and the branch predictor are warm.
pub fn warm_up(request: Request) -> Result<(), Failure> {
    run_wrk(request, "1s").map(drop)
}

/// The request over 64 connections that stay open.
pub fn wrk(request: Request, redis: &Process) -> Result<Measurement, Failure> {
    measured(Some(request.server), &[], redis, || run_wrk(request, "2s"))
}

/// How often each variant takes its turn.
pub const ROUNDS: usize = 5;

/// Measures these by turns, so often, after each has been warmed up: the measurements of each, in the order of the rows.
pub fn by_turns(rows: &[(&str, Request)], redis: &Process, rounds: usize) -> Result<Vec<Vec<Measurement>>, Failure> {
    for (_, request) in rows {
        warm_up(*request)?;
    }
    let mut measured: Vec<Vec<Measurement>> = rows.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((_, request), measured) in rows.iter().zip(&mut measured) {
            measured.push(wrk(*request, redis)?);
        }
    }
    Ok(measured)
}

/// `GET key` straight to Redis.
pub fn redis_benchmark(redis: &Process, key: &str) -> Result<Measurement, Failure> {
    const REQUESTS: u32 = 150_000;
    measured(None, &[], redis, || {
        let mut command = Command::new("redis-benchmark");
        command.args(["-p", &redis.port().to_string(), "-c", "64", "-n", &REQUESTS.to_string(), "--csv", "GET", key]);
        let text = output(command)?;
        // The last line: the command, requests per second, then from version 7 on latencies, of which the sixth is p99.
        let line = text.lines().last().unwrap_or_default();
        let cells: Vec<&str> = line.split(',').map(|cell| cell.trim_matches('"')).collect();
        let number = |index: usize| cells.get(index).and_then(|cell| cell.parse::<f64>().ok());
        let per_second = number(1).ok_or_else(|| format!("redis-benchmark said: {text}"))?;
        Ok(Told { requests: f64::from(REQUESTS), per_second, p99_millis: number(6) })
    })
}

/// Runs the load on `server` and watches what is used meanwhile. The processes `beside` it take part unreported.
pub fn measured(
    server: Option<&Process>,
    beside: &[&Process],
    redis: &Process,
    run: impl FnOnce() -> Result<Told, Failure>,
) -> Result<Measurement, Failure> {
    let cpu = || -> Result<Used, Failure> {
        Ok(Used {
            server: server.map(Process::cpu).transpose()?.unwrap_or_default(),
            redis: redis.cpu()?,
            load: processes::load()? + beside.iter().map(|process| process.cpu()).sum::<Result<Duration, _>>()?,
            machine: whole_machine()?,
        })
    };
    let (began, before) = (Instant::now(), cpu()?);
    let told = run()?;
    let (lasted, after) = (began.elapsed(), cpu()?);
    let used = |of: fn(&Used) -> Duration| of(&after).saturating_sub(of(&before));
    let (of_server, of_redis) = (used(|u| u.server), used(|u| u.redis));
    let others = used(|u| u.machine).saturating_sub(of_server + of_redis + used(|u| u.load));
    let per_request = |time: Duration| time.as_secs_f64() * 1e6 / told.requests;
    Ok(Measurement {
        per_second: told.per_second,
        p99_millis: told.p99_millis,
        server_micros: server.map(|_| per_request(of_server)),
        redis_micros: per_request(of_redis),
        others: others.as_secs_f64() / lasted.as_secs_f64(),
    })
}

/// CPU time so far.
struct Used {
    server: Duration,
    redis: Duration,
    load: Duration,
    machine: Duration,
}

fn run_wrk(request: Request, time: &str) -> Result<Told, Failure> {
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c64", "--latency", "-d", time]);
    if let Some(key) = request.api_key {
        command.arg("-H").arg(format!("Authorization: Bearer {key}"));
    }
    if let Some(script) = request.script {
        command.arg("-s").arg(script);
    }
    command.arg(format!("http://127.0.0.1:{}{}", request.server.port(), request.path));
    let text = output(command)?;
    let after = |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label));
    let per_second = after("Requests/sec:").and_then(|number| number.trim().parse().ok());
    let requests = text.lines().find(|line| line.contains(" requests in ")).and_then(|line| {
        let count = line.split_whitespace().next()?;
        count.parse().ok()
    });
    let (Some(requests), Some(per_second)) = (requests, per_second) else {
        return Err(format!("wrk said: {text}").into());
    };
    let refused = after("Non-2xx or 3xx responses:").map_or(Ok(0.0), |count| count.trim().parse::<f64>())?;
    if text.contains("Socket errors") || refused != if request.is_refused { requests } else { 0.0 } {
        return Err(format!("{} was not answered as expected: {text}", request.path).into());
    }
    Ok(Told { requests, per_second, p99_millis: after("99%").and_then(millis) })
}

/// Reads `636.00us`, `1.54ms`, `2.00s`.
fn millis(text: &str) -> Option<f64> {
    let text = text.trim();
    let (number, factor) = if let Some(number) = text.strip_suffix("us") {
        (number, 1e-3)
    } else if let Some(number) = text.strip_suffix("ms") {
        (number, 1.0)
    } else {
        (text.strip_suffix('s')?, 1e3)
    };
    Some(number.parse::<f64>().ok()? * factor)
}

fn output(mut command: Command) -> Result<String, Failure> {
    let program = command.get_program().to_owned();
    let output = command.output().map_err(|error| format!("{program:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program:?} ended: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
