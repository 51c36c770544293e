//! `Idempotency-Key`: a creation that is sent again gets the first one's answer.

use super::authenticate::credential;
use super::body;
use super::ports::{Begun, KeptAnswer, KeyedRequest};
use super::problem::Problem;
use super::request::Request;
use crate::base::code::Code;
use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::web::Bytes;
use sha2::{Digest, Sha256};
use std::rc::Rc;

pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// What of an answer's head belongs to the resource; the rest is made anew for each request.
const KEPT: [HeaderName; 3] = [header::LOCATION, header::ETAG, header::CONTENT_TYPE];

/// The key that the request carries, where the endpoint honours one.
pub(super) fn key(request: &Request) -> Result<Option<String>, Problem> {
    if !request.endpoint.creates {
        return Ok(None);
    }
    let Some(value) = request.headers().get(&KEY) else { return Ok(None) };
    let good = (1..=255).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(text) if good => Ok(Some(text.to_owned())),
        _ => Err(Problem::new(Code::InvalidHeader, "Idempotency-Key must be 1 to 255 visible ASCII characters.")),
    }
}

/// Runs the endpoint, or gives the answer that it gave before.
pub(super) async fn once(request: &Rc<Request>, key: String, payload: Payload) -> Result<HttpResponse, Problem> {
    let body = body::read(request, payload).await?;
    let keyed = KeyedRequest {
        tenant: request.tenant().map(|tenant| &tenant.id),
        credential: credential(request).unwrap_or_default(),
        key: &key,
        fingerprint: fingerprint(request, &body),
        deadline: request.deadline,
    };
    let records = request.platform.idempotency();
    let note = match records.begin(keyed).await? {
        Begun::First(note) => note,
        Begun::Running => return Err(Problem::new(Code::IdempotencyKeyInUse, "Ask again when it has ended.")),
        Begun::Reused => return Err(Problem::new(Code::IdempotencyKeyReused, "Use a new key for a new request.")),
        Begun::Answered(answer) => return Ok(replay(answer)),
    };
    match request.endpoint.run(request.clone(), Payload::from(body)).await {
        Ok(response) if response.status().is_success() => {
            let (response, answer) = keep(response)?;
            // The work is done: to say that it failed because its answer could not be kept would be worse.
            if let Err(error) = records.finish(keyed, &answer).await {
                tracing::warn!(%error, "the answer to a request with an Idempotency-Key was not kept");
            }
            Ok(response)
        }
        // Nobody knows whether it was done: to free the key would invite doing it twice.
        Err(problem) if problem.has_unknown_outcome() => Err(problem),
        other => {
            if let Err(error) = records.abandon(keyed, &note).await {
                tracing::warn!(%error, "an Idempotency-Key stays taken until its lease ends");
            }
            other
        }
    }
}

/// Length-prefixed, so that no two requests make the same text.
fn fingerprint(request: &Request, body: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in
        [request.method().as_str().as_bytes(), request.path().as_bytes(), request.query_string().as_bytes(), body]
    {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// Takes the answer's parts out of it and puts it together again.
fn keep(response: HttpResponse) -> Result<(HttpResponse, KeptAnswer), Problem> {
    let headers = KEPT.iter().filter_map(|name| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    });
    let (status, headers) = (response.status(), headers.collect());
    let (head, body) = response.into_parts();
    // Every handler that creates answers with bytes it already has.
    let body: Bytes =
        body.try_into_bytes().map_err(|_| Problem::new(Code::Internal, "The request could not be completed."))?;
    let answer = KeptAnswer { status: status.as_u16(), headers, body: body.to_vec() };
    Ok((head.set_body(body).map_into_boxed_body(), answer))
}

fn replay(answer: KeptAnswer) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK));
    for header in answer.headers {
        response.insert_header(header);
    }
    response.insert_header((REPLAYED, "true")).body(answer.body)
}
