//! JSON bodies: bounded in size and time, of the right media type, valid, and nothing in them unknown.

use super::problem::{Fault, Problem};
use super::request::{FromRequest, Request, Stage};
use crate::base::code::Code;
use crate::base::object::Object;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

/// A JSON request body: an object.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// A JSON request body that may be left out.
#[derive(Debug)]
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Json<T> {
    async fn from_request(request: &Rc<Request>, payload: &mut Payload) -> Result<Self, Problem> {
        let body = read(request, payload.take()).await?;
        check_media_type(request)?;
        parse(&body).map(Json)
    }
}

impl<T: DeserializeOwned + Default> FromRequest for OptionalJson<T> {
    async fn from_request(request: &Rc<Request>, payload: &mut Payload) -> Result<Self, Problem> {
        JsonBytes::from_request(request, payload).await?.read().map(OptionalJson)
    }
}

/// A JSON request body as it came, for what is read in place. It may be left out.
#[derive(Debug)]
pub struct JsonBytes(Bytes);

impl JsonBytes {
    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads the object; the default where there is no body.
    ///
    /// # Errors
    /// 400 when it is not JSON, 422 when it is not such an object.
    pub fn read<'a, T: Deserialize<'a> + Default>(&'a self) -> Result<T, Problem> {
        if self.0.is_empty() { Ok(T::default()) } else { parse(&self.0) }
    }
}

impl FromRequest for JsonBytes {
    async fn from_request(request: &Rc<Request>, payload: &mut Payload) -> Result<Self, Problem> {
        let body = read(request, payload.take()).await?;
        if !body.is_empty() {
            check_media_type(request)?;
        }
        Ok(JsonBytes(body))
    }
}

/// The whole body of a request.
///
/// # Errors
/// 413 above the size limit, 503 when there is no room for it among others', 415 when it is encoded, 408 when it is
/// not here by the request's deadline, 400 when it ends early.
pub(super) async fn read(request: &Request, payload: Payload) -> Result<Bytes, Problem> {
    // While it is so, it is the body that is late, whatever came before, and nothing was done.
    let begun = request.stage.replace(Stage::Body);
    let mut body = pin!(collect(request, payload, request.platform.settings().max_body_bytes));
    if let Some(body) = body.as_mut().now_or_never() {
        // Nobody was waited for.
        return body.inspect(|_| request.stage.set(begun));
    }
    let body = body.await?;
    let now = Instant::now();
    if request.deadline.is_over(now) {
        return Err(late());
    }
    request.stage.set(Stage::Since(now));
    Ok(body)
}

/// What a request is told whose body is late.
pub(super) fn late() -> Problem {
    Problem::new(Code::RequestTimeout, "Send the whole body without pauses.")
}

