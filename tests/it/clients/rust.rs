//! The SDK for Rust: `open-feature-ofrep` 0.1.2, in this process.

use super::checks::{Check, checks};
use super::{
    Client, ERROR, any, asks_nothing_while_told_to_wait, evaluates_as_told, falls_back_while_there_is_no_room, shop,
    strict,
};
use crate::harness::app::App;
use open_feature::{
    EvaluationContext, EvaluationDetails, EvaluationErrorCode, EvaluationResult, FlagMetadataValue, OpenFeature,
    StructValue,
};
use open_feature_ofrep::{OfrepOptions, OfrepProvider};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::{Value, json};

/// What it says where there is no value of the wanted type.
const NO_VALUE: &str = "Invalid value bool";

struct Sdk(open_feature::Client);

impl Sdk {
    async fn new(app: &App, key: &str) -> Sdk {
        let key = HeaderValue::from_str(&format!("Bearer {key}")).unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, key)]);
        let options = OfrepOptions { base_url: app.base.clone(), headers, ..OfrepOptions::default() };
        let mut sdk = OpenFeature::default();
        sdk.set_provider(OfrepProvider::new(options).await.unwrap()).await;
        Sdk(sdk.create_client())
    }
}

impl Client for Sdk {
    async fn ask(&mut self, asked: &Value) -> Value {
        let (flag, otherwise) = (asked["flag"].as_str().unwrap(), asked["otherwise"].clone());
        let (context, sdk) = (context(&asked["context"]), &self.0);
        match asked["type"].as_str().unwrap() {
            "boolean" => told(sdk.get_bool_details(flag, Some(&context), None).await, otherwise, Value::from),
            "string" => told(sdk.get_string_details(flag, Some(&context), None).await, otherwise, Value::from),
            "integer" => told(sdk.get_int_details(flag, Some(&context), None).await, otherwise, Value::from),
            "float" => told(sdk.get_float_details(flag, Some(&context), None).await, otherwise, Value::from),
            _ => told(sdk.get_struct_details(flag, Some(&context), None).await, otherwise, object),
        }
    }
}

fn context(members: &Value) -> EvaluationContext {
    let mut context = EvaluationContext::default();
    for (name, value) in members.as_object().unwrap() {
        context = match value {
            Value::String(text) if name == "targetingKey" => context.with_targeting_key(text.clone()),
            Value::String(text) => context.with_custom_field(name, text.clone()),
            Value::Number(number) => context.with_custom_field(name, number.as_i64().unwrap()),
            _ => panic!("no check has such a context: {members}"),
        };
    }
    context
}

/// The members of a client's details. This SDK has no defaults: it fails, and its caller has one.
fn told<T>(result: EvaluationResult<EvaluationDetails<T>>, otherwise: Value, value: fn(T) -> Value) -> Value {
    let details = match result {
        Ok(details) => details,
        Err(error) => {
            let code = match error.code {
                EvaluationErrorCode::General(_) => "GENERAL".to_owned(),
                code => code.to_string(),
            };
            return json!({"value": otherwise, "reason": ERROR, "errorCode": code, "errorMessage": error.message});
        }
    };
    let metadata = details.flag_metadata.values.into_iter().map(|(name, value)| match value {
        FlagMetadataValue::Bool(value) => (name, Value::from(value)),
        FlagMetadataValue::Int(value) => (name, Value::from(value)),
        FlagMetadataValue::Float(value) => (name, Value::from(value)),
        FlagMetadataValue::String(value) => (name, Value::from(value)),
    });
    let metadata: Value = metadata.collect();
    let reason = details.reason.map(|reason| reason.to_string());
    json!({"value": value(details.value), "variant": details.variant, "reason": reason, "flagMetadata": metadata})
}

fn object(object: StructValue) -> Value {
    object.fields.into_iter().map(|(name, value)| (name, member(value))).collect()
}

fn member(value: open_feature::Value) -> Value {
    match value {
        open_feature::Value::Bool(value) => Value::from(value),
        open_feature::Value::Int(value) => Value::from(value),
        open_feature::Value::Float(value) => Value::from(value),
        open_feature::Value::String(value) => Value::from(value),
        open_feature::Value::Array(values) => values.into_iter().map(member).collect(),
        open_feature::Value::Struct(value) => object(value),
    }
}

/// What it makes of some answers.
fn differences() -> Vec<(&'static str, Value)> {
    let failed = |otherwise: Value, code: &str, message: &str| json!({"value": otherwise, "reason": ERROR, "errorCode": code, "errorMessage": message});
    // It looks at no `errorCode`: a 400 is an invalid context, and a value of another type, or none, a malformed answer.
    let mut differences = vec![
        ("a flag that defers to the code", failed(json!(true), "PARSE_ERROR", NO_VALUE)),
        ("a flag that nobody knows", failed(json!(true), "FLAG_NOT_FOUND", "Flag: unknown not found")),
        ("another type than the flag's", failed(json!(true), "PARSE_ERROR", NO_VALUE)),
        ("a split without a targeting key", failed(json!("none"), "INVALID_CONTEXT", "Invalid context")),
        ("a rule that gives no variant", failed(json!(false), "INVALID_CONTEXT", "Invalid context")),
    ];
    // Of what is found it tells the value and the variant: every reason is this one, and there is no metadata.
    for Check { name, mut gives, .. } in checks() {
        if !differences.iter().any(|(of, _)| *of == name) {
            gives["reason"] = json!("STATIC");
            gives["flagMetadata"] = json!({});
            differences.push((name, gives));
        }
    }
    differences
}

fn refused() -> Value {
    let message = "authentication/authorization error";
    json!({"value": false, "reason": ERROR, "errorCode": "GENERAL", "errorMessage": message})
}

// One test: once it was told to wait, this SDK waits with every provider of the process.
#[tokio::test]
async fn the_sdk_for_rust_evaluates_flags_and_waits_when_told_to() {
    let (app, tenant) = shop().await;
    evaluates_as_told(&mut Sdk::new(&app, &tenant.secret).await, &differences()).await;
    let other = app.tenant_with(&["sessions:read"]).await;
    for key in ["nobody's", &other.secret] {
        assert_eq!(Sdk::new(&app, key).await.ask(&any()).await, refused());
    }
    let start = async |app: &App, key: &str| Some(Sdk::new(app, key).await);
    // It reads the 503 as an evaluation that has no value.
    falls_back_while_there_is_no_room(start, "PARSE_ERROR", NO_VALUE).await;
    let strict = strict();
    let mut sdk = Sdk::new(&strict, "nobody's").await;
    asks_nothing_while_told_to_wait(&strict, &mut sdk, &refused(), "Rate limit exceeded. Please wait").await;
}
