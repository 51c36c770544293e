//! What it costs to be watched: the session read of a server that logs errors alone, of one that logs as it does when nothing
//! is said, and of two whose requests are traced, a hundredth of them and all, to a collector that takes everything.

use crate::Failure;
use crate::load::{self, ROUNDS, Request};
use crate::processes::Process;
use crate::server;
use crate::table;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Takes what is posted to it, on the loopback, until it is killed.
pub fn serve_collector(port: u16) -> Result<(), Failure> {
    for stream in TcpListener::bind(("127.0.0.1", port))?.incoming() {
        let stream = stream?;
        std::thread::spawn(move || take(&stream));
    }
    Ok(())
}

fn take(stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line).ok()? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            line.clear();
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        let mut out = stream;
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}

/// Measures, and prints the table.
pub fn run() -> Result<(), Failure> {
    let scratch = tempfile::tempdir()?;
    let redis = Process::redis(scratch.path())?;
    let collector = Process::of_this_program("collector", 0)?;
    let endpoint = format!("http://127.0.0.1:{}", collector.port());
    let start = |more: &[(&str, &str)]| {
        let settings: Vec<_> = server::UNLIMITED.iter().chain(more).copied().collect();
        server::start(scratch.path(), redis.port(), &settings)
    };
    let traced = |ratio| start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_TRACES_SAMPLER_ARG", ratio)]);
    let quiet = start(&[("LOG_LEVEL", "error")])?;
    let (usual, some, all) = (start(&[])?, traced("0.01")?, traced("1")?);
    let session = server::create_session(&quiet)?;
    let read = |server| Request {
        server,
        path: &session.path,
        api_key: Some(&session.api_key),
        script: None,
        is_refused: false,
    };
    let rows = [
        ("errors are logged", read(&quiet)),
        ("logs at info", read(&usual)),
        ("and 1 % is traced", read(&some)),
        ("and all is traced", read(&all)),
    ];
    let measured = load::by_turns(&rows, &redis, ROUNDS)?;
    let mut out = std::io::stdout().lock();
    let first = measured.first().ok_or("no rows")?;
    writeln!(out, "\n64 callers, session reads, {ROUNDS} interleaved rounds")?;
    table::heading(&mut out)?;
    for ((name, _), rounds) in rows.iter().zip(&measured) {
        table::row(&mut out, name, rounds, first)?;
    }
    table::notes(&mut out, &measured.iter().map(Vec::as_slice).collect::<Vec<_>>())
}
