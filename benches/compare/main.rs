//! What the hot paths cost beside their ceiling. `./bench` runs it.
//!
//! The variants take turns against one Redis, 64 callers each, so that a noisy machine disturbs all of them alike:
//!
//! - `redis-benchmark` asking for one value: what Redis and the loopback give;
//! - the ceiling: an actix handler that sends one `GET` over redis-rs and returns the bytes, and does nothing else;
//! - this server's session read, with authentication, tenancy, sliding expiry, metrics and the access log;
//! - the same with the server's own limit on requests, which is too high to be reached;
//! - a rate limit check that is allowed, by two algorithms, and one that is denied over and over;
//! - asking a closed circuit breaker, and telling it of a success;
//! - an encrypted token of 1 KiB, and a session whose answer is as long;
//! - the REST backend, without the server around it, reading a value through an HTTP stand-in for Upstash.
//!
//! The value that the others read has the length of the third one's answer. Shown are medians over the rounds, with
//! the lowest and the highest; a ratio is taken within its round, to the ceiling. A request that is answered in another
//! way than was meant ends the run.
//!
//! `./bench overload` measures something else: what is served when ten times too much is asked for; `./bench flags`
//! evaluating feature flags; `./bench observed` what logs and traces cost; `./bench vault` sealing and opening alone.

mod ceiling;
mod flags;
mod load;
mod observed;
mod overload;
mod posts;
mod processes;
mod rest;
mod server;
mod stand_in;
mod table;
mod vault;

use load::{Measurement, ROUNDS, Request};
use processes::Process;
use std::io::Write;
use std::time::Instant;

/// Whatever went wrong: the run ends and says so.
pub type Failure = Box<dyn std::error::Error>;

const KEY: &str = "bench:value";

fn main() -> Result<(), Failure> {
    // Cargo adds `--bench` to what it is given.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["ceiling", port, redis] => ceiling::serve(port.parse()?, redis.parse()?),
        ["stand-in", port, redis] => stand_in::serve(port.parse()?, redis.parse()?),
        ["constant", port, length] => flags::serve_constant(port.parse()?, length.parse()?),
        ["collector", port, _] => observed::serve_collector(port.parse()?),
        ["flags"] => flags::run(),
        ["observed"] => observed::run(),
        ["overload"] => overload::run(),
        ["vault"] => vault::in_process(&mut std::io::stdout().lock()),
        _ => compare(),
    }
}

fn compare() -> Result<(), Failure> {
    let began = Instant::now();
    let scratch = tempfile::tempdir()?;
    let redis = Process::redis(scratch.path())?;
    let server = server::start(scratch.path(), redis.port(), server::UNLIMITED)?;
    let limited = server::start(scratch.path(), redis.port(), server::LIMITED)?;
    let session = server::create_session(&server)?;

    let mut connection = redis::Client::open(format!("redis://127.0.0.1:{}", redis.port()))?.get_connection()?;
    redis::cmd("SET").arg(KEY).arg("x".repeat(session.answer_length)).exec(&mut connection)?;
    let ceiling = Process::of_this_program("ceiling", redis.port())?;
    let callers = rest::Callers::start(&redis, session.answer_length)?;

    let path = format!("/{KEY}");
    let value = Request { server: &ceiling, path: &path, api_key: None, script: None, is_refused: false };
    let read = Request { server: &server, path: &session.path, api_key: Some(&session.api_key), ..value };
    let posts = posts::Posts::prepare(scratch.path(), &server, &session.api_key)?;
    let mut rows = vec![
        ("ceiling: actix, one GET", value),
        ("session read", read),
        ("session read, API limit", Request { server: &limited, ..read }),
    ];
    rows.extend(posts.rows(read));
    let secrets = vault::Paths::prepare(&server, &session.api_key)?;
    rows.extend(secrets.rows(read));
    for (_, request) in &rows {
        load::warm_up(*request)?;
    }

    let (mut bare, mut over_rest, mut round_trips) = (Vec::new(), Vec::new(), Vec::new());
    let mut measured: Vec<Vec<Measurement>> = rows.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        bare.push(load::redis_benchmark(&redis, KEY)?);
        for ((_, request), rounds) in rows.iter().zip(&mut measured) {
            rounds.push(load::wrk(*request, &redis)?);
        }
        let (measurement, per_operation) = callers.read(&redis)?;
        over_rest.push(measurement);
        round_trips.push(per_operation);
    }

    let mut out = std::io::stdout().lock();
    let naive = measured.first().ok_or("no rows")?;
    writeln!(out, "\n64 callers, {} byte answers to reads, {ROUNDS} interleaved rounds", session.answer_length)?;
    table::heading(&mut out)?;
    table::row(&mut out, "redis-benchmark GET", &bare, naive)?;
    for ((name, _), rounds) in rows.iter().zip(&measured) {
        table::row(&mut out, name, rounds, naive)?;
    }
    table::row(&mut out, "REST backend, one GET", &over_rest, naive)?;
    table::round_trips(&mut out, round_trips)?;
    vault::in_process(&mut out)?;
    let all: Vec<&[Measurement]> = measured.iter().map(Vec::as_slice).chain([&*bare, &*over_rest]).collect();
    table::notes(&mut out, &all)?;
    writeln!(out, "took {:.0} s", began.elapsed().as_secs_f64())?;
    Ok(())
}
