use super::{Arena, Context, Failure, Fault, Flag, Reason, Ruleset};
use serde_json::{Map, Value, json};

mod reference;

/// A document of one flag.
fn document(flag: Value) -> Map<String, Value> {
    json!({"flags": {"headerColor": flag}}).as_object().cloned().unwrap()
}

fn compile(document: Value) -> Result<Ruleset, Vec<Fault>> {
    Ruleset::compile(document.as_object().unwrap())
}

/// A flag of four colours and the words of booleans, red by default, with this rule.
fn colours(targeting: Value) -> Ruleset {
    let names = ["red", "blue", "green", "yellow", "true", "false", "1", "1.5"];
    let variants: Map<String, Value> = names.iter().map(|name| (name.to_string(), json!(format!("#{name}")))).collect();
    let flag = json!({"state": "ENABLED", "variants": variants, "defaultVariant": "red", "targeting": targeting});
    Ruleset::compile(&document(flag)).unwrap_or_else(|faults| panic!("{targeting}: {faults:?}"))
}

const NOW: u64 = 1_700_000_000;

/// The name of the variant, or the code of the failure, and the reason.
fn outcome(flag: &Flag, context: &Value) -> (String, Option<Reason>) {
    let arena = Arena::new();
    let context = Context::parse(&context.to_string(), &arena).unwrap();
    match flag.evaluate(&context, NOW) {
        Ok(decision) => (decision.variant.map_or("-", |variant| variant.name()).to_owned(), Some(decision.reason)),
        Err(failure) => (failure.code().to_owned(), None),
    }
}
