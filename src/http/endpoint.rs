//! One row of the endpoint table: who may call it, what it does, what it takes and answers.

use super::path::decode;
use super::pattern::Pattern;
use super::problem::Problem;
use super::query::{Parameter, TOKEN};
use super::request::Request;
use crate::base::code::Code;
use crate::tenancy::{Purpose, Scope};
use actix_web::HttpResponse;
use actix_web::dev::Payload;
use actix_web::http::Method;
use futures_util::future::LocalBoxFuture;
use schemars::{Schema, SchemaGenerator};
use std::borrow::Cow;
use std::rc::Rc;

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Public,
    /// The holder of the admin key.
    Admin,
    /// A tenant's API key with this scope, or the admin key in a tenant's name.
    Tenant(Scope),
}

impl From<Scope> for Access {
    fn from(scope: Scope) -> Self {
        Access::Tenant(scope)
    }
}

/// What an endpoint does while the backend cannot be asked. Each capability declares it in its rows;
/// `docs/architecture.md` has the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InOutage {
    /// Refuses, from the authentication on: it would lose or invent data.
    #[default]
    Refuse,
    /// Where `SESSION_FALLBACK` names what stands in, answers from this process what that can vouch for; else refuses.
    StandIn,
    /// Answers an approximation of this process's own, or the last that it knew, and says so.
    Approximate,
}

/// What makes the schema of a body.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A successful answer, for the API description.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// What it means.
    pub meaning: &'static str,
    /// What its JSON body looks like; nothing where there is none.
    pub schema: Option<SchemaOf>,
}

/// Adds to a refusal what its endpoint promises to say in one. The text is that of the first name in the path, where
/// there is one.
pub type RefusesAs = fn(Problem, Option<&str>) -> Problem;

/// A row under a method that it answers: its own, or `HEAD` for `GET`.
pub(super) type MethodRow = (Method, Rc<Endpoint>);

pub(super) type Run = Rc<dyn Fn(Rc<Request>, Payload) -> LocalBoxFuture<'static, Result<HttpResponse, Problem>>>;

/// One row of the table.
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path, names in braces.
    pub path: String,
    /// Who may call it.
    pub access: Access,
    /// What it does, in a line.
    pub summary: &'static str,
    /// The query parameters that its handler takes.
    pub query: &'static [Parameter],
    /// The schema of its request body.
    pub body: Option<SchemaOf>,
    /// Whether the body may be left out.
    pub body_is_optional: bool,
    /// Its successful answers.
    pub answers: Vec<Answer>,
    /// The refusals that are its own; those that every endpoint shares are left out.
    pub refusals: &'static [Code],
    /// Whether it creates something, and so honours `Idempotency-Key`.
    pub creates: bool,
    /// What it does while the backend cannot be asked.
    pub in_outage: InOutage,
    /// How many requests of the usual kind it may cost as much as.
    pub slots: u32,
    /// Whether a request may take as long as its body comes: what it does then has deadlines of its own.
    pub takes_its_time: bool,
    /// Whether requests to it count against the limit of their API key.
    pub is_metered: bool,
    /// What a short-lived token must be for to stand in for a key here.
    pub by_token: Option<Purpose>,
    /// What its refusals say beside what every problem says.
    pub(super) refuses_as: Option<RefusesAs>,
    pub(super) pattern: Pattern,
    pub(super) run: Run,
}

impl Endpoint {
    /// The text of the `n`th name in this path, undecoded.
    pub(super) fn name_in<'a>(&self, path: &'a str, n: usize) -> Option<&'a str> {
        self.pattern.name_in(path, n)
    }

    /// Whether its last name takes all that is left of a path.
    pub(super) fn has_tail(&self) -> bool {
        self.pattern.has_tail()
    }

    /// A refusal of a request to this path, as the endpoint tells it.
    pub(super) fn refusal(&self, problem: Problem, path: &str) -> Problem {
        let Some(refuses_as) = self.refuses_as else { return problem };
        // What cannot be decoded is told as it came.
        let name = self.name_in(path, 0).map(|raw| decode(raw).unwrap_or(Cow::Borrowed(raw)));
        refuses_as(problem, name.as_deref())
    }

    /// Reads the handler's arguments and runs it.
    pub(super) fn run(
        &self,
        request: Rc<Request>,
        payload: Payload,
    ) -> LocalBoxFuture<'static, Result<HttpResponse, Problem>> {
        (self.run)(request, payload)
    }

    /// The query parameters that it takes, that of its token among them.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.query.iter().chain(self.by_token.map(|_| &TOKEN))
    }

    /// The names in its path, in order.
    pub fn path_names(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}
