//! The API's description of itself.

use crate::harness::app::{App, On};
use crate::harness::table::rows;
use agentapi::http::Access;
use reqwest::StatusCode;
use serde_json::Value;
use std::collections::BTreeSet;

/// Every value under a member of this name, wherever it stands.
fn all<'a>(value: &'a Value, member: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(member));
            members.values().for_each(|value| all(value, member, found));
        }
        Value::Array(items) => items.iter().for_each(|value| all(value, member, found)),
        _ => {}
    }
}

async fn description() -> Value {
    let app = App::on(On::Memory);
    let answer = app.anyone().get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    answer.expect(StatusCode::OK)
}

#[tokio::test]
async fn the_description_has_every_row_of_the_table_and_no_other() {
    let document = description().await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        described.extend(methods.as_object().unwrap().keys().map(|method| (path.clone(), method.to_ascii_uppercase())));
    }
    let table: BTreeSet<_> = rows().into_iter().map(|row| (row.path, row.method.to_string())).collect();
    assert_eq!(described, table);
}

#[tokio::test]
async fn every_reference_in_the_description_resolves() {
    let document = description().await;
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    assert!(references.len() > 50, "{}", references.len());
    for reference in references {
        let pointer = reference.as_str().unwrap().strip_prefix('#').expect("a reference within the document");
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test]
async fn every_operation_is_described_in_full() {
    let document = description().await;
    let mut ids = BTreeSet::new();
    for row in rows() {
        let operation = &document["paths"][&row.path][row.method.as_str().to_ascii_lowercase()];
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{row:?}: its id is taken");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{row:?}");
        let parameters = operation["parameters"].as_array().unwrap();
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
        let names: Vec<String> = in_path.map(|p| format!("{{{}}}", p["name"].as_str().unwrap())).collect();
        let wanted: Vec<&str> = row.path.split('/').filter(|segment| segment.starts_with('{')).collect();
        assert_eq!(names, wanted, "{row:?}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{row:?}");
        assert!(responses.values().all(|response| response["description"].is_string()), "{row:?}");
        let security = operation["security"].as_array().unwrap();
        assert_eq!(security.is_empty(), row.access == Access::Public, "{row:?}");
        if row.access != Access::Public {
            assert!(["401", "403", "429"].iter().all(|status| responses.contains_key(*status)), "{row:?}");
        }
        for scheme in security.iter().flat_map(|scheme| scheme.as_object().unwrap().keys()) {
            assert!(document["components"]["securitySchemes"][scheme].is_object(), "{scheme}");
        }
    }
}

#[tokio::test]
async fn the_reference_page_names_every_row_and_asks_nothing_of_the_network() {
    let app = App::on(On::Memory);
    let answer = app.anyone().get("/docs").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    let page = &answer.text;
    assert!(page.starts_with("<!doctype html>") || page.starts_with("<!DOCTYPE html>"), "{page}");
    for row in rows() {
        assert!(page.contains(&format!("<code>{}</code>", row.path)), "{row:?}");
    }
    for outside in ["://", "src=", "<script", "@import", "url(", "<link", "<iframe", "href=\"//"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for reference in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let target = reference.strip_prefix('#');
        let found = target.map_or(reference == "/openapi.json", |id| page.contains(&format!("id=\"{id}\"")));
        assert!(found, "{reference} leads nowhere");
    }
    assert!(answer.header("content-security-policy").contains("default-src 'none'"));
}
