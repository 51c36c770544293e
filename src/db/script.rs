//! Lua scripts: the text of a `.lua` file beside its store, its digest, and what repeating it does.

use super::command::Effect;
use super::operation;
use sha1::{Digest, Sha1};
use std::borrow::Cow;
use std::sync::OnceLock;

/// One script. Its text is the same on every backend.
#[derive(Debug)]
pub struct Script {
    name: &'static str,
    body: &'static str,
    effect: Effect,
    is_operation: bool,
    text: OnceLock<Cow<'static, str>>,
    sha1: OnceLock<String>,
}

impl Script {
    /// A script by its name (`sessions/create`), its text, and what running that text twice does. One of
    /// [`Effect::Once`] needs a key, must not answer an error once it has written, and is sent as an operation,
    /// whose answer is kept for a minute.
    pub const fn new(name: &'static str, body: &'static str, effect: Effect) -> Self {
        Script::of(name, body, effect, matches!(effect, Effect::Once))
    }

    /// A script that acts again when it runs again, and whose lost answer is not asked for: its caller can do
    /// without. It saves the two commands of an operation, where each is felt.
    pub const fn at_most_once(name: &'static str, body: &'static str) -> Self {
        Script::of(name, body, Effect::Once, false)
    }

    const fn of(name: &'static str, body: &'static str, effect: Effect, is_operation: bool) -> Self {
        Script { name, body, effect, is_operation, text: OnceLock::new(), sha1: OnceLock::new() }
    }

    /// The slice and the file, such as `sessions/create`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The Lua 5.1 source, as it is sent.
    pub fn text(&self) -> &str {
        let body = || if self.is_operation { operation::acting_once(self.body).into() } else { self.body.into() };
        self.text.get_or_init(body)
    }

    /// What running it twice does, or would do if it were no operation.
    pub const fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether it is sent as an operation, which acts once however often it is sent.
    pub const fn is_operation(&self) -> bool {
        self.is_operation
    }

    /// The digest by which `EVALSHA` names it: SHA-1 of the text, 40 hexadecimal digits.
    pub fn sha1(&self) -> &str {
        self.sha1.get_or_init(|| hex(&Sha1::digest(self.text())))
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_redis_computes() {
        let script = Script::new("test/one", "return 1", Effect::Read);
        assert_eq!(script.sha1(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }
}
