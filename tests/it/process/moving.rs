//! A tenant as a file, from one server process to another.

use super::{Process, run};
use crate::harness::app::{ADMIN_KEY, ROOT_KEY};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::json;

const VARIABLES: [(&str, &str); 2] = [("ADMIN_API_KEY", ADMIN_KEY), ("TOKEN_ENCRYPTION_KEY", ROOT_KEY)];

#[tokio::test]
async fn a_tenant_is_written_to_a_file_and_read_in_by_another_server() {
    let redis = RedisServer::start();
    let mut from = Process::serve(&VARIABLES);
    let mut to = Process::serve(&[&VARIABLES[..], &[("REDIS_URL", &redis.url())]].concat());
    let (base, other) = (from.base(), to.base());
    let admin = from.anyone().with("authorization", &format!("Bearer {ADMIN_KEY}"));
    let made = admin.post("/admin/v1/tenants", json!({"id": "acme", "create_key": true})).await;
    let key = made.expect(StatusCode::CREATED)["api_key"]["key"].as_str().unwrap().to_owned();
    let tenant = from.anyone().with("x-api-key", &key);
    // More than a body may be, and than is in flight at once on the way.
    for n in 0..80 {
        let session = json!({"user_id": "u", "data": {"text": "x".repeat(20_000)}});
        tenant.put(&format!("/v1/sessions/s{n}"), session).await.expect(StatusCode::CREATED);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.ndjson");
    let path = file.to_str().unwrap();
    let command = |words: &[&str]| run(words, &VARIABLES);
    let exported = command(&["export", "--tenant", "acme", "--output", path, "--url", &base]);
    assert!(exported.status.success(), "{exported:?}");
    assert!(String::from_utf8_lossy(&exported.stdout).ends_with(" lines exported\n"), "{exported:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let imported = command(&["import", "--tenant", "acme", "--input", path, "--url", &other]);
    assert!(imported.status.success(), "{imported:?}");
    assert!(String::from_utf8_lossy(&imported.stdout).starts_with("imported: 1 API keys, "), "{imported:?}");
    let session = to.anyone().with("x-api-key", &key).get("/v1/sessions/s79").await.expect(StatusCode::OK);
    assert_eq!(session["data"]["text"].as_str().unwrap().len(), 20_000);

    // Standard output is the export itself.
    let piped = command(&["export", "--tenant", "acme", "--url", &base]);
    assert!(piped.stdout.starts_with(b"{\"agentapi_export\":") && piped.stdout.ends_with(b"}\n"), "{piped:?}");
    for (words, said) in [
        (vec!["import", "--tenant", "acme", "--input", path, "--url", &other], "answers 409"),
        (vec!["import", "--tenant", "other", "--input", path, "--url", &other], "answers 422"),
        (vec!["import", "--tenant", "acme", "--input", "/nowhere/file", "--url", &other], "cannot be read"),
        (vec!["export", "--tenant", "nobody", "--url", &base], "answers 404"),
        (vec!["export", "--tenant", "acme", "--output", "/nowhere/file", "--url", &base], "cannot be written"),
    ] {
        let output = command(&words);
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{words:?}: {log}");
        assert!(log.contains(said) && !log.contains(ADMIN_KEY), "{words:?}: {log}");
    }
}
