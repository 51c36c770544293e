//! Query parameters. An endpoint names those it takes; any other, and any that comes twice, is refused
//! before the handler runs.

use super::endpoint::Endpoint;
use super::path::decode;
use super::problem::{Fault, Problem};
use super::request::{FromRequest, Request};
use crate::base::code::Code;
use actix_web::dev::Payload;
use std::borrow::Cow;
use std::rc::Rc;

/// A parameter that an endpoint takes.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its JSON Schema type, for the API description.
    pub kind: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// The one that carries a short-lived token, where an endpoint takes one.
pub(super) static TOKEN: Parameter = Parameter {
    name: "token",
    kind: "string",
    meaning: "A short-lived token in place of a key, for clients that cannot send headers",
};

/// The parameters of a request, decoded.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    fn parse(raw: &str) -> Result<Query, Problem> {
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            decode(&text).map(Cow::into_owned).ok_or_else(|| refusal("", "is not percent-encoded UTF-8"))
        };
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        });
        pairs.collect::<Result<_, _>>().map(Query)
    }

    /// Refuses what the endpoint does not take.
    pub(super) fn check(raw: &str, endpoint: &Endpoint) -> Result<(), Problem> {
        if raw.is_empty() {
            return Ok(());
        }
        let Query(pairs) = Query::parse(raw)?;
        let mut faults = Vec::new();
        for (index, (name, _)) in pairs.iter().enumerate() {
            if !endpoint.parameters().any(|parameter| parameter.name == name) {
                faults.push(Fault { pointer: name.clone(), detail: "is not a parameter here".to_owned() });
            } else if pairs.iter().take(index).any(|(earlier, _)| earlier == name) {
                faults.push(Fault { pointer: name.clone(), detail: "comes twice".to_owned() });
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(Code::InvalidQuery, faults)) }
    }

    /// Of this request.
    ///
    /// # Errors
    /// 400 when an escape in it is broken.
    pub(super) fn of(request: &Request) -> Result<Query, Problem> {
        let raw = request.query_string();
        if raw.is_empty() { Ok(Query::default()) } else { Query::parse(raw) }
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter, read by `read`.
    ///
    /// # Errors
    /// 400 when `read` makes nothing of it; says what it `must` be.
    pub fn read<T>(&self, name: &str, must: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(text) => read(text).map(Some).ok_or_else(|| refusal(name, must)),
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.read(name, "must be true or false", |text| text.parse().ok())
    }
}

fn refusal(pointer: &str, detail: &str) -> Problem {
    Problem::invalid(Code::InvalidQuery, vec![Fault { pointer: pointer.to_owned(), detail: detail.to_owned() }])
}

impl FromRequest for Query {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        Query::of(request)
    }
}
