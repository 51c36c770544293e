//! From a method and a path to an endpoint.
//!
//! The path is matched as it came, undecoded, against a radix tree: a name with an encoded slash stays one
//! name, and a request costs no regular expression.

use super::cors;
use super::endpoint::Endpoint;
use super::endpoints::Endpoints;
use super::gate;
use super::metrics::{EndpointMetrics, HttpMetrics};
use super::platform::Platform;
use super::problem::Problem;
use crate::base::code::Code;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse, fn_service};
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use std::rc::Rc;
use std::time::Instant;

/// What answers at one path.
struct Place {
    methods: Vec<(Method, Rc<Endpoint>, EndpointMetrics)>,
    allow: HeaderValue,
}

/// Serves a table: everything that reaches the worker goes through it.
pub fn mount(endpoints: Endpoints, platform: Platform, config: &mut web::ServiceConfig) {
    let (router, platform) = (Rc::new(Router::new(endpoints, platform.metrics())), Rc::new(platform));
    config.default_service(fn_service(move |request: ServiceRequest| {
        let (router, platform) = (router.clone(), platform.clone());
        let (request, payload) = request.into_parts();
        async move {
            let mut response = router.serve(&platform, request.clone(), payload).await;
            if let Some(origins) = platform.cors() {
                origins.tell(&request, response.headers_mut());
            }
            Ok(ServiceResponse::new(request, response))
        }
    }));
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

    async fn serve(&self, platform: &Rc<Platform>, request: HttpRequest, payload: Payload) -> HttpResponse {
        let Ok(found) = self.places.at(request.uri().path()) else {
            let problem = Problem::new(Code::NotFound, "No endpoint has this path.");
            return self.stray(platform, &request, Err(problem));
        };
        let place = found.value;
        match place.methods.iter().find(|(method, _, _)| method == request.method()) {
            Some((_, endpoint, metrics)) => {
                gate::serve(platform.clone(), endpoint.clone(), metrics, request, payload).await
            }
            None if platform.cors().is_some_and(|origins| origins.is_preflight(&request)) => {
                self.stray(platform, &request, Ok(cors::preflight(place.allow.clone())))
            }
            None => {
                let problem = Problem::new(Code::MethodNotAllowed, "Allow has the methods of this path.");
                self.stray(platform, &request, Err(problem.with_header(ALLOW, place.allow.clone())))
            }
        }
    }

    /// Answers what no endpoint serves.
    fn stray(&self, platform: &Platform, request: &HttpRequest, answer: Result<HttpResponse, Problem>) -> HttpResponse {
        let begun = Instant::now();
        let response = gate::stray(platform, request, answer);
        self.metrics.observe_stray(request.method(), response.status(), begun.elapsed());
        response
    }
}
