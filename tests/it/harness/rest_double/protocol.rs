//! The protocol, from the reference: `/pipeline` and `/multi-exec` under any prefix.

use super::faults::{Fault, Moment};
use super::resp::{Connection, Resp};
use super::{Call, Seen, Shared, subscription};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::Method, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;

const MAX_REQUEST: usize = 10 * 1024 * 1024;
const FLAG_LINE: &str = "#!lua flags=allow-key-locking\n";

type Commands = Vec<Vec<Vec<u8>>>;

pub(super) async fn answer(request: HttpRequest, payload: web::Payload, shared: web::Data<Shared>) -> HttpResponse {
    let number = shared.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let body = payload.to_bytes_limited(MAX_REQUEST).await;
    let said: &[u8] = if let Ok(Ok(body)) = &body { body } else { b"" };
    let fault = shared.fault(&Call { number, path: request.path(), body: said });
    if let Some(fault) = &fault {
        if fault.moment() != Moment::After {
            shared.inject(fault);
        }
        if let Some(response) = fault.before(&request).await {
            return response;
        }
    }
    let respond = |mut response: HttpResponseBuilder, body: Value| {
        response.insert_header(("upstash-sync-token", format!("rw={number}")));
        response.content_type("application/json").body(body.to_string())
    };
    let refuse = |line: &str| respond(HttpResponse::BadRequest(), json!({"error": line}));

    let bearer = header(&request, "authorization").and_then(|value| value.strip_prefix("Bearer "));
    if bearer != Some(&shared.token) {
        let line = "WRONGPASS invalid or missing auth token. See \
                    https://docs.upstash.com/redis/troubleshooting/http_unauthorized for details.";
        return respond(HttpResponse::Unauthorized(), json!({"error": line}));
    }
    if request.method() != Method::POST {
        return respond(HttpResponse::MethodNotAllowed(), json!({"error": "ERR method not allowed"}));
    }
    let Ok(Ok(body)) = body else {
        return refuse(&format!("ERR max request size exceeded. Limit: {MAX_REQUEST} bytes"));
    };
    if let Some(channel) = subscription::channel(&request) {
        let path = request.path().to_owned();
        shared.remember(Seen { path, headers: HashMap::new(), commands: vec!["SUBSCRIBE".to_owned()] });
        return match subscription::answer(&channel, shared).await {
            Ok(response) => response,
            Err(error) => respond(HttpResponse::InternalServerError(), json!({"error": format!("ERR {error}")})),
        };
    }
    let Some(commands) = commands(&body) else { return refuse("ERR failed to parse pipeline request") };
    shared.remember(Seen {
        path: request.path().to_owned(),
        headers: request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        commands: without_mark(&commands)
            .iter()
            .map(|command| String::from_utf8_lossy(&command[0]).to_uppercase())
            .collect(),
    });
    if let Some(results) = fault.as_ref().and_then(|fault| fault.instead(commands.len())) {
        return respond(HttpResponse::Ok(), results.into());
    }
    let commands = shared.strip(commands);
    let outcome = match request.path().rsplit('/').next() {
        Some("pipeline") => shared.pipeline(&commands).await,
        Some("multi-exec") => shared.transaction(&commands).await,
        _ => return refuse("ERR Command is not available"),
    };
    let replies = match outcome {
        Ok(Ok(replies)) => replies,
        Ok(Err(line)) => return refuse(&line),
        Err(error) => return respond(HttpResponse::InternalServerError(), json!({"error": format!("ERR {error}")})),
    };
    let base64 = header(&request, "upstash-encoding") == Some("base64");
    let mut results: Vec<Value> = replies.iter().map(|reply| item(reply, base64)).collect();
    let last = shared.last.lock().insert(results.len(), results.clone());
    if let Some(fault) = &fault {
        if fault.moment() == Moment::After {
            shared.inject(fault);
        }
        if let (Fault::Stale, Some(last)) = (fault, last) {
            results = last;
        }
        fault.distort(&mut results);
        if let Some(response) = fault.after(&request, Value::from(results.clone()).to_string().as_bytes()).await {
            return response;
        }
    }
    respond(HttpResponse::Ok(), results.into())
}

