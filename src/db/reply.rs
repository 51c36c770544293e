//! What the backend answers to one command: RESP2 shapes, whatever carried them.

use super::error::{Error, Refusal};
use bytes::Bytes;

/// One answer. It must be read as something; a refusal turns into an [`Error`] when it is.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "an unread reply hides a refusal"]
pub enum Reply {
    /// No value.
    Nil,
    /// An integer.
    Int(i64),
    /// A simple string, such as `OK`.
    Status(String),
    /// A value: any bytes.
    Bulk(Bytes),
    /// Several answers.
    Array(Vec<Reply>),
    /// Redis refused this command; those beside it have answers of their own.
    Refused(Refusal),
}

impl Reply {
    /// An integer. Upstash may send large ones as text, so that is read too.
    pub fn int(self) -> Result<i64, Error> {
        match self {
            Reply::Int(number) => Ok(number),
            Reply::Bulk(bytes) => ascii_int(&bytes).ok_or(Error::unexpected("an integer")),
            other => Err(other.not("an integer")),
        }
    }

    /// A count: an integer that is not negative.
    pub fn count(self) -> Result<u64, Error> {
        u64::try_from(self.int()?).map_err(|_| Error::unexpected("a count"))
    }

    /// A value, or nothing.
    pub fn optional_bytes(self) -> Result<Option<Bytes>, Error> {
        match self {
            Reply::Nil => Ok(None),
            Reply::Bulk(bytes) => Ok(Some(bytes)),
            Reply::Status(text) => Ok(Some(Bytes::from(text))),
            other => Err(other.not("a value or nothing")),
        }
    }

    /// A value.
    pub fn bytes(self) -> Result<Bytes, Error> {
        self.optional_bytes()?.ok_or(Error::unexpected("a value"))
    }

    /// A value of UTF-8 text.
    pub fn text(self) -> Result<String, Error> {
        String::from_utf8(self.bytes()?.into()).map_err(|_| Error::unexpected("text"))
    }

    /// Several answers.
    pub fn array(self) -> Result<Vec<Reply>, Error> {
        match self {
            Reply::Array(items) => Ok(items),
            other => Err(other.not("an array")),
        }
    }

    /// Several answers of a known number.
    pub fn array_of<const N: usize>(self) -> Result<[Reply; N], Error> {
        self.array()?.try_into().map_err(|_| Error::unexpected("an array of its length"))
    }

    /// Whether a conditional `SET` stored its value: `OK`, or nothing.
    pub fn stored(self) -> Result<bool, Error> {
        match self {
            Reply::Nil => Ok(false),
            other => other.done().map(|()| true),
        }
    }

    /// An `OK`.
    pub fn done(self) -> Result<(), Error> {
        match self {
            Reply::Status(text) if text == "OK" => Ok(()),
            Reply::Bulk(bytes) if bytes == "OK" => Ok(()),
            other => Err(other.not("OK")),
        }
    }

    fn not(self, expected: &'static str) -> Error {
        match self {
            Reply::Refused(refusal) => refusal.into(),
            _ => Error::unexpected(expected),
        }
    }
}

/// Shows the shape alone: values may be secrets.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reply::Nil => f.write_str("Nil"),
            Reply::Int(_) => f.write_str("Int"),
            Reply::Status(_) => f.write_str("Status"),
            Reply::Bulk(bytes) => write!(f, "Bulk({} bytes)", bytes.len()),
            Reply::Array(items) => f.debug_tuple("Array").field(items).finish(),
            Reply::Refused(refusal) => refusal.fmt(f),
        }
    }
}

/// Reads a decimal integer as Redis writes it.
pub(super) fn ascii_int(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_as_what_it_is() {
        assert_eq!(Reply::Int(-3).int(), Ok(-3));
        assert_eq!(Reply::Bulk("9007199254740993".into()).int(), Ok(9_007_199_254_740_993));
        assert_eq!(Reply::Nil.stored(), Ok(false));
        assert_eq!(Reply::Status("OK".into()).stored(), Ok(true));
        assert_eq!(Reply::Bulk("OK".into()).done(), Ok(()));
        assert!(Reply::Int(-1).count().is_err());
        assert!(Reply::Nil.bytes().is_err());
        assert!(Reply::Array(vec![Reply::Nil]).array_of::<2>().is_err());
    }

    #[test]
    fn a_refusal_surfaces_however_it_is_read() {
        let refused = || Reply::Refused(Refusal::from_line("WRONGTYPE x"));
        let expected = Error::from(Refusal::from_line("WRONGTYPE x"));
        assert_eq!(refused().int(), Err(expected.clone()));
        assert_eq!(refused().optional_bytes(), Err(expected.clone()));
        assert_eq!(refused().stored(), Err(expected.clone()));
        assert_eq!(refused().array(), Err(expected));
    }

    #[test]
    fn a_printed_reply_shows_no_value() {
        assert_eq!(
            format!("{:?}", Reply::Array(vec![Reply::Bulk("secret".into()), Reply::Int(42)])),
            "Array([Bulk(6 bytes), Int])"
        );
    }
}
