//! Whoever changes something is told what came of it and has changed it once, though an answer of the backend
//! was lost on the way; and what arrives late changes nothing. The real application, over both protocols.

mod by_chance;

use crate::harness::app::{App, Caller, On};
use crate::harness::backend::{Backend, shown};
use crate::harness::loss::{Loss, LossyProxy};
use crate::harness::operations::{acting_once, key, operation_of};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::RestDouble;
use agentapi::db::{Batch, Command};
use agentapi::{stores, tenancy};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// An application that reaches its backend through a proxy.
struct World {
    app: App,
    proxy: LossyProxy,
}

/// What the tests do is tried again at once; on a busy machine that must not count as late.
const PATIENT: [(&str, &str); 2] = [("REQUEST_TIMEOUT", "30s"), ("REDIS_COMMAND_TIMEOUT", "10s")];

impl World {
    fn on(backend: On) -> World {
        let redis = RedisServer::shared();
        match backend {
            On::Rest => {
                let double = Arc::new(RestDouble::start(redis.port(), "rest-token"));
                let port = double.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
                let proxy = LossyProxy::before(port);
                let url = format!("http://127.0.0.1:{}", proxy.port());
                let variables = [&PATIENT[..], &[("UPSTASH_REDIS_REST_URL", &*url)]].concat();
                World { app: App::over_rest(redis, double, &variables), proxy }
            }
            _ => {
                let proxy = LossyProxy::before(redis.port());
                let url = format!("redis://127.0.0.1:{}", proxy.port());
                let variables = [&PATIENT[..], &[("REDIS_URL", &*url)]].concat();
                World { app: App::over(redis, &variables), proxy }
            }
        }
    }

    /// The next run of this script goes amiss.
    fn arm(&self, loss: Loss, script: &str) {
        self.arm_after(0, loss, script);
    }

    /// The run after so many others goes amiss.
    fn arm_after(&self, passing: u32, loss: Loss, script: &str) {
        let mut all = stores::sessions::SCRIPTS.iter().chain(tenancy::SCRIPTS);
        self.proxy.arm(loss, all.find(|known| known.name() == script).expect("a script of this name").sha1(), passing);
    }

    /// A caller who has done everything once, so that the backend knows the scripts.
    async fn tenant(&self) -> Warm {
        let tenant = self.app.tenant().await;
        let (caller, admin) = (Caller::clone(&tenant), self.app.admin());
        let path = format!("/admin/v1/tenants/{}", tenant.id);
        caller.put("/v1/sessions/warm", json!({"user_id": "warm"})).await.expect(StatusCode::CREATED);
        caller.patch("/v1/sessions/warm", json!({"data": {"n": 1}})).await.expect(StatusCode::OK);
        admin.patch(&path, json!({"name": "warm"})).await.expect(StatusCode::OK);
        let key = admin.post(&format!("{path}/keys"), json!({"scopes": ["*"]})).await.expect(StatusCode::CREATED);
        let key = format!("{path}/keys/{}", key["id"].as_str().expect("an id"));
        let next = admin.post(&format!("{key}/rotate"), json!({})).await.expect(StatusCode::CREATED);
        let next = format!("{path}/keys/{}", next["id"].as_str().expect("an id"));
        admin.delete(&next).await.expect(StatusCode::NO_CONTENT);
        Warm { caller, admin, path }
    }

    /// The script ran, its answer was lost, and its answer was no refusal.
    fn was_lost(&self) {
        let unheard = self.proxy.unheard();
        let refused = unheard.contains("NOSCRIPT") || unheard.contains("ERR") || unheard.starts_with('-');
        assert!(!refused, "{unheard}");
    }

    /// Lets the held request arrive, and waits until it was answered.
    fn arrives_late(&self) {
        self.proxy.let_go();
        self.was_lost();
    }
}

struct Warm {
    caller: Caller,
    admin: Caller,
    /// Of the tenant, for the admin.
    path: String,
}

impl Warm {
    async fn sessions_of(&self, user: &str) -> Vec<Value> {
        let list = self.caller.get(&format!("/v1/users/{user}/sessions")).await.expect(StatusCode::OK);
        list["items"].as_array().expect("items").clone()
    }

