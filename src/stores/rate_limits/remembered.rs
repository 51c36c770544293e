//! Bounded memories whose values are shared by those who use them at the same time.

use quick_cache::sync::Cache;
use std::convert::Infallible;
use std::hash::Hash;
use std::sync::Arc;

/// The value of this key; a new one where there is none.
pub(super) fn known_or_new<K: Eq + Hash + Clone, V: Default>(memory: &Cache<K, Arc<V>>, key: &K) -> Arc<V> {
    match memory.get_or_insert_with(key, || Ok::<_, Infallible>(Arc::default())) {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
