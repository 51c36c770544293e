//! A session as it lies in the backend, and how it is read: strictly, because what cannot be read must
//! not be shown half, and without taking the client's data apart.

use super::id::{SessionId, SessionRef};
use super::types::Session;
use crate::base::clock::Timestamp;
use crate::base::json_object::JsonObject;
use crate::base::text::Name;
use crate::db::{self, Reply};
use std::str;
use std::time::Duration;

/// The fields of a whole session, in the order in which scripts answer them too.
pub const WHOLE: &[&str] = &["user", "data", "metadata", "version", "times"];

/// The fields of a session in a list.
pub const SUMMARY: &[&str] = &["user", "metadata", "version", "times"];

/// The fields that a write must know beforehand.
pub const HEAD: &[&str] = &["user", "version", "times", "family"];

/// What lies under a key.
pub enum Found<T> {
    /// Nothing.
    Absent,
    /// Something that is no session. To a client it is absent.
    Unreadable,
    /// A session, perhaps one that has ended and only waits for its refresh token.
    Session(T),
}

impl<T> Found<T> {
    fn read<const N: usize>(
        reply: Reply,
        parse: impl FnOnce([Option<bytes::Bytes>; N]) -> Option<T>,
    ) -> Result<Found<T>, db::Error> {
        if is_wrong_type(&reply) {
            return Ok(Found::Unreadable);
        }
        let mut fields = [const { None }; N];
        for (field, reply) in fields.iter_mut().zip(reply.array_of::<N>()?) {
            *field = reply.optional_bytes()?;
        }
        if fields.iter().all(Option::is_none) {
            return Ok(Found::Absent);
        }
        Ok(parse(fields).map_or(Found::Unreadable, Found::Session))
    }
}

/// Whether something else than a hash has the key.
pub fn is_wrong_type(reply: &Reply) -> bool {
    matches!(reply, Reply::Refused(refusal) if refusal.code() == "WRONGTYPE")
}

/// The moments of a session, as scripts write them: six decimal numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Created, in microseconds.
    pub created_micros: u64,
    /// Last used, in milliseconds to a tenth of the lifetime.
    pub last_activity: u64,
    /// When it ends unless it is used, in milliseconds.
    pub expires: u64,
    /// When it ends in any case, in milliseconds, or 0.
    pub absolute: u64,
    /// The lifetime that its client chose, in milliseconds, or 0.
    pub own_ttl: u64,
    /// Until when a refresh token can bring it back, in milliseconds, or 0.
    pub kept_until: u64,
}

impl Times {
    /// Reads the six numbers.
    pub fn parse(text: &[u8]) -> Option<Times> {
        let mut numbers = str::from_utf8(text).ok()?.split(' ').map(|number| number.parse().ok());
        let times = Times {
            created_micros: numbers.next()??,
            last_activity: numbers.next()??,
            expires: numbers.next()??,
            absolute: numbers.next()??,
            own_ttl: numbers.next()??,
            kept_until: numbers.next()??,
        };
        numbers.next().is_none().then_some(times)
    }

    /// The six numbers, as scripts write them.
    pub fn text(&self) -> String {
        let Times { created_micros, last_activity, expires, absolute, own_ttl, kept_until } = self;
        format!("{created_micros} {last_activity} {expires} {absolute} {own_ttl} {kept_until}")
    }

    /// The member of the indexes: sorts by creation.
    pub fn member(&self, fingerprint: &str) -> String {
        format!("{:016}{fingerprint}", self.created_micros)
    }

    /// Whether a hash that is still there is a session that still lives. Without a refresh token the
    /// backend has decided that by keeping the hash, so no clock of ours is asked.
    pub fn live(&self, now: Timestamp) -> bool {
        self.kept_until == 0 || self.expires > now.as_millis()
    }
}

/// A session in a backend.
pub struct Record {
    /// Whose it is.
    pub user: Name,
    /// The client's data, when it was asked for.
    pub data: Option<JsonObject>,
    /// The client's notes.
    pub metadata: JsonObject,
    /// How often it was written.
    pub version: u64,
    /// Its moments.
    pub times: Times,
}

impl Record {
    /// Reads the answer to an `HMGET` of [`WHOLE`].
    pub fn whole(reply: Reply) -> Result<Found<Record>, db::Error> {
        Found::read(reply, |[user, data, metadata, version, times]| {
            let data = JsonObject::parse(&data?)?;
            Record::parse(&user?, Some(data), &metadata?, &version?, &times?)
        })
    }

