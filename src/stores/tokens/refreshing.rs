//! The server's own refresh: before a token ends it gets the next one from its provider, once for all who read it, on
//! however many servers.
//!
//! In a process, all who read one token wait for one flight. Over processes, a flight first takes the token's lease; one that
//! finds it taken waits for the other's outcome. A flight goes on when those who wait for it have left: what the provider
//! gave exists nowhere else until it is stored, so that is tried for as long as the lease is in force. Flights belong to
//! the runtime that outlives the workers', and a server that is told to stop waits for them.

use super::keys::RecordName;
use super::leases::{Refresher, Settlement};
use super::metrics::TokenMetrics;
use super::oauth::{self, Client, RefreshFailure, Refreshed};
use super::providers::{OpenedProvider, Providers};
use super::store::{Tokens, record};
use super::types::{Error, LeaseOutcome, Leased, NewToken, Put, Read, Token};
use crate::base::clock::Clock;
use crate::base::id;
use crate::base::precondition::Precondition;
use crate::base::secret::Secret;
use crate::base::text::{Name, TenantId};
use crate::outbound::{Outbound, TargetUrl};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// How long the settings of a provider count after they were read, in microseconds.
const FRESH: u64 = 1_000_000;
/// How many providers are remembered.
const ROOM: usize = 10_000;
/// From one look at a token that somebody else refreshes to the next.
const LOOK: Duration = Duration::from_millis(50);
/// How long the server waits after a failure of the provider, unless that says otherwise.
const PAUSE: Duration = Duration::from_secs(10);
/// How long it waits at the least where the provider may have taken the refresh token: a second use may be taken for theft,
/// and cost the access token too. So it is not tried before that one has ended, when there is nothing left to be lost.
const LONG_PAUSE: Duration = Duration::from_secs(60);
/// How long a lease is good for beyond the time that the provider may take: for storing what it gave.
const STORING: Duration = Duration::from_secs(20);

/// How many tokens are refreshed at a time: each goes on without the request that asked for it, which no other bound counts.
const FLIGHTS: usize = 1024;
/// How many of those may be of one tenant, whose providers may be as slow as they like.
const FLIGHTS_OF_TENANT: usize = 128;

type Place = (TenantId, Name, Name);
type Flights = HashMap<Place, watch::Receiver<()>>;
type Remembered = (u64, Option<Arc<OpenedProvider>>);

/// Shared by all token stores of a process.
pub(super) struct Refreshing {
    outbound: Outbound,
    metrics: Arc<TokenMetrics>,
    steady: Arc<dyn Clock>,
    providers: Cache<(TenantId, Name), Remembered>,
    flights: Mutex<Flights>,
    /// Where flights go on when their readers have left.
    runtime: Handle,
}

impl Refreshing {
    /// Flights on this runtime.
    pub(super) fn new(
        outbound: Outbound,
        metrics: Arc<TokenMetrics>,
        steady: Arc<dyn Clock>,
        runtime: Handle,
    ) -> Refreshing {
        Refreshing { outbound, metrics, steady, providers: Cache::new(ROOM), flights: Mutex::default(), runtime }
    }

    /// Waits until every flight has landed.
    pub(super) async fn landed(&self) {
        loop {
            let flight = self.flights.lock().values().next().cloned();
            let Some(mut flight) = flight else { return };
            // It has landed when the sender is gone, which is what the error says.
            drop(flight.changed().await);
        }
    }

    pub(super) fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// This process has changed a provider.
    pub(super) fn forget(&self, tenant: &TenantId, provider: &Name) {
        self.providers.remove(&(tenant.clone(), provider.clone()));
    }

    /// The provider that is to refresh the token by now; nothing where there is none, or it is early yet.
    pub(super) async fn due(&self, providers: &Providers, token: &Token) -> Result<Option<Arc<OpenedProvider>>, Error> {
        let Some(end) = token.summary.expires_at.filter(|_| token.refresh_token.is_some()) else { return Ok(None) };
        let provider = self.provider(providers, &token.summary.provider).await?;
        Ok(provider.filter(|known| end <= providers.now() + known.provider.settings.refresh_before))
    }

