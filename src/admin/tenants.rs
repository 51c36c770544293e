//! `/admin/v1/tenants`: making, reading, listing and changing tenants.

use super::keys::{IssuedKey, issue};
use crate::base::code::Code;
use crate::base::object::Object;
use crate::base::text::TenantId;
use crate::http::{
    Access, Audit, CURSOR, Endpoints, Json, LIMIT, Page, PageRequest, PathArg, Preconditions, Problem, Tenancy, etag,
    json,
};
use crate::tenancy::{
    Label, Limits, LimitsChange, NewKey, NewTenant, Scopes, Settings, SettingsChange, Tenant, TenantChange,
    TenantCreation, TenantUpdate,
};
use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tenant to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateTenant {
    /// Its id, which never changes.
    id: TenantId,
    /// What people call it.
    name: Option<Label>,
    /// How much it may use.
    limits: Option<Object<LimitsChange>>,
    /// How the stores behave for it.
    settings: Option<Object<SettingsChange>>,
    /// Whether to issue a first key, which may do everything.
    #[serde(default)]
    create_key: bool,
}

impl From<CreateTenant> for NewTenant {
    fn from(asked: CreateTenant) -> Self {
        let (mut limits, mut settings) = (Limits::default(), Settings::default());
        asked.limits.unwrap_or_default().0.apply(&mut limits);
        asked.settings.unwrap_or_default().0.apply(&mut settings);
        NewTenant { id: asked.id, name: asked.name, limits, settings }
    }
}

/// A tenant that was made, with its first key if that was asked for.
#[derive(Serialize, JsonSchema)]
struct CreatedTenant {
    #[serde(flatten)]
    tenant: Tenant,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<IssuedKey>,
}

/// The refusal of a request that names a tenant that is not there.
pub(super) fn not_found() -> Problem {
    Problem::new(Code::TenantNotFound, "No tenant has this id.")
}

async fn create(Tenancy(registry): Tenancy, audit: Audit, body: Json<CreateTenant>) -> Result<HttpResponse, Problem> {
    let with_key = body.0.create_key;
    let tenant = match registry.create_tenant(body.0.into()).await? {
        TenantCreation::Created(tenant) => tenant,
        TenantCreation::Exists => {
            return Err(Problem::new(Code::TenantExists, "Choose another id, or change that one."));
        }
        TenantCreation::BeingDeleted => {
            return Err(Problem::new(Code::TenantBeingDeleted, "Choose another id, or wait for the job to be done."));
        }
    };
    audit.tenant("tenant.create", tenant.id.as_str(), None::<&Tenant>, &tenant);
    let api_key = if with_key {
        let all = NewKey { name: None, scopes: Scopes::ALL, expires_at: None };
        Some(issue(&registry, &audit, &tenant.id, all).await?)
    } else {
        None
    };
    let location = (LOCATION, format!("/admin/v1/tenants/{}", tenant.id));
    let mut response = HttpResponse::Created();
    response.insert_header(location).insert_header(etag(tenant.version));
    json(&mut response, &CreatedTenant { tenant, api_key })
}

async fn read(
    Tenancy(registry): Tenancy,
    id: PathArg<TenantId>,
    asked: Preconditions,
) -> Result<HttpResponse, Problem> {
    let tenant = registry.load_tenant(&id.0).await?.ok_or_else(not_found)?;
    let tag = etag(tenant.version);
    if asked.0.is_known(tenant.version) {
        return Ok(HttpResponse::NotModified().insert_header(tag).finish());
    }
    if !asked.0.holds(Some(tenant.version)) {
        return Err(Preconditions::failed());
    }
    json(HttpResponse::Ok().insert_header(tag), &tenant)
}

async fn list(Tenancy(registry): Tenancy, page: PageRequest) -> Result<HttpResponse, Problem> {
    let listing = registry.list_tenants(page.after.as_deref(), page.limit).await?;
    page.answer(listing.items, listing.next.as_deref())
}

async fn change(
    Tenancy(registry): Tenancy,
    audit: Audit,
    id: PathArg<TenantId>,
    asked: Preconditions,
    body: Json<TenantChange>,
) -> Result<HttpResponse, Problem> {
    match registry.update_tenant(&id.0, |version| asked.0.holds(Some(version)), body.0).await? {
        TenantUpdate::Updated { before, after } => {
            audit.tenant("tenant.change", after.id.as_str(), Some(&*before), &after);
            json(HttpResponse::Ok().insert_header(etag(after.version)), &after)
        }
        TenantUpdate::NotFound => Err(not_found()),
        TenantUpdate::VersionMismatch => Err(Preconditions::failed()),
        TenantUpdate::Contended => Err(Problem::new(Code::EditConflict, "Try again.")),
    }
}

pub(super) fn endpoints() -> Endpoints {
    Endpoints::under("/admin/v1/tenants")
        .post("", Access::Admin, create)
        .says("Makes a tenant, and its first key if `create_key` is true")
        .takes::<CreateTenant>()
        .answers::<CreatedTenant>(201, "Made; a key is shown this once")
        .refuses(&[Code::TenantExists, Code::TenantBeingDeleted, Code::StorageFull])
        .creates()
        .get("", Access::Admin, list)
        .says("Lists tenants by id")
        .query(&[LIMIT, CURSOR])
        .answers::<Page<Tenant>>(200, "A page")
        .refuses(&[Code::InvalidCursor])
        .get("/{tenant}", Access::Admin, read)
        .says("Reads a tenant")
        .answers::<Tenant>(200, "The tenant")
        .answers_empty(304, "It is at the version that If-None-Match names")
        .refuses(&[Code::TenantNotFound, Code::VersionMismatch, Code::InvalidHeader])
        .patch("/{tenant}", Access::Admin, change)
        .says("Changes a tenant by merge patch (RFC 7396): suspends it, sets its limits and settings")
        .takes::<TenantChange>()
        .answers::<Tenant>(200, "The tenant as it is now; in force everywhere within a second")
        .refuses(&[
            Code::TenantNotFound,
            Code::EditConflict,
            Code::VersionMismatch,
            Code::InvalidHeader,
            Code::StorageFull,
        ])
}
