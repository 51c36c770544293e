//! `/admin/v1/vault`: which keys there are, how many records need each, and new ones.

use super::super::rewrap::SealedRecords;
use super::super::rotation::{REWRAP, ROTATE};
use crate::base::code::Code;
use crate::base::deadline::Deadline;
use crate::base::text::TenantId;
use crate::db::Database;
use crate::http::{
    Access, Audit, CURSOR, CallerWaits, Endpoints, LIMIT, OptionalJson, PageRequest, Parameter, Problem, Query,
    Tenancy, json,
};
use crate::jobs::{JobAnswer, Jobs};
use crate::tenancy::Registry;
use crate::vault::Vault;
use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `?tenant=`
const TENANT: Parameter = Parameter { name: "tenant", kind: "string", meaning: "One tenant alone" };
/// How many records are counted for one page, in commands: about as many as fit into the time of a request.
const COMMANDS: usize = 4096;

/// For which tenant; for all when none is given.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Which {
    tenant: Option<TenantId>,
}

/// The keys of the vault, a page of tenants at a time.
#[derive(Serialize, JsonSchema)]
struct VaultAnswer {
    /// Every root key that this server has, or that a data key needs.
    root_keys: Vec<RootKeyAnswer>,
    items: Vec<TenantKeys>,
    next_cursor: Option<String>,
}

/// A root key, by its id.
#[derive(Serialize, JsonSchema)]
struct RootKeyAnswer {
    id: String,
    /// Whether new data keys are wrapped under it.
    current: bool,
    /// Whether this server has it.
    held: bool,
    /// How many data keys of all tenants are wrapped under it: at none, it may be taken away.
    data_keys: u64,
}

/// The data keys of a tenant.
#[derive(Serialize, JsonSchema)]
struct TenantKeys {
    tenant: TenantId,
    data_keys: Vec<DataKeyAnswer>,
}

/// A data key.
#[derive(Serialize, JsonSchema)]
struct DataKeyAnswer {
    version: u32,
    /// The id of the root key under which it is wrapped.
    root_key: String,
    /// How many records are sealed under it.
    records: u64,
}

/// What the endpoints here stand on.
pub struct OpenVault {
    database: Database,
    vault: Vault,
}

impl OpenVault {
    /// Records in this database, sealed in this vault.
    pub fn new(database: Database, vault: Vault) -> OpenVault {
        OpenVault { database, vault }
    }

    /// The data keys of a tenant and how many records each has, and about how many commands it took to count them.
    async fn census(&self, tenant: TenantId, deadline: Deadline) -> Result<(TenantKeys, usize), Problem> {
        let keys = self.vault.list(&tenant, deadline).await?;
        let records = SealedRecords::new(self.database.tenant(&tenant).by(deadline), self.vault.of(&tenant, deadline));
        let versions: Vec<u32> = keys.iter().map(|key| key.version).collect();
        let (counts, cost) =
            if versions.is_empty() { (Vec::new(), 1) } else { records.census_and_cost(&versions).await? };
        let shown = keys.iter().zip(counts).map(|(key, records)| DataKeyAnswer {
            version: key.version,
            root_key: key.root.to_string(),
            records,
        });
        Ok((TenantKeys { tenant, data_keys: shown.collect() }, cost))
    }

    /// Every root key that this process has, the current one first, and then those that it lacks.
    async fn root_keys(&self, deadline: Deadline) -> Result<Vec<RootKeyAnswer>, Problem> {
        let in_use = self.vault.roots_in_use(deadline).await?;
        let held: Vec<_> = self.vault.ring().map(|ring| ring.ids().collect()).unwrap_or_default();
        let lacking = in_use.iter().map(|(id, _)| *id).filter(|id| !held.contains(id));
        let all = held.iter().copied().chain(lacking).enumerate();
        Ok(all
            .map(|(place, id)| RootKeyAnswer {
                id: id.to_string(),
                current: place == 0 && !held.is_empty(),
                held: held.contains(&id),
                data_keys: in_use.iter().find(|(used, _)| *used == id).map_or(0, |(_, count)| *count),
            })
            .collect())
    }
}