    async fn provider(&self, providers: &Providers, name: &Name) -> Result<Option<Arc<OpenedProvider>>, Error> {
        let (place, now) = ((providers.tenant().clone(), name.clone()), self.steady.micros());
        if let Some((_, known)) = self.providers.get(&place).filter(|(asked, _)| now < asked.saturating_add(FRESH)) {
            return Ok(known);
        }
        let read = providers.read(name).await?.map(Arc::new);
        self.providers.insert(place, (now, read.clone()));
        Ok(read)
    }

    /// Waits until the token was refreshed, or was not, for so long at the most.
    pub(super) async fn refreshed(
        self: &Arc<Self>,
        tokens: &Tokens,
        user: &Name,
        provider: Arc<OpenedProvider>,
        patience: Duration,
    ) {
        let place = (tokens.tenant().clone(), user.clone(), provider.provider.name.clone());
        let (mut landed, flight) = {
            let mut flights = self.flights.lock();
            match flights.get(&place) {
                Some(flight) => (flight.clone(), None),
                None if is_full(&flights, tokens.tenant()) => {
                    tracing::warn!(tenant = %tokens.tenant(), "too many tokens are being refreshed");
                    return;
                }
                None => {
                    let (landing, landed) = watch::channel(());
                    flights.insert(place.clone(), landed.clone());
                    let (refreshing, tokens) = (self.clone(), tokens.in_background());
                    (landed, Some((Flight { refreshing, tokens, place, with: provider }, landing)))
                }
            }
        };
        // Only where the flights are unlocked: one that cannot begin is dropped here, and takes itself away.
        if let Some((flight, landing)) = flight {
            self.runtime.spawn(flight.fly(landing));
        }
        // It has landed when the sender is gone.
        if tokio::time::timeout(patience, landed.changed()).await.is_err() {
            tracing::debug!("a token is being refreshed for longer than its reader waits");
        }
    }
}

/// Whether no further token of this tenant may be refreshed now: its reader gets what there is.
fn is_full(flights: &Flights, tenant: &TenantId) -> bool {
    flights.len() >= FLIGHTS || flights.keys().filter(|(whose, ..)| whose == tenant).count() >= FLIGHTS_OF_TENANT
}

/// One refresh. However it ends, a panic included, the next one may begin.
struct Flight {
    refreshing: Arc<Refreshing>,
    tokens: Tokens,
    place: Place,
    with: Arc<OpenedProvider>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.refreshing.flights.lock().remove(&self.place);
    }
}

impl Flight {
    async fn fly(self, landing: watch::Sender<()>) {
        match self.refresh().await {
            Ok(outcome) => self.refreshing.metrics.refreshed(outcome),
            Err(error) => {
                self.refreshing.metrics.refreshed("backend");
                tracing::warn!(%error, "a token could not be refreshed");
            }
        }
        drop(self);
        // Those who wait go on when no other flight could be joined for this one.
        drop(landing);
    }

    fn name(&self) -> RecordName {
        record(&self.place.1, &self.place.2)
    }

