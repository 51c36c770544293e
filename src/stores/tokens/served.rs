//! The tokens of a tenant as a handler gets them: read, and refreshed first where they are about to end.

use super::providers::Providers;
use super::refreshing::{Outcome, Refreshing, outcome};
use super::store::Tokens;
use super::types::{Error, Read};
use crate::base::deadline::Deadline;
use crate::base::text::Name;
use std::sync::Arc;
use std::time::Duration;

/// What is left of a request's time for telling how the refresh ended.
const TELLING: Duration = Duration::from_millis(200);
/// The longest that a reader waits for a refresh, however long a request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The tokens and providers of one tenant, for one request.
pub struct Served {
    /// The tokens.
    pub tokens: Tokens,
    /// The providers.
    pub providers: Providers,
    pub(super) refreshing: Arc<Refreshing>,
    pub(super) deadline: Deadline,
}

impl Served {
    /// Reads a token; one that its provider is to refresh by now is refreshed first. Where that fails, or takes too long, the
    /// token that there is is good until its end.
    pub(super) async fn read(&self, user: &Name, provider: &Name) -> Result<Outcome, Error> {
        let read = self.tokens.read(user, provider).await?;
        let due = match &read {
            Read::Found(token) => self.refreshing.due(&self.providers, token).await?,
            _ => None,
        };
        let Some(settings) = due else { return Ok(self.judged(read)) };
        let patience = self.deadline.left(PATIENCE).saturating_sub(TELLING);
        self.refreshing.refreshed(&self.tokens, user, settings, patience).await;
        Ok(self.judged(self.tokens.read(user, provider).await?))
    }

    fn judged(&self, read: Read) -> Outcome {
        outcome(&self.tokens, read)
    }
}
