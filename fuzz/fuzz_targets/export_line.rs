//! A line of an export, which an operator may have got from anywhere: it is refused, or it is a line that is written again as
//! it was meant.
#![no_main]

use agentapi::tenancy::transfer::{LONGEST_LINE, Line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(line) = Line::parse(text) else { return };
    let Some(again) = line.text() else { return };
    assert!(again.len() <= LONGEST_LINE && !again.contains(&b'\n'));
    assert!(Line::parse(&again) == Ok(line));
});
