//! The API description: OpenAPI 3.1, made from the endpoint table.

use super::endpoint::{Access, Endpoint};
use super::endpoints::Endpoints;
use super::query::TOKEN;
use crate::base::code::Code;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The document as a JSON value.
pub fn document(endpoints: &Endpoints) -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let mut paths = Map::new();
    for endpoint in endpoints.rows() {
        let methods = paths.entry(endpoint.path.clone()).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(endpoint.method.as_str().to_ascii_lowercase(), operation(endpoint, &mut generator));
        }
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "AgentAPI",
            "version": env!("CARGO_PKG_VERSION"),
            "description": env!("CARGO_PKG_DESCRIPTION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key of a tenant, or the admin key"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "token": {"type": "apiKey", "in": "query", "name": TOKEN.name, "description": TOKEN.meaning},
            },
        },
    })
}

/// The refusals of an endpoint: its own, and those that its access and shape bring.
pub fn refusals(endpoint: &Endpoint) -> Vec<Code> {
    let mut codes = endpoint.refusals.to_vec();
    if endpoint.parameters().next().is_some() {
        codes.push(Code::InvalidQuery);
    }
    if endpoint.path_names().next().is_some() {
        codes.push(Code::InvalidName);
    }
    if endpoint.body.is_some() {
        codes.extend([
            Code::InvalidJson,
            Code::RequestTimeout,
            Code::BodyTooLarge,
            Code::UnsupportedMediaType,
            Code::ValidationFailed,
        ]);
    }
    if endpoint.creates {
        codes.extend([Code::InvalidHeader, Code::IdempotencyKeyInUse, Code::IdempotencyKeyReused]);
    }
    match endpoint.access {
        Access::Public => {}
        Access::Admin => {
            codes.extend([Code::Unauthorized, Code::InsufficientScope, Code::RateLimited, Code::BackendUnavailable])
        }
        Access::Tenant(_) => {
            codes.extend([
                Code::InvalidHeader,
                Code::Unauthorized,
                Code::InsufficientScope,
                Code::TenantSuspended,
                Code::TenantNotFound,
                Code::RateLimited,
                Code::TenantBusy,
                Code::BackendUnavailable,
            ]);
        }
    }
    codes.push(Code::Overloaded);
    codes.sort_by_key(|code| (code.status(), code.as_str()));
    codes.dedup();
    codes
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".into(), json!(operation_id(endpoint)));
    operation.insert("summary".into(), json!(endpoint.summary));
    operation.insert("tags".into(), json!([tag(endpoint)]));
    operation.insert("parameters".into(), json!(parameters(endpoint)));
    match endpoint.access {
        Access::Public => {
            operation.insert("security".into(), json!([]));
        }
        Access::Admin => {
            operation.insert("security".into(), json!([{"bearer": []}, {"header": []}]));
        }
        Access::Tenant(scope) => {
            let scopes = [scope.to_string()];
            let mut ways = vec![json!({"bearer": scopes}), json!({"header": scopes})];
            ways.extend(endpoint.by_token.map(|_| json!({"token": scopes})));
            operation.insert("security".into(), json!(ways));
        }
    }
    if let Some(schema) = endpoint.body {
        let content = json!({"application/json": {"schema": schema(generator)}});
        operation.insert("requestBody".into(), json!({"required": !endpoint.body_is_optional, "content": content}));
    }
    operation.insert("responses".into(), responses(endpoint, generator));
    Value::Object(operation)
}

fn operation_id(endpoint: &Endpoint) -> String {
    let words = endpoint.path.split(['/', '{', '}', '-', '.']).filter(|word| !word.is_empty());
    words.fold(endpoint.method.as_str().to_ascii_lowercase(), |id, word| format!("{id}_{word}"))
}

/// What an endpoint is filed under: the first word of its path that is not a version; those for operators together.
pub fn tag(endpoint: &Endpoint) -> &str {
    let mut words = endpoint.path.split('/').filter(|word| !word.is_empty());
    match (words.next(), endpoint.access) {
        (Some("admin"), _) => "admin",
        (Some("v1"), _) => words.next().unwrap_or("v1"),
        (Some(surface), Access::Tenant(_)) => surface,
        _ => "operations",
    }
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let header = |name: &str, meaning: &str| json!({"name": name, "in": "header", "required": false, "description": meaning, "schema": {"type": "string"}});
    let mut in_path: Vec<Value> = endpoint.path_names().map(|name| {
        json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1, "maxLength": 256}})
    }).collect();
    if let (true, Some(Value::Object(tail))) = (endpoint.has_tail(), in_path.last_mut()) {
        tail.insert("description".to_owned(), json!("All that is left of the path; slashes may stand as they are"));
    }
    let in_query = endpoint.query.iter().map(|parameter| {
        json!({"name": parameter.name, "in": "query", "required": false, "description": parameter.meaning, "schema": {"type": parameter.kind}})
    });
    let mut parameters: Vec<Value> = in_path.into_iter().chain(in_query).collect();
    if matches!(endpoint.access, Access::Tenant(_)) {
        parameters.push(header("X-Tenant-Id", "With the admin key: the tenant to act for"));
    }
    if endpoint.creates {
        parameters.push(header("Idempotency-Key", "The same key and request within 24 hours get the same answer"));
    }
    parameters
}

fn responses(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    for answer in &endpoint.answers {
        let mut response = json!({"description": answer.meaning});
        if let (Some(schema), Some(response)) = (answer.schema, response.as_object_mut()) {
            response.insert("content".into(), json!({"application/json": {"schema": schema(generator)}}));
        }
        responses.insert(answer.status.to_string(), response);
    }
    let codes = refusals(endpoint);
    for code in &codes {
        let same: Vec<&str> = codes.iter().filter(|c| c.status() == code.status()).map(|c| c.as_str()).collect();
        let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
        responses.insert(code.status().to_string(), json!({"description": same.join(", "), "content": content}));
    }
    Value::Object(responses)
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457 problem details",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "enum": Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>()},
            "request_id": {"type": "string"},
            "outcome": {"type": "string", "enum": ["unknown"], "description": "A write may or may not have taken place"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
                },
            },
        },
    })
}
