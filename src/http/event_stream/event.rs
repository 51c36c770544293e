//! One event as it is written (HTML Standard, "Server-sent events").

use crate::base::text::Name;
use actix_web::web::Bytes;
use std::fmt::Write as _;
use std::time::Duration;

/// An event for those who listen. Names have no line breaks, so none of its parts can be taken for another.
#[derive(Clone, Default)]
pub struct Event {
    /// What a client that comes back says that it has seen last.
    pub id: Option<Name>,
    /// What kind it is; `message` where nothing is said.
    pub event: Option<Name>,
    /// What it says. Any kind of line break arrives as `\n`.
    pub data: String,
    /// How long a client should wait before it comes back.
    pub retry: Option<Duration>,
}

/// What shows that the stream lives while nothing happens: a comment.
pub(super) const HEARTBEAT: Bytes = Bytes::from_static(b": \n\n");

impl Event {
    pub(super) fn frame(&self) -> Bytes {
        let mut text = String::with_capacity(self.data.len() + 64);
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            let written = writeln!(text, "{name}: {value}");
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        };
        if let Some(id) = &self.id {
            line("id", id);
        }
        if let Some(event) = &self.event {
            line("event", event);
        }
        if let Some(retry) = self.retry {
            line("retry", &retry.as_millis());
        }
        for part in self.data.replace("\r\n", "\n").split(['\n', '\r']) {
            line("data", &part);
        }
        text.push('\n');
        Bytes::from(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a client makes of a stream: the data of its events.
    fn heard(stream: &str) -> Vec<String> {
        let mut data: Option<String> = None;
        let mut events = Vec::new();
        for line in stream.replace("\r\n", "\n").split(['\n', '\r']) {
            if line.is_empty() {
                events.extend(data.take());
            } else if let Some(more) = line.strip_prefix("data:") {
                let more = more.strip_prefix(' ').unwrap_or(more);
                data = Some(data.map_or(more.to_owned(), |data| format!("{data}\n{more}")));
            }
        }
        events
    }

    #[test]
    fn an_event_has_its_fields_in_lines_and_ends_with_an_empty_one() {
        let name = |text| Some(Name::parse(text).unwrap());
        let event = Event {
            id: name("1-0"),
            event: name("message"),
            data: "{\"a\":1}".to_owned(),
            retry: Some(Duration::from_secs(3)),
        };
        assert_eq!(event.frame(), "id: 1-0\nevent: message\nretry: 3000\ndata: {\"a\":1}\n\n");
        assert_eq!(Event::default().frame(), "data: \n\n");
    }

    #[test]
    fn data_cannot_break_out_of_its_event() {
        for (data, arrives) in [
            ("a\n\nevent: x\ndata: y", "a\n\nevent: x\ndata: y"),
            ("a\r\rid: 7", "a\n\nid: 7"),
            ("a\r\n\r\nb", "a\n\nb"),
            ("  a\n b", "  a\n b"),
            ("\n", "\n"),
        ] {
            let event = Event { data: data.to_owned(), ..Event::default() };
            assert_eq!(heard(std::str::from_utf8(&event.frame()).unwrap()), [arrives], "{data:?}");
        }
    }

    proptest! {
        #[test]
        fn any_data_is_one_event_that_says_the_same(data in "[\\PC\\r\\n:a]{0,40}") {
            let event = Event { data: data.clone(), ..Event::default() };
            let arrives = data.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(heard(std::str::from_utf8(&event.frame()).unwrap()), [arrives]);
        }
    }
}
