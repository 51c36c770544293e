//! Patterns as `SCAN … MATCH` takes them, with the meaning that Redis gives them: `*`, `?`, `[abc]`, `[^a-z]` and `\`.

/// Whether the whole text matches.
pub(super) fn matches(mut pattern: &[u8], mut text: &[u8]) -> bool {
    // Where to go back to: what stands behind the last `*`, and the text that it has not swallowed yet.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let one = match pattern {
            [] if text.is_empty() => return true,
            [b'*', rest @ ..] => {
                retry = Some((rest, text));
                pattern = rest;
                continue;
            }
            [] => None,
            _ => text.split_first().and_then(|(byte, after)| Some((single(pattern, *byte)?, after))),
        };
        (pattern, text) = match (one, retry) {
            (Some(both), _) => both,
            (None, Some((behind, [_, later @ ..]))) => {
                retry = Some((behind, later));
                (behind, later)
            }
            (None, _) => return false,
        };
    }
}

/// What follows the first element of the pattern, if that matches this byte.
fn single(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (fits, rest) = match pattern {
        [b'?', rest @ ..] => (true, rest),
        [b'[', b'^', rest @ ..] => {
            let (fits, rest) = class(rest, byte);
            (!fits, rest)
        }
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', literal, rest @ ..] => (*literal == byte, rest),
        [literal, rest @ ..] => (*literal == byte, rest),
        [] => return None,
    };
    fits.then_some(rest)
}

/// Whether a class holds the byte, and what follows it. One that does not end, ends with the pattern.
fn class(mut pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let mut fits = false;
    loop {
        pattern = match pattern {
            [] => return (fits, pattern),
            [b']', rest @ ..] => return (fits, rest),
            [b'\\', literal, rest @ ..] => {
                fits |= *literal == byte;
                rest
            }
            [from, b'-', to, rest @ ..] => {
                fits |= (*from.min(to)..=*from.max(to)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                fits |= *literal == byte;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_redis() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdef", false),
            ("*ab", "aab", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[c-a]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[\\]]", "]", true),
            ("[a\\-z]", "-", true),
            ("[a\\-z]", "m", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a\\", true),
            ("[a", "a", true),
            ("p:{t:*", "p:{t:00}:x", true),
            ("p:{t:*", "p:{t2:00}:x", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
        let many = "a*".repeat(30);
        assert!(!matches(format!("{many}b").as_bytes(), "a".repeat(2_000).as_bytes()), "without trying everything");
    }
}
