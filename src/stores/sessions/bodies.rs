//! What requests carry and answers look like: the shapes of the HTTP API, from which it is described.

use super::types::Session;
use super::{JsonObject, ObjectPatch};
use crate::base::clock::Timestamp;
use crate::base::duration::DurationField;
use crate::base::text::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most sessions in one batch.
pub(super) const BATCH: usize = 1000;

/// What a session is created from.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateBody {
    pub(super) user_id: Name,
    /// The client's data, nested at most 64 deep.
    #[serde(default)]
    pub(super) data: JsonObject,
    /// The client's notes of the device, nested at most 64 deep.
    #[serde(default)]
    pub(super) metadata: JsonObject,
    pub(super) ttl: Option<DurationField>,
    pub(super) absolute_ttl: Option<DurationField>,
    pub(super) id: Option<Name>,
    #[serde(default)]
    pub(super) refresh: bool,
}

/// What a session is replaced by.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PutBody {
    pub(super) user_id: Name,
    /// The client's data, nested at most 64 deep.
    #[serde(default)]
    pub(super) data: JsonObject,
    /// The client's notes of the device, nested at most 64 deep.
    #[serde(default)]
    pub(super) metadata: JsonObject,
    pub(super) ttl: Option<DurationField>,
}

/// A merge patch.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchBody {
    /// Changes to the data, nested at most 64 deep; `null` empties it.
    #[serde(default)]
    pub(super) data: ObjectPatch,
    /// Changes to the metadata, nested at most 64 deep; `null` empties it.
    #[serde(default)]
    pub(super) metadata: ObjectPatch,
}

/// A new lifetime, or the policy's.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtendBody {
    pub(super) ttl: Option<DurationField>,
}

/// Either of the two.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchBody {
    /// Ids to read.
    #[schemars(length(max = BATCH))]
    pub(super) get: Option<Vec<Name>>,
    /// Ids or references to revoke.
    #[schemars(length(max = BATCH))]
    pub(super) delete: Option<Vec<Name>>,
}

/// The token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshBody {
    pub(super) refresh_token: String,
}

/// A session as it is answered.
#[derive(JsonSchema)]
#[schemars(rename = "Session")]
#[allow(dead_code, reason = "describes what `Session` serialises to")]
pub(super) struct SessionSchema {
    /// Its id; absent in lists, where the server does not know it.
    pub(super) id: Option<String>,
    /// Stands for the session in lists; revokes it, and reads nothing.
    pub(super) r#ref: String,
    pub(super) user_id: Name,
    /// The client's data; absent in lists.
    pub(super) data: Option<JsonObject>,
    pub(super) metadata: JsonObject,
    /// Counts the writes of data and metadata.
    pub(super) version: u64,
    pub(super) created_at: Timestamp,
    pub(super) last_activity: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) absolute_expires_at: Option<Timestamp>,
    /// Seconds until `expires_at`.
    pub(super) ttl: u64,
}

/// A session with its refresh token, as it is answered.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what is written")]
pub(super) struct CreatedSession {
    #[serde(flatten)]
    pub(super) session: SessionSchema,
    /// The refresh token, where the session has one: shown this once.
    pub(super) refresh_token: Option<String>,
    pub(super) refresh_expires_at: Option<Timestamp>,
}

/// What a batch is answered.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum BatchAnswer {
    Read {
        #[schemars(with = "Vec<Option<SessionSchema>>")]
        items: Vec<Option<Session>>,
    },
    Deleted {
        deleted: u64,
    },
}

/// How many sessions of a user were revoked.
#[derive(Serialize, JsonSchema)]
pub(super) struct Revoked {
    pub(super) revoked: u64,
}
