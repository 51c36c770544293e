//! The token endpoint (RFC 6749, sections 2.3.1, 5 and 6).

use super::{Behaviour, CLIENT_ID, CLIENT_SECRET, Seen, Shared};
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Form, Query};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::Ordering;

type Members = HashMap<String, String>;

pub(super) async fn token(shared: Data<Shared>, request: HttpRequest, form: Form<Members>) -> HttpResponse {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let text = |value: &actix_web::http::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    *shared.last.lock() = Some(Seen { headers, form: form.0.clone() });
    let behaviour = shared.behaviour.lock().clone();
    match &behaviour {
        Behaviour::Slow(time) => tokio::time::sleep(*time).await,
        Behaviour::Refuse { status, headers, body } => {
            let mut answer = response(*status);
            for (name, value) in headers {
                answer.insert_header((*name, value.as_str()));
            }
            return answer.body(*body);
        }
        Behaviour::RefuseWithoutEnd(status) => return response(*status).streaming(without_end()),
        _ => {}
    }
    let answer = serve(&shared, &request, &form);
    if answer.status() != StatusCode::OK {
        return answer;
    }
    match behaviour {
        Behaviour::Garbage(body) => response(200).body(body),
        Behaviour::Endless => response(200).streaming(without_end()),
        Behaviour::Announce(bytes) => {
            response(200).no_chunking(bytes).streaming(stream::pending::<actix_web::Result<Bytes>>())
        }
        Behaviour::HangUp => {
            let failure = std::io::Error::other("a closed connection, as asked for");
            response(200).streaming(stream::iter([Err::<Bytes, _>(failure)]))
        }
        _ => answer,
    }
}

fn serve(shared: &Shared, request: &HttpRequest, form: &Members) -> HttpResponse {
    if !is_the_client(request, form) {
        return refusal(401, "invalid_client");
    }
    if form.get("grant_type").map(String::as_str) != Some("refresh_token") {
        return refusal(400, "unsupported_grant_type");
    }
    let Some(refresh_token) = form.get("refresh_token") else { return refusal(400, "invalid_request") };
    let Some(pair) = shared.families.lock().refresh(refresh_token) else { return refusal(400, "invalid_grant") };
    let scope = form.get("scope").map_or("canary-scope", String::as_str);
    response(200).insert_header(("cache-control", "no-store")).json(json!({
        "access_token": pair.access_token,
        "token_type": "Bearer",
        "expires_in": shared.lifetime.load(Ordering::SeqCst),
        "refresh_token": pair.refresh_token,
        "scope": scope,
    }))
}

/// Whether it shows its secret in one of the two ways, and not in both.
fn is_the_client(request: &HttpRequest, form: &Members) -> bool {
    let in_header = request.headers().get("authorization").map(|value| basic(value.to_str().ok()?));
    let in_form = form.get("client_id").cloned().zip(form.get("client_secret").cloned());
    let shown = match (in_header, in_form) {
        (Some(header), None) => header,
        (None, form) => form,
        (Some(_), Some(_)) => None,
    };
    shown.is_some_and(|(id, secret)| id == CLIENT_ID && secret == CLIENT_SECRET)
}

fn basic(header: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ")?).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let unwritten = |part: &str| Query::<Members>::from_query(&format!("part={part}")).ok()?.0.remove("part");
    unwritten(id).zip(unwritten(secret))
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    response(status).json(json!({"error": code, "error_description": "canary-description"}))
}

fn response(status: u16) -> HttpResponseBuilder {
    HttpResponse::build(StatusCode::from_u16(status).expect("a status"))
}

fn without_end() -> impl stream::Stream<Item = actix_web::Result<Bytes>> {
    stream::repeat_with(|| Ok(Bytes::from_static(&[b' '; 4096])))
}
