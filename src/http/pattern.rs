//! The path of an endpoint: segments, some of which are names in braces. A last one written `{*name}` is a tail: it
//! takes all that is left of a path, slashes included, for names that clients send as they are.

/// A path with names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// As the router reads it.
    route: String,
    /// How many bytes come before the first name: as many in every path.
    start: usize,
    /// How many segments after the first one its names stand.
    names: Vec<usize>,
    has_tail: bool,
}

impl Pattern {
    pub(super) fn new(route: String) -> Self {
        let start = route.split_inclusive('/').take_while(|segment| !is_name(segment.trim_end_matches('/')));
        let start = start.map(str::len).sum();
        let from_there = route.get(start..).unwrap_or_default().split('/').enumerate();
        let names = from_there.filter(|(_, segment)| is_name(segment)).map(|(at, _)| at).collect();
        let has_tail = route.split('/').next_back().is_some_and(is_tail);
        Pattern { route, start, names, has_tail }
    }

    /// As the router reads it.
    pub(super) fn route(&self) -> &str {
        &self.route
    }

    /// As people read it, and OpenAPI: a tail is a name as any other.
    pub(super) fn template(&self) -> String {
        self.route.replace("{*", "{")
    }

    /// Whether its last name is a tail.
    pub(super) fn has_tail(&self) -> bool {
        self.has_tail
    }

    /// The text of the `n`th name in this path, undecoded.
    pub(super) fn name_in<'a>(&self, path: &'a str, n: usize) -> Option<&'a str> {
        let (at, path) = (*self.names.get(n)?, path.get(self.start..)?);
        if self.has_tail && n + 1 == self.names.len() {
            path.splitn(at + 1, '/').nth(at)
        } else {
            path.split('/').nth(at)
        }
    }

    /// Whether it has a name wherever `other` has another name or a literal, and is the same elsewhere.
    pub(super) fn covers(&self, other: &Pattern) -> bool {
        let (mut own, mut others) = (self.route.split('/'), other.route.split('/'));
        loop {
            match (own.next(), others.next()) {
                (None, None) => return true,
                (Some(own), Some(_)) if is_tail(own) => return true,
                (Some(own), Some(other)) if own == other || (is_name(own) && !is_tail(other)) => {}
                _ => return false,
            }
        }
    }
}

fn is_name(segment: &str) -> bool {
    segment.starts_with('{') && segment.ends_with('}')
}

fn is_tail(segment: &str) -> bool {
    is_name(segment) && segment.starts_with("{*")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(route: &str) -> Pattern {
        Pattern::new(route.to_owned())
    }

    #[test]
    fn a_name_is_one_segment_and_a_tail_is_all_that_is_left() {
        let plain = pattern("/v1/{a}/x/{b}");
        assert_eq!((plain.name_in("/v1/1/x/2", 0), plain.name_in("/v1/1/x/2", 1)), (Some("1"), Some("2")));
        assert_eq!(plain.name_in("/v1/1/x/2", 2), None);
        let tail = pattern("/v1/{a}/x/{*b}");
        for (path, b) in
            [("/v1/1/x/2", "2"), ("/v1/1/x/2/3", "2/3"), ("/v1/1/x/2%2F3/", "2%2F3/"), ("/v1/1/x//2", "/2")]
        {
            assert_eq!((tail.name_in(path, 0), tail.name_in(path, 1)), (Some("1"), Some(b)), "{path}");
        }
        assert_eq!((tail.route(), &*tail.template()), ("/v1/{a}/x/{*b}", "/v1/{a}/x/{b}"));
        assert!(tail.has_tail() && !plain.has_tail());
    }

    #[test]
    fn a_pattern_covers_what_it_would_match_if_the_other_were_not_there() {
        for (own, other, covers) in [
            ("/x/{a}", "/x/b", true),
            ("/x/{a}", "/x/b/c", false),
            ("/x/{a}", "/x", false),
            ("/x/{a}", "/y/b", false),
            ("/x/{a}", "/x/{*b}", false),
            ("/x/{*a}", "/x/b", true),
            ("/x/{*a}", "/x/b/c", true),
            ("/x/{*a}", "/x/{b}/c", true),
            ("/x/{*a}", "/x", false),
            ("/x/{*a}", "/y/b", false),
        ] {
            assert_eq!(pattern(own).covers(&pattern(other)), covers, "{own} {other}");
        }
    }
}
