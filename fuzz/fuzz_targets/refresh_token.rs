//! A refresh token that nobody issued refreshes nothing, and asks nothing that fails.
#![no_main]

use agentapi::base::clock::SystemClock;
use agentapi::base::text::TenantId;
use agentapi::db::transport::memory::Memory;
use agentapi::db::{BackendClock, Database};
use agentapi::stores::sessions::{RefreshOutcome, SessionSettings, Sessions, Upkeep};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

static SESSIONS: LazyLock<Sessions> = LazyLock::new(|| {
    let clock = Arc::new(SystemClock);
    let database = Database::new(Arc::new(Memory::new(clock.clone())), "fuzz", BackendClock::new(clock));
    let tenant = TenantId::parse("acme").expect("a tenant id");
    Sessions::new(database.tenant(&tenant), SessionSettings::default(), Arc::new(Upkeep::default()))
});

fuzz_target!(|token: &str| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let outcome = runtime.block_on(SESSIONS.refresh(token));
    assert!(matches!(outcome, Ok(RefreshOutcome::Invalid)));
});
