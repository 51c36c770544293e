//! More than can be served in time: who is turned away, with what, and that the others do not notice.

mod adaptive;
mod answers;
mod bodies;
mod shares;
mod slots;

use crate::harness::app::{Answer, App, Caller};
use crate::harness::raw::Raw;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Patience with what must come, and longer than what must come at once takes on any machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough that nothing is late while a test looks.
const SLOW: [(&str, &str); 2] = [("REQUEST_TIMEOUT", "60s"), ("REDIS_COMMAND_TIMEOUT", "50s")];

/// A tenant with this share, by its key.
async fn tenant(app: &App, id: &str, max_in_flight: Option<u32>) -> Caller {
    let limits = max_in_flight.map_or(json!({}), |most| json!({"max_in_flight": most}));
    let body = json!({"id": id, "limits": limits, "create_key": true});
    let made = app.admin().post("/admin/v1/tenants", body).await.expect(StatusCode::CREATED);
    app.anyone().with("x-api-key", key(&made))
}

fn key(made: &Value) -> &str {
    made["api_key"]["key"].as_str().expect("its first key")
}

/// The value of a metric, by its name and labels as they stand in the text.
async fn metric(app: &App, name: &str) -> u64 {
    let text = app.anyone().get("/metrics").await.text;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Waits until the metric has this value.
async fn until(app: &App, name: &str, wanted: u64) {
    let started = Instant::now();
    loop {
        let value = metric(app, name).await;
        if value == wanted {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{name} is {value}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const IN_FLIGHT: &str = "agentapi_http_in_flight";
const BODY_BYTES: &str = "agentapi_http_body_bytes";

/// The refusal of whom there is no room for.
#[track_caller]
fn turned_away(answer: &Answer, code: &str) {
    let problem = answer.refused(503, code);
    assert_eq!(answer.header("retry-after"), "1", "{problem}");
    assert_eq!(problem.get("outcome"), None, "nothing was done: {problem}");
}

/// A request that is in flight for as long as its body does not end.
struct Unfinished {
    connection: Raw,
    rest: &'static str,
}

impl Unfinished {
    fn create(app: &App, headers: &str, id: &str) -> Unfinished {
        let (begin, rest) = (format!(r#"{{"user_id":"u1","id":"{id}""#), "}");
        let mut connection = Raw::connect(&app.base);
        let length = begin.len() + rest.len();
        let head = format!(
            "POST /v1/sessions HTTP/1.1\r\nhost: a\r\n{headers}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        );
        assert!(connection.send(head.as_bytes()) && connection.send(begin.as_bytes()));
        Unfinished { connection, rest }
    }

    /// Sends the rest, and gives the answer's status line.
    fn finish(mut self) -> String {
        assert!(self.connection.send(self.rest.as_bytes()));
        self.status()
    }

    fn status(&mut self) -> String {
        self.connection.answer().lines().next().unwrap_or_default().to_owned()
    }
}
