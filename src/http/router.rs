//! From a method and a path to an endpoint.
//!
//! The path is matched as it came, undecoded, against a radix tree: a name with an encoded slash stays one
//! name, and a request costs no regular expression.

use super::connection::Line;
use super::cors;
use super::endpoint::Endpoint;
use super::endpoints::Endpoints;
use super::gate;
use super::metrics::{EndpointMetrics, HttpMetrics};
use super::platform::Platform;
use super::problem::Problem;
use crate::base::code::Code;
use actix_http::Message;
use actix_web::HttpResponse;
use actix_web::dev::{Payload, RequestHead, ServiceFactory, fn_service};
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue};
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Instant;

/// What answers at one path.
struct Place {
    methods: Vec<(Method, Rc<Endpoint>, EndpointMetrics)>,
    allow: HeaderValue,
}

/// What serves a table to one worker: everything that reaches it goes through here.
pub fn service(
    endpoints: Endpoints,
    platform: Platform,
) -> impl ServiceFactory<
    actix_http::Request,
    Config = (),
    Response = HttpResponse,
    Error = Infallible,
    InitError = (),
    Service: 'static,
> {
    let (router, platform) = (Rc::new(Router::new(endpoints, platform.metrics())), Rc::new(platform));
    fn_service(move |request: actix_http::Request| {
        let (router, platform) = (router.clone(), platform.clone());
        let asked = request.conn_data::<Rc<Line>>().map(Line::ask);
        async move {
            let _asked = asked;
            let (head, payload) = request.into_parts();
            Ok(router.serve(platform, head, payload).await)
        }
    })
}

/// The table of one worker, ready to be asked.
struct Router {
    places: matchit::Router<Place>,
    metrics: HttpMetrics,
}

impl Router {
    /// A router over the table. Two rows that a path could not be told apart by are a defect; the later one
    /// is left out, and the test that walks the table finds it.
    fn new(endpoints: Endpoints, metrics: &HttpMetrics) -> Self {
        let mut router = matchit::Router::new();
        for (path, rows) in endpoints.by_path() {
            let mut names: Vec<&str> = rows.iter().map(|(method, _)| method.as_str()).collect();
            names.sort_unstable();
            let allow = HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static(""));
            let methods = rows.into_iter().map(|(method, row)| (method, row.clone(), metrics.endpoint(&row))).collect();
            if let Err(error) = router.insert(path, Place { methods, allow }) {
                tracing::error!(%error, "an endpoint cannot be served");
            }
        }
        Router { places: router, metrics: metrics.clone() }
    }

    async fn serve(&self, platform: Rc<Platform>, head: Message<RequestHead>, payload: Payload) -> HttpResponse {
        let Ok(found) = self.places.at(head.uri.path()) else {
            let problem = Problem::new(Code::NotFound, "No endpoint has this path.");
            return self.stray(&platform, &head, Err(problem));
        };
        let place = found.value;
        match place.methods.iter().find(|(method, _, _)| *method == head.method) {
            Some((_, endpoint, metrics)) => gate::serve(platform, endpoint.clone(), metrics, head, payload).await,
            None if platform.cors().is_some_and(|origins| origins.is_preflight(&head)) => {
                self.stray(&platform, &head, Ok(cors::preflight(place.allow.clone())))
            }
            None => {
                let problem = Problem::new(Code::MethodNotAllowed, "Allow has the methods of this path.");
                self.stray(&platform, &head, Err(problem.with_header(ALLOW, place.allow.clone())))
            }
        }
    }

    /// Answers what no endpoint serves.
    fn stray(&self, platform: &Platform, head: &RequestHead, answer: Result<HttpResponse, Problem>) -> HttpResponse {
        let begun = Instant::now();
        let response = gate::stray(platform, head, answer);
        self.metrics.observe_stray(&head.method, response.status(), begun.elapsed());
        response
    }
}
