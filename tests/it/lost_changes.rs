//! A Redis that lost its last changes, as after a crash, a failover or a restore: what is changed next is
//! in force everywhere within a second all the same.

use crate::harness::app::{App, Tenant};
use crate::harness::redis_server::RedisServer;
use redis::aio::MultiplexedConnection;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Two applications over one Redis of their own, and a hand on its data.
struct World {
    here: App,
    there: App,
    connection: MultiplexedConnection,
}

impl World {
    async fn new() -> World {
        let redis = Arc::new(RedisServer::start());
        let variables = [("REDIS_KEY_PREFIX", "shared")];
        let (here, there) = (App::over(Arc::clone(&redis), &variables), App::over(Arc::clone(&redis), &variables));
        let client = redis::Client::open(redis.url()).expect("a URL");
        let connection = client.get_multiplexed_async_connection().await.expect("it is up");
        World { here, there, connection }
    }

    /// Everything that admins changed, as Redis itself writes it.
    async fn backup(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut backup = Vec::new();
        for key in self.keys().await {
            let dump = redis::cmd("DUMP").arg(&key).query_async(&mut self.connection).await.expect("the key is there");
            backup.push((key, dump));
        }
        backup
    }

    /// Takes all of it back to this state.
    async fn restore(&mut self, backup: &[(String, Vec<u8>)]) {
        let mut all = redis::pipe();
        all.atomic();
        for key in self.keys().await {
            all.cmd("DEL").arg(key).ignore();
        }
        for (key, dump) in backup {
            all.cmd("RESTORE").arg(key).arg(0).arg(dump).ignore();
        }
        all.query_async::<()>(&mut self.connection).await.expect("all of it is restored");
    }

    async fn keys(&mut self) -> Vec<String> {
        let keys = redis::cmd("KEYS").arg("shared:{_system:*").query_async(&mut self.connection).await;
        keys.expect("the names of all keys")
    }

    /// What a key gets from each application.
    async fn statuses(&self, tenant: &Tenant) -> [StatusCode; 2] {
        let caller = |app: &App| app.anyone().with("authorization", &format!("Bearer {}", tenant.secret));
        let (here, there) = (caller(&self.here), caller(&self.there));
        let (here, there) = tokio::join!(here.get("/v1/sessions/none"), there.get("/v1/sessions/none"));
        [here.status, there.status]
    }

    /// Both know the key in a state that is lost then; an admin says this next, and both must refuse.
    async fn is_in_force_after_a_loss(&mut self, method: Method, path: &str, body: Option<&str>, refusal: StatusCode) {
        // How the looks of both fall between the steps is left to chance, so it is tried a few times.
        for _ in 0..5 {
            let tenant = self.here.tenant().await;
            let backup = self.backup().await;
            let rename = format!("/admin/v1/tenants/{}", tenant.id);
            self.here.admin().patch(&rename, json!({"name": "lost"})).await.expect(StatusCode::OK);
            let known = Instant::now();
            while known.elapsed() < Duration::from_millis(1_050) {
                assert_eq!(self.statuses(&tenant).await, [StatusCode::NOT_FOUND; 2], "both know it after the change");
            }
            self.restore(&backup).await;
            let path = path.replace("{tenant}", &tenant.id).replace("{key}", &tenant.key_id);
            let body = body.map(|body| body.as_bytes().to_vec());
            let answer = self.here.admin().send(method.clone(), &path, body).await;
            let changed = Instant::now();
            assert!(answer.status.is_success(), "{}", answer.text);
            assert_eq!(self.statuses(&tenant).await[0], refusal, "at once where it was changed");
            tokio::time::sleep_until((changed + Duration::from_secs(1)).into()).await;
            assert_eq!(self.statuses(&tenant).await, [refusal; 2], "{path}");
        }
    }
}

#[tokio::test]
async fn a_revocation_after_a_lost_change_is_in_force_everywhere_within_a_second() {
    let path = "/admin/v1/tenants/{tenant}/keys/{key}";
    World::new().await.is_in_force_after_a_loss(Method::DELETE, path, None, StatusCode::UNAUTHORIZED).await;
}

#[tokio::test]
async fn a_suspension_after_a_lost_change_is_in_force_everywhere_within_a_second() {
    let (path, body) = ("/admin/v1/tenants/{tenant}", Some(r#"{"status":"suspended"}"#));
    World::new().await.is_in_force_after_a_loss(Method::PATCH, path, body, StatusCode::FORBIDDEN).await;
}
