//! Conversations as text: a line is a command and the answer it must have.
//!
//! `$name` in a command is a key of the test. A word may stand in double quotes, with `\xNN`, `\n`, `\r`, `\"`
//! and `\\`. The answer is as [`shown`] writes it; one that ends in `…` only has to start so.

use super::{Behaviour, does};
use crate::harness::backend::{Backend, shown};

/// Says every line and compares every answer.
pub async fn holds(backend: &Backend, transcript: &str) {
    for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = line.rsplit_once(" -> ").unwrap_or_else(|| panic!("no answer in: {line}"));
        let answer = shown(&backend.say(words(backend, command)).await);
        expect(backend, command, expected.trim(), &answer);
    }
}

/// Demands that an answer, as [`shown`] writes it, is the expected one.
pub fn expect(backend: &Backend, said: &str, expected: &str, answer: &str) {
    let seen =
        |text: &str| if does(backend, Behaviour::KeepsShapes) { text.to_owned() } else { text.replace(['"', '-'], "") };
    let holds = match expected.strip_suffix('…') {
        Some(start) => seen(answer).starts_with(&seen(start)),
        None => seen(answer) == seen(expected),
    };
    assert!(holds, "{}: {said}\n  expected {expected}\n  answered {answer}", backend.name);
}

/// The words of a command, with the test's keys in place of their names.
pub fn words(backend: &Backend, command: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = command.trim();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (word, after) = unquoted(quoted);
            words.push(word);
            rest = after.trim_start();
        } else {
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            words.push(word.strip_prefix('$').map_or_else(|| word.to_owned(), |name| backend.key(name)).into_bytes());
            rest = after.trim_start();
        }
    }
    words
}

fn unquoted(text: &str) -> (Vec<u8>, &str) {
    let mut word = Vec::new();
    let mut chars = text.chars();
    loop {
        match chars.next().expect("a closing quote") {
            '"' => return (word, chars.as_str()),
            '\\' => match chars.next().expect("an escaped character") {
                'x' => {
                    let digits: String = chars.by_ref().take(2).collect();
                    word.push(u8::from_str_radix(&digits, 16).expect("two hexadecimal digits"));
                }
                'n' => word.push(b'\n'),
                'r' => word.push(b'\r'),
                other => word.extend(other.to_string().bytes()),
            },
            other => word.extend(other.to_string().bytes()),
        }
    }
}
