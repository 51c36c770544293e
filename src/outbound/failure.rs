//! What went wrong with a request, in the one respect that matters to whoever might repeat it: how far it got. Errors of
//! the HTTP client print URLs, so they are read here and dropped.

use super::resolver::Refused;
use std::error::Error;

/// How far a request got that has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection was made, because it would have gone to an address that may not be asked.
    #[error("the provider's address may not be asked")]
    Forbidden,
    /// Nothing was said: the name, the connection or TLS failed. The provider cannot have read the form.
    #[error("the provider could not be reached")]
    NotSent,
    /// The provider may have read the form: no answer came in time, or none that could be read to its end.
    #[error("the provider's answer did not arrive")]
    Unknown,
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let itself: &(dyn Error + 'static) = &error;
        let mut causes = std::iter::successors(Some(itself), |cause| (*cause).source());
        if causes.any(|cause| cause.is::<Refused>()) {
            Failure::Forbidden
        } else if error.is_connect() || error.is_builder() {
            // Also when connecting took too long: nothing was said yet.
            Failure::NotSent
        } else {
            Failure::Unknown
        }
    }
}
