//! What evaluating flags costs: over HTTP beside a bare handler that gives a constant answer of the same size to the same
//! request, one flag at a time and a hundred at once.

use crate::Failure;
use crate::load::{self, Request, post};
use crate::processes::Process;
use crate::server::{self, call};
use crate::table;
use actix_web::http::header::ContentType;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Map, Value, json};
use std::io::Write;

const FLAGS: usize = 100;
/// More than elsewhere: what is compared differs by less than a shared machine does from one second to the next.
const ROUNDS: usize = 15;

/// Serves `POST /` and `/whole` on the loopback with one worker until it is killed: a constant JSON text of `length` bytes, with a
/// head of its own or with that of this server.
pub fn serve_constant(port: u16, length: usize) -> Result<(), Failure> {
    let body: &'static str = format!("\"{}\"", "x".repeat(length.saturating_sub(2))).leak();
    // It takes the body in, or actix would close the connection for what was not read.
    let constant = move |_: web::Bytes| async move { HttpResponse::Ok().content_type(ContentType::json()).body(body) };
    // The same answer, field by field, that this server gives: what it says of each request is in its head.
    let whole = move |_: web::Bytes| async move {
        let mut head = HttpResponse::Ok();
        head.content_type(ContentType::json());
        head.insert_header(("x-request-id", "01900000-0000-7000-8000-000000000000"));
        head.insert_header(("x-content-type-options", "nosniff"));
        head.insert_header(("cache-control", "no-store"));
        head.body(body)
    };
    let server =
        HttpServer::new(move || App::new().route("/", web::post().to(constant)).route("/whole", web::post().to(whole)));
    actix_web::rt::System::new().block_on(server.workers(1).bind(("127.0.0.1", port))?.run())?;
    Ok(())
}

/// A flag whose rule looks at the context, and one that splits whom it is for.
fn definitions() -> Value {
    let on_off = json!({"on": true, "off": false});
    let flag = |targeting: Value| json!({"state": "ENABLED", "variants": on_off, "defaultVariant": "off", "targeting": targeting});
    let rule = json!({"if": [{"and": [{"==": [{"var": "plan"}, "pro"]}, {"in": [{"var": "country"}, ["DE", "FR"]]}]}, "on", "off"]});
    let split = json!({"fractional": [["on", 25], ["off", 75]]});
    let mut flags = Map::new();
    for n in 0..FLAGS - 3 {
        let targeting = [json!({}), rule.clone(), split.clone()].into_iter().nth(n % 3);
        flags.insert(format!("bench-{n:02}"), flag(targeting.unwrap_or_default()));
    }
    for (key, targeting) in [("static", json!({})), ("rule", rule), ("split", split)] {
        flags.insert(key.to_owned(), flag(targeting));
    }
    json!({"flags": flags})
}

/// Measures, and prints the table.
pub fn run() -> Result<(), Failure> {
    let scratch = tempfile::tempdir()?;
    let redis = Process::redis(scratch.path())?;
    let server = server::start(scratch.path(), redis.port(), server::UNLIMITED)?;
    let session = server::create_session(&server)?;
    let key = session.api_key.as_str();
    call(&server, "PUT", "/v1/flagset", key, Some(&definitions()))?.expect(201)?;
    let context = json!({"context": {
        "targetingKey": "user-1234567", "email": "somebody@example.com", "plan": "pro", "country": "DE", "age": 37,
        "beta": false, "version": "2.11.4", "device": "phone", "language": "de-DE", "visits": 1234,
    }});
    let body = post(scratch.path(), "context", std::slice::from_ref(&context))?;
    let one = |key: &str| format!("/ofrep/v1/evaluate/flags/{key}");
    let (plain, rule, split, all) = (one("static"), one("rule"), one("split"), "/ofrep/v1/evaluate/flags".to_owned());
    let length = |path: &str| call(&server, "POST", path, key, Some(&context))?.expect(200).map(|body| body.len());
    let small = Process::of_this_program("constant", u16::try_from(length(&rule)?)?)?;
    let large = Process::of_this_program("constant", u16::try_from(length(&all)?)?)?;
    let bare = |server| Request { server, path: "/", api_key: Some(key), script: Some(&*body), is_refused: false };
    let asked = |path| Request { server: &server, path, ..bare(&server) };
    let rows = [
        ("bare, constant body", bare(&small)),
        ("bare, constant head and body", Request { path: "/whole", ..bare(&small) }),
        ("one flag, no rule", asked(&plain)),
        ("one flag, a rule", asked(&rule)),
        ("one flag, a split", asked(&split)),
        ("bare, constant body as bulk", bare(&large)),
        ("bulk of 100 flags", asked(&all)),
    ];
    let measured = load::by_turns(&rows, &redis, ROUNDS)?;
    let mut out = std::io::stdout().lock();
    let naive = measured.first().ok_or("no rows")?;
    let (small, large) = (length(&rule)?, length(&all)?);
    writeln!(
        out,
        "\n64 callers, a context of ten members, answers of {small} and {large} bytes, {ROUNDS} interleaved rounds"
    )?;
    table::heading(&mut out)?;
    for ((name, _), rounds) in rows.iter().zip(&measured) {
        table::row(&mut out, name, rounds, naive)?;
    }
    let [_, whole, single @ .., _, _] = &*measured else { return Err("no rows".into()) };
    writeln!(out, "\nThe same, by the bare handler that says as much:")?;
    for ((name, _), rounds) in rows.iter().skip(2).zip(single) {
        table::row(&mut out, name, rounds, whole)?;
    }
    table::notes(&mut out, &measured.iter().map(Vec::as_slice).collect::<Vec<_>>())
}
