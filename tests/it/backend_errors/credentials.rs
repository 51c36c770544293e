//! A Redis that does not let the server in, or not do what it must: that is never the tenant's fault.

use super::{World, create, is_unavailable};
use crate::harness::app::App;
use reqwest::StatusCode;

#[tokio::test]
async fn a_permission_that_is_taken_away_is_a_503_and_red_and_heals_when_it_is_given_back() {
    let mut world = World::new().await;
    for missing in ["-@scripting", "-@read", "-@all"] {
        world.tell(&["ACL", "SETUSER", "default", missing, "-time"]).await;
        let before = world.gave("NOPERM").await;
        is_unavailable(&world.write().await);
        if missing != "-@scripting" {
            is_unavailable(&world.read().await);
        }
        world.is_ready(false).await;
        assert!(world.gave("NOPERM").await >= before + 2, "{missing}");
        world.tell(&["ACL", "SETUSER", "default", "+@all"]).await;
        world.heals().await;
    }
}

#[tokio::test]
async fn a_user_that_may_not_ask_for_the_time_is_one_to_be_told_of() {
    let mut world = World::new().await;
    world.tell(&["ACL", "SETUSER", "default", "-time"]).await;
    world.is_ready(false).await;
    assert_eq!(world.app.anyone().get("/status").await.json()["redis_status"], "error");
    assert!(world.gave("NOPERM").await > 0);
    world.tell(&["ACL", "SETUSER", "default", "+time"]).await;
    world.heals().await;
}

#[tokio::test]
async fn a_password_that_changes_shuts_out_new_connections_alone_and_never_a_tenant() {
    let mut world = World::new().await;
    world.tell(&["CONFIG", "SET", "requirepass", "canary-new"]).await;
    assert_eq!(world.write().await.status, StatusCode::CREATED, "whoever is in stays in");
    world.hang_up().await;
    is_unavailable(&world.read().await);
    is_unavailable(&world.write().await);
    world.is_ready(false).await;
    assert_eq!(world.app.anyone().get("/status").await.json()["redis_status"], "error");
    assert!(world.gave("NOAUTH").await > 0);
    world.tell(&["CONFIG", "SET", "requirepass", ""]).await;
    world.heals().await;
}

#[tokio::test]
async fn a_wrong_password_is_a_503_from_the_start_and_after_it_changed() {
    let mut world = World::new().await;
    world.tell(&["ACL", "SETUSER", "app", "on", ">canary-one", "~*", "&*", "+@all"]).await;
    let url = format!("redis://app:canary-one@127.0.0.1:{}", world.redis.port());
    let variables = [("REDIS_URL", url.as_str()), ("REDIS_KEY_PREFIX", "shared")];
    world.app = App::over(world.redis.clone(), &variables);
    world.tenant = world.app.tenant().await;
    world.session = create(&world.tenant).await.expect(StatusCode::CREATED)["id"].as_str().unwrap().to_owned();
    world.tell(&["ACL", "SETUSER", "app", "resetpass", ">canary-two"]).await;
    assert_eq!(world.write().await.status, StatusCode::CREATED, "whoever is in stays in");
    world.hang_up().await;
    is_unavailable(&world.read().await);
    is_unavailable(&world.write().await);
    world.is_ready(false).await;
    assert!(world.gave("WRONGPASS").await > 0);

    // One that starts like this says so, to somebody with a good key too, and serves when it is let in.
    let late = App::over(world.redis.clone(), &variables);
    let caller = late.anyone().with("x-api-key", &world.tenant.secret);
    is_unavailable(&caller.get("/v1/sessions").await);
    assert_eq!(late.anyone().get("/health/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
    world.tell(&["ACL", "SETUSER", "app", ">canary-one"]).await;
    world.heals().await;
    world.app = late;
    world.is_ready(true).await;
    caller.get("/v1/sessions").await.expect(StatusCode::OK);
}
