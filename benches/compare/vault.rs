//! What secrets cost: a token of 1 KiB read beside a session whose answer is as long, and sealing and opening by
//! themselves, in this process.

use crate::Failure;
use crate::load::Request;
use crate::processes::Process;
use crate::server::call;
use agentapi::base::clock::{Clock, SystemClock};
use agentapi::base::deadline::Deadline;
use agentapi::base::text::TenantId;
use agentapi::db::transport::memory::Memory;
use agentapi::db::{BackendClock, Database};
use agentapi::tenancy::{NewTenant, Registry, RegistrySettings, SteadyClock};
use agentapi::vault::{Context, KeyRing, Vault};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

/// How long the token is.
const LENGTH: usize = 1024;
/// How often it is sealed and opened.
const TIMES: u32 = 100_000;

/// The paths of a token and of a session whose answer is as long.
pub struct Paths {
    token: String,
    session: String,
}

impl Paths {
    /// Makes both.
    pub fn prepare(server: &Process, api_key: &str) -> Result<Paths, Failure> {
        let token = "/v1/tokens/u1/bench".to_owned();
        let body = json!({"access_token": "x".repeat(LENGTH), "refresh_token": "y", "scopes": ["a"]});
        call(server, "PUT", &token, api_key, Some(&body))?.expect(201)?;
        let wanted = call(server, "GET", &token, api_key, None)?.expect(200)?.len();
        let mut padding = 0;
        loop {
            let session = json!({"user_id": "u1", "data": {"text": "x".repeat(padding)}});
            let created = call(server, "POST", "/v1/sessions", api_key, Some(&session))?.expect(201)?;
            let created: Value = serde_json::from_slice(&created)?;
            let id = created.get("id").and_then(Value::as_str).ok_or("the new session has no id")?;
            let session = format!("/v1/sessions/{id}");
            let length = call(server, "GET", &session, api_key, None)?.expect(200)?.len();
            if length >= wanted {
                return Ok(Paths { token, session });
            }
            padding += wanted - length;
        }
    }

    /// The rows, asked of whom `like` asks.
    pub fn rows<'a>(&'a self, like: Request<'a>) -> [(&'static str, Request<'a>); 2] {
        let read = |path| Request { path, ..like };
        [("session read, 1 KiB", read(&self.session)), ("token read, 1 KiB", read(&self.token))]
    }
}

/// Seals and opens in this process and says what each takes.
pub fn in_process(out: &mut impl Write) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let database = Database::new(Arc::new(Memory::new(clock.clone())), "bench", BackendClock::new(clock));
    let (steady, tenant) = (Arc::new(SteadyClock::start()), TenantId::parse("bench")?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let key = runtime.block_on(async {
        let registry = Registry::new(database.system(), steady.clone(), RegistrySettings::default());
        registry.create_tenant(NewTenant::plain(tenant.clone())).await?;
        let vault = Vault::new(Some(KeyRing::random()?), database.system(), steady);
        Ok::<_, Failure>(vault.of(&tenant, Deadline::NONE).newest().await?)
    })?;
    let (text, place) = (vec![b'x'; LENGTH], Context { store: "bench", name: &["u1", "bench"], version: 1 });
    let sealed = key.seal(&text, place)?;
    let begun = Instant::now();
    for _ in 0..TIMES {
        std::hint::black_box(key.seal(std::hint::black_box(&text), place)?);
    }
    let sealing = begun.elapsed() / TIMES;
    let begun = Instant::now();
    for _ in 0..TIMES {
        std::hint::black_box(key.open(std::hint::black_box(&sealed), place)?);
    }
    let opening = begun.elapsed() / TIMES;
    writeln!(out, "1 KiB in one thread: sealing {sealing:.2?}, opening {opening:.2?}")?;
    Ok(())
}