    /// When each was last used is noted in the background, at no time that a test could know.
    async fn keys(&self) -> Vec<Value> {
        let list = self.admin.get(&format!("{}/keys", self.path)).await.expect(StatusCode::OK);
        let mut keys = list["items"].as_array().expect("items").clone();
        keys.iter_mut().filter_map(Value::as_object_mut).for_each(|key| drop(key.remove("last_used")));
        keys
    }
}

/// Makes a module per protocol, with a test for each of these functions.
macro_rules! suite {
    ($($test:ident)*) => {
        mod native {
            $(#[tokio::test] async fn $test() { super::$test(super::World::on(super::On::Native)).await; })*
        }
        mod rest {
            $(#[tokio::test] async fn $test() { super::$test(super::World::on(super::On::Rest)).await; })*
        }
    };
}

suite! {
    a_session_whose_creation_was_not_answered_is_created_once
    an_id_is_not_taken_by_the_first_try_of_its_own_creation
    a_limit_is_not_reached_by_the_first_try_of_the_same_creation
    a_session_is_written_once_though_the_answer_was_lost
    a_tenant_is_made_and_changed_once_though_the_answers_were_lost
    an_api_key_is_made_rotated_and_revoked_once_though_the_answers_were_lost
    an_idempotency_key_is_not_in_use_by_the_first_try_of_its_own_request
    a_creation_that_arrives_after_the_session_was_revoked_does_not_bring_it_back
    a_write_that_arrives_late_changes_nothing
    an_api_key_whose_creation_arrives_after_its_revocation_stays_revoked
    a_lifetime_that_arrives_late_does_not_replace_the_one_that_was_set_since
    a_rotation_that_arrives_late_does_not_move_the_session_that_has_the_id_since
    an_idempotency_key_that_is_freed_late_keeps_the_answer_that_it_has_since
}

async fn a_session_whose_creation_was_not_answered_is_created_once(world: World) {
    let tenant = world.tenant().await;
    world.arm(Loss::OfTheAnswer, "sessions/create");
    let made = tenant.caller.post("/v1/sessions", json!({"user_id": "u1", "refresh": true})).await;
    let made = made.expect(StatusCode::CREATED);
    world.was_lost();
    let listed = tenant.sessions_of("u1").await;
    assert_eq!((listed.len(), &listed[0]["created_at"]), (1, &made["created_at"]), "{listed:?}");
    let token = json!({"refresh_token": made["refresh_token"]});
    tenant.caller.post("/v1/sessions/refresh", token).await.expect(StatusCode::OK);
    assert_eq!(tenant.sessions_of("u1").await.len(), 1);
}

async fn an_id_is_not_taken_by_the_first_try_of_its_own_creation(world: World) {
    let tenant = world.tenant().await;
    world.arm(Loss::OfTheAnswer, "sessions/create");
    let body = json!({"user_id": "u1", "id": "chosen"});
    tenant.caller.post("/v1/sessions", body.clone()).await.expect(StatusCode::CREATED);
    world.was_lost();
    assert_eq!(tenant.sessions_of("u1").await.len(), 1);
    assert_eq!(tenant.caller.post("/v1/sessions", body).await.status, StatusCode::CONFLICT, "by another one it is");
    world.arm(Loss::OfTheAnswer, "sessions/create");
    let put = tenant.caller.with("if-none-match", "*").put("/v1/sessions/put", json!({"user_id": "u2"})).await;
    assert_eq!(put.expect(StatusCode::CREATED)["version"], 1);
    world.was_lost();
    assert_eq!(tenant.sessions_of("u2").await.len(), 1);
}

async fn a_limit_is_not_reached_by_the_first_try_of_the_same_creation(world: World) {
    let tenant = world.tenant().await;
    let settings =
        |policy| json!({"limits": {"max_sessions_per_user": 2}, "settings": {"session_limit_policy": policy}});
    for policy in ["reject", "evict_oldest"] {
        tenant.admin.patch(&tenant.path, settings(policy)).await.expect(StatusCode::OK);
        for expected in 1..=2 {
            world.arm(Loss::OfTheAnswer, "sessions/create");
            tenant.caller.post("/v1/sessions", json!({"user_id": policy})).await.expect(StatusCode::CREATED);
            world.was_lost();
            assert_eq!(tenant.sessions_of(policy).await.len(), expected, "{policy}");
        }
        if policy == "reject" {
            let refused = tenant.caller.post("/v1/sessions", json!({"user_id": policy})).await;
            refused.refused(409, "session_limit_reached");
        }
    }
    // Once it asks which one is to make room, and once it is created in its place.
    for passing in [0, 1] {
        let newest = tenant.sessions_of("evict_oldest").await[0].clone();
        world.arm_after(passing, Loss::OfTheAnswer, "sessions/create");
        tenant.caller.post("/v1/sessions", json!({"user_id": "evict_oldest"})).await.expect(StatusCode::CREATED);
        world.was_lost();
        let left = tenant.sessions_of("evict_oldest").await;
        assert!(left.len() == 2 && left[1]["ref"] == newest["ref"], "one made room, not two: {left:?}");
    }
}

async fn a_session_is_written_once_though_the_answer_was_lost(world: World) {
    let tenant = world.tenant().await;
    let path = "/v1/sessions/mine";
    tenant.caller.put(path, json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    let put = json!({"user_id": "u1", "data": {"list": [1]}});
    let patch = json!({"data": {"other": 2}});
    for (version, conditional) in [(1, true), (3, false)] {
        let caller = |version: u64| match conditional {
            true => tenant.caller.with("if-match", &format!("\"{version}\"")),
            false => tenant.caller.clone(),
        };
        world.arm(Loss::OfTheAnswer, "sessions/update");
        let answer = caller(version).put(path, put.clone()).await.expect(StatusCode::OK);
        world.was_lost();
        assert_eq!((&answer["version"], &answer["data"]), (&json!(version + 1), &put["data"]));
        world.arm(Loss::OfTheAnswer, "sessions/update");
        let answer = caller(version + 1).patch(path, patch.clone()).await.expect(StatusCode::OK);
        world.was_lost();
        assert_eq!((&answer["version"], &answer["data"]), (&json!(version + 2), &json!({"list": [1], "other": 2})));
        let now = tenant.caller.get(path).await.expect(StatusCode::OK);
        assert_eq!((&now["version"], &now["data"]), (&answer["version"], &answer["data"]));
    }
}

async fn a_tenant_is_made_and_changed_once_though_the_answers_were_lost(world: World) {
    let tenant = world.tenant().await;
    world.arm(Loss::OfTheAnswer, "tenancy/create_tenant");
    let made = tenant.admin.post("/admin/v1/tenants", json!({"id": "lost-once"})).await.expect(StatusCode::CREATED);
    world.was_lost();
    assert_eq!(made["version"], 1);
    world.arm(Loss::OfTheAnswer, "tenancy/update_tenant");
    let admin = tenant.admin.with("if-match", "\"1\"");
    let changed = admin.patch("/admin/v1/tenants/lost-once", json!({"name": "new"})).await.expect(StatusCode::OK);
    world.was_lost();
    assert_eq!((&changed["version"], &changed["name"]), (&json!(2), &json!("new")));
    let now = tenant.admin.get("/admin/v1/tenants/lost-once").await.expect(StatusCode::OK);
    assert_eq!(now["version"], 2);
}

async fn an_api_key_is_made_rotated_and_revoked_once_though_the_answers_were_lost(world: World) {
    let tenant = world.tenant().await;
    let (keys, before) = (format!("{}/keys", tenant.path), tenant.keys().await.len());
    let works = async |key: &Value, status: StatusCode| {
        let secret = key["key"].as_str().expect("the secret");
        let answer = world.app.anyone().with("x-api-key", secret).get("/v1/sessions").await;
        assert_eq!(answer.status, status, "{}", answer.text);
    };
    world.arm(Loss::OfTheAnswer, "tenancy/create_key");
    let key = tenant.admin.post(&keys, json!({"scopes": ["*"]})).await.expect(StatusCode::CREATED);
    world.was_lost();
    assert_eq!(tenant.keys().await.len(), before + 1);
    works(&key, StatusCode::OK).await;
    world.arm(Loss::OfTheAnswer, "tenancy/rotate_key");
    let rotate = format!("{keys}/{}/rotate", key["id"].as_str().expect("an id"));
    let next = tenant.admin.post(&rotate, json!({})).await.expect(StatusCode::CREATED);
    world.was_lost();
    works(&next, StatusCode::OK).await;
    works(&key, StatusCode::UNAUTHORIZED).await;
    assert_eq!(tenant.keys().await.len(), before + 1);
    world.arm(Loss::OfTheAnswer, "tenancy/revoke_key");
    let revoke = format!("{keys}/{}", next["id"].as_str().expect("an id"));
    tenant.admin.delete(&revoke).await.expect(StatusCode::NO_CONTENT);
    world.was_lost();
    works(&next, StatusCode::UNAUTHORIZED).await;
    assert_eq!(tenant.keys().await.len(), before);
}

async fn an_idempotency_key_is_not_in_use_by_the_first_try_of_its_own_request(world: World) {
    let tenant = world.tenant().await;
    let keyed = tenant.caller.with("idempotency-key", "k1");
    // The first that is said of the key is that it is taken.
    world.proxy.arm(Loss::OfTheAnswer, "}:idempotency:", 0);
    let made = keyed.post("/v1/sessions", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    world.was_lost();
    let again = keyed.post("/v1/sessions", json!({"user_id": "u1"})).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(StatusCode::CREATED), made);
    assert_eq!(tenant.sessions_of("u1").await.len(), 1);
}

async fn a_creation_that_arrives_after_the_session_was_revoked_does_not_bring_it_back(world: World) {
    let tenant = world.tenant().await;
    for id in [None, Some("chosen")] {
        world.arm(Loss::OfTheWay, "sessions/create");
        let body = json!({"user_id": "u1", "id": id, "refresh": true});
        let made = tenant.caller.post("/v1/sessions", body).await.expect(StatusCode::CREATED);
        let path = format!("/v1/sessions/{}", made["id"].as_str().expect("an id"));
        tenant.caller.delete(&path).await.expect(StatusCode::NO_CONTENT);
        world.arrives_late();
        assert_eq!(tenant.caller.get(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(tenant.sessions_of("u1").await, Vec::<Value>::new());
        let token = json!({"refresh_token": made["refresh_token"]});
        assert_eq!(tenant.caller.post("/v1/sessions/refresh", token).await.status, StatusCode::UNAUTHORIZED);
    }
    world.arm(Loss::OfTheWay, "sessions/create");
    tenant.caller.put("/v1/sessions/put", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    assert_eq!(tenant.caller.delete("/v1/users/u1/sessions").await.expect(StatusCode::OK)["revoked"], 1);
    world.arrives_late();
    assert_eq!(tenant.sessions_of("u1").await, Vec::<Value>::new());
}

async fn a_write_that_arrives_late_changes_nothing(world: World) {
    let tenant = world.tenant().await;
    let path = "/v1/sessions/mine";
    tenant.caller.put(path, json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    world.arm(Loss::OfTheWay, "sessions/update");
    let first = tenant.caller.patch(path, json!({"data": {"first": 1}})).await.expect(StatusCode::OK);
    // The same version of another session under the same id: only the operation tells them apart.
    tenant.caller.delete(path).await.expect(StatusCode::NO_CONTENT);
    let other = tenant.caller.put(path, json!({"user_id": "u1", "data": {"other": 1}})).await;
    other.expect(StatusCode::CREATED);
    world.arrives_late();
    let now = tenant.caller.get(path).await.expect(StatusCode::OK);
    assert_eq!((&first["version"], &now["version"], &now["data"]), (&json!(2), &json!(1), &json!({"other": 1})));
}

async fn an_api_key_whose_creation_arrives_after_its_revocation_stays_revoked(world: World) {
    let tenant = world.tenant().await;
    let (keys, before) = (format!("{}/keys", tenant.path), tenant.keys().await);
    world.arm(Loss::OfTheWay, "tenancy/create_key");
    let key = tenant.admin.post(&keys, json!({"scopes": ["*"]})).await.expect(StatusCode::CREATED);
    let revoke = format!("{keys}/{}", key["id"].as_str().expect("an id"));
    tenant.admin.delete(&revoke).await.expect(StatusCode::NO_CONTENT);
    world.arrives_late();
    assert_eq!(tenant.keys().await, before);
    let bearer = world.app.anyone().with("x-api-key", key["key"].as_str().expect("the secret"));
    bearer.get("/v1/sessions").await.refused(401, "unauthorized");
}

async fn a_lifetime_that_arrives_late_does_not_replace_the_one_that_was_set_since(world: World) {
    let tenant = world.tenant().await;
    let path = "/v1/sessions/mine";
    tenant.caller.put(path, json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    // The backend knows the script.
    tenant.caller.post(&format!("{path}/extend"), json!({"ttl": 300})).await.expect(StatusCode::OK);
    world.arm(Loss::OfTheWay, "sessions/touch");
    tenant.caller.post(&format!("{path}/extend"), json!({"ttl": 60})).await.expect(StatusCode::OK);
    let longer = tenant.caller.post(&format!("{path}/extend"), json!({"ttl": 36000})).await.expect(StatusCode::OK);
    world.arrives_late();
    let now = tenant.caller.get(&format!("{path}?touch=false")).await.expect(StatusCode::OK);
    assert_eq!(now["expires_at"], longer["expires_at"], "the longer lifetime was acknowledged");
}

async fn a_rotation_that_arrives_late_does_not_move_the_session_that_has_the_id_since(world: World) {
    let tenant = world.tenant().await;
    let path = "/v1/sessions/mine";
    tenant.caller.put("/v1/sessions/other", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    tenant.caller.post("/v1/sessions/other/rotate", json!({})).await.expect(StatusCode::OK);
    tenant.caller.put(path, json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    world.arm(Loss::OfTheWay, "sessions/rotate");
    let moved = tenant.caller.post(&format!("{path}/rotate"), json!({})).await.expect(StatusCode::OK);
    let moved = format!("/v1/sessions/{}", moved["id"].as_str().expect("an id"));
    tenant.caller.delete(&moved).await.expect(StatusCode::NO_CONTENT);
    tenant.caller.put(path, json!({"user_id": "u1", "data": {"next": 1}})).await.expect(StatusCode::CREATED);
    world.arrives_late();
    tenant.caller.get(path).await.expect(StatusCode::OK);
    assert_eq!(tenant.caller.get(&moved).await.status, StatusCode::NOT_FOUND, "it was revoked");
}

async fn an_idempotency_key_that_is_freed_late_keeps_the_answer_that_it_has_since(world: World) {
    let tenant = world.tenant().await;
    let keyed = tenant.caller.with("idempotency-key", "k1");
    let body = json!({"user_id": "u1", "id": "mine"});
    tenant.caller.put("/v1/sessions/mine", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    // The second that is said of the key is that it is free again, as nothing was done.
    world.proxy.arm(Loss::OfTheWay, "}:idempotency:", 1);
    assert_eq!(keyed.post("/v1/sessions", body.clone()).await.status, StatusCode::CONFLICT);
    tenant.caller.delete("/v1/sessions/mine").await.expect(StatusCode::NO_CONTENT);
    let made = keyed.post("/v1/sessions", body.clone()).await.expect(StatusCode::CREATED);
    world.arrives_late();
    let again = keyed.post("/v1/sessions", body).await;
    assert_eq!(again.header("idempotency-replayed"), "true", "{}", again.text);
    assert_eq!(again.expect(StatusCode::CREATED), made);
}

#[tokio::test]
async fn on_a_full_redis_the_body_decides_and_its_answer_is_given() {
    let redis = Backend::on(Arc::new(RedisServer::start()));
    let say = async |words: &[&str]| shown(&redis.say(words.iter().map(ToString::to_string)).await);
    let run = async |command: &Command| shown(&redis.run(&Batch::one(command.clone())).await[0]);
    let kept = async |command: &Command| say(&["EXISTS", &operation_of(command)]).await;
    let (k, counter) = (redis.key("k"), key(&redis, "k"));
    say(&["SET", &k, "7"]).await;
    let reads = Command::script(acting_once("return redis.call('GET', KEYS[1])"), &[&counter]);
    let grows = Command::script(acting_once("return redis.call('INCR', KEYS[1])"), &[&counter]);
    let shrinks = Command::script(acting_once("return redis.call('DEL', KEYS[1])"), &[&counter]);
    say(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert!(run(&grows).await.starts_with("-OOM"), "it grows, and is refused");
    assert_eq!(say(&["GET", &k]).await, "\"7\"");
    assert_eq!(kept(&grows).await, "0", "a refusal is not kept");
    assert_eq!(run(&reads).await, "\"7\"", "what writes nothing is answered though its answer cannot be kept");
    assert_eq!(kept(&reads).await, "0");
    assert_eq!(run(&shrinks).await, "1");
    assert_eq!(kept(&shrinks).await, "1", "who has written may write to the end");
    assert_eq!(run(&shrinks).await, "1");
    say(&["CONFIG", "SET", "maxmemory", "0"]).await;
    for _ in 0..2 {
        assert_eq!(run(&grows).await, "1", "with room again it acts, once");
    }
}
