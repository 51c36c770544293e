//! How records are written: JSON that a person can read in the backend, times as RFC 3339.
//!
//! Members that this version does not know are passed over when a record is read, so that a server can be
//! rolled back; requests are strict instead.

use crate::base::clock::Timestamp;
use crate::db::Error;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// The text of a record.
pub(super) fn write(record: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(record).map_err(|_| Error::unexpected("a record that can be written"))
}

/// Reads a record. The error says `expected` and quotes nothing of it.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8], expected: &'static str) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|_| Error::unexpected(expected))
}

/// `#[serde(deserialize_with)]` for a time.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    optional_time(deserializer)?.ok_or_else(|| serde::de::Error::custom("no time"))
}

/// `#[serde(default, deserialize_with)]` for a time that may be missing.
pub(super) fn optional_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Timestamp::parse_rfc3339(&text).ok_or_else(|| serde::de::Error::custom("not a time"))).transpose()
}
