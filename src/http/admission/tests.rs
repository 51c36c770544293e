//! What the guards give back, and what counts against what.

use super::load::SMALL;
use super::*;
use crate::base::code::Code;
use std::time::Duration;

fn admission(max_in_flight: u32) -> Arc<Admission> {
    let request_timeout = Duration::from_secs(2);
    let settings = PlatformSettings {
        max_body_bytes: 1 << 20,
        max_in_flight,
        request_timeout,
        admin_key: None,
        max_event_streams: 3,
        max_event_streams_of_tenant: 2,
        event_heartbeat: Duration::from_secs(20),
        sessions_stand_in: false,
        cors_origins: None,
    };
    Arc::new(Admission::new(&settings, 2))
}

fn tenant(id: &str, max_in_flight: Option<u32>) -> Arc<Tenant> {
    let time = "2026-01-31T08:00:00.000Z";
    let record = serde_json::json!({
        "id": id, "status": "active", "version": 1, "created_at": time, "updated_at": time,
        "limits": max_in_flight.map_or(serde_json::json!({}), |most| serde_json::json!({"max_in_flight": most})),
    });
    Arc::new(serde_json::from_value(record).unwrap())
}

fn code<T>(outcome: Result<T, Problem>) -> Option<Code> {
    outcome.err().map(|problem| problem.code())
}

/// Slots, body bytes, and slots of the tenant.
fn taken(admission: &Admission, tenant: &Tenant) -> (u32, usize, u32) {
    let of_tenant = admission.counter(&tenant.id).slots.load(Relaxed);
    (admission.in_flight.load(Relaxed), admission.body_bytes.load(Relaxed), of_tenant)
}

#[test]
fn the_request_beyond_the_limit_is_refused_and_takes_nothing() {
    let admission = admission(2);
    let held = [admission.enter(Access::Admin, 1).unwrap(), admission.enter(Access::Admin, 1).unwrap()];
    for _ in 0..3 {
        assert_eq!(code(admission.enter(Access::Admin, 1)), Some(Code::Overloaded));
    }
    assert_eq!(admission.in_flight.load(Relaxed), 2);
    assert_eq!(admission.refused[Crowd::Process as usize].load(Relaxed), 3);
    let public: Vec<_> = (0..1000).map(|_| admission.enter(Access::Public, 1).unwrap()).collect();
    assert_eq!(admission.in_flight.load(Relaxed), 2, "these need none");
    let entrance = Entrance::new(admission.clone());
    drop(public.iter().map(|slot| entrance.admit(slot, None).unwrap()).collect::<Vec<_>>());
    drop((held, public));
    assert_eq!(admission.in_flight.load(Relaxed), 0);
    assert!(admission.enter(Access::Admin, 1).is_ok());
}

#[test]
fn keys_that_must_be_asked_for_have_half_of_the_slots_and_follow_the_limit() {
    let admission = admission(20);
    let held: Vec<_> = (0..10).map(|_| admission.stranger().unwrap()).collect();
    assert_eq!(code(admission.stranger()), Some(Code::Overloaded));
    drop(held);
    admission.limit.observe(Duration::from_secs(2), 0, true, Duration::from_secs(2));
    assert_eq!(admission.limit.now(), 8);
    let held: Vec<_> = (0..4).map(|_| admission.stranger().unwrap()).collect();
    assert_eq!(code(admission.stranger()), Some(Code::Overloaded));
    drop(held);
    assert_eq!(admission.strangers.load(Relaxed), 0);
}

#[test]
fn the_bodies_of_one_tenant_leave_room_for_those_of_others() {
    let admission = admission(20);
    let entrance = Entrance::new(admission.clone());
    let slot = admission.enter(Access::Admin, 1).unwrap();
    let (greedy, other) = (tenant("greedy", None), tenant("other", None));
    let held: Vec<_> = (0..2).map(|_| entrance.admit(&slot, Some(&greedy)).unwrap()).collect();
    held[0].hold(SMALL + BODIES_OF_TENANT - 1).unwrap();
    held[1].hold(SMALL + 1).unwrap();
    assert_eq!(code(held[1].hold(1)), Some(Code::TenantBusy));
    let modest = entrance.admit(&slot, Some(&other)).unwrap();
    modest.hold(SMALL + BODIES_OF_TENANT).unwrap();
    drop((held, modest));
    assert_eq!(admission.counter(&greedy.id).body_bytes.load(Relaxed), 0);
    entrance.admit(&slot, Some(&greedy)).unwrap().hold(SMALL + BODIES_OF_TENANT).unwrap();
    drop(slot);
    assert_eq!(taken(&admission, &other), (0, 0, 0));
}

