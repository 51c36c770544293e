//! An OAuth server for refreshing tokens (RFC 6749, section 6), as strict as they come: refresh tokens rotate, each is good
//! once, and a second use revokes all that followed from it.

use actix_web::dev::ServerHandle;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// Its one client. The secret needs encoding wherever it goes.
pub const CLIENT_ID: &str = "client:1";
pub const CLIENT_SECRET: &str = "canary-secret & é+%";

/// How it answers.
#[derive(Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should.
    Good,
    /// As it should, but for that it gives no next refresh token and takes the old one again.
    Lasting,
    /// With this status, body and `Retry-After`, having taken nothing.
    Says(u16, &'static str, Option<u32>),
    /// Takes the refresh token and then answers something that is none.
    TakesAndBabbles,
    /// Takes the refresh token and answers for ever.
    TakesAndNeverEnds,
    /// Sends to somewhere else.
    Redirects,
}

#[derive(Default)]
struct Known {
    /// Good refresh tokens and the family of each.
    good: HashMap<String, u64>,
    taken: HashMap<String, u64>,
    revoked: HashSet<u64>,
    made: u64,
    refreshes: u64,
    reuses: u64,
    asked: u64,
    forms: Vec<HashMap<String, String>>,
}

struct State {
    known: Mutex<Known>,
    behaviour: Mutex<(Behaviour, Duration)>,
    base: Mutex<String>,
}

/// A running server; ends when it is dropped.
pub struct OAuthServer {
    state: Arc<State>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
    pub base: String,
}

impl OAuthServer {
    pub fn start() -> OAuthServer {
        let behaviour = Mutex::new((Behaviour::Good, Duration::ZERO));
        let state = Arc::new(State { known: Mutex::default(), behaviour, base: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let base = format!("http://{}", listener.local_addr().expect("it is bound"));
        base.clone_into(&mut state.base.lock().unwrap());
        let (send, receive) = mpsc::channel();
        let data = Data::from(state.clone());
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let routes = move || App::new().app_data(data.clone()).route("/token", web::post().to(token));
                let server = HttpServer::new(routes).workers(1).disable_signals().shutdown_timeout(0);
                let server = server.listen(listener).expect("the listener works").run();
                send.send(server.handle()).expect("the test waits");
                server.await.expect("the server ends well");
            });
        });
        let handle = receive.recv().expect("it starts");
        OAuthServer { state, handle, thread: Some(thread), base }
    }

    pub fn token_url(&self) -> String {
        format!("{}/token", self.base)
    }

    /// A first refresh token, as a user's consent gives it.
    pub fn consent(&self) -> String {
        let mut known = self.state.known.lock().unwrap();
        known.made += 1;
        let (token, family) = (format!("refresh-{}", known.made), known.made);
        known.good.insert(token.clone(), family);
        token
    }

    pub fn behaves(&self, behaviour: Behaviour) {
        self.state.behaviour.lock().unwrap().0 = behaviour;
    }

    /// Takes so long before it answers.
    pub fn takes(&self, time: Duration) {
        self.state.behaviour.lock().unwrap().1 = time;
    }

    /// Refreshes that it has done.
    pub fn refreshes(&self) -> u64 {
        self.state.known.lock().unwrap().refreshes
    }

    /// Refresh tokens that came a second time.
    pub fn reuses(&self) -> u64 {
        self.state.known.lock().unwrap().reuses
    }

    /// Requests, whatever became of them.
    pub fn asked(&self) -> u64 {
        self.state.known.lock().unwrap().asked
    }

    /// The last form.
    pub fn last_form(&self) -> HashMap<String, String> {
        self.state.known.lock().unwrap().forms.last().cloned().unwrap_or_default()
    }

    /// Whether this is the refresh token that is good now.
    pub fn accepts(&self, token: &str) -> bool {
        self.state.known.lock().unwrap().good.contains_key(token)
    }
}

impl Drop for OAuthServer {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the OAuth server panicked");
        }
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8().expect("a form is UTF-8").into_owned()
}

fn parsed(body: &[u8]) -> HashMap<String, String> {
    let text = std::str::from_utf8(body).expect("a form is text");
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// The client's id and secret, from the header or the form.
fn credentials(request: &HttpRequest, form: &HashMap<String, String>) -> Option<(String, String)> {
    let header = || {
        let text = request.headers().get("authorization")?.to_str().ok()?.strip_prefix("Basic ")?;
        let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some((decoded(id), decoded(secret)))
    };
    header().or_else(|| Some((form.get("client_id")?.clone(), form.get("client_secret")?.clone())))
}

fn refused(status: u16, error: &str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).expect("a status");
    HttpResponse::build(status).json(json!({"error": error, "error_description": "canary of the provider"}))
}

async fn token(request: HttpRequest, body: Bytes, state: Data<State>) -> HttpResponse {
    let form = parsed(&body);
    let (behaviour, delay) = state.behaviour.lock().unwrap().clone();
    {
        let mut known = state.known.lock().unwrap();
        known.asked += 1;
        known.forms.push(form.clone());
    }
    tokio::time::sleep(delay).await;
    match behaviour {
        Behaviour::Says(status, body, retry_after) => {
            let mut head = HttpResponse::build(actix_web::http::StatusCode::from_u16(status).expect("a status"));
            if let Some(seconds) = retry_after {
                head.insert_header(("Retry-After", seconds.to_string()));
            }
            return head.body(body);
        }
        Behaviour::Redirects => {
            let elsewhere = format!("{}/token", state.base.lock().unwrap());
            return HttpResponse::TemporaryRedirect().insert_header(("Location", elsewhere)).finish();
        }
        _ => {}
    }
    if credentials(&request, &form) != Some((CLIENT_ID.to_owned(), CLIENT_SECRET.to_owned())) {
        return refused(401, "invalid_client");
    }
    if form.get("grant_type").map(String::as_str) != Some("refresh_token") {
        return refused(400, "unsupported_grant_type");
    }
    let presented = form.get("refresh_token").cloned().unwrap_or_default();
    let mut known = state.known.lock().unwrap();
    if let Some(family) = known.taken.get(&presented).copied() {
        known.reuses += 1;
        known.revoked.insert(family);
        known.good.retain(|_, of| *of != family);
        return refused(400, "invalid_grant");
    }
    let Some(family) = known.good.get(&presented).copied() else { return refused(400, "invalid_grant") };
    known.refreshes += 1;
    known.made += 1;
    let access = format!("access-{}", known.made);
    if behaviour == Behaviour::Lasting {
        return HttpResponse::Ok().json(json!({"access_token": access, "token_type": "Bearer", "expires_in": "3600"}));
    }
    known.good.remove(&presented);
    known.taken.insert(presented, family);
    let next = format!("refresh-{}", known.made);
    known.good.insert(next.clone(), family);
    drop(known);
    match behaviour {
        Behaviour::TakesAndBabbles => HttpResponse::Ok().body("<html>canary</html>"),
        Behaviour::TakesAndNeverEnds => HttpResponse::Ok().streaming(futures_util::stream::repeat_with(|| {
            Ok::<_, actix_web::Error>(Bytes::from_static(&[b' '; 1024]))
        })),
        _ => HttpResponse::Ok().json(json!({
            "access_token": access, "refresh_token": next, "token_type": "Bearer", "expires_in": 3600, "scope": "read write"
        })),
    }
}
