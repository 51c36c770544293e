//! Rows of the flags.

use super::{Cost, Counter, name};
use agentapi::base::deadline::Deadline;
use agentapi::base::precondition::Precondition;
use agentapi::base::text::TenantId;
use agentapi::db::{Database, Outage};
use agentapi::stores::flags::rules::{Decision, Reason};
use agentapi::stores::flags::{Flags, Live, Put};
use agentapi::tenancy::SteadyClock;
use serde_json::json;
use std::sync::Arc;

pub async fn every_operation(counter: &mut Counter, database: &Database) {
    let tenant = TenantId::parse("flagged").unwrap();
    let server = || Live::new(database.clone(), Arc::new(SteadyClock::start()), Outage::default());
    let (live, any, key) = (server(), Precondition::default(), name("f"));
    let flags = Flags::new(database.tenant(&tenant), live.clone());
    let flag = |value: u8| json!({"state": "ENABLED", "variants": {"v": value}, "defaultVariant": "v"});
    let is_written = |put: Put| matches!(put, Put::Written(_));
    let put =
        counter.count("put a flag, whose tenant's flags are in no use", flags.put(&key, &flag(1), &any, "k")).await;
    assert!(is_written(put.0.unwrap()));
    let first =
        counter.count("evaluate a tenant's flags for the first time", live.current(&tenant, Deadline::NONE)).await;
    first.0.unwrap();
    let (again, cost) = counter.count("evaluate flags in use", live.current(&tenant, Deadline::NONE)).await;
    again.unwrap();
    assert_eq!(cost, Cost { round_trips: 0, commands: 0 }, "nothing is asked");
    let put = counter.count("put a flag, whose tenant's flags are in use", flags.put(&key, &flag(2), &any, "k")).await;
    assert!(is_written(put.0.unwrap()));
    let (read, cost) = counter.count("read a flag, or the whole set", flags.read()).await;
    assert_eq!((read.unwrap().version, cost), (2, Cost { round_trips: 1, commands: 1 }));
    counter.count("list the versions of a set", flags.versions(None, 50)).await.0.unwrap();
    counter.count("read a set as it was", flags.at(1)).await.0.unwrap().unwrap();
    let days = counter.count("read how often a flag gave what, over 7 days", flags.evaluations(&key, 7)).await;
    assert_eq!(days.0.unwrap().len(), 7);
    let compiled = live.current(&tenant, Deadline::NONE).await.unwrap().compiled().clone();
    compiled.given(0, &Decision { variant: None, reason: Reason::Default });
    counter.count("add what was counted of a tenant's flags", live.flush()).await;
}