/// The commands without the `PING` by which the client knows an answer again.
fn without_mark(commands: &Commands) -> &[Vec<Vec<u8>>] {
    match commands.split_last() {
        Some((last, rest)) if last.len() == 2 && last[0] == b"PING" => rest,
        _ => commands,
    }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// The commands of a body: arrays of texts, numbers and booleans, none of them empty.
fn commands(body: &[u8]) -> Option<Commands> {
    let all: Vec<Vec<Value>> = serde_json::from_slice(body).ok()?;
    let argument = |value: Value| match value {
        Value::String(text) => Some(text.into_bytes()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string().into_bytes()),
        _ => None,
    };
    let well_formed = !all.is_empty() && all.iter().all(|command| !command.is_empty());
    let command = |command: Vec<Value>| command.into_iter().map(argument).collect();
    if well_formed { all.into_iter().map(command).collect() } else { None }
}

fn item(reply: &Resp, base64: bool) -> Value {
    match reply {
        Resp::Error(line) => json!({"error": line}),
        Resp::Status(text) if text == "OK" => json!({"result": "OK"}),
        other => json!({"result": result(other, base64)}),
    }
}

fn result(reply: &Resp, base64: bool) -> Value {
    let text =
        |bytes: &[u8]| if base64 { STANDARD.encode(bytes) } else { String::from_utf8_lossy(bytes).into_owned() }.into();
    match reply {
        Resp::Nil => Value::Null,
        Resp::Int(number) => (*number).into(),
        Resp::Status(line) | Resp::Error(line) => text(line.as_bytes()),
        Resp::Bulk(bytes) => text(bytes),
        Resp::Array(items) => items.iter().map(|item| result(item, base64)).collect(),
    }
}

impl Shared {
    async fn run(&self, commands: &[Vec<Vec<u8>>]) -> io::Result<Vec<Resp>> {
        let idle = self.idle.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Connection::open(self.redis_port).await?,
        };
        let replies = connection.run(commands).await?;
        self.idle.lock().push(connection);
        Ok(replies)
    }

    async fn pipeline(&self, commands: &[Vec<Vec<u8>>]) -> io::Result<Result<Vec<Resp>, String>> {
        self.run(commands).await.map(Ok)
    }

    /// The replies, or the first reason for which nothing ran.
    async fn transaction(&self, commands: &[Vec<Vec<u8>>]) -> io::Result<Result<Vec<Resp>, String>> {
        let word = |word: &str| vec![word.as_bytes().to_vec()];
        let all: Commands = [word("MULTI")].into_iter().chain(commands.to_vec()).chain([word("EXEC")]).collect();
        let mut answers = self.run(&all).await?;
        let executed = answers.pop();
        let first_error = answers.into_iter().find_map(|answer| match answer {
            Resp::Error(line) => Some(line),
            _ => None,
        });
        Ok(match (executed, first_error) {
            (Some(Resp::Array(replies)), _) => Ok(replies),
            (_, Some(line)) => Err(line),
            (other, None) => Err(format!("ERR EXEC answered {other:?}")),
        })
    }

    /// Stock Redis refuses the flag that Upstash knows, so scripts run without it, under another digest.
    fn strip(&self, mut commands: Commands) -> Commands {
        for command in &mut commands {
            let name = command[0].to_ascii_uppercase();
            let Some(script) = command.get_mut(1) else { continue };
            if name == b"EVAL"
                && let Some(plain) = script.strip_prefix(FLAG_LINE.as_bytes())
            {
                let plain = plain.to_vec();
                self.stripped.lock().insert(digest(script), digest(&plain));
                *script = plain;
            } else if name == b"EVALSHA"
                && let Some(plain) = self.stripped.lock().get(&*String::from_utf8_lossy(script))
            {
                *script = plain.clone().into_bytes();
            }
        }
        commands
    }
}

fn digest(text: &[u8]) -> String {
    Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
