//! The endpoint table. A slice lists its endpoints with the scope that each needs; the server mounts the
//! table, tests walk it, and the API description prints it.

use super::endpoint::{Access, Answer, Endpoint, InOutage, MethodRow, RefusesAs, Run, SchemaOf};
use super::pattern::Pattern;
use super::problem::Problem;
use super::query::Parameter;
use super::request::FromRequest;
use crate::base::code::Code;
use crate::tenancy::Purpose;
use actix_web::http::Method;
use actix_web::{Handler, HttpResponse};
use schemars::JsonSchema;
use std::rc::Rc;

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

    /// A last name `{*name}` takes all that is left of a path, slashes included; literals may stand in its place in
    /// other rows, but no other name.
    fn row<F, Args>(mut self, method: Method, path: &str, access: impl Into<Access>, handler: F) -> Self
    where
        F: Handler<Args, Output = Result<HttpResponse, Problem>>,
        Args: FromRequest + 'static,
    {
        let pattern = Pattern::new(format!("{}{path}", self.base));
        let run: Run = Rc::new(move |request, mut payload| {
            let handler = handler.clone();
            Box::pin(async move {
                let args = Args::from_request(&request, &mut payload).await?;
                handler.call(args).await
            })
        });
        self.finish_row();
        self.next = Some(Endpoint {
            method,
            path: pattern.template(),
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
            takes_its_time: false,
            is_metered: true,
            by_token: None,
            refuses_as: None,
            pattern,
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

    /// A request may take as long as its body comes ([`Lines`](super::Lines)).
    pub fn takes_its_time(self) -> Self {
        self.describe(|row| row.takes_its_time = true)
    }

    /// Requests to it do not count against the limit of their API key.
    pub fn unmetered(self) -> Self {
        self.describe(|row| row.is_metered = false)
    }

    /// A short-lived token for this purpose, as [`TokenIssuer`](super::TokenIssuer) makes them, opens it too, in the
    /// query. For rows that read: a token is no secret for long, nor kept like one.
    pub fn or_by_token(self, purpose: Purpose) -> Self {
        self.describe(|row| row.by_token = Some(purpose))
    }

    /// Whatever refuses a request to it, the gate included, its problem goes through `refuses_as` first.
    pub fn refuses_as(self, refuses_as: RefusesAs) -> Self {
        self.describe(|row| row.refuses_as = Some(refuses_as))
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
        let mut patterns: Vec<&Pattern> = self.rows.iter().map(|row| &row.pattern).collect();
        patterns.sort_by_key(|pattern| pattern.route());
        patterns.dedup();
        patterns.into_iter().map(|pattern| (pattern.route().to_owned(), self.methods(pattern))).collect()
    }

    fn methods(&self, pattern: &Pattern) -> Vec<MethodRow> {
        let mut methods: Vec<MethodRow> = Vec::new();
        let exact = self.rows.iter().filter(|row| row.pattern == *pattern);
        for row in exact.chain(self.rows.iter().filter(|row| row.pattern.covers(pattern))) {
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