async fn collect(request: &Request, mut payload: Payload, limit: usize) -> Result<Bytes, Problem> {
    let load = &request.admitted()?.load;
    let too_large = || Problem::new(Code::BodyTooLarge, format!("The limit is {limit} bytes."));
    if !request.has_plain_body() {
        return Err(Problem::new(Code::UnsupportedMediaType, "Send the body without a Content-Encoding."));
    }
    let announced = request.text_of(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_| Problem::new(Code::InvalidJson, "The body ended early or was not well formed."))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        load.hold(chunk.len())?;
        if announced == Some(chunk.len()) && body.is_empty() {
            // All of it, as most are: it need not be copied.
            return Ok(chunk);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// `application/json`, or a type whose suffix is `+json` (RFC 6839).
fn check_media_type(request: &Request) -> Result<(), Problem> {
    let given = request.headers().get(CONTENT_TYPE);
    if given.is_some_and(|given| given.as_bytes() == b"application/json") {
        // As most say it.
        return Ok(());
    }
    let given = given.and_then(|given| given.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if is_json { Ok(()) } else { Err(Problem::new(Code::UnsupportedMediaType, "Send application/json.")) }
}

/// Reads an object. What is not JSON at all is that first, whatever of it could not have been read anyway.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    let error = match serde_json::from_slice(body) {
        Ok(Object(value)) => return Ok(value),
        Err(error) => error,
    };
    // What the reader calls a fault of syntax may be a number where it wants a word, in a body that is JSON.
    let syntax = serde_json::from_slice::<&RawValue>(body).err();
    let Some(error) = syntax.or_else(|| (!error.is_data() && !is_of_a_type(&error)).then_some(error)) else {
        return Err(invalid::<T>(body));
    };
    Err(Problem::new(Code::InvalidJson, format!("Line {}, column {}.", error.line(), error.column())))
}

/// Whether a value is of another type than the reader wants there, or too large for any.
fn is_of_a_type(error: &serde_json::Error) -> bool {
    let message = error.to_string();
    message.starts_with("expected value") || message.starts_with("number out of range")
}

/// Says where and what. serde's own messages quote values, so only what they are about is taken from them.
fn invalid<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Problem {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let (mut place, message) = match serde_path_to_error::deserialize::<_, Object<T>>(&mut reader) {
        Err(traced) => (pointer(traced.path()), traced.inner().to_string()),
        Ok(_) => (String::new(), String::new()),
    };
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let detail = if message.starts_with("unknown field") {
        // The path ends with it already.
        "is not a member here".to_owned()
    } else if message.starts_with("missing field") {
        extend(&mut place, quoted);
        "is missing".to_owned()
    } else if message.starts_with("duplicate field") {
        extend(&mut place, quoted);
        "comes twice".to_owned()
    } else if message.starts_with("unknown variant") {
        "is not one of the values that are known".to_owned()
    } else if message.starts_with("invalid type")
        || message.starts_with("invalid value")
        || message.starts_with("invalid length")
        || message.starts_with("expected value")
        || message.starts_with("number out of range")
    {
        "is not of the type that is expected".to_owned()
    } else {
        // Written by this project's own types, which never quote a value.
        message.split(" at line ").next().unwrap_or_default().to_owned()
    };
    Problem::invalid(Code::ValidationFailed, vec![Fault { pointer: place, detail }])
}

fn extend(pointer: &mut String, member: &str) {
    pointer.push('/');
    pointer.push_str(&member.replace('~', "~0").replace('/', "~1"));
}

/// A JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |mut pointer, segment| {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => extend(&mut pointer, key),
            Segment::Enum { variant } => extend(&mut pointer, variant),
            Segment::Unknown => {}
        }
        pointer
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::value::RawValue;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its reading is tested")]
    struct Sample {
        name: crate::base::text::Name,
        ttl: Option<crate::base::duration::DurationField>,
        data: Option<Box<RawValue>>,
        inner: Option<Object<Inner>>,
        choice: Option<Choice>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        Known,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its reading is tested")]
    struct Inner {
        list: Vec<u8>,
    }

    fn refusal(body: &str) -> (Code, String) {
        let problem = parse::<Sample>(body.as_bytes()).unwrap_err();
        (problem.code(), serde_json::to_string(problem.faults()).unwrap())
    }

    #[test]
    fn each_fault_is_pointed_at_and_no_value_is_quoted() {
        for (body, pointer, detail) in [
            (r#"{"name":"a","nope~/x":1}"#, "/nope~0~1x", "is not a member here"),
            (r#"{"name":"a","n`o`pe":1}"#, "/n`o`pe", "is not a member here"),
            (r#"{"name":"a","inner":{"list":[],"inner":1}}"#, "/inner/inner", "is not a member here"),
            (r#"{"name":"a","inner":{}}"#, "/inner/list", "is missing"),
            (r#"{}"#, "/name", "is missing"),
            (r#"{"name":"a","name":"b"}"#, "/name", "comes twice"),
            (r#"{"name":7}"#, "/name", "is not of the type that is expected"),
            (r#"{"name":""}"#, "/name", "must be 1 to 256 bytes of UTF-8 without control characters"),
            (r#"{"name":"a","ttl":"canary"}"#, "/ttl", "is not a duration"),
            (r#"{"name":"a","inner":{"list":[1,"canary"]}}"#, "/inner/list/1", "is not of the type that is expected"),
            (r#"{"name":"a","inner":[["canary"]]}"#, "/inner", "is not of the type that is expected"),
            (r#"{"name":"a","inner":[[]],"nope":1}"#, "/inner", "is not of the type that is expected"),
            (r#"{"name":"a","choice":"canary"}"#, "/choice", "is not one of the values that are known"),
            (r#"{"name":"a","choice":7}"#, "/choice", "is not of the type that is expected"),
            (r#"{"name":"a","inner":{"list":[1e400]}}"#, "/inner/list/0", "is not of the type that is expected"),
            (r#"["canary"]"#, "", "is not of the type that is expected"),
            (r#" ["a",1,{},{"list":[]}]"#, "", "is not of the type that is expected"),
        ] {
            let (code, faults) = refusal(body);
            assert_eq!(code, Code::ValidationFailed, "{body}");
            assert!(faults.contains(&format!("\"pointer\":\"{pointer}\"")), "{body}: {faults}");
            assert!(faults.contains(detail), "{body}: {faults}");
            assert!(!faults.contains("canary"), "{faults}");
        }
    }

    #[test]
    fn what_is_not_json_is_a_400_with_its_place() {
        for body in
            ["", "{", "{\"name\":}", "{\"name\":\"a\"} x", "nul", "\u{feff}{}", "{} x", "{\"name\":7", "{\"no\":1,}"]
        {
            assert_eq!(parse::<Sample>(body.as_bytes()).unwrap_err().code(), Code::InvalidJson, "{body}");
        }
        assert_eq!(parse::<Sample>(b"{\"name\":\"\xff\"}").unwrap_err().code(), Code::InvalidJson);
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(parse::<Sample>(&body).is_err());
        }
    }
}
