//! The endpoint table. A slice lists its endpoints with the scope that each needs; the server mounts the
//! table, tests walk it, and the API description prints it.

use super::problem::Problem;
use super::query::Parameter;
use crate::base::code::Code;
use crate::tenancy::Scope;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use schemars::{JsonSchema, Schema, SchemaGenerator};
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

/// A row under a method that it answers: its own, or `HEAD` for `GET`.
pub(super) type MethodRow = (Method, Rc<Endpoint>);

type Run = Rc<dyn Fn(HttpRequest, Payload) -> LocalBoxFuture<'static, Result<HttpResponse, Problem>>>;

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
    /// The query parameters that it takes.
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
    placeholders: Vec<usize>,
    run: Run,
}

impl Endpoint {
    /// Where among the path's segments the `n`th name stands.
    pub(super) fn placeholder(&self, n: usize) -> Option<usize> {
        self.placeholders.get(n).copied()
    }

    /// Reads the handler's arguments and runs it.
    pub(super) fn run(
        &self,
        request: HttpRequest,
        payload: Payload,
    ) -> LocalBoxFuture<'static, Result<HttpResponse, Problem>> {
        (self.run)(request, payload)
    }

    /// The names in its path, in order.
    pub fn path_names(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter_map(placeholder_name)
    }
}

