//! The data keys of a tenant as they are stored: JSON, wrapped.

use super::data_key::DataKey;
use super::root_key::RootKeyId;
use crate::db::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The data keys of a tenant as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Stored {
    /// The highest version that there ever was: no version comes twice.
    pub(super) newest: u32,
    pub(super) keys: BTreeMap<u32, String>,
}

/// One stored data key, as an operator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredKey {
    /// Its version.
    pub version: u32,
    /// The root key under which it is wrapped.
    pub root: RootKeyId,
}

impl Stored {
    pub(super) fn parse(text: &[u8]) -> Result<Stored, Error> {
        serde_json::from_slice(text).map_err(|_| Error::unexpected("a tenant's data keys"))
    }

    pub(super) fn text(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|_| Error::unexpected("data keys that can be written"))
    }

    pub(super) fn all(&self) -> Result<Vec<StoredKey>, Error> {
        let root = |wrapped| DataKey::root_of(wrapped).ok_or(Error::unexpected("a wrapped data key"));
        self.keys.iter().map(|(version, wrapped)| Ok(StoredKey { version: *version, root: root(wrapped)? })).collect()
    }

    /// The root keys under which they are wrapped, each once.
    pub(super) fn roots(&self) -> Result<Vec<RootKeyId>, Error> {
        Ok(Stored::default().difference(self)?.into_keys().collect())
    }

    /// How the number of data keys under each root key differs from another state.
    pub(super) fn difference(&self, before: &Stored) -> Result<BTreeMap<RootKeyId, i64>, Error> {
        let mut by_root = BTreeMap::new();
        for (keys, sign) in [(before.all()?, -1), (self.all()?, 1)] {
            keys.into_iter().for_each(|key| *by_root.entry(key.root).or_insert(0) += sign);
        }
        by_root.retain(|_, difference| *difference != 0);
        Ok(by_root)
    }
}
