//! The tokens of a tenant as a handler gets them: read, and refreshed first where they are about to end.

use super::providers::Providers;
use super::refreshing::Refreshing;
use super::store::Tokens;
use super::types::{Error, Read};
use crate::base::deadline::Deadline;
use crate::base::text::Name;
use crate::vault::TenantVault;
use std::sync::Arc;
use std::time::Duration;

/// What is left of a request's time for telling how the refresh ended.
const TELLING: Duration = Duration::from_millis(200);
/// The longest that a reader waits for a refresh, however long a request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The tokens and providers of one tenant, for one request.
pub struct Served {
    pub(super) tokens: Tokens,
    pub(super) providers: Providers,
    pub(super) vault: TenantVault,
    pub(super) refreshing: Arc<Refreshing>,
    pub(super) deadline: Deadline,
}

/// What a reader gets.
pub(super) enum Outcome {
    /// As good a token as there is, or none.
    Read(Read),
    /// It is past its end and its provider gave no other; not before this time is it worth asking again.
    Failed(Duration),
}

impl Served {
    /// The tokens, if this process can seal and open any.
    pub(super) fn tokens(&self) -> Result<&Tokens, Error> {
        self.vault.configured()?;
        Ok(&self.tokens)
    }

    /// The providers, if this process can seal and open any.
    pub(super) fn providers(&self) -> Result<&Providers, Error> {
        self.vault.configured()?;
        Ok(&self.providers)
    }

    /// Reads a token; one that its provider is to refresh by now is refreshed first. Where that fails, or takes too long, the
    /// token that there is is good until its end.
    pub(super) async fn read(&self, user: &Name, provider: &Name) -> Result<Outcome, Error> {
        let mut read = self.tokens()?.read(user, provider).await?;
        let due = match &read {
            Read::Found(token) => self.refreshing.due(&self.providers, token).await?,
            _ => None,
        };
        let Some(settings) = due else { return Ok(Outcome::Read(read)) };
        if self.pause(&read).is_zero() {
            let patience = self.deadline.left(PATIENCE).saturating_sub(TELLING);
            self.refreshing.refreshed(&self.tokens, user, settings, patience).await;
            read = self.tokens.read(user, provider).await?;
        }
        Ok(match &read {
            Read::Found(token) if token.summary.expires_at.is_some_and(|end| end <= self.tokens.now()) => {
                Outcome::Failed(self.pause(&read))
            }
            _ => Outcome::Read(read),
        })
    }

    /// How long the server does not try to refresh the token again.
    fn pause(&self, read: &Read) -> Duration {
        match read {
            Read::Found(token) => token.retry_at.map_or(Duration::ZERO, |at| at.since(self.tokens.now())),
            _ => Duration::ZERO,
        }
    }
}
