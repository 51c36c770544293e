//! A request on its way through the server, and what handlers take of it.
//!
//! It is made where it comes in and holds what has been learned of it so far, a field each.

use super::admission::Load;
use super::endpoint::Endpoint;
use super::platform::Platform;
use super::ports::RequestStanding;
use super::principal::Principal;
use super::problem::Problem;
use crate::base::code::Code;
use crate::base::deadline::Deadline;
use crate::tenancy::Tenant;
use actix_http::Message;
use actix_web::dev::{Payload, RequestHead};
use actix_web::http::Method;
use actix_web::http::header::{AsHeaderName, CONTENT_ENCODING, HeaderMap};
use actix_web::web::Data;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A request to an endpoint.
pub struct Request {
    head: Message<RequestHead>,
    pub(super) platform: Rc<Platform>,
    pub(super) endpoint: Rc<Endpoint>,
    /// Until when its caller waits.
    pub(super) deadline: Deadline,
    /// How far it is.
    pub(super) stage: Cell<Stage>,
    /// What to tell of the limit on requests, once that is known.
    pub(super) standing: Cell<Option<RequestStanding>>,
    /// Set where a store may answer from this process's memory, and true once it has.
    degraded: OnceCell<Arc<AtomicBool>>,
    admitted: OnceCell<Admitted>,
}

/// What is known of a request once it is let in.
pub(super) struct Admitted {
    /// Who sent it; none where anyone may.
    pub(super) principal: Option<Principal>,
    /// What it takes of what there is.
    pub(super) load: Load,
}

/// How far a request is, for whoever finds that it is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not begun: nothing was done.
    Before,
    /// Its body is still to come: it waits for its client.
    Body,
    /// Since then it has waited for nobody but this server.
    Since(Instant),
}

impl Request {
    pub(super) fn new(
        head: Message<RequestHead>,
        platform: Rc<Platform>,
        endpoint: Rc<Endpoint>,
        deadline: Deadline,
    ) -> Self {
        Request {
            head,
            platform,
            endpoint,
            deadline,
            stage: Cell::new(Stage::Before),
            standing: Cell::new(None),
            degraded: OnceCell::new(),
            admitted: OnceCell::new(),
        }
    }

    pub(super) fn head(&self) -> &RequestHead {
        &self.head
    }

    /// Its method.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// Its path, undecoded.
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// Its query, undecoded; empty where there is none.
    pub fn query_string(&self) -> &str {
        self.head.uri.query().unwrap_or_default()
    }

    /// Its header fields.
    pub fn headers(&self) -> &HeaderMap {
        self.head.headers()
    }

    /// The text of a header field, where it is text; of the first where there are several.
    pub(super) fn text_of(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether its body is sent as it is (RFC 9110, section 8.4).
    pub(super) fn has_plain_body(&self) -> bool {
        self.text_of(CONTENT_ENCODING).is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity"))
    }

    /// It is let in.
    pub(super) fn admit(&self, principal: Option<Principal>, load: Load) -> Result<&Admitted, Problem> {
        self.admitted.set(Admitted { principal, load }).map_err(|_| outside())?;
        self.admitted()
    }

    /// What is known of it, for what only happens once it is let in.
    pub(super) fn admitted(&self) -> Result<&Admitted, Problem> {
        self.admitted.get().ok_or_else(outside)
    }

    /// Who sent it, where that is known.
    pub(super) fn principal(&self) -> Option<&Principal> {
        self.admitted.get()?.principal.as_ref()
    }

    /// For which tenant it is, where it is for one.
    pub(super) fn tenant(&self) -> Option<&Arc<Tenant>> {
        self.principal()?.tenant()
    }

    /// What the application provides for its handlers.
    pub(super) fn provided<T: 'static>(&self) -> Option<&Data<T>> {
        self.platform.provided().get()
    }

    /// A store answers it, which sets this where it answers from this process's memory.
    pub(super) fn may_be_degraded(&self, degraded: Arc<AtomicBool>) {
        // Each request opens one store.
        drop(self.degraded.set(degraded));
    }

    /// Whether a store has answered from this process's memory.
    pub(super) fn is_degraded(&self) -> bool {
        self.degraded.get().is_some_and(|degraded| degraded.load(Ordering::Relaxed))
    }
}

/// For what only a request has that was let in: nothing there depends on the client.
pub(super) fn outside() -> Problem {
    Problem::new(Code::Internal, "The request could not be completed.")
}

/// What a handler takes of a request, as an argument.
pub trait FromRequest: Sized {
    /// Takes it. A body is taken once.
    fn from_request(request: &Rc<Request>, payload: &mut Payload) -> impl Future<Output = Result<Self, Problem>>;
}

impl FromRequest for Rc<Request> {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        Ok(request.clone())
    }
}

impl<T: 'static> FromRequest for Data<T> {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        request.provided().cloned().ok_or_else(outside)
    }
}

macro_rules! tuples {
    ($(($($name:ident)*))*) => {$(
        impl<$($name: FromRequest),*> FromRequest for ($($name,)*) {
            #[allow(unused_variables, reason = "of nothing, nothing is taken")]
            async fn from_request(request: &Rc<Request>, payload: &mut Payload) -> Result<Self, Problem> {
                Ok(($($name::from_request(request, payload).await?,)*))
            }
        }
    )*};
}

tuples! { () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) }
