//! Definitions: from requests to the store, and from its outcomes to answers.

use super::super::answers::{Definition, Document, FlagAnswer, StatsAnswer, VersionAnswer, WrittenAnswer};
use super::super::bodies::ExplainBody;
use super::super::counts::MOST_DAYS;
use super::super::document;
use super::super::rules::{self, Arena, Context, Explanation, Ruleset};
use super::super::types::{Error, MOST_BYTES, Put, Written};
use super::OpenFlags;
use crate::base::code::Code;
use crate::base::json_object::JsonObject;
use crate::base::text::{Name, SEGMENT};
use crate::http::{
    Actor, Fault, Json, OptionalJson, PageRequest, PathArg, Preconditions, Problem, Query, Scoped, etag, json,
};
use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use percent_encoding::utf8_percent_encode;
use serde_json::{Map, Value};

pub(super) type Store = Scoped<OpenFlags>;
pub(super) type Outcome = Result<HttpResponse, Problem>;

pub(super) async fn list(Scoped(served): Store, page: PageRequest) -> Outcome {
    let set = served.flags().read().await?;
    let flags = document::flags(&set.document).into_iter().flatten();
    let mut rest = flags.skip_while(|(key, _)| page.after.as_ref().is_some_and(|after| *key <= after)).peekable();
    let items: Vec<FlagAnswer> = rest
        .by_ref()
        .take(page.limit)
        .map(|(key, definition)| FlagAnswer {
            key: key.clone(),
            version: set.changed.get(key).copied().unwrap_or(set.version),
            definition: definition.clone(),
        })
        .collect();
    let next = items.last().filter(|_| rest.peek().is_some()).map(|item| item.key.clone());
    page.answer(items, next.as_deref())
}

pub(super) async fn read(Scoped(served): Store, PathArg(key): PathArg<Name>, asked: Preconditions) -> Outcome {
    let set = served.flags().read().await?;
    let flag = document::flags(&set.document).and_then(|flags| flags.get(key.as_str())).ok_or_else(absent)?;
    let version = set.changed.get(key.as_str()).copied().unwrap_or(set.version);
    if asked.0.is_known(version) {
        return Ok(HttpResponse::NotModified().insert_header(etag(version)).finish());
    }
    json(HttpResponse::Ok().insert_header(etag(version)), flag)
}

pub(super) async fn put(
    Scoped(served): Store,
    PathArg(key): PathArg<Name>,
    asked: Preconditions,
    actor: Actor,
    Json(Definition(flag)): Json<Definition>,
) -> Outcome {
    let written = stored(served.flags().put(&key, &Value::Object(flag), &asked.0, &actor.to_string()).await?)?;
    let version = written.set.changed.get(key.as_str()).copied().unwrap_or(written.set.version);
    let mut head = if written.is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    if written.is_new {
        head.insert_header((LOCATION, format!("/v1/flags/{}", utf8_percent_encode(key.as_str(), SEGMENT))));
    }
    json(head.insert_header(etag(version)), &WrittenAnswer::from(written))
}

pub(super) async fn delete(
    Scoped(served): Store,
    PathArg(key): PathArg<Name>,
    asked: Preconditions,
    actor: Actor,
) -> Outcome {
    match served.flags().delete(&key, &asked.0, &actor.to_string()).await? {
        Put::NotFound => Err(absent()),
        put => stored(put).map(|_| HttpResponse::NoContent().finish()),
    }
}

pub(super) async fn read_set(Scoped(served): Store, asked: Preconditions) -> Outcome {
    let set = served.flags().read().await?;
    if asked.0.is_known(set.version) {
        return Ok(HttpResponse::NotModified().insert_header(etag(set.version)).finish());
    }
    json(HttpResponse::Ok().insert_header(etag(set.version)), &Document(set.document))
}

pub(super) async fn put_set(
    Scoped(served): Store,
    asked: Preconditions,
    actor: Actor,
    Json(Document(new)): Json<Document>,
) -> Outcome {
    let written = stored(served.flags().replace(&new, &asked.0, &actor.to_string()).await?)?;
    let mut head = if written.is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    json(head.insert_header(etag(written.set.version)), &WrittenAnswer::from(written))
}

pub(super) async fn versions(Scoped(served): Store, page: PageRequest) -> Outcome {
    let below = page.after.as_deref().map(|after| after.parse().map_err(|_| PageRequest::foreign_cursor()));
    let mut versions = served.flags().versions(below.transpose()?, page.limit + 1).await?;
    let more = versions.len() > page.limit;
    versions.truncate(page.limit);
    let next = versions.last().filter(|_| more).map(|last| last.version.to_string());
    page.answer(versions.into_iter().map(VersionAnswer::from).collect(), next.as_deref())
}

