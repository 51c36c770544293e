//! The answer of a token endpoint, which a tenant chose: whatever it is, it is a token that can be kept or a failure that
//! says nothing of it.
#![no_main]

use agentapi::stores::tokens::oauth::{LONGEST_LIFETIME, LONGEST_TOKEN, read_answer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (u16, &[u8])| {
    let (status, body) = data;
    let Ok(fresh) = read_answer(status % 1000, body, None) else { return };
    for token in [Some(&fresh.access_token), fresh.refresh_token.as_ref()].into_iter().flatten() {
        assert!((1..=LONGEST_TOKEN).contains(&token.expose().len()));
    }
    assert!(fresh.expires_in.is_none_or(|time| time <= LONGEST_LIFETIME));
    let words = fresh.scopes.iter().flatten().chain(&fresh.token_type);
    assert!(words.into_iter().all(|word| (1..=256).contains(&word.len()) && !word.chars().any(char::is_control)));
});
