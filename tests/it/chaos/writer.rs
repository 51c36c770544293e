//! Somebody who creates, replaces and deletes sessions, remembers what was acknowledged, and looks whether it
//! is so. No session is written to again once it is unknown what became of a write to it, so that a late one
//! cannot be mistaken for a loss.

use super::Sample;
use crate::harness::app::{Answer, App, Caller};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How many sessions a writer keeps.
const KEPT: usize = 8;
/// How long it leaves an application alone that has just refused.
const PAUSE: Duration = Duration::from_millis(5);

/// What a session holds, or nothing when there is none.
type State = Option<u64>;

/// What the owner of writers tells them, and they tell it.
#[derive(Default)]
pub struct Orders {
    /// Every writer looks at all that it knows whenever this has grown.
    pub looks: AtomicU64,
    /// How many looks were taken, by all writers together.
    pub looked: AtomicU64,
    pub ends: AtomicBool,
}

/// One writer, over a connection of its own.
pub struct Writer {
    caller: Caller,
    name: String,
    next: u64,
    refused: bool,
    /// Sessions that exist, with what was acknowledged last.
    live: BTreeMap<String, State>,
    /// What became of others: what was acknowledged, and what may be as well.
    settled: Vec<(String, [State; 2])>,
    pub acknowledged: u64,
    pub samples: Vec<Sample>,
}

/// Starts this many writers, spread over some tenants.
pub async fn start(app: &App, writers: usize, orders: &Arc<Orders>) -> Vec<JoinHandle<Writer>> {
    let mut tenants = Vec::new();
    for _ in 0..4 {
        tenants.push(app.tenant().await);
    }
    let start = |number: usize| {
        let key = format!("Bearer {}", tenants[number % tenants.len()].secret);
        let writer = Writer {
            caller: Caller::of(&app.base).with("authorization", &key),
            name: format!("writer-{number}"),
            next: 0,
            refused: false,
            live: BTreeMap::new(),
            settled: Vec::new(),
            acknowledged: 0,
            samples: Vec::new(),
        };
        tokio::spawn(writer.run(orders.clone()))
    };
    (0..writers).map(start).collect()
}

impl Writer {
    async fn run(mut self, orders: Arc<Orders>) -> Writer {
        let mut looks = 0;
        while !orders.ends.load(SeqCst) {
            self.step().await;
            if orders.looks.load(SeqCst) > looks {
                looks += 1;
                self.look(false).await;
                orders.looked.fetch_add(1, SeqCst);
            }
        }
        self.look(true).await;
        self
    }

    async fn step(&mut self) {
        self.next += 1;
        let number = self.next;
        // Once refused, it mostly reads until it is served again.
        let oldest = self.live.keys().next().cloned();
        if self.refused {
            tokio::time::sleep(PAUSE).await;
            if let (Some(id), 1..) = (&oldest, number % 20) {
                let answer = self.ask(Method::GET, &format!("/v1/sessions/{id}?touch=false"), None).await;
                assert!(matches!(answer.status.as_u16(), 200 | 503), "{}: {answer:?}", self.name);
                return;
            }
        }
        let session = json!({"user_id": self.name, "data": {"n": number}});
        match (oldest, number % 4) {
            (Some(id), 0) if self.live.len() >= KEPT => self.write(Method::DELETE, id, None, None).await,
            (Some(_), _) if self.live.len() >= KEPT => {
                let id = self.live.keys().nth(number as usize % KEPT).cloned().expect("there are as many");
                self.write(Method::PUT, id, Some(number), Some(session)).await;
            }
            (_, part) => {
                let method = if part % 2 == 0 { Method::PUT } else { Method::POST };
                self.write(method, format!("{}.{number:06}", self.name), Some(number), Some(session)).await;
            }
        }
    }

    /// Brings a session into a state, and remembers whether that was acknowledged.
    async fn write(&mut self, method: Method, id: String, to: State, body: Option<Value>) {
        let before = self.live.remove(&id).flatten();
        let (path, body) = match (&method, body) {
            (&Method::POST, Some(mut body)) => {
                body["id"] = json!(id);
                ("/v1/sessions".to_owned(), Some(body))
            }
            (_, body) => (format!("/v1/sessions/{id}"), body),
        };
        let answer = self.ask(method.clone(), &path, body).await;
        match (answer.status.as_u16(), to) {
            (200 | 201, Some(_)) => drop(self.live.insert(id, to)),
            // One that was repeated finds nothing left to delete.
            (204 | 404, None) => self.settled.push((id, [None, None])),
            (503, _) => return self.settled.push((id, [before, to])),
            _ => panic!("{method} {id}: {answer:?}"),
        }
        self.acknowledged += 1;
    }

    async fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let begun = Instant::now();
        let answer = self.caller.send(method, path, body.map(|body| body.to_string().into_bytes())).await;
        self.refused = answer.status.as_u16() == 503;
        self.samples.push(Sample { begun, took: begun.elapsed(), status: answer.status.as_u16() });
        answer
    }

    /// Looks at what exists, and at what has happened since the last time; or at everything that ever was.
    async fn look(&mut self, at_everything: bool) {
        let live: Vec<_> = self.live.iter().map(|(id, state)| (id.clone(), [*state; 2])).collect();
        for (id, states) in live {
            self.is_one_of(&id, states).await;
        }
        // What was found once must be found again.
        let mut settled = std::mem::take(&mut self.settled);
        for (id, states) in settled.iter_mut().rev().take(if at_everything { usize::MAX } else { 50 }) {
            *states = [self.is_one_of(id, *states).await; 2];
        }
        self.settled = settled;
    }

    async fn is_one_of(&mut self, id: &str, states: [State; 2]) -> State {
        let begun = Instant::now();
        loop {
            let answer = self.ask(Method::GET, &format!("/v1/sessions/{id}?touch=false"), None).await;
            let found = match answer.status.as_u16() {
                200 => answer.json()["data"]["n"].as_u64(),
                404 => None,
                503 if begun.elapsed() < Duration::from_secs(20) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                _ => panic!("{id}: {answer:?}"),
            };
            assert!(states.contains(&found), "{id} is {found:?}, and was acknowledged as one of {states:?}");
            return found;
        }
    }
}