#[test]
fn only_what_is_beyond_a_small_body_needs_room_however_it_comes() {
    let (admission, tenant) = (admission(20), tenant("acme", None));
    let entrance = Entrance::new(admission.clone());
    let slot = admission.enter(Access::Admin, 1).unwrap();
    let load = entrance.admit(&slot, Some(&tenant)).unwrap();
    for (chunk, room) in [(SMALL - 1, 0), (1, 0), (1, 1), (7, 8), (2 * SMALL, 8 + 2 * SMALL)] {
        load.hold(chunk).unwrap();
        assert_eq!(taken(&admission, &tenant), (1, room, 1), "after {chunk} more");
    }
    drop((load, slot));
    assert_eq!(taken(&admission, &tenant), (0, 0, 0));
}

#[test]
fn a_panic_gives_everything_back() {
    let (admission, tenant) = (admission(100), tenant("acme", None));
    let entrance = Entrance::new(admission.clone());
    let work = std::panic::AssertUnwindSafe(|| {
        let slot = admission.enter(Access::Admin, 6).unwrap();
        let load = entrance.admit(&slot, Some(&tenant)).unwrap();
        load.hold(SMALL + 1000).unwrap();
        assert_eq!(taken(&admission, &tenant), (6, 1000, 6));
        panic!("as a handler might");
    });
    assert!(std::panic::catch_unwind(work).is_err());
    assert_eq!(taken(&admission, &tenant), (0, 0, 0));
}

#[test]
fn a_tenant_has_one_share_on_all_workers_whatever_becomes_of_its_record() {
    let admission = admission(100);
    let workers = [Entrance::new(admission.clone()), Entrance::new(admission.clone())];
    let loaded = [tenant("acme", Some(2)), tenant("acme", Some(2))];
    let slot = admission.enter(Access::Admin, 1).unwrap();
    let first = workers[0].admit(&slot, Some(&loaded[0])).unwrap();
    let second = workers[1].admit(&slot, Some(&loaded[1])).unwrap();
    for (worker, record) in workers.iter().zip(&loaded) {
        assert_eq!(code(worker.admit(&slot, Some(record))), Some(Code::TenantBusy));
    }
    let third = workers[0].admit(&slot, Some(&tenant("acme", Some(3)))).unwrap();
    assert_eq!(code(workers[0].admit(&slot, Some(&loaded[0]))), Some(Code::TenantBusy));
    assert!(workers[0].admit(&slot, Some(&tenant("other", Some(1)))).is_ok());
    drop((first, second, third, slot));
    assert_eq!(taken(&admission, &loaded[0]), (0, 0, 0));
}

#[test]
fn a_share_is_half_of_all_at_least_one_and_follows_the_limit() {
    let (full, plain) = (admission(1000), tenant("acme", None));
    assert_eq!(full.share(&plain), 500);
    assert_eq!(full.share(&tenant("acme", Some(7))), 7);
    assert_eq!(full.share(&tenant("acme", Some(5000))), 1000);
    assert_eq!(admission(1).share(&plain), 1);
    // Nothing was served for longer than half of the time that a request has: the limit is at its least.
    full.limit.observe(Duration::from_secs(2), 0, true, Duration::from_secs(2));
    assert_eq!((full.limit.now(), full.share(&plain), full.share(&tenant("acme", Some(7)))), (8, 4, 1));
}