    /// Reads the answer to an `HMGET` of [`SUMMARY`].
    pub fn summary(reply: Reply) -> Result<Found<Record>, db::Error> {
        Found::read(reply, |[user, metadata, version, times]| {
            Record::parse(&user?, None, &metadata?, &version?, &times?)
        })
    }

    fn parse(user: &[u8], data: Option<JsonObject>, metadata: &[u8], version: &[u8], times: &[u8]) -> Option<Record> {
        Some(Record {
            user: Name::parse(str::from_utf8(user).ok()?).ok()?,
            data,
            metadata: JsonObject::parse(metadata)?,
            version: str::from_utf8(version).ok()?.parse().ok()?,
            times: Times::parse(times)?,
        })
    }

    /// The session as it is at `now`, by the backend's clock.
    pub fn session(self, named: Named<'_>, now: Timestamp) -> Session {
        let times = self.times;
        let expires_at = Timestamp::from_millis(times.expires);
        let (id, reference) = match named {
            Named::Id(id) => (Some(id.name().clone()), id.reference().clone()),
            Named::Ref(reference) => (None, reference),
        };
        Session {
            id,
            reference,
            user_id: self.user,
            data: self.data,
            metadata: self.metadata,
            version: self.version,
            created_at: Timestamp::from_millis(times.created_micros / 1000),
            last_activity: Timestamp::from_millis(times.last_activity),
            expires_at,
            absolute_expires_at: (times.absolute > 0).then(|| Timestamp::from_millis(times.absolute)),
            ttl: seconds_rounded_up(expires_at.since(now)),
        }
    }

    /// The session as a script just left it: the script's own time is its last activity.
    pub fn just_used(self, named: Named<'_>) -> Session {
        let now = Timestamp::from_millis(self.times.last_activity);
        self.session(named, now)
    }
}

/// By what a session is known here.
pub enum Named<'a> {
    /// By its id.
    Id(&'a SessionId),
    /// By its reference alone.
    Ref(SessionRef),
}

/// What a write must know of a session beforehand.
pub struct Head {
    /// Whose it is.
    pub user: Name,
    /// How often it was written.
    pub version: u64,
    /// Its moments.
    pub times: Times,
    /// The family of its refresh tokens, hashed.
    pub family: Option<String>,
}

impl Head {
    /// Reads the answer to an `HMGET` of [`HEAD`].
    pub fn read(reply: Reply) -> Result<Found<Head>, db::Error> {
        Found::read(reply, |[user, version, times, family]| {
            let family = match family {
                Some(bytes) => Some(str::from_utf8(&bytes).ok()?.to_owned()),
                None => None,
            };
            Some(Head {
                user: Name::parse(str::from_utf8(&user?).ok()?).ok()?,
                version: str::from_utf8(&version?).ok()?.parse().ok()?,
                times: Times::parse(&times?)?,
                family,
            })
        })
    }
}

fn seconds_rounded_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_six_numbers_and_nothing_else() {
        let times = Times::parse(b"1700000000000001 1700000000000 1700003600000 0 0 0").unwrap();
        assert_eq!(times.created_micros, 1_700_000_000_000_001);
        assert_eq!(times.member("x"), "1700000000000001x");
        for bad in ["", "1 2 3 4 5", "1 2 3 4 5 6 7", "1 2 3 4 5 ", "1 2 3 4 5 x", "1 2 3 4 5 -1", " 1 2 3 4 5 6"] {
            assert_eq!(Times::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_is_not_a_whole_session_is_unreadable() {
        let reply = |fields: [&'static str; 5]| Reply::Array(fields.map(|f| Reply::Bulk(f.into())).to_vec());
        let good = ["u", "{}", "{}", "1", "1 2 3 0 0 0"];
        assert!(matches!(Record::whole(reply(good)), Ok(Found::Session(_))));
        for (at, bad) in [(0, ""), (0, "a\nb"), (1, "[]"), (1, "{"), (2, "null"), (3, "x"), (3, "-1"), (4, "1 2")] {
            let mut fields = good;
            fields[at] = bad;
            assert!(matches!(Record::whole(reply(fields)), Ok(Found::Unreadable)), "{bad}");
        }
        assert!(matches!(Record::whole(Reply::Array(vec![Reply::Nil; 5])), Ok(Found::Absent)));
    }

    #[test]
    fn a_remaining_time_is_rounded_up() {
        assert_eq!(seconds_rounded_up(Duration::from_millis(3_599_001)), 3600);
        assert_eq!(seconds_rounded_up(Duration::from_secs(60)), 60);
        assert_eq!(seconds_rounded_up(Duration::ZERO), 0);
    }
}
