//! The application with endpoints of a test's own beside the others, for what the platform does for any endpoint.

use agentapi::app::Application;
use agentapi::http::server::Site;
use agentapi::http::{Endpoints, Platform};

/// What makes the table of a test.
pub type Rows = fn() -> Endpoints;

/// The application and more endpoints.
#[derive(Clone)]
pub struct MoreRows {
    pub inner: Application,
    pub rows: Rows,
}

impl Site for MoreRows {
    fn endpoints(&self) -> Endpoints {
        self.inner.endpoints().and((self.rows)())
    }

    fn platform(&self) -> Platform {
        self.inner.platform()
    }
}
