//! How soon after a fault was healed requests are served again, fault by fault.

use super::{SLACK, alone};
use crate::harness::app::{App, Caller};
use crate::harness::backend::{Backend, shown};
use crate::harness::redis_server::RedisServer;
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn until(caller: &Caller, path: &str, status: u16) -> Duration {
    let begun = Instant::now();
    loop {
        if caller.get(path).await.status == status {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{path} does not become {status}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_turns_readiness_red_and_is_over_when_it_is_healed() {
    let _alone = alone().await;
    let redis = Arc::new(RedisServer::start());
    let direct = Backend::on(redis.clone());
    let say = async |words: &[&str]| {
        let said = shown(&direct.say(words.iter().map(ToString::to_string).collect::<Vec<_>>()).await);
        assert!(!said.starts_with('-'), "{words:?}: {said}");
    };
    let url = format!("redis://app:secret@127.0.0.1:{}", redis.port());
    say(&["ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all"]).await;
    let app = App::over(redis.clone(), &[("REDIS_URL", &url), ("WORKERS", "2")]);
    let tenant = app.tenant().await;
    let key = format!("Bearer {}", tenant.secret);
    let caller = Caller::of(&app.base).with("authorization", &key);
    let anyone = Caller::of(&app.base);
    let (path, ready) = ("/v1/sessions?limit=1", "/health/ready");
    for fault in ["wrongpass", "maxclients", "noperm", "stop", "kill"] {
        until(&caller, path, 200).await;
        match fault {
            "wrongpass" => {
                say(&["ACL", "SETUSER", "app", "resetpass", ">other"]).await;
                say(&["CLIENT", "KILL", "USER", "app"]).await;
            }
            "maxclients" => {
                say(&["CONFIG", "SET", "maxclients", "1"]).await;
                say(&["CLIENT", "KILL", "USER", "app"]).await;
            }
            "noperm" => say(&["ACL", "SETUSER", "app", "nocommands", "+ping"]).await,
            "stop" => redis.stop(),
            _ => redis.kill(),
        }
        let noticed = until(&caller, path, 503).await;
        let red = until(&anyone, ready, 503).await;
        let begun = Instant::now();
        let mut longest = Duration::ZERO;
        while begun.elapsed() < Duration::from_secs(1) {
            let asked = Instant::now();
            assert_eq!(caller.get(path).await.status, 503, "{fault}");
            longest = longest.max(asked.elapsed());
        }
        match fault {
            "wrongpass" => say(&["ACL", "SETUSER", "app", "resetpass", ">secret"]).await,
            "maxclients" => {
                say(&["CONFIG", "SET", "maxclients", "1000"]).await;
            }
            "noperm" => say(&["ACL", "SETUSER", "app", "+@all"]).await,
            "stop" => redis.go_on(),
            _ => {
                redis.begin();
                redis.until_it_answers();
                tokio::time::sleep(Duration::from_millis(50)).await;
                say(&["ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all"]).await;
            }
        }
        // A Redis that keeps nothing has forgotten the key.
        let served = until(&caller, path, if fault == "kill" { 401 } else { 200 }).await;
        let green = until(&anyone, ready, 200).await;
        println!(
            "{fault}: noticed after {noticed:?}, red after {red:?}, the longest answer meanwhile {longest:?}, served \
             again after {served:?}, green after {green:?}"
        );
        let promised = Duration::from_secs(2);
        assert!(noticed.max(red) < promised * 2 && longest < promised + SLACK, "{fault}");
        // Who refuses the credentials is asked once a second.
        assert!(served < promised && green < promised, "{fault}: {served:?}, {green:?}");
    }
}
