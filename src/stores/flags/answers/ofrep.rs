//! Answers of the OpenFeature Remote Evaluation Protocol (OFREP 0.3.0), written without a detour: all of an evaluation
//! that does not depend on who asks is made when its rules are compiled.
//!
//! What clients really need is stricter than the protocol: `variant` is always there, `value` whenever there is one,
//! metadata is flat, a failure has `errorDetails`.

use crate::stores::flags::compiled::Compiled;
use crate::stores::flags::rules::{Decision, Failure, Flag, Reason, Variant};
use bytes::Bytes;
use schemars::JsonSchema;
use serde_json::{Map, Value};
use std::sync::OnceLock;

/// What flags are evaluated for; what else it has is ignored.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only described: it is read in place")]
pub(crate) struct EvaluationRequest {
    /// Whatever the rules look at; `targetingKey` is whom splits go by.
    context: Option<Map<String, Value>>,
}

/// An evaluated flag.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code, reason = "only described: it is written from parts")]
pub(crate) struct Evaluation {
    key: String,
    /// Not there where the code's default is to be used.
    value: Option<Value>,
    /// `STATIC`, `TARGETING_MATCH`, `DEFAULT` or `DISABLED`.
    reason: String,
    variant: String,
    /// `stale` is true where the rules may be out of date.
    metadata: Option<Map<String, Value>>,
}

/// All evaluated flags.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code, reason = "only described: it is written from parts")]
pub(crate) struct BulkEvaluation {
    /// Each evaluated, or with `errorCode` and `errorDetails`.
    flags: Vec<Evaluation>,
    metadata: Option<Map<String, Value>>,
    /// Where changes are told, as server-sent events.
    event_streams: Option<Vec<Map<String, Value>>>,
}

/// The version of these shapes: part of every entity tag.
pub(crate) const SCHEMA: u8 = 1;

/// What is said of a flag, as JSON up to the reason and from there on.
pub(crate) struct Shape {
    /// Of each variant, by its index: key, value and variant, up to the reason.
    variants: Vec<String>,
    /// The same for none.
    deferred: String,
    /// The members of its metadata, without the braces.
    metadata: String,
    /// The evaluation for each variant, and then for none, where the rule chose it and where not, which a flag does for one
    /// reason; each is written when it is first asked for.
    whole: Vec<[OnceLock<Bytes>; 2]>,
}

const STALE: &str = r#""stale":true"#;

fn text(value: &Value) -> String {
    value.to_string()
}

/// The members of an object, without its braces.
pub(crate) fn members(object: &Map<String, Value>) -> String {
    let mut members = String::new();
    for (name, value) in object {
        if !members.is_empty() {
            members.push(',');
        }
        members.push_str(&text(&Value::from(name.as_str())));
        members.push(':');
        members.push_str(&text(value));
    }
    members
}

