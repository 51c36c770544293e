//! `/admin/v1/tenants/{tenant}/keys`: issuing, listing, revoking and rotating API keys.

use super::tenants::not_found;
use crate::base::clock::Timestamp;
use crate::base::code::Code;
use crate::base::duration::DurationField;
use crate::base::id::NoRandomness;
use crate::base::secret::Secret;
use crate::base::text::{Name, TenantId};
use crate::http::{
    Access, Audit, CURSOR, Endpoints, LIMIT, OptionalJson, Page, PageRequest, PathArg, Problem, Tenancy, json,
};
use crate::tenancy::{ApiKey, ApiKeyInfo, IssueError, KeyId, Label, NewKey, Registry, Scopes};
use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use std::time::Duration;

/// A key to be issued.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct CreateKey {
    /// What people call it.
    name: Option<Label>,
    /// What it may do; everything when not given.
    scopes: Option<Scopes>,
    /// From when on it is refused, RFC 3339 in UTC; never when not given.
    #[serde(deserialize_with = "Timestamp::deserialize_optional")]
    expires_at: Option<Timestamp>,
}

/// How to rotate a key.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RotateKey {
    /// How long the old key goes on working; not at all when not given.
    overlap: Option<DurationField>,
}

/// A key as it is shown: never its secret.
#[derive(Serialize, JsonSchema)]
pub(super) struct ShownKey {
    #[schemars(with = "String")]
    id: KeyId,
    tenant: TenantId,
    name: Option<Label>,
    scopes: Scopes,
    created_at: Timestamp,
    /// From when on it is refused.
    expires_at: Option<Timestamp>,
    /// The hour in which it was used last.
    last_used: Option<Timestamp>,
}

/// A key that was just issued.
#[derive(Serialize, JsonSchema)]
pub(super) struct IssuedKey {
    #[serde(flatten)]
    shown: ShownKey,
    /// The key itself. Shown this once: only a hash of it is kept.
    #[serde(serialize_with = "expose")]
    #[schemars(with = "String")]
    key: Secret,
}

impl ShownKey {
    fn new(key: ApiKey, last_used: Option<Timestamp>) -> Self {
        let expires_at = key.ends_at();
        let ApiKey { id, tenant, name, scopes, created_at, .. } = key;
        ShownKey { id, tenant, name, scopes, created_at, expires_at, last_used }
    }
}

/// The one place where a key is written into an answer.
fn expose<S: Serializer>(key: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.expose())
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Backend(error) => error.into(),
            IssueError::NoRandomness => NoRandomness.into(),
            IssueError::Contended => Problem::new(Code::EditConflict, "Try again."),
        }
    }
}

fn no_key() -> Problem {
    Problem::new(Code::KeyNotFound, "The tenant has no key of this id.")
}

/// The id in the path: a text that no id can be is that of no key.
fn key_id(name: &PathArg<Name, 1>) -> Result<KeyId, Problem> {
    KeyId::parse(name.0.as_str()).ok_or_else(no_key)
}

/// Issues a key and says so in the audit log.
pub(super) async fn issue(
    registry: &Registry,
    audit: &Audit,
    tenant: &TenantId,
    new: NewKey,
) -> Result<IssuedKey, Problem> {
    let (key, secret) = registry.create_key(tenant, new).await?.ok_or_else(not_found)?;
    let shown = ShownKey::new(key, None);
    audit.key("key.create", tenant.as_str(), shown.id, Some(&shown));
    Ok(IssuedKey { shown, key: secret })
}

fn created(key: &IssuedKey) -> Result<HttpResponse, Problem> {
    let location = format!("/admin/v1/tenants/{}/keys/{}", key.shown.tenant, key.shown.id);
    json(HttpResponse::Created().insert_header((LOCATION, location)), key)
}

async fn create(
    Tenancy(registry): Tenancy,
    audit: Audit,
    tenant: PathArg<TenantId>,
    body: OptionalJson<CreateKey>,
) -> Result<HttpResponse, Problem> {
    let CreateKey { name, scopes, expires_at } = body.0;
    if expires_at.is_some_and(|end| end <= registry.now()) {
        return Err(Problem::fault("/expires_at", "must be in the future"));
    }
    let new = NewKey { name, scopes: scopes.unwrap_or(Scopes::ALL), expires_at };
    created(&issue(&registry, &audit, &tenant.0, new).await?)
}

async fn list(
    Tenancy(registry): Tenancy,
    tenant: PathArg<TenantId>,
    page: PageRequest,
) -> Result<HttpResponse, Problem> {
    let listing = registry.list_keys(&tenant.0, page.after.as_deref(), page.limit).await?.ok_or_else(not_found)?;
    let shown = |info: ApiKeyInfo| ShownKey::new(info.key, info.last_used);
    page.answer(listing.items.into_iter().map(shown).collect(), listing.next.as_deref())
}

async fn revoke(
    Tenancy(registry): Tenancy,
    audit: Audit,
    tenant: PathArg<TenantId>,
    id: PathArg<Name, 1>,
) -> Result<HttpResponse, Problem> {
    let id = key_id(&id)?;
    if !registry.revoke_key(&tenant.0, id).await? {
        return Err(no_key());
    }
    audit.key("key.revoke", tenant.0.as_str(), id, None::<&ShownKey>);
    Ok(HttpResponse::NoContent().finish())
}

async fn rotate(
    Tenancy(registry): Tenancy,
    audit: Audit,
    tenant: PathArg<TenantId>,
    id: PathArg<Name, 1>,
    body: OptionalJson<RotateKey>,
) -> Result<HttpResponse, Problem> {
    let id = key_id(&id)?;
    let overlap = body.0.overlap.map_or(Duration::ZERO, |overlap| overlap.0);
    let (key, secret) = registry.rotate_key(&tenant.0, id, overlap).await?.ok_or_else(no_key)?;
    let shown = ShownKey::new(key, None);
    audit.key("key.rotate", tenant.0.as_str(), id, Some(&shown));
    created(&IssuedKey { shown, key: secret })
}

pub(super) fn endpoints() -> Endpoints {
    Endpoints::under("/admin/v1/tenants/{tenant}/keys")
        .post("", Access::Admin, create)
        .says("Issues an API key")
        .may_take::<CreateKey>()
        .answers::<IssuedKey>(201, "Issued; the key is shown this once")
        .refuses(&[Code::TenantNotFound, Code::StorageFull])
        .creates()
        .get("", Access::Admin, list)
        .says("Lists a tenant's API keys by id, without secrets")
        .query(&[LIMIT, CURSOR])
        .answers::<Page<ShownKey>>(200, "A page")
        .refuses(&[Code::TenantNotFound, Code::InvalidCursor])
        .delete("/{key_id}", Access::Admin, revoke)
        .says("Revokes an API key, everywhere within a second")
        .answers_empty(204, "Revoked")
        .refuses(&[Code::KeyNotFound])
        .post("/{key_id}/rotate", Access::Admin, rotate)
        .says("Issues a key like this one, which goes on working for `overlap`")
        .may_take::<RotateKey>()
        .answers::<IssuedKey>(201, "Issued; the key is shown this once")
        .refuses(&[Code::KeyNotFound, Code::EditConflict, Code::StorageFull])
        .creates()
}
