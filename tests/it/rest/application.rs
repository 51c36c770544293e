//! Every kind of fault, times every kind of request to the real application: what the client is told, and
//! that what it is told is so. What is true is asked of another application, over the same Redis without REST.

use super::kinds::{Fate, Kind, kinds};
use super::*;
use crate::harness::app::{Answer, App, Caller};
use crate::harness::redis_server::RedisServer;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

const PREFIX: (&str, &str) = ("REDIS_KEY_PREFIX", "faults");
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(5);
/// Neither of these is in anything that the application says by itself.
const NEVER_SHOWN: [&str; 4] = [CANARY, "10.1.2.3", "Oops", "rest-token"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Create,
    Read,
    Put,
    Patch,
    Delete,
    Refresh,
    List,
    BatchRead,
    BatchDelete,
    CreateTenant,
}

const OPERATIONS: [Operation; 10] = [
    Operation::Create,
    Operation::Read,
    Operation::Put,
    Operation::Patch,
    Operation::Delete,
    Operation::Refresh,
    Operation::List,
    Operation::BatchRead,
    Operation::BatchDelete,
    Operation::CreateTenant,
];

impl Operation {
    fn writes(self) -> bool {
        !matches!(self, Operation::Read | Operation::List | Operation::BatchRead)
    }
}

/// Which of the requests to the endpoint go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    First,
}

/// The application under test, and the one that knows the truth.
struct Stage<'a> {
    app: &'a App,
    double: &'a RestDouble,
    truth: &'a App,
}

/// Somebody with one session, at version 1 with `{"n": 1}`.
struct Somebody {
    tenant: String,
    /// Through the application under test.
    caller: Caller,
    truth: Caller,
    session: Value,
}

impl Somebody {
    fn path(&self) -> String {
        format!("/v1/sessions/{}", self.session["id"].as_str().unwrap())
    }

    /// The session as it is, or nothing.
    async fn stored(&self) -> Option<Value> {
        let answer = self.truth.get(&format!("{}?touch=false", self.path())).await;
        (answer.status != StatusCode::NOT_FOUND).then(|| answer.expect(StatusCode::OK))
    }
}

async fn somebody(stage: &Stage<'_>) -> Somebody {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let tenant = format!("somebody-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let body = json!({"id": tenant, "create_key": true});
    let made = stage.truth.admin().post("/admin/v1/tenants", body).await.expect(StatusCode::CREATED);
    let key = made["api_key"]["key"].as_str().or(made["api_key"].as_str()).unwrap().to_owned();
    let (caller, truth) = (stage.app.anyone().with("x-api-key", &key), stage.truth.anyone().with("x-api-key", &key));
    let body = json!({"user_id": "u1", "data": {"n": 1}, "refresh": true});
    let session = truth.post("/v1/sessions", body).await.expect(StatusCode::CREATED);
    // The key is known from now on, and looked up in requests of its own if it must be again.
    let start = Instant::now();
    while caller.get("/v1/sessions/absent").await.status != StatusCode::NOT_FOUND {
        assert!(start.elapsed() < Duration::from_secs(30), "the application does not serve");
    }
    Somebody { tenant, caller, truth, session }
}

async fn request(operation: Operation, stage: &Stage<'_>, somebody: &Somebody) -> Answer {
    let (caller, id) = (&somebody.caller, &somebody.session["id"]);
    match operation {
        Operation::Create => caller.post("/v1/sessions", json!({"user_id": "u2", "data": {"n": 2}})).await,
        Operation::Read => caller.get(&somebody.path()).await,
        Operation::Put => caller.put(&somebody.path(), json!({"user_id": "u1", "data": {"n": 2}})).await,
        Operation::Patch => caller.patch(&somebody.path(), json!({"data": {"n": 2}})).await,
        Operation::Delete => caller.delete(&somebody.path()).await,
        Operation::Refresh => {
            let token = json!({"refresh_token": somebody.session["refresh_token"]});
            caller.post("/v1/sessions/refresh", token).await
        }
        Operation::List => caller.get("/v1/sessions").await,
        Operation::BatchRead => caller.post("/v1/sessions/batch", json!({"get": [id]})).await,
        Operation::BatchDelete => caller.post("/v1/sessions/batch", json!({"delete": [id]})).await,
        Operation::CreateTenant => {
            let id = format!("{}-child", somebody.tenant);
            stage.app.admin().post("/admin/v1/tenants", json!({"id": id})).await
        }
    }
}

