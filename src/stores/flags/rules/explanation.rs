//! Why a flag is what it is, for people who ask.

use super::context::Context;
use super::flag::{Flag, Reason};
use super::walk::Walk;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// What a flag is for a context, and how its rule got there.
#[derive(Serialize, JsonSchema)]
pub struct Explanation {
    /// The value; none where the flag leaves it to the client, or cannot be decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The name of the variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Why it is this one; none where the flag cannot be decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Why it cannot be decided: OFREP's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<&'static str>,
    /// Why it cannot be decided, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_details: Option<String>,
    /// The splits that were come by.
    pub buckets: Vec<Bucketing>,
    /// What was evaluated on the way, in the order of the rule.
    pub path: Vec<Step>,
    /// Whether the way was longer than is told.
    pub cut: bool,
}

/// Where somebody falls in a split.
#[derive(Serialize, JsonSchema)]
pub struct Bucketing {
    /// The text that was hashed.
    pub seed_text: String,
    /// Its 32-bit MurmurHash3.
    pub hash: u32,
    /// The hash, scaled to the sum of weights: from 0 to below `of`.
    pub bucket: u64,
    /// The sum of weights.
    pub of: u64,
    /// What is in the bucket: the name of a variant, or null for the default.
    pub variant: Value,
}

/// Something that was evaluated.
#[derive(Serialize, JsonSchema)]
pub struct Step {
    /// Where it is: a pointer (RFC 6901) into the flag's definition, or into the document where it begins with `/$evaluators`.
    pub pointer: String,
    /// The expression as JSON, shortened.
    pub expression: String,
    /// What came out, shortened; null too where it could not be evaluated.
    pub result: Value,
}

impl Flag {
    /// What the flag is for this context at `now` (unix seconds), as [`Flag::evaluate`] decides, with the way there.
    pub fn explain(&self, context: &Context<'_>, now: u64) -> Explanation {
        let (decision, failure) = match self.evaluate(context, now) {
            Ok(decision) => (Some(decision), None),
            Err(failure) => (None, Some(failure)),
        };
        let variant = decision.and_then(|decision| decision.variant);
        let (path, buckets, cut) = Walk::along(self, context, now);
        Explanation {
            value: variant.map(|variant| variant.value().clone()),
            variant: variant.map(|variant| variant.name().to_owned()),
            reason: decision.map(|decision| decision.reason),
            error_code: failure.as_ref().map(|failure| failure.code()),
            error_details: failure.map(|failure| failure.detail().to_owned()),
            buckets,
            path,
            cut,
        }
    }
}
