//! What is posted: checks of rate limits, and questions to a circuit breaker. Made ready as a client makes them.

use crate::Failure;
use crate::load::{Request, post};
use crate::processes::Process;
use crate::server::call;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Keys that nobody else asks for at the same time, so that each check is a question of its own.
const KEYS: usize = 1000;

/// The requests: a name, a path, the file that says what is posted, whether it is refused.
pub struct Posts(Vec<(&'static str, &'static str, PathBuf, bool)>);

impl Posts {
    /// Writes the files, uses up the limit that is denied later, and lets each be answered once.
    pub fn prepare(directory: &Path, server: &Process, api_key: &str) -> Result<Posts, Failure> {
        let limit = |key: &str, limit: u64| json!({"key": key, "limit": limit, "window": "60s"});
        let mut bucket = limit("bench:bucket", 1_000_000);
        insert(&mut bucket, "algorithm", json!("token_bucket"));
        insert(&mut bucket, "window", json!("1s"));
        let mut denied = limit("bench:denied", 1);
        // Longer than the bench: else there would be one in a minute that is not denied.
        insert(&mut denied, "window", json!("1h"));
        let (check, enforce) = ("/v1/ratelimit/check", "/v1/ratelimit/enforce");
        let (acquire, report) = ("/v1/breakers/bench/acquire", "/v1/breakers/bench/report");
        let many_keys = (0..KEYS).map(|n| limit(&format!("bench:window:{n}"), 1_000_000)).collect();
        let wanted = [
            ("check, one key for all", check, vec![limit("bench:window", 1_000_000_000)], false),
            ("check, 1000 keys by turns", check, many_keys, false),
            ("check, token_bucket", check, vec![bucket], false),
            ("enforce, denied", enforce, vec![denied], true),
            ("acquire, closed", acquire, vec![json!({})], false),
            ("report, success", report, vec![json!({"outcome": "success"})], false),
        ];
        let mut posts = Vec::new();
        for (n, (name, path, bodies, is_refused)) in wanted.into_iter().enumerate() {
            call(server, "POST", path, api_key, bodies.first())?.expect(200)?;
            posts.push((name, path, post(directory, &format!("post-{n}"), &bodies)?, is_refused));
        }
        Ok(Posts(posts))
    }

    /// The rows, asked of whom `like` asks.
    pub fn rows<'a>(&'a self, like: Request<'a>) -> impl Iterator<Item = (&'static str, Request<'a>)> {
        self.0.iter().map(move |(name, path, script, is_refused)| {
            (*name, Request { path, script: Some(script), is_refused: *is_refused, ..like })
        })
    }
}

fn insert(body: &mut Value, member: &str, value: Value) {
    if let Some(members) = body.as_object_mut() {
        members.insert(member.to_owned(), value);
    }
}
