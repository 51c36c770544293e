//! What a session read costs beside its ceiling. `./bench` runs it.
//!
//! Four variants take turns against one Redis, 64 callers each, so that a noisy machine disturbs all of them alike:
//!
//! - `redis-benchmark` asking for one value: what Redis and the loopback give;
//! - the ceiling: an actix handler that sends one `GET` over redis-rs and returns the bytes, and does nothing else;
//! - this server's session read, with authentication, tenancy, sliding expiry, metrics and the access log;
//! - the REST backend, without the server around it, reading a value through an HTTP stand-in for Upstash.
//!
//! The value that the others read has the length of the third one's answer. Shown are medians over the rounds, with
//! the lowest and the highest; a ratio is taken within its round, to the ceiling. A failed request ends the run.
//!
//! `./bench overload` measures something else: what is served when ten times too much is asked for.

mod ceiling;
mod load;
mod overload;
mod processes;
mod rest;
mod server;
mod stand_in;
mod table;

use processes::Process;
use std::io::Write;
use std::time::Instant;

/// Whatever went wrong: the run ends and says so.
pub type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 5;
const KEY: &str = "bench:value";

fn main() -> Result<(), Failure> {
    // Cargo adds `--bench` to what it is given.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["ceiling", port, redis] => ceiling::serve(port.parse()?, redis.parse()?),
        ["stand-in", port, redis] => stand_in::serve(port.parse()?, redis.parse()?),
        ["overload"] => overload::run(),
        _ => compare(),
    }
}

fn compare() -> Result<(), Failure> {
    let began = Instant::now();
    let scratch = tempfile::tempdir()?;
    let redis = Process::redis(scratch.path())?;
    let server = server::start(scratch.path(), redis.port())?;
    let session = server::create_session(&server)?;

    let mut connection = redis::Client::open(format!("redis://127.0.0.1:{}", redis.port()))?.get_connection()?;
    redis::cmd("SET").arg(KEY).arg("x".repeat(session.answer_length)).exec(&mut connection)?;
    let ceiling = Process::of_this_program("ceiling", redis.port())?;
    let callers = rest::Callers::start(&redis, session.answer_length)?;

    let read_value = || load::wrk(&ceiling, &redis, &format!("/{KEY}"), None);
    let read_session = || load::wrk(&server, &redis, &session.path, Some(&session.api_key));
    load::warm_up(&ceiling, &format!("/{KEY}"), None)?;
    load::warm_up(&server, &session.path, Some(&session.api_key))?;

    let (mut bare, mut naive, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    let (mut over_rest, mut round_trips) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(load::redis_benchmark(&redis, KEY)?);
        naive.push(read_value()?);
        ours.push(read_session()?);
        let (measurement, per_operation) = callers.read(&redis)?;
        over_rest.push(measurement);
        round_trips.push(per_operation);
    }

    let mut out = std::io::stdout().lock();
    writeln!(out, "\n64 callers, {} byte answers, {ROUNDS} interleaved rounds", session.answer_length)?;
    table::heading(&mut out)?;
    table::row(&mut out, "redis-benchmark GET", &bare, &naive)?;
    table::row(&mut out, "ceiling: actix, one GET", &naive, &naive)?;
    table::row(&mut out, "session read", &ours, &naive)?;
    table::row(&mut out, "REST backend, one GET", &over_rest, &naive)?;
    table::round_trips(&mut out, round_trips)?;
    table::notes(&mut out, &[&bare, &naive, &ours, &over_rest])?;
    writeln!(out, "took {:.0} s", began.elapsed().as_secs_f64())?;
    Ok(())
}
