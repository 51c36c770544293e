//! Why a call to the backend failed, in terms of what the caller can do about it.

use std::fmt;
use std::time::Duration;

/// The rule that an answer of more bytes than one may have breaks; see [`ErrorKind::Protocol`].
pub const TOO_LONG: &str = "the answer is longer than allowed";

/// How far a batch got before it failed. Decides, with each command's effect, whether it may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It never left this process, or the backend said that it did nothing.
    NotSent,
    /// It may have run, may still run, or may not.
    Unknown,
    /// It arrived and was answered.
    Answered,
}

/// A refusal by Redis (`WRONGTYPE Operation against …`), split into its code and the rest.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    code: Box<str>,
    detail: Box<str>,
}

impl Refusal {
    /// Splits an error line as it comes from the wire, without the leading `-`.
    pub fn from_line(line: &str) -> Self {
        let (code, detail) = line.split_once(' ').unwrap_or((line, ""));
        let is_code =
            !code.is_empty() && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if is_code {
            Refusal { code: code.into(), detail: detail.into() }
        } else {
            Refusal { code: "ERR".into(), detail: line.into() }
        }
    }

    /// The leading token, such as `WRONGTYPE`: what errors are told apart by.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The whole line. It may quote keys and arguments: never for a client or a log.
    pub fn line(&self) -> String {
        if self.detail.is_empty() { self.code.to_string() } else { format!("{} {}", self.code, self.detail) }
    }

    /// Whether the backend says that it did not run the command and might later.
    pub fn is_transient(&self) -> bool {
        matches!(&*self.code, "LOADING" | "BUSY" | "CLUSTERDOWN" | "TRYAGAIN" | "MASTERDOWN" | "READONLY")
    }

    /// Whether it is about the backend's state and not about the command: another time it might have run.
    pub fn is_of_the_moment(&self) -> bool {
        self.is_transient() || matches!(&*self.code, "OOM" | "MISCONF" | "NOAUTH" | "WRONGPASS" | "NOPERM")
    }
}

/// Shows the code alone: the rest may quote a client's text.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({})", self.code)
    }
}

/// What kind of failure it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// No connection could be made.
    Unreachable,
    /// The connection was lost on the way.
    Disconnected,
    /// No answer in time.
    TimedOut,
    /// The peer did not speak the protocol, or answered out of bounds; says which rule was broken.
    Protocol(&'static str),
    /// The backend refused the credentials or a permission.
    Forbidden,
    /// More was asked at once than is let through, by the backend or by a bound of our own; says when to
    /// ask again, if that is known.
    Throttled {
        /// How long to wait.
        retry_after: Option<Duration>,
    },
    /// The backend has no memory left for what grows.
    Full,
    /// The backend refused for another reason.
    Refused(Refusal),
    /// An answer was not of the shape that its command has; says what was expected.
    Unexpected(&'static str),
}

/// A failed call: what happened, and how far it got. Names no host, command, key or value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What happened.
    pub kind: ErrorKind,
    /// How far the batch got.
    pub delivery: Delivery,
}

impl Error {
    /// A failure of this kind and delivery.
    pub const fn new(kind: ErrorKind, delivery: Delivery) -> Self {
        Error { kind, delivery }
    }

    /// An answer of another shape than its command has.
    pub const fn unexpected(expected: &'static str) -> Self {
        Error::new(ErrorKind::Unexpected(expected), Delivery::Answered)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.code() {
            "OOM" => ErrorKind::Full,
            "NOAUTH" | "WRONGPASS" | "NOPERM" => ErrorKind::Forbidden,
            _ => ErrorKind::Refused(refusal),
        };
        Error::new(kind, Delivery::Answered)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ErrorKind::Unreachable => f.write_str("the backend cannot be reached"),
            ErrorKind::Disconnected => f.write_str("the connection to the backend was lost"),
            ErrorKind::TimedOut => f.write_str("the backend did not answer in time"),
            ErrorKind::Protocol(rule) => write!(f, "the backend broke the protocol: {rule}"),
            ErrorKind::Forbidden => f.write_str("the backend refused the credentials or a permission"),
            ErrorKind::Throttled { .. } => f.write_str("too much is asked of the backend at once"),
            ErrorKind::Full => f.write_str("the backend is out of memory"),
            ErrorKind::Refused(refusal) => write!(f, "the backend refused: {}", refusal.code()),
            ErrorKind::Unexpected(expected) => write!(f, "the backend's answer was not {expected}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_exact_code_and_shows_nothing_else() {
        let refusal = Refusal::from_line("WRONGTYPE Operation against a key of u:alice");
        assert_eq!(refusal.code(), "WRONGTYPE");
        assert_eq!(refusal.line(), "WRONGTYPE Operation against a key of u:alice");
        let error = Error::from(refusal);
        assert!(!format!("{error} {error:?}").contains("alice"));
    }

    #[test]
    fn a_line_without_a_code_is_an_err() {
        for line in ["max number of clients reached", "", "é"] {
            assert_eq!(Refusal::from_line(line).code(), "ERR", "{line}");
            assert_eq!(Refusal::from_line("NOAUTH").line(), "NOAUTH");
        }
    }

    #[test]
    fn codes_that_mean_something_to_a_caller_become_kinds() {
        let kind = |line| Error::from(Refusal::from_line(line)).kind;
        assert_eq!(kind("OOM command not allowed"), ErrorKind::Full);
        assert_eq!(kind("NOPERM this user"), ErrorKind::Forbidden);
        assert!(Refusal::from_line("LOADING Redis is loading").is_transient());
        assert!(!Refusal::from_line("WRONGTYPE x").is_transient());
    }
}