    /// What became of it, in a word.
    async fn refresh(&self) -> Result<&'static str, Error> {
        let (_, user, provider) = &self.place;
        let ttl = oauth::longest(&self.refreshing.outbound) + STORING;
        let begun = Instant::now();
        while begun.elapsed() < ttl {
            // A lease that comes after a long wait is good for as long as any other.
            let until = Instant::now() + ttl;
            match self.tokens.lease_for(user, provider, ttl, Refresher::Server).await? {
                LeaseOutcome::Granted(leased) => return self.with_lease(leased, until).await,
                LeaseOutcome::Held(_) if self.is_due().await? => {
                    tokio::time::sleep(LOOK + id::random_part(LOOK)).await;
                }
                _ => return Ok("elsewhere"),
            }
        }
        Ok("elsewhere")
    }

    /// Whether it is still to be refreshed: not where whoever had the lease has done it, or has failed and said when to try
    /// again.
    async fn is_due(&self) -> Result<bool, Error> {
        let (_, user, provider) = &self.place;
        Ok(match self.tokens.read(user, provider).await? {
            Read::Found(token) if token.retry_at.is_some_and(|at| at > self.tokens.now()) => false,
            Read::Found(token) => self.is_due_now(&token),
            _ => false,
        })
    }

    fn is_due_now(&self, token: &Token) -> bool {
        let before = self.with.provider.settings.refresh_before;
        token.summary.expires_at.is_some_and(|end| end <= self.tokens.now() + before)
    }

    async fn with_lease(&self, leased: Leased, until: Instant) -> Result<&'static str, Error> {
        let refresh_token = leased.token.refresh_token.as_ref();
        let refresh_token = refresh_token.filter(|_| self.is_due_now(&leased.token));
        let Some(refresh_token) = refresh_token else {
            self.tokens.settle(&self.name(), &leased.lease, Settlement::Unneeded).await?;
            return Ok("elsewhere");
        };
        match self.ask(refresh_token).await {
            Ok(refreshed) => self.store(&leased, refreshed, until).await,
            Err(failure) => {
                let settlement = match failure {
                    RefreshFailure::Revoked => Settlement::Revoked,
                    RefreshFailure::NotConsumed { retry_after } => Settlement::Failed(retry_after.unwrap_or(PAUSE)),
                    RefreshFailure::Rejected(_) | RefreshFailure::Forbidden => Settlement::Failed(PAUSE),
                    RefreshFailure::Unknown => {
                        let end = leased.token.summary.expires_at.unwrap_or_default();
                        Settlement::Failed(LONG_PAUSE.max(end.since(self.tokens.now())))
                    }
                };
                tracing::warn!(%failure, "a token was not refreshed");
                self.tokens.settle(&self.name(), &leased.lease, settlement).await?;
                Ok(word(failure))
            }
        }
    }

    /// Asks the provider.
    async fn ask(&self, refresh_token: &Secret) -> Result<Refreshed, RefreshFailure> {
        let (outbound, settings) = (&self.refreshing.outbound, &self.with.provider.settings);
        // What may be reached may have become less since the URL was stored.
        let url = TargetUrl::parse(&settings.token_url, outbound.settings()).map_err(|_| RefreshFailure::Forbidden)?;
        let client = Client {
            token_url: &url,
            client_id: &settings.client_id,
            client_secret: Some(&self.with.client_secret),
            style: settings.auth_style,
            scopes: Some(&settings.scopes),
        };
        oauth::refresh(outbound, &client, refresh_token).await
    }

    /// Stores the new token in place of the one that the provider has taken.
    async fn store(&self, leased: &Leased, refreshed: Refreshed, until: Instant) -> Result<&'static str, Error> {
        let (old, (_, user, provider)) = (&leased.token, &self.place);
        let new = NewToken {
            access_token: refreshed.access_token,
            refresh_token: refreshed.refresh_token.or_else(|| old.refresh_token.clone()),
            token_type: refreshed.token_type.unwrap_or_else(|| old.summary.token_type.clone()),
            scopes: refreshed.scopes.unwrap_or_else(|| old.summary.scopes.clone()),
            expires_at: refreshed.expires_in.map(|life| self.tokens.now() + life),
            metadata: old.summary.metadata.clone(),
        };
        // A token that lives no longer than `refresh_before` would be refreshed with every reading: not in its first half.
        let half = refreshed.expires_in.map(|life| life / 2);
        let before = half.filter(|half| *half < self.with.provider.settings.refresh_before);
        let retry_at = before.map(|half| self.tokens.now() + half);
        loop {
            let how = (Some(&leased.lease), retry_at);
            let put = self.tokens.put_until(user, provider, &new, &Precondition::default(), how).await;
            match put {
                Ok(Put::Stored { .. }) => return Ok("refreshed"),
                Ok(_) => return Ok("overtaken"),
                Err(error) if Instant::now() >= until => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "a refreshed token is not stored yet");
                    tokio::time::sleep(LOOK * 4).await;
                }
            }
        }
    }
}

/// For metrics.
fn word(failure: RefreshFailure) -> &'static str {
    match failure {
        RefreshFailure::Revoked => "revoked",
        RefreshFailure::Rejected(_) => "rejected",
        RefreshFailure::NotConsumed { .. } => "not_consumed",
        RefreshFailure::Unknown => "unknown",
        RefreshFailure::Forbidden => "forbidden",
    }
}
