//! How a script is worded for the endpoint at hand. Upstash runs a script under a lock on the whole
//! database unless its first line promises to touch its `KEYS` alone; stock Redis refuses that promise. The
//! promise changes the text, and with it the digest.

use crate::db::Script;
use crate::db::script::hex;
use parking_lot::RwLock;
use sha1::{Digest, Sha1};
use std::collections::HashMap;
use std::sync::Arc;

/// Whether scripts promise to touch their `KEYS` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLocking {
    /// They do: the endpoint is Upstash.
    On,
    /// They go as they are.
    Off,
}

/// A script as it is sent.
#[derive(Clone)]
pub(super) struct Wording {
    /// The source.
    pub(super) text: Arc<str>,
    /// Its digest.
    pub(super) sha1: Arc<str>,
}

/// The wordings that were needed so far, by the digest of the original.
pub(super) struct Wordings {
    key_locking: KeyLocking,
    known: RwLock<HashMap<&'static str, Wording>>,
}

impl Wordings {
    pub(super) fn new(key_locking: KeyLocking) -> Self {
        Wordings { key_locking, known: RwLock::default() }
    }

    /// The wording of a script.
    pub(super) fn of(&self, script: &'static Script) -> Wording {
        if let Some(wording) = self.known.read().get(script.sha1()) {
            return wording.clone();
        }
        let wording = match self.key_locking {
            KeyLocking::Off => Wording { text: script.text().into(), sha1: script.sha1().into() },
            KeyLocking::On => {
                let text = promising(script.text());
                Wording { sha1: hex(&Sha1::digest(&text)).into(), text: text.into() }
            }
        };
        self.known.write().insert(script.sha1(), wording.clone());
        wording
    }
}

/// The text with the promise in its first line, beside the flags that stood there.
fn promising(text: &str) -> String {
    const FLAG: &str = "allow-key-locking";
    let (head, body) = match text.strip_prefix("#!lua") {
        Some(rest) => rest.split_once('\n').unwrap_or((rest, "")),
        None => ("", text),
    };
    let flags = head.trim().strip_prefix("flags=").unwrap_or_default();
    let flags: Vec<&str> = flags.split(',').filter(|flag| !flag.is_empty() && *flag != FLAG).chain([FLAG]).collect();
    format!("#!lua flags={}\n{body}", flags.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Effect;

    static PLAIN: Script = Script::new("test/plain", "return 1", Effect::Read);

    #[test]
    fn the_promise_is_added_to_whatever_stood_in_the_first_line() {
        assert_eq!(promising("return 1"), "#!lua flags=allow-key-locking\nreturn 1");
        assert_eq!(promising("#!lua\nreturn 1"), "#!lua flags=allow-key-locking\nreturn 1");
        assert_eq!(promising("#!lua flags=no-writes\nreturn 1"), "#!lua flags=no-writes,allow-key-locking\nreturn 1");
        let twice = promising(&promising("return 1"));
        assert_eq!(twice, promising("return 1"));
    }

    #[test]
    fn the_digest_is_that_of_the_text_that_is_sent() {
        let off = Wordings::new(KeyLocking::Off);
        assert_eq!((&*off.of(&PLAIN).text, &*off.of(&PLAIN).sha1), ("return 1", PLAIN.sha1()));
        let on = Wordings::new(KeyLocking::On);
        for _ in 0..2 {
            let wording = on.of(&PLAIN);
            assert_eq!(&*wording.sha1, hex(&Sha1::digest(&*wording.text)));
            assert_ne!(&*wording.sha1, PLAIN.sha1());
        }
    }
}
