//! Channels: where something is published, `prefix:{owner:pp}:name`, built as a key is. They are no keys: nothing is kept
//! in one, and a key of the same text has nothing to do with it.

use super::key::Partition;
use std::sync::Arc;

/// Where a capability tells every server of a change. Only [`super::SystemDb`] makes them.
#[derive(Clone, PartialEq, Eq)]
pub struct Channel {
    text: Arc<str>,
    name: &'static str,
}

impl Channel {
    /// The channel of this name in an owner's first partition.
    pub(super) fn new(prefix: &str, owner: &str, name: &'static str) -> Channel {
        let text = format!("{prefix}:{{{owner}:{}}}:{name}", Partition::FIRST.digits());
        Channel { text: text.into(), name }
    }

    /// What goes over the wire.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The last part alone, for logs.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }
}

/// As little as a [`Key`](super::Key) shows of itself.
impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Channel({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_reads_like_a_key_and_two_prefixes_have_none_in_common() {
        let channel = Channel::new("agentapi", "_system", "flags");
        assert_eq!(channel.as_str(), "agentapi:{_system:00}:flags");
        assert_ne!(channel, Channel::new("other", "_system", "flags"));
        assert_eq!(format!("{channel:?}"), "Channel(flags)");
    }
}
