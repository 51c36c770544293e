//! What goes in and out of the store of flags.

use super::document::Change;
use super::rules::Fault;
use crate::base::clock::Timestamp;
use crate::db;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The largest set of flags, as JSON, in bytes.
pub const MOST_BYTES: usize = 1 << 20;

/// How many changes are remembered.
pub const REMEMBERED: u64 = 50;

/// What became of a flag in a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlagChange {
    /// It was not there before.
    Added,
    /// It was another one before.
    Changed,
    /// It is not there any more.
    Removed,
}

/// By which call a version came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// One flag was put.
    PutFlag,
    /// One flag was deleted.
    DeleteFlag,
    /// The whole set was put.
    PutFlagset,
    /// An earlier version was restored.
    Restore,
}

/// All flags of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct FlagSet {
    /// Counts its changes; 0 where there never was one.
    pub version: u64,
    /// A document of flagd's schema.
    pub document: Map<String, Value>,
    /// By flag, the version in which it changed last.
    pub changed: BTreeMap<String, u64>,
    /// When it changed last, by the backend's clock; nothing where it never did.
    pub updated: Option<Timestamp>,
}

impl FlagSet {
    /// The version of the set, for conditions on it; nothing where there never was one.
    pub fn existing(&self) -> Option<u64> {
        (self.version > 0).then_some(self.version)
    }
}

/// What a version changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// Its number.
    pub version: u64,
    /// When it was written, by the backend's clock.
    pub at: Timestamp,
    /// Who wrote it: `admin`, or the id of an API key.
    pub by: String,
    /// By which call.
    pub how: How,
    /// Which version it restored, if that is what it did.
    pub restored: Option<u64>,
    /// What became of flags.
    pub flags: BTreeMap<String, FlagChange>,
    /// Whether anything beside the flags changed: `$evaluators`, `metadata`, `$schema`.
    pub rest: bool,
}

impl Version {
    /// What is told of a change that made this version.
    pub(super) fn of(version: u64, at: Timestamp, change: Change) -> Version {
        Version {
            version,
            at,
            by: change.by,
            how: change.how,
            restored: change.of,
            flags: change.flags.into_iter().map(|(key, before)| (key, before.change)).collect(),
            rest: change.rest.is_some(),
        }
    }
}

/// What became of writing.
#[derive(Debug)]
pub enum Put {
    /// It was written.
    Written(Box<Written>),
    /// The conditions on its version do not hold.
    VersionMismatch,
    /// There is no such flag, or no such version.
    NotFound,
    /// It cannot be stored so: nothing was changed.
    Invalid(Vec<Fault>),
    /// The set would have more bytes than [`MOST_BYTES`].
    TooLarge,
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The set as it is now.
    pub set: FlagSet,
    /// What became of flags; nothing where all was so already.
    pub flags: BTreeMap<String, FlagChange>,
    /// Whether what was written was not there before.
    pub is_new: bool,
}

/// What nobody can help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The backend could not be asked.
    #[error(transparent)]
    Backend(#[from] db::Error),
    /// Others kept changing the set.
    #[error("the flags changed too often meanwhile")]
    Contended,
    /// A defect: the rules could not be compiled on the thread for that.
    #[error("the rules could not be compiled")]
    NotCompiled,
}
