use super::engine::Compiled;
use super::fault::{At, Faults};
use super::rule::Pass;
use super::shown::shown;
use super::{Arena, Context, ContextFault, Explanation, Failure, Fault, Flag, Reason, Ruleset, State, meter};
use serde_json::{Map, Value, json};

mod contexts;
mod explained;
mod faults;
mod flagd;
mod flags;
mod limits;
mod logic;
mod properties;
mod skimmed;

fn compile(document: Value) -> Result<Ruleset, Vec<Fault>> {
    Ruleset::compile(document.as_object().unwrap())
}

const KEY: &str = "headerColor";
const NOW: u64 = 1_700_000_000;

/// A document of one flag: colours and what else a rule can name, red by default, with this rule.
fn document(targeting: &Value) -> Value {
    let names = ["red", "blue", "green", "yellow", "true", "false", "1", "1.5"];
    let variants: Map<String, Value> = names.iter().map(|name| (name.to_string(), json!(format!("#{name}")))).collect();
    let flag = json!({"state": "ENABLED", "variants": variants, "defaultVariant": "red", "targeting": targeting});
    json!({"flags": {KEY: flag}})
}

fn colours(targeting: &Value) -> Ruleset {
    compile(document(targeting)).unwrap_or_else(|faults| panic!("{targeting}: {faults:?}"))
}

/// What the flag of the document is: the variant and the reason, or the code of the failure.
fn decided(ruleset: &Ruleset, context: &Value) -> String {
    let (arena, flag) = (Arena::new(), ruleset.flag(KEY).unwrap());
    let whole = told(flag, &Context::parse(&context.to_string(), &arena).unwrap());
    let body = json!({ "context": context }).to_string();
    let wanted = Context::within(body.as_bytes(), flag.reads(), &arena).unwrap();
    assert_eq!(told(flag, &wanted), whole, "of {context} only {:?} was read", flag.reads());
    whole
}

fn told(flag: &Flag, context: &Context<'_>) -> String {
    match flag.evaluate(context, NOW) {
        Ok(decision) => {
            format!("{} {}", decision.variant.map_or("-", |variant| variant.name()), decision.reason.as_str())
        }
        Err(failure) => failure.code().to_owned(),
    }
}

/// What a rule gives as JSON, or why it gives nothing.
fn result_of(rule: &Value, data: &str) -> Result<Value, Failure> {
    let (nothing, mut faults, arena) = (Map::new(), Faults::default(), Arena::new());
    let mut pass = Pass::new(&nothing, KEY, &mut faults);
    let expression = pass.expression(rule, &At::Document);
    let (nodes, reads) = (pass.nodes, pass.reads);
    assert_eq!(faults.into_result(()), Ok(()), "{rule}");
    let compiled = Compiled::new(expression, nodes).expect("a rule that compiles");
    let run = |whom: &Context<'_>| compiled.run(whom, NOW, |result| Ok(shown(result)));
    let whole = run(&Context::parse(data, &arena).unwrap());
    let body = format!(r#"{{"context":{data}}}"#);
    let wanted = run(&Context::within(body.as_bytes(), reads.as_deref(), &arena).unwrap());
    assert_eq!(wanted, whole, "{rule} of {data}, of which only {reads:?} was read");
    whole
}

/// The rows of a table in which each line is a rule, a context and what comes out.
fn rows(table: &str) -> Vec<[Value; 3]> {
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|fault| panic!("{line}: {fault}"));
    table.lines().map(str::trim).filter(|line| line.starts_with('[')).map(read).collect()
}
