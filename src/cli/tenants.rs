//! `agentapi tenant`: making, listing, suspending and deleting tenants.

use super::admin_api::{AdminApi, ask};
use super::job::follow;
use super::output::{complain, print, shown, table};
use super::{MISCONFIGURED, api_keys};
use crate::base::text::TenantId;
use clap::ArgMatches;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

const TENANTS: &str = "/admin/v1/tenants";

/// Runs `agentapi tenant WHAT`: 1 when it failed, 2 when it was called wrongly.
pub(super) fn run(what: &str, given: &ArgMatches) -> ExitCode {
    // A text that no id can be must not become another path.
    let id = given.try_get_one::<String>("id").ok().flatten().map(|id| TenantId::parse(id));
    let path = match id {
        Some(Err(_)) => return complain("TENANT: is not a tenant's id: a-z, 0-9 and '-', 2 to 63 characters", 2),
        Some(Ok(id)) => format!("{TENANTS}/{id}"),
        None => TENANTS.to_owned(),
    };
    if what == "purge" && !given.get_flag("yes") {
        return complain("purge deletes the tenant and all that it has for good: say --yes", MISCONFIGURED);
    }
    ask(given, async |api, json| match what {
        "create" => create(api, given, json).await,
        "list" => list(api, json).await,
        "suspend" => change(api, &path, "suspended", json).await,
        "resume" => change(api, &path, "active", json).await,
        _ => follow(api, api.delete(&path).await?, "tenant purge", json).await,
    })
}

async fn create(api: &AdminApi, given: &ArgMatches, json: bool) -> Result<ExitCode, String> {
    let mut body = Map::new();
    for name in ["id", "name"] {
        if let Some(value) = given.get_one::<String>(name) {
            body.insert(name.to_owned(), value.as_str().into());
        }
    }
    body.insert("create_key".to_owned(), given.get_flag("create-key").into());
    let made = api.post(TENANTS, &Value::Object(body)).await?;
    if json {
        return Ok(print(&format!("{made}\n")));
    }
    let key = made.get("api_key").map(api_keys::issued).unwrap_or_default();
    Ok(print(&format!("tenant {} made\n{key}", shown(&made, "id"))))
}

async fn list(api: &AdminApi, json: bool) -> Result<ExitCode, String> {
    let items = api.list(TENANTS).await?;
    if json {
        return Ok(print(&format!("{}\n", json!({"items": items}))));
    }
    let row = |item: &Value| ["id", "status", "created_at", "name"].map(|member| shown(item, member)).to_vec();
    let head = ["ID", "STATUS", "CREATED", "NAME"].map(str::to_owned).to_vec();
    Ok(print(&table(&std::iter::once(head).chain(items.iter().map(row)).collect::<Vec<_>>())))
}

async fn change(api: &AdminApi, path: &str, status: &str, json: bool) -> Result<ExitCode, String> {
    let tenant = api.patch(path, &json!({"status": status})).await?;
    if json {
        return Ok(print(&format!("{tenant}\n")));
    }
    Ok(print(&format!("tenant {} is {}\n", shown(&tenant, "id"), shown(&tenant, "status"))))
}