async fn census(
    open: web::Data<OpenVault>,
    CallerWaits(deadline): CallerWaits,
    Tenancy(registry): Tenancy,
    query: Query,
    page: PageRequest,
) -> Result<HttpResponse, Problem> {
    let must = "must be the id of a tenant";
    let one = query.read("tenant", must, |text| TenantId::parse(text).ok())?;
    let (tenants, mut next) = match one {
        Some(tenant) => (vec![existing(&registry, tenant).await?], None),
        None => {
            let listed = registry.list_tenants(page.after.as_deref(), page.limit).await?;
            (listed.items.into_iter().map(|tenant| tenant.id).collect(), listed.next)
        }
    };
    let (mut items, mut left, last) = (Vec::new(), COMMANDS, tenants.len());
    for (place, tenant) in tenants.into_iter().enumerate() {
        let id = tenant.to_string();
        let (keys, cost) = open.census(tenant, deadline).await?;
        items.push(keys);
        left = left.saturating_sub(cost);
        if left == 0 && place + 1 < last {
            next = Some(id);
            break;
        }
    }
    let root_keys = open.root_keys(deadline).await?;
    let next_cursor = next.map(|next| page.cursor(&next));
    json(&mut HttpResponse::Ok(), &VaultAnswer { root_keys, items, next_cursor })
}

async fn existing(registry: &Registry, tenant: TenantId) -> Result<TenantId, Problem> {
    let found = registry.load_tenant(&tenant).await?;
    found.map(|_| tenant).ok_or_else(|| Problem::new(Code::TenantNotFound, "No tenant has this id."))
}

/// Starts a job for one tenant or all, or answers the one that is under way.
async fn start(
    kind: &'static str,
    (open, jobs): (web::Data<OpenVault>, web::Data<Jobs>),
    CallerWaits(deadline): CallerWaits,
    Tenancy(registry): Tenancy,
    audit: Audit,
    which: Which,
) -> Result<HttpResponse, Problem> {
    open.vault.configured()?;
    let tenant = match which.tenant {
        Some(tenant) => Some(existing(&registry, tenant).await?),
        None => None,
    };
    let job = jobs.by(deadline).start(kind, tenant.as_ref()).await?;
    audit.job(kind, tenant.as_ref().map(TenantId::as_str), job.id.as_str());
    let location = (LOCATION, format!("/admin/v1/jobs/{}", job.id));
    json(HttpResponse::Accepted().insert_header(location), &JobAnswer::from(job))
}

async fn rotate(
    ground: (web::Data<OpenVault>, web::Data<Jobs>),
    waits: CallerWaits,
    tenancy: Tenancy,
    audit: Audit,
    OptionalJson(which): OptionalJson<Which>,
) -> Result<HttpResponse, Problem> {
    start(ROTATE, ground, waits, tenancy, audit, which).await
}

async fn rewrap(
    ground: (web::Data<OpenVault>, web::Data<Jobs>),
    waits: CallerWaits,
    tenancy: Tenancy,
    audit: Audit,
    OptionalJson(which): OptionalJson<Which>,
) -> Result<HttpResponse, Problem> {
    start(REWRAP, ground, waits, tenancy, audit, which).await
}

/// The table.
pub(super) fn endpoints() -> Endpoints {
    Endpoints::under("/admin/v1/vault")
        .get("", Access::Admin, census)
        .says("The root keys, and a page of tenants with their data keys and how many records are under each")
        .query(&[TENANT, LIMIT, CURSOR])
        .answers::<VaultAnswer>(200, "A page; it may end early where there is much to count")
        .refuses(&[Code::TenantNotFound, Code::InvalidCursor])
        .post("/rotate", Access::Admin, rotate)
        .says("Gives one tenant or all a new data key: a job")
        .may_take::<Which>()
        .answers::<JobAnswer>(202, "The job, or the one that is under way, with `Location`")
        .refuses(&[Code::TenantNotFound, Code::VaultNotConfigured, Code::StorageFull])
        .post("/rewrap", Access::Admin, rewrap)
        .says("Encrypts everything of one tenant or all under the newest keys, and destroys the others: a job")
        .may_take::<Which>()
        .answers::<JobAnswer>(202, "The job, or the one that is under way, with `Location`")
        .refuses(&[Code::TenantNotFound, Code::VaultNotConfigured, Code::StorageFull])
}