fn placeholder_name(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// A table of endpoints, written as a chain: a method adds a row, the calls after it describe that row.
#[derive(Default)]
pub struct Endpoints {
    base: &'static str,
    rows: Vec<Rc<Endpoint>>,
    next: Option<Endpoint>,
}

impl Endpoints {
    /// A table whose paths start with `base`.
    pub fn under(base: &'static str) -> Self {
        Endpoints { base, ..Endpoints::default() }
    }

    fn row<F, Args>(mut self, method: Method, path: &str, access: impl Into<Access>, handler: F) -> Self
    where
        F: Handler<Args, Output = Result<HttpResponse, Problem>>,
        Args: FromRequest + 'static,
    {
        let path = format!("{}{path}", self.base);
        let segments = path.split('/').enumerate();
        let placeholders = segments.filter(|(_, s)| placeholder_name(s).is_some()).map(|(index, _)| index).collect();
        let run: Run = Rc::new(move |request, mut payload| {
            let handler = handler.clone();
            Box::pin(async move {
                let args =
                    Args::from_request(&request, &mut payload).await.map_err(|error| problem_of(error.into()))?;
                handler.call(args).await
            })
        });
        self.finish_row();
        self.next = Some(Endpoint {
            method,
            path,
            access: access.into(),
            summary: "",
            query: &[],
            body: None,
            body_is_optional: false,
            answers: Vec::new(),
            refusals: &[],
            creates: false,
            in_outage: InOutage::Refuse,
            slots: 1,
            placeholders,
            run,
        });
        self
    }

    fn finish_row(&mut self) {
        self.rows.extend(self.next.take().map(Rc::new));
    }

    fn describe(mut self, change: impl FnOnce(&mut Endpoint)) -> Self {
        if let Some(row) = &mut self.next {
            change(row);
        }
        self
    }

    /// What it does, in a line.
    pub fn says(self, summary: &'static str) -> Self {
        self.describe(|row| row.summary = summary)
    }

    /// The query parameters that it takes.
    pub fn query(self, parameters: &'static [Parameter]) -> Self {
        self.describe(|row| row.query = parameters)
    }

    /// The type of its request body.
    pub fn takes<T: JsonSchema>(self) -> Self {
        self.describe(|row| row.body = Some(|generator| generator.subschema_for::<T>()))
    }

    /// The type of its request body, which may be left out.
    pub fn may_take<T: JsonSchema>(self) -> Self {
        self.takes::<T>().describe(|row| row.body_is_optional = true)
    }

    /// An answer with a JSON body of this type.
    pub fn answers<T: JsonSchema>(self, status: u16, meaning: &'static str) -> Self {
        let schema: SchemaOf = |generator| generator.subschema_for::<T>();
        self.describe(|row| row.answers.push(Answer { status, meaning, schema: Some(schema) }))
    }

    /// An answer without a body.
    pub fn answers_empty(self, status: u16, meaning: &'static str) -> Self {
        self.describe(|row| row.answers.push(Answer { status, meaning, schema: None }))
    }

    /// The refusals that are its own.
    pub fn refuses(self, codes: &'static [Code]) -> Self {
        self.describe(|row| row.refusals = codes)
    }

    /// It creates something: `Idempotency-Key` is honoured.
    pub fn creates(self) -> Self {
        self.describe(|row| row.creates = true)
    }

    /// What it does while the backend cannot be asked.
    pub fn in_outage(self, does: InOutage) -> Self {
        self.describe(|row| row.in_outage = does)
    }

    /// It may cost as much as so many requests of the usual kind, and counts as that, or as what its length
    /// allows, until its handler says how heavy it is ([`Weight`](super::Weight)).
    pub fn weighs(self, slots: u32) -> Self {
        self.describe(|row| row.slots = slots)
    }

    /// The rows of both.
    pub fn and(mut self, mut other: Endpoints) -> Self {
        self.finish_row();
        other.finish_row();
        self.rows.extend(other.rows);
        self
    }

    /// The rows, in the order in which they were written.
    pub fn rows(&self) -> impl Iterator<Item = &Endpoint> {
        self.rows.iter().map(Rc::as_ref).chain(&self.next)
    }

    /// The rows of each path, for the router. A literal path also answers, under its other methods, for the
    /// name that it would have been: a session may be called `batch`. `HEAD` is answered wherever `GET` is.
    pub(super) fn by_path(mut self) -> Vec<(String, Vec<MethodRow>)> {
        self.finish_row();
        let mut paths: Vec<&String> = self.rows.iter().map(|row| &row.path).collect();
        paths.sort();
        paths.dedup();
        paths.into_iter().map(|path| (path.clone(), self.methods(path))).collect()
    }

    fn methods(&self, path: &str) -> Vec<MethodRow> {
        let mut methods: Vec<MethodRow> = Vec::new();
        let exact = self.rows.iter().filter(|row| row.path == path);
        for row in exact.chain(self.rows.iter().filter(|row| covers(&row.path, path))) {
            if !methods.iter().any(|(method, _)| *method == row.method) {
                methods.push((row.method.clone(), row.clone()));
            }
        }
        let get = methods.iter().find(|(method, _)| *method == Method::GET).map(|(_, row)| row.clone());
        if let (Some(get), false) = (get, methods.iter().any(|(method, _)| *method == Method::HEAD)) {
            methods.push((Method::HEAD, get));
        }
        methods
    }
}

macro_rules! methods {
    ($($name:ident $method:ident,)*) => {
        impl Endpoints {$(
            #[doc = concat!("Adds a row for `", stringify!($method), "`.")]
            pub fn $name<F, Args>(self, path: &str, access: impl Into<Access>, handler: F) -> Self
            where
                F: Handler<Args, Output = Result<HttpResponse, Problem>>,
                Args: FromRequest + 'static,
            {
                self.row(Method::$method, path, access, handler)
            }
        )*}
    };
}

methods! { get GET, head HEAD, post POST, put PUT, patch PATCH, delete DELETE, }

/// Whether `pattern` has a name where `path` has a literal, and is the same elsewhere.
fn covers(pattern: &str, path: &str) -> bool {
    pattern.split('/').count() == path.split('/').count()
        && pattern.split('/').zip(path.split('/')).all(|(p, s)| placeholder_name(p).is_some() || p == s)
}

fn problem_of(error: actix_web::Error) -> Problem {
    match error.as_error::<Problem>() {
        Some(problem) => problem.clone(),
        None => Problem::new(Code::Internal, "The request could not be completed."),
    }
}
