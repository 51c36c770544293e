//! Whole requests to any endpoint, with a key that opens them all: whatever is in path, query, credential and body,
//! the answer is a success or a refusal.
#![no_main]

use actix_web::http::{Method, Uri, header};
use actix_web::dev::{Service, ServiceFactory};
use actix_web::rt;
use actix_web::test::TestRequest;
use agentapi::app::Application;
use agentapi::base::clock::SystemClock;
use agentapi::base::env::Env;
use agentapi::config::Config;
use agentapi::http::{self, server::Site};
use libfuzzer_sys::{Corpus, fuzz_target};
use std::sync::Arc;

const ADMIN: &str = "an-admin-key-of-more-than-32-characters";

thread_local! {
    static SYSTEM: rt::SystemRunner = rt::System::new();
    static SITE: Application = SYSTEM.with(|system| {
        let variables = [("ADMIN_API_KEY", ADMIN), ("RATE_LIMIT_ENABLED", "false")];
        let mut env = Env::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let config = Config::read(&mut env);
        system.block_on(async { Application::new(config, Arc::new(SystemClock)).expect("the embedded backend") })
    });
}

/// The row, a text for each name in its path, the query, the credential and the body: parts between zero bytes.
fn read(data: &[u8]) -> Option<TestRequest> {
    let (row, rest) = data.split_first()?;
    let mut parts = rest.splitn(4, |byte| *byte == 0);
    let (name, query) = (std::str::from_utf8(parts.next()?).ok()?, std::str::from_utf8(parts.next()?).ok()?);
    let (key, body) = (parts.next()?, parts.next()?);
    let table = agentapi::app::described();
    let row = table.rows().nth(usize::from(*row) % table.rows().count())?;
    let segments = row.path.split('/').map(|segment| if segment.starts_with('{') { name } else { segment });
    let uri: Uri = format!("{}?{query}", segments.collect::<Vec<_>>().join("/")).parse().ok()?;
    let key = if key.is_empty() { ADMIN.as_bytes() } else { key };
    let request = TestRequest::with_uri(&uri.to_string())
        .method(Method::from_bytes(row.method.as_str().as_bytes()).ok()?)
        .insert_header(("x-api-key", header::HeaderValue::from_bytes(key).ok()?))
        .insert_header(("x-tenant-id", "fuzzed"))
        .insert_header(header::ContentType::json())
        .set_payload(body.to_vec());
    Some(request)
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some(request) = read(data) else { return Corpus::Reject };
    let site = SITE.with(Clone::clone);
    let status = SYSTEM.with(|system| {
        system.block_on(async {
            let service = http::service(site.endpoints(), site.platform());
            let service = service.new_service(()).await.expect("a service");
            let made = TestRequest::post().uri("/admin/v1/tenants").insert_header(("x-api-key", ADMIN));
            let Ok(_) = service.call(made.set_json(serde_json::json!({"id": "fuzzed"})).to_request()).await;
            let Ok(response) = service.call(request.to_request()).await;
            response.status()
        })
    });
    assert!(!status.is_server_error(), "{status}");
    Corpus::Keep
});
