//! From a request to its [`Principal`], before anything else of it is read.

use super::endpoint::{Access, InOutage};
use super::platform::Platform;
use super::principal::Principal;
use super::problem::Problem;
use super::query::TOKEN;
use super::request::Request;
use crate::base::code::Code;
use crate::base::id;
use crate::base::text::TenantId;
use crate::tenancy::{Credential, Identity, Status, Tenant, Verification};
use actix_web::http::header::AUTHORIZATION;
use std::rc::Rc;
use std::sync::Arc;

/// Who calls, if they may use an endpoint of this access.
///
/// # Errors
/// 401 for no credential or an unknown one, or 429 for too many of those; 403 for a missing scope or a suspended
/// tenant; 503 where nobody can tell.
pub(super) async fn authenticate(request: &Request) -> Result<Option<Principal>, Problem> {
    identify(request).await.map_err(|problem| match request.platform.limited() {
        Some(limited) if problem.code() == Code::Unauthorized => limited.refused(request, problem),
        _ => problem,
    })
}

async fn identify(request: &Request) -> Result<Option<Principal>, Problem> {
    let access = request.endpoint.access;
    let principal = match access {
        Access::Public => return Ok(None),
        Access::Admin => admin_api(request).await?,
        Access::Tenant(_) => tenant_api(request).await?,
    };
    if principal.tenant().is_some_and(|tenant| tenant.status == Status::Suspended) {
        return Err(Problem::new(Code::TenantSuspended, "An operator has suspended this tenant."));
    }
    match access {
        Access::Tenant(scope) if !principal.may(scope) => {
            Err(Problem::new(Code::InsufficientScope, format!("This needs the scope {scope}.")))
        }
        _ => Ok(Some(principal)),
    }
}

const SCHEME: &str = "Bearer ";

/// The key that the request presents: a Bearer token (RFC 6750, section 2.1) or `X-API-Key`.
pub(super) fn credential(request: &Request) -> Option<&str> {
    let bearer = || {
        let text = std::str::from_utf8(request.headers().get(AUTHORIZATION)?.as_bytes()).ok()?;
        let (scheme, key) = text.split_at_checked(SCHEME.len())?;
        scheme.eq_ignore_ascii_case(SCHEME).then_some(key.trim_ascii())
    };
    let header = || request.text_of("x-api-key");
    bearer().or_else(header).filter(|key| !key.is_empty())
}

/// The token that the request's query presents, where the endpoint takes one: as it was made, so not encoded.
fn token(request: &Request) -> Option<Credential<'_>> {
    let purpose = request.endpoint.by_token?;
    let value = |pair| str::strip_prefix(pair, TOKEN.name)?.strip_prefix('=');
    Some(Credential::Token(request.query_string().split('&').find_map(value)?, purpose))
}

fn unauthorized() -> Problem {
    Problem::new(Code::Unauthorized, "Send a valid key as `Authorization: Bearer KEY` or `X-API-Key: KEY`.")
}

fn is_admin(presented: &str, platform: &Platform) -> bool {
    let digest = id::sha256(presented.as_bytes());
    platform.admin_key_digest().is_some_and(|known| id::same_digest(&digest, known))
}

async fn verify(request: &Request, presented: Credential<'_>) -> Result<Option<Rc<Identity>>, Problem> {
    let platform = &request.platform;
    let may = || {
        platform.limited().map_or(Ok(()), |limited| limited.may_fail(request))?;
        platform.admission().stranger()
    };
    platform.recent_keys().verify_if(presented, request.deadline, may).await
}

async fn admin_api(request: &Request) -> Result<Principal, Problem> {
    let presented = credential(request).ok_or_else(unauthorized)?;
    if is_admin(presented, &request.platform) {
        return Ok(Principal::admin(None));
    }
    match verify(request, Credential::Key(presented)).await? {
        Some(_) => Err(Problem::new(Code::InsufficientScope, "This needs the admin key.")),
        None => Err(unauthorized()),
    }
}

async fn tenant_api(request: &Request) -> Result<Principal, Problem> {
    let (in_outage, platform) = (request.endpoint.in_outage, &request.platform);
    let by_header = credential(request).map(Credential::Key);
    let presented = by_header.or_else(|| token(request)).ok_or_else(unauthorized)?;
    let remembered = match in_outage {
        InOutage::StandIn if platform.settings().sessions_stand_in => platform.registry().recall_in_outage(presented),
        InOutage::Approximate => platform.registry().recall_in_outage(presented),
        InOutage::StandIn | InOutage::Refuse => None,
    };
    let verified = match remembered {
        Some(verified) => recalled(verified),
        None => match (verify(request, presented).await, in_outage) {
            // The backend is gone, and that has not been noticed yet: the same answer as a moment later.
            (Err(problem), InOutage::Approximate) if problem.code() == Code::BackendUnavailable => {
                recalled(platform.registry().recall_unreachable(presented).ok_or(problem)?)
            }
            (verified, _) => verified?,
        },
    };
    if let Some(identity) = verified {
        return Ok(Principal::of_key(identity, presented.ends_at()));
    }
    match presented {
        Credential::Key(key) if is_admin(key, platform) => {}
        _ => return Err(unauthorized()),
    }
    // Boxed, as it is rare and large: every request would carry the room for it.
    let tenant = Some(Box::pin(named_tenant(request)).await?);
    Ok(Principal::admin(tenant))
}

fn recalled(verified: Verification) -> Option<Rc<Identity>> {
    match verified {
        Verification::Known(identity) => Some(Rc::new(identity)),
        Verification::Unknown => None,
    }
}

/// The tenant that an admin key acts for.
async fn named_tenant(request: &Request) -> Result<Arc<Tenant>, Problem> {
    let missing = || Problem::new(Code::InvalidHeader, "With an admin key, X-Tenant-Id must name a tenant.");
    let tenant = TenantId::parse(request.text_of("x-tenant-id").ok_or_else(missing)?).map_err(|_| missing())?;
    let tenant = request.platform.registry().tenant(&tenant, request.deadline).await?;
    tenant.ok_or_else(|| Problem::new(Code::TenantNotFound, "X-Tenant-Id names no tenant."))
}