pub(super) async fn read_version(Scoped(served): Store, PathArg(version): PathArg<Name>) -> Outcome {
    let version = version_of(&version)?;
    let document = served.flags().at(version).await?.ok_or_else(forgotten)?;
    json(HttpResponse::Ok().insert_header(etag(version)), &Document(document))
}

pub(super) async fn restore(
    Scoped(served): Store,
    PathArg(version): PathArg<Name>,
    asked: Preconditions,
    actor: Actor,
) -> Outcome {
    match served.flags().restore(version_of(&version)?, &asked.0, &actor.to_string()).await? {
        Put::NotFound => Err(forgotten()),
        put => {
            let written = stored(put)?;
            json(HttpResponse::Ok().insert_header(etag(written.set.version)), &WrittenAnswer::from(written))
        }
    }
}

pub(super) async fn explain(
    Scoped(served): Store,
    PathArg(key): PathArg<Name>,
    OptionalJson(body): OptionalJson<ExplainBody>,
) -> Outcome {
    let mut set = served.flags().read().await?;
    let is_dry = body.definition.is_some();
    if let (Some(Definition(flag)), Some(flags)) = (body.definition, document::flags_mut(&mut set.document)) {
        flags.insert(key.as_str().to_owned(), Value::Object(flag));
    }
    let (document, now) = (set.document, served.seconds());
    // It compiles the whole set and evaluates more than once: not on the thread that serves others.
    let explain = move || explained(&document, &key, &body.context, (is_dry, now));
    let explanation = tokio::task::spawn_blocking(explain).await.map_err(|_| Problem::from(Error::NotCompiled))??;
    json(&mut HttpResponse::Ok(), &explanation)
}

fn explained(
    document: &Map<String, Value>,
    key: &Name,
    context: &JsonObject,
    (is_dry, now): (bool, u64),
) -> Result<Explanation, Problem> {
    let rules = Ruleset::compile(document).map_err(|faults| {
        let there = if is_dry { "/definition" } else { "" };
        invalid(faults.into_iter().map(|fault| fault.within(key.as_str())).collect(), there)
    })?;
    let flag = rules.flag(key.as_str()).ok_or_else(absent)?;
    let arena = Arena::new();
    let context =
        Context::parse(context.as_str(), &arena).map_err(|fault| Problem::fault("/context", &fault.to_string()))?;
    Ok(flag.explain(&context, now))
}

pub(super) async fn stats(Scoped(served): Store, PathArg(key): PathArg<Name>, query: Query) -> Outcome {
    let days = |text: &str| text.parse().ok().filter(|days| (1..=MOST_DAYS).contains(days));
    let days = query.read("days", "must be a whole number from 1 to 31", days)?.unwrap_or(7);
    served.live().flush_of(&served.tenant).await?;
    let counted = served.flags().evaluations(&key, days).await?;
    json(&mut HttpResponse::Ok(), &StatsAnswer::new(key, counted))
}

fn version_of(name: &Name) -> Result<u64, Problem> {
    // As versions are written, and in no other way.
    let version = name.as_str().parse().ok().filter(|version: &u64| version.to_string() == name.as_str());
    version.ok_or_else(forgotten)
}

fn stored(put: Put) -> Result<Written, Problem> {
    match put {
        Put::Written(written) => Ok(*written),
        Put::VersionMismatch => Err(Preconditions::failed()),
        Put::Invalid(faults) => Err(invalid(faults, "")),
        Put::NotFound => Err(absent()),
        Put::TooLarge => Err(Problem::new(
            Code::FlagsetTooLarge,
            format!("The whole set may have {MOST_BYTES} bytes of JSON; nothing was changed."),
        )),
    }
}

/// The refusal of a definition; its places are told under `there` in the body.
fn invalid(faults: Vec<rules::Fault>, there: &str) -> Problem {
    let told = faults
        .into_iter()
        .map(|rules::Fault { pointer, detail }| Fault { pointer: format!("{there}{pointer}"), detail });
    Problem::invalid(Code::ValidationFailed, told.collect())
}

fn absent() -> Problem {
    Problem::new(Code::FlagNotFound, "It was deleted, or never was.")
}

fn forgotten() -> Problem {
    Problem::new(Code::FlagsetVersionNotFound, "The last 50 versions are known.")
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Backend(error) => error.into(),
            Error::Contended => Problem::new(Code::EditConflict, "Try again."),
            Error::NotCompiled => Problem::new(Code::Internal, "The request could not be completed."),
        }
    }
}