/// Whether the body of a success is the right one.
fn is_right(operation: Operation, answer: &Answer, somebody: &Somebody) -> bool {
    let body = if answer.text.is_empty() { Value::Null } else { answer.json() };
    let session = &somebody.session;
    match operation {
        Operation::Create => body["user_id"] == "u2" && body["data"] == json!({"n": 2}) && body["version"] == 1,
        Operation::Read => body["id"] == session["id"] && body["data"] == json!({"n": 1}) && body["version"] == 1,
        Operation::Put | Operation::Patch => {
            body["id"] == session["id"] && body["data"] == json!({"n": 2}) && body["version"] == 2
        }
        Operation::Delete => answer.status == StatusCode::NO_CONTENT && body.is_null(),
        Operation::Refresh => {
            body["data"] == json!({"n": 1})
                && body["id"] != session["id"]
                && body["refresh_token"].is_string()
                && body["refresh_token"] != session["refresh_token"]
        }
        Operation::List => {
            body["items"].as_array().is_some_and(|items| items.len() == 1 && items[0]["ref"] == session["ref"])
        }
        Operation::BatchRead => body["items"][0]["data"] == json!({"n": 1}),
        Operation::BatchDelete => body["deleted"] == 1,
        Operation::CreateTenant => body["id"] == format!("{}-child", somebody.tenant),
    }
}

/// Whether the write was done, in truth.
async fn is_done(operation: Operation, stage: &Stage<'_>, somebody: &Somebody) -> bool {
    match operation {
        Operation::Create => {
            let list = somebody.truth.get("/v1/users/u2/sessions").await.expect(StatusCode::OK);
            let created = list["items"].as_array().unwrap().len();
            assert!(created <= 1, "one request created {created} sessions");
            created == 1
        }
        Operation::Put | Operation::Patch => {
            let stored = somebody.stored().await.expect("the session");
            let done = stored["data"] == json!({"n": 2});
            assert!(done || stored["data"] == json!({"n": 1}), "{stored}");
            done
        }
        Operation::Delete | Operation::BatchDelete => somebody.stored().await.is_none(),
        Operation::Refresh => somebody.stored().await.is_none(),
        Operation::CreateTenant => {
            let path = format!("/admin/v1/tenants/{}-child", somebody.tenant);
            let answer = stage.truth.admin().get(&path).await;
            assert!(answer.status == StatusCode::OK || answer.status == StatusCode::NOT_FOUND, "{answer:?}");
            answer.status == StatusCode::OK
        }
        Operation::Read | Operation::List | Operation::BatchRead => false,
    }
}

/// Whether a refresh token that was presented is still good: also after an answer that was lost.
async fn can_refresh(somebody: &Somebody) -> bool {
    let token = json!({"refresh_token": somebody.session["refresh_token"]});
    somebody.truth.post("/v1/sessions/refresh", token).await.status == StatusCode::OK
}