/// `,"metadata":{…}`, where there is any.
fn write_metadata(members: &str, is_stale: bool, out: &mut Vec<u8>) {
    if members.is_empty() && !is_stale {
        return;
    }
    out.extend_from_slice(br#","metadata":{"#);
    out.extend_from_slice(members.as_bytes());
    if is_stale {
        if !members.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(STALE.as_bytes());
    }
    out.push(b'}');
}

impl Shape {
    pub(crate) fn of(flag: &Flag) -> Shape {
        let key = text(&Value::from(flag.key()));
        let variants = flag.variants().iter().map(|variant| {
            let (name, value) = (text(&Value::from(variant.name())), text(variant.value()));
            format!(r#"{{"key":{key},"value":{value},"variant":{name},"reason":""#)
        });
        let whole = (0..=flag.variants().len()).map(|_| Default::default()).collect();
        Shape {
            variants: variants.collect(),
            // No value: the code's default is to be used. Clients fail without a variant.
            deferred: format!(r#"{{"key":{key},"variant":"","reason":""#),
            metadata: members(flag.metadata()),
            whole,
        }
    }

    /// About how long an evaluation of it is, in bytes.
    pub(crate) fn length(&self) -> usize {
        let longest = self.variants.iter().map(String::len).max().unwrap_or_default();
        longest.max(self.deferred.len()) + self.metadata.len() + 64
    }

    /// The evaluation of the flag, as JSON. There are only so many of them.
    pub(crate) fn whole(&self, decision: &Decision<'_>, is_stale: bool) -> Bytes {
        let write = || {
            let mut text = Vec::with_capacity(self.length());
            self.write(decision, is_stale, &mut text);
            Bytes::from(text)
        };
        let place = decision.variant.map_or(self.variants.len(), Variant::index);
        match self.whole.get(place) {
            Some([chosen, given]) if !is_stale => {
                let kept = if decision.reason == Reason::TargetingMatch { chosen } else { given };
                kept.get_or_init(write).clone()
            }
            _ => write(),
        }
    }

    /// The evaluation of the flag, as JSON.
    pub(crate) fn write(&self, decision: &Decision<'_>, is_stale: bool, out: &mut Vec<u8>) {
        let start = decision.variant.and_then(|variant| self.variants.get(variant.index()));
        out.extend_from_slice(start.unwrap_or(&self.deferred).as_bytes());
        out.extend_from_slice(decision.reason.as_str().as_bytes());
        out.push(b'"');
        write_metadata(&self.metadata, is_stale, out);
        out.push(b'}');
    }
}

/// A flag that could not be evaluated, among others that could.
pub(crate) fn write_failure(flag: &Flag, failure: &Failure, out: &mut Vec<u8>) {
    let (key, details) = (text(&Value::from(flag.key())), text(&Value::from(failure.detail())));
    let code = failure.code();
    out.extend_from_slice(format!(r#"{{"key":{key},"errorCode":"{code}","errorDetails":{details}}}"#).as_bytes());
}

/// The end of a bulk evaluation, after its flags: what is said of the set, and where changes of it are told.
pub(crate) fn write_end(compiled: &Compiled, is_stale: bool, stream: Option<&str>, out: &mut Vec<u8>) {
    out.push(b']');
    write_metadata(&compiled.metadata, is_stale, out);
    if let Some(uri) = stream {
        let uri = text(&Value::from(uri));
        out.extend_from_slice(
            format!(r#","eventStreams":[{{"type":"sse","endpoint":{{"requestUri":{uri}}},"inactivityDelaySec":120}}]"#)
                .as_bytes(),
        );
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::flags::rules::{Arena, Context, Ruleset};
    use serde_json::json;

    #[test]
    fn an_evaluation_that_is_kept_is_the_one_that_would_be_written() {
        let variants = json!({"on": true, "off": false, "other": true});
        let chosen =
            json!({"state": "ENABLED", "variants": variants, "defaultVariant": "on", "targeting": {"var": "is"}});
        let fixed =
            json!({"state": "ENABLED", "variants": variants, "defaultVariant": "off", "metadata": {"team": "a"}});
        let off =
            json!({"state": "DISABLED", "variants": variants, "defaultVariant": "on", "targeting": {"var": "is"}});
        let none = json!({"state": "ENABLED", "variants": variants, "targeting": {"var": "is"}});
        let Value::Object(document) = json!({"flags": {"chosen": chosen, "fixed": fixed, "off": off, "none": none}})
        else {
            panic!("an object")
        };
        let rules = Ruleset::compile(&document).unwrap();
        let arena = Arena::new();
        for flag in rules.flags() {
            let shape = Shape::of(flag);
            // By turns, so that each is kept before another one is asked for.
            for is in ["on", "off", "other", "on", ""] {
                let context = json!({"is": if is.is_empty() { Value::Null } else { json!(is) }}).to_string();
                let decision = flag.evaluate(&Context::parse(&context, &arena).unwrap(), 0).unwrap();
                for is_stale in [false, true, false] {
                    let mut written = Vec::new();
                    shape.write(&decision, is_stale, &mut written);
                    assert_eq!(shape.whole(&decision, is_stale), written, "{} for {is:?}", flag.key());
                }
            }
        }
    }
}
