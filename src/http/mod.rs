//! Floor 4: the HTTP platform. It knows how a request is authenticated, read, answered and described,
//! and knows no store: slices bring their [`Endpoints`] and handlers, and the platform serves them.

mod admission;
mod answer;
mod authenticate;
mod body;
mod client_address;
mod endpoints;
mod etag;
mod gate;
mod health;
mod idempotency;
mod large;
mod metrics;
pub mod openapi;
mod page;
mod path;
pub mod ports;
mod principal;
mod problem;
mod query;
mod quota;
mod reference;
mod request_limit;
mod request_log;
mod router;
mod scoped;
pub mod server;
mod trace;

pub use admission::Admission;
pub use answer::{json, json_text};
pub use body::{Json, OptionalJson};
pub use client_address::{ClientAddress, TrustedProxies};
pub use endpoints::{Access, Answer, Endpoint, Endpoints, InOutage};
pub use etag::{Preconditions, etag};
pub use gate::{Platform, PlatformSettings};
pub use health::health;
pub use metrics::HttpMetrics;
pub use page::{CURSOR, LIMIT, Page, PageRequest};
pub use path::PathArg;
pub use principal::{Actor, Principal};
pub use problem::{Fault, Problem};
pub use query::{Parameter, Query};
pub use quota::{QuotaFields, QuotaStanding};
pub use reference::{documentation, markdown};
pub use router::mount;
pub use scoped::{Opens, Scoped, Tenancy, Weight};