/// What is not as it should be, in words.
async fn case(stage: &Stage<'_>, kind: &Kind, operation: Operation, which: Which) -> Vec<String> {
    let mut faults = Vec::new();
    let somebody = somebody(stage).await;
    // A key of the tenant's own data, or of the tenant that is to be: not the lookup of the API key.
    let mark = match operation {
        Operation::CreateTenant => format!("{}-child", somebody.tenant),
        _ => format!("{{{}:", somebody.tenant),
    };
    let before = stage.double.injected(&kind.fault);
    let (fault, calls) = (kind.fault.clone(), AtomicU64::new(0));
    stage.double.inject_where(move |call| {
        let hit = call.says(&mark) && (calls.fetch_add(1, Ordering::SeqCst) == 0 || which == Which::All);
        hit.then(|| fault.clone())
    });
    let start = Instant::now();
    let answer = request(operation, stage, &somebody).await;
    let took = start.elapsed();
    stage.double.heal();
    if stage.double.injected(&kind.fault) == before {
        faults.push("nothing was injected".to_owned());
    }
    if took > REQUEST_TIMEOUT + SLACK {
        faults.push(format!("took {took:?}"));
    }
    if let Some(shown) = NEVER_SHOWN.iter().find(|text| format!("{:?}{}", answer.headers, answer.text).contains(*text))
    {
        faults.push(format!("shows {shown}: {answer:?}"));
    }
    let done = is_done(operation, stage, &somebody).await;
    let is_unknown = answer.text.contains("\"outcome\":\"unknown\"");
    match answer.status.as_u16() {
        200..=299 => {
            if !is_right(operation, &answer, &somebody) {
                faults.push(format!("a wrong answer: {answer:?}"));
            }
            if operation.writes() && !done {
                faults.push("acknowledged and not done".to_owned());
            }
        }
        503 => {
            let problem = answer.refused(503, "backend_unavailable");
            let retry_after: u64 = answer.header("retry-after").parse().unwrap_or(0);
            let expected = match &kind.fate {
                Fate::Fails(Error { kind: ErrorKind::Throttled { retry_after: Some(pause) }, .. }) => pause.as_secs(),
                _ => 1,
            };
            if retry_after != expected.max(1) {
                faults.push(format!("retry after {retry_after}"));
            }
            if is_unknown != (problem["outcome"] == "unknown") || is_unknown && !operation.writes() {
                faults.push(format!("an unknown outcome of what writes nothing: {problem}"));
            }
            if done && !is_unknown {
                faults.push("said to have failed, and done".to_owned());
            }
        }
        404 if matches!(operation, Operation::Delete) && done => {}
        _ => faults.push(format!("{answer:?}")),
    }
    if operation == Operation::Refresh && !can_refresh(&somebody).await {
        faults.push("the refresh token is lost".to_owned());
    }
    faults.iter().map(|fault| format!("{} ({which:?}) times {operation:?}: {fault}", kind.name)).collect()
}

/// Whether to walk on where only the first request goes wrong: where its work was done, and two of the others.
fn is_worth_a_second_try(kind: &Kind) -> bool {
    match kind.fault {
        Fault::Drip(_) | Fault::DelayBefore(_) => false,
        Fault::HangUpBefore => true,
        _ => !kind.fault.runs_nothing() || kind.name == "429, retry after 0",
    }
}

async fn walk(kind: &Kind, redis: &Arc<RedisServer>, truth: &App) -> (usize, Vec<String>) {
    let double = Arc::new(RestDouble::start(redis.port(), "rest-token"));
    let variables = [PREFIX, ("REQUEST_TIMEOUT", "2s"), ("REDIS_COMMAND_TIMEOUT", "500ms")];
    let app = App::over_rest(redis.clone(), double.clone(), &variables);
    let stage = Stage { app: &app, double: &double, truth };
    let (mut cases, mut faults) = (0, Vec::new());
    for operation in OPERATIONS {
        for which in [Which::All, Which::First].into_iter().take(1 + usize::from(is_worth_a_second_try(kind))) {
            faults.extend(case(&stage, kind, operation, which).await);
            cases += 1;
        }
    }
    (cases, faults)
}

#[tokio::test]
async fn whatever_fails_the_client_is_told_what_is_so_and_nothing_of_the_fault() {
    let redis = Arc::new(RedisServer::start());
    let truth = App::over(redis.clone(), &[PREFIX, ("REQUEST_TIMEOUT", "30s"), ("REDIS_COMMAND_TIMEOUT", "10s")]);
    let elsewhere = RestDouble::start(redis.port(), "rest-token");
    let kinds = kinds(&elsewhere.url());
    let walks = join_all(kinds.iter().map(|kind| walk(kind, &redis, &truth))).await;
    let (cases, faults): (Vec<usize>, Vec<Vec<String>>) = walks.into_iter().unzip();
    let faults = faults.concat();
    assert!(faults.is_empty(), "{} of them:\n{}", faults.len(), faults.join("\n"));
    let twice = kinds.iter().filter(|kind| is_worth_a_second_try(kind)).count();
    assert_eq!(cases.iter().sum::<usize>(), (kinds.len() + twice) * OPERATIONS.len());
    assert_eq!(elsewhere.requests(), 0, "no redirect was followed");
}