#[test]
fn what_is_heavy_counts_as_much_up_to_half_of_all() {
    let (admission, tenant) = (admission(64), tenant("acme", None));
    let entrance = Entrance::new(admission.clone());
    let slot = admission.enter(Access::Admin, 32).unwrap();
    assert_eq!(taken(&admission, &tenant), (32, 0, 0));
    let other = admission.enter(Access::Admin, 100).unwrap();
    assert_eq!(other.slots.get(), 32);
    assert_eq!(code(admission.enter(Access::Admin, 1)), Some(Code::Overloaded));
    drop(other);
    let load = entrance.admit(&slot, Some(&tenant)).unwrap();
    assert_eq!(taken(&admission, &tenant), (32, 0, 32));
    load.weigh(40);
    let second = admission.enter(Access::Admin, 2).unwrap();
    assert_eq!(code(entrance.admit(&second, Some(&tenant))), Some(Code::TenantBusy), "its share is 32");
    drop(second);
    for (slots, left) in [(40, 32), (15, 15), (16, 15)] {
        load.weigh(slots);
        assert_eq!((taken(&admission, &tenant), load.slots()), ((left, 0, left), left), "{slots}");
    }
    let second = admission.enter(Access::Admin, 1).unwrap();
    load.weigh(0);
    assert_eq!(taken(&admission, &tenant), (2, 0, 1), "one for each request, and nothing for who was refused");
    drop((load, slot, second));
    assert_eq!(taken(&admission, &tenant), (0, 0, 0));
}

#[test]
fn bodies_fit_together_into_their_room() {
    let (admission, tenant) = (admission(20), tenant("acme", None));
    let entrance = Entrance::new(admission.clone());
    let slot = admission.enter(Access::Admin, 1).unwrap();
    let (one, other) = (entrance.admit(&slot, None).unwrap(), entrance.admit(&slot, None).unwrap());
    one.hold(SMALL + BODIES - 1).unwrap();
    other.hold(SMALL + 1).unwrap();
    assert_eq!(code(other.hold(1)), Some(Code::Overloaded));
    drop(one);
    other.hold(BODIES / 2).unwrap();
    drop((other, slot));
    assert_eq!(taken(&admission, &tenant), (0, 0, 0));
}

#[test]
fn tenants_that_have_gone_leave_no_counters_behind() {
    let admission = admission(20);
    let entrance = Entrance::new(admission.clone());
    let slot = admission.enter(Access::Admin, 1).unwrap();
    for n in 0..20 * REMEMBERED {
        entrance.admit(&slot, Some(&tenant(&format!("tenant-{n}"), None))).unwrap();
    }
    let known = admission.tenants.lock().by_tenant.len();
    assert!(known <= 4 * REMEMBERED, "{known}");
}

#[test]
fn a_heavy_request_leaves_room_for_others_however_low_the_limit_is() {
    let admission = admission(1024);
    admission.limit.observe(Duration::from_secs(2), 0, true, Duration::from_secs(2));
    assert_eq!(admission.limit.now(), 8);
    let heavy = admission.enter(Access::Admin, 32).unwrap();
    let others: Vec<_> = (0..4).map(|_| admission.enter(Access::Admin, 1).unwrap()).collect();
    assert_eq!(code(admission.enter(Access::Admin, 1)), Some(Code::Overloaded));
    drop((heavy, others));
    assert_eq!(admission.in_flight.load(Relaxed), 0);
}

#[test]
fn so_many_streams_are_open_of_a_tenant_and_of_all_and_none_is_a_request() {
    let admission = admission(1);
    let workers = [Entrance::new(admission.clone()), Entrance::new(admission.clone())];
    let (one, other) = (tenant("acme", None), tenant("other", None));
    let of_one = [workers[0].open_stream(Some(&one)).unwrap(), workers[1].open_stream(Some(&one)).unwrap()];
    assert_eq!(code(workers[0].open_stream(Some(&one))), Some(Code::TooManyStreams));
    let third = workers[0].open_stream(Some(&other)).unwrap();
    for refused in [Some(&other), None] {
        assert_eq!(code(workers[1].open_stream(refused)), Some(Code::TooManyStreams));
    }
    assert_eq!((admission.streams.load(Relaxed), admission.in_flight.load(Relaxed)), (3, 0));
    drop(of_one);
    let again = workers[1].open_stream(Some(&one)).unwrap();
    drop((third, again));
    assert_eq!(admission.streams.load(Relaxed), 0);
    assert_eq!(admission.counter(&one.id).streams.load(Relaxed), 0);
}
