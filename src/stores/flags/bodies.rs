//! What requests look like.

use super::answers::Definition;
use crate::base::json_object::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;

/// What a flag is to be explained for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExplainBody {
    /// The evaluation context, as an SDK would send it.
    pub(super) context: JsonObject,
    /// The flag as it would be, in place of the one that is stored; nothing is stored.
    pub(super) definition: Option<Definition>,
}
