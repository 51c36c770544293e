//! Tokens and providers over HTTP: the endpoints, and what opens the stores that their handlers ask.

mod handlers;
mod providers;
mod vault;

use super::answers::{LeaseAnswer, ProviderAnswer, SummaryAnswer, TokenAnswer};
use super::bodies::{LeaseBody, ProviderBody, TokenBody};
use super::expiring::Expiring;
use super::metrics::TokenMetrics;
use super::providers::Providers;
use super::refreshing::Refreshing;
use super::served::Served;
use super::store::{Shared, Tokens};
use crate::base::clock::Clock;
use crate::base::code::Code;
use crate::base::deadline::Deadline;
use crate::db::Database;
use crate::http::{CURSOR, Endpoints, LIMIT, Opens, Page};
use crate::outbound::Outbound;
use crate::tenancy::{Access, Area, Scope, Tenant};
use crate::vault::Vault;
use std::sync::Arc;
use tokio::runtime::Handle;

pub use vault::OpenVault;

const READ: Scope = Scope::new(Area::Tokens, Access::Read);
const WRITE: Scope = Scope::new(Area::Tokens, Access::Write);

/// What every endpoint here may refuse: without its root keys the vault is shut.
macro_rules! refusals {
    ($($code:ident),*) => { &[$(Code::$code,)* Code::VaultNotConfigured, Code::VaultKeyMissing] };
}

/// Opens the tokens of a tenant.
pub struct OpenTokens {
    database: Database,
    vault: Vault,
    shared: Shared,
    refreshing: Arc<Refreshing>,
}

impl OpenTokens {
    /// Tokens in this database, sealed in this vault; providers are asked through `outbound`, on this runtime. `steady` is
    /// never set back.
    pub fn new(database: Database, vault: Vault, outbound: Outbound, steady: Arc<dyn Clock>, runtime: Handle) -> Self {
        let shared = Shared::default();
        let refreshing = Arc::new(Refreshing::new(outbound, shared.metrics.clone(), steady, runtime));
        OpenTokens { database, vault, shared, refreshing }
    }

    /// What is counted.
    pub fn metrics(&self) -> &TokenMetrics {
        &self.shared.metrics
    }

    /// Waits until nothing is being refreshed any more: what a provider gave would be lost.
    pub async fn finish(&self) {
        self.refreshing.landed().await;
    }

    /// What is to be cleared now and then.
    pub fn expiring(&self) -> Arc<Expiring> {
        self.shared.expiring.clone()
    }
}

impl Opens for OpenTokens {
    type Store = Served;

    fn open(&self, tenant: &Tenant, deadline: Deadline) -> Served {
        let db = self.database.tenant(&tenant.id).by(deadline);
        let vault = self.vault.of(&tenant.id, deadline);
        Served {
            tokens: Tokens::new(db.clone(), vault.clone(), &self.shared),
            providers: Providers::new(db, vault.clone(), &self.shared),
            vault,
            refreshing: self.refreshing.clone(),
            deadline,
        }
    }
}

/// The table for operators.
pub fn vault_endpoints() -> Endpoints {
    vault::endpoints()
}

/// The table for tenants.
pub fn endpoints() -> Endpoints {
    tokens().and(oauth_providers())
}

fn tokens() -> Endpoints {
    Endpoints::under("/v1/tokens/{user_id}")
        .get("", READ, handlers::list)
        .says("The user's tokens, by provider, without their secrets")
        .query(&[LIMIT, CURSOR])
        .answers::<Page<SummaryAnswer>>(200, "A page")
        .refuses(refusals!(InvalidCursor))
        .put("/{provider}", WRITE, handlers::put)
        .says("Encrypts and keeps a token; with `X-Refresh-Lease` only while that lease is in force")
        .takes::<TokenBody>()
        .answers::<SummaryAnswer>(201, "Kept, with `Location`")
        .answers::<SummaryAnswer>(200, "Replaced")
        .refuses(refusals!(VersionMismatch, LeaseLost, TokenLimitReached, EditConflict, StorageFull))
        .get("/{provider}", READ, handlers::read)
        .says("Opens a token; one that is about to end is refreshed first, where its provider is set up")
        .answers::<TokenAnswer>(200, "The token")
        .refuses(refusals!(TokenNotFound, TokenExpired, TokenRevoked, TokenRefreshFailed))
        .delete("/{provider}", WRITE, handlers::delete)
        .says("Destroys a token")
        .answers_empty(204, "Destroyed")
        .refuses(refusals!(TokenNotFound, VersionMismatch, EditConflict))
        .post("/{provider}/lease", WRITE, handlers::lease)
        .says("Asks to be the one who refreshes a token: one caller at a time is. Needs `tokens:read` too, for the token comes with it")
        .may_take::<LeaseBody>()
        .answers::<LeaseAnswer>(200, "Whether the caller is, with the token if so")
        .refuses(refusals!(TokenNotFound, TokenExpired, TokenRevoked, StorageFull))
}

fn oauth_providers() -> Endpoints {
    Endpoints::under("/v1/oauth/providers")
        .get("", READ, providers::list)
        .says("The tenant's OAuth providers, by name, without their secrets")
        .query(&[LIMIT, CURSOR])
        .answers::<Page<ProviderAnswer>>(200, "A page")
        .refuses(refusals!(InvalidCursor))
        .put("/{provider}", WRITE, providers::put)
        .says("Sets how the server may refresh tokens of a provider by itself. Needs `tokens:read` too, for refresh tokens are sent there")
        .takes::<ProviderBody>()
        .answers::<ProviderAnswer>(201, "Set, with `Location`")
        .answers::<ProviderAnswer>(200, "Replaced")
        .refuses(refusals!(VersionMismatch, ProviderLimitReached, EditConflict, StorageFull))
        .get("/{provider}", READ, providers::read)
        .says("Reads what is set for a provider, but for its client secret")
        .answers::<ProviderAnswer>(200, "The provider")
        .refuses(refusals!(ProviderNotFound, VersionMismatch))
        .delete("/{provider}", WRITE, providers::delete)
        .says("Forgets a provider: its tokens are not refreshed by the server any more")
        .answers_empty(204, "Forgotten")
        .refuses(refusals!(ProviderNotFound, VersionMismatch, EditConflict))
}
