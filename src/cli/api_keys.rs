//! `agentapi key`: issuing, listing, revoking and rotating API keys.

use super::admin_api::ask;
use super::output::{complain, print, shown, table};
use crate::base::text::TenantId;
use crate::tenancy::KeyId;
use clap::ArgMatches;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Runs `agentapi key WHAT`: 1 when it failed, 2 when it was called wrongly.
pub(super) fn run(what: &str, given: &ArgMatches) -> ExitCode {
    let text = |name| given.try_get_one::<String>(name).ok().flatten();
    // Texts that no ids can be must not become another path.
    let Some(tenant) = text("tenant").and_then(|id| TenantId::parse(id).ok()) else {
        return complain("TENANT: is not a tenant's id: a-z, 0-9 and '-', 2 to 63 characters", 2);
    };
    let path = format!("/admin/v1/tenants/{tenant}/keys");
    let key = match text("id").map(|id| KeyId::parse(id)) {
        Some(None) => return complain("KEY_ID: is not the public id of a key: see agentapi key list", 2),
        Some(Some(id)) => format!("{path}/{id}"),
        None => String::new(),
    };
    let mut body = Map::new();
    for (option, member) in [("name", "name"), ("expires-at", "expires_at"), ("overlap", "overlap")] {
        if let Some(value) = text(option) {
            body.insert(member.to_owned(), value.as_str().into());
        }
    }
    if let Some(scopes) = text("scopes") {
        body.insert("scopes".to_owned(), scopes.split(',').map(str::trim).collect());
    }
    let body = Value::Object(body);
    ask(given, async |api, json| {
        let answer = match what {
            "list" => json!({"items": api.list(&path).await?}),
            "create" => api.post(&path, &body).await?,
            "rotate" => api.post(&format!("{key}/rotate"), &body).await?,
            _ => {
                api.delete(&key).await?;
                json!({"revoked": text("id")})
            }
        };
        Ok(match what {
            _ if json => print(&format!("{answer}\n")),
            "list" => print(&list(&answer)),
            "revoke" => print(&format!("key {} revoked\n", shown(&answer, "revoked"))),
            _ => print(&issued(&answer)),
        })
    })
}

/// What is said of a key that was just issued.
pub(super) fn issued(key: &Value) -> String {
    format!("key {} (shown this once): {}\n", shown(key, "id"), shown(key, "key"))
}

fn list(answer: &Value) -> String {
    let row = |item: &Value| {
        ["id", "scopes", "created_at", "expires_at", "last_used", "name"].map(|member| shown(item, member)).to_vec()
    };
    let head = ["ID", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "NAME"].map(str::to_owned).to_vec();
    let items = answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    table(&std::iter::once(head).chain(items.iter().map(row)).collect::<Vec<_>>())
}
