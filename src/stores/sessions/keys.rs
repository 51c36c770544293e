//! Every key of the session store. Sessions and their indexes lie in the partition that the session id
//! carries, so each script has all its keys in one place.

use super::id::SessionRef;
use crate::db::{Family, Key, Partition, TenantDb};

/// The session itself.
pub static SESSION: Family = Family {
    name: "session",
    parts: "SHA-256 of the id",
    kind: "hash",
    routed_by: "the partition in the session id",
    lives: "until the session ends, or its refresh token if that is later",
    holds: "user, data and metadata (JSON), version, times (created µs, last activity ms, expires ms, absolute end ms, \
            own ttl ms, refreshable until ms; 0 is none), family",
    stays: None,
};

/// The sessions of one user in one partition.
pub static USER_SESSIONS: Family = Family {
    name: "user-sessions",
    parts: "user",
    kind: "zset",
    routed_by: "the partition in the session id",
    lives: "until it is empty; what has ended is cleared by SESSION_CLEANUP_INTERVAL",
    holds: "created µs (16 digits) and SHA-256 of the id; score: when the hash ends, ms",
    stays: None,
};

/// All sessions of a partition, in the order of their creation.
pub static SESSIONS: Family = Family {
    name: "sessions",
    parts: "",
    kind: "zset",
    routed_by: "the partition in the session id",
    lives: "until it is empty; what has ended is cleared by SESSION_CLEANUP_INTERVAL",
    holds: "created µs (16 digits) and SHA-256 of the id; score: 0",
    stays: None,
};

/// All sessions of a partition, in the order of their end, and until when its users may have sessions elsewhere:
/// what has to be cleared, and when.
pub static EXPIRIES: Family = Family {
    name: "session-expiries",
    parts: "",
    kind: "zset",
    routed_by: "the partition in the session id",
    lives: "until it is empty; what has ended is cleared by SESSION_CLEANUP_INTERVAL",
    holds: "created µs (16 digits), SHA-256 of the id and the user; score: when the hash ends, ms. p, a partition and the \
            user; score: as in session-partitions",
    stays: None,
};

/// A family of refresh tokens, of which one is good.
pub static REFRESH: Family = Family {
    name: "refresh",
    parts: "SHA-256 of the family",
    kind: "hash",
    routed_by: "the partition in the session id and in the token",
    lives: "SESSION_REFRESH_TTL from the last refresh, at most until the session's absolute end",
    holds: "current and previous (SHA-256 of the secrets), salt, rotated (ms), session (SHA-256 of its id), user, expires (ms)",
    stays: None,
};

/// The other partitions in which a user has sessions: under ids of the client's choice, or taken over from
/// another user.
pub static PARTITIONS: Family = Family {
    name: "session-partitions",
    parts: "user",
    kind: "zset",
    routed_by: "user",
    lives: "until it is empty; a partition stands in it a day longer than the longest session there",
    holds: "the partition, two digits; score: until when, ms",
    stays: None,
};

/// There while all sessions of a user in this partition are being ended: none of them may take another name,
/// else the one could outrun the other for ever.
pub static FENCE: Family = Family {
    name: "session-fence",
    parts: "user",
    kind: "string",
    routed_by: "the partition in the session id",
    lives: "5 s, or until the sessions have been ended",
    holds: "1",
    stays: Some("it lives for seconds"),
};

/// There for a session that a server made while the backend was away and wrote to it later: it is written once.
pub static RESTORED: Family = Family {
    name: "session-restored",
    parts: "SHA-256 of the id",
    kind: "string",
    routed_by: "the partition in the session id",
    lives: "until the session that was written would have ended; only with SESSION_FALLBACK=memory",
    holds: "1",
    stays: Some("it concerns an outage of this installation"),
};

/// When all sessions of a user were ended, for those that a server holds for itself while the backend is away.
pub static REVOCATIONS: Family = Family {
    name: "session-revocations",
    parts: "user",
    kind: "zset",
    routed_by: "user",
    lives: "7 days; only with SESSION_FALLBACK=memory",
    holds: "SHA-256 of the id of the session that was spared, or -; score: when, µs; the last two",
    stays: Some("it concerns an outage of this installation"),
};

/// All of them, for `docs/keys.md`.
pub static FAMILIES: &[&Family] =
    &[&SESSION, &USER_SESSIONS, &SESSIONS, &EXPIRIES, &REFRESH, &PARTITIONS, &FENCE, &RESTORED, &REVOCATIONS];

/// The keys that every write to a session of `user` concerns.
pub struct SessionKeys {
    /// The session.
    pub session: Key,
    /// The user's sessions.
    pub user: Key,
    /// The partition's sessions by creation.
    pub all: Key,
    /// The partition's sessions by end.
    pub expiries: Key,
}

impl SessionKeys {
    /// The keys of this session, if it is this user's.
    pub fn new(db: &TenantDb, at: &SessionRef, user: &str) -> SessionKeys {
        SessionKeys {
            session: session(db, at),
            user: user_sessions(db, at.partition, user),
            all: all(db, at.partition),
            expiries: expiries(db, at.partition),
        }
    }
}

/// The key of one session.
pub fn session(db: &TenantDb, at: &SessionRef) -> Key {
    db.key(at.partition, &SESSION, &[&at.fingerprint])
}

/// The key of a user's sessions in a partition.
pub fn user_sessions(db: &TenantDb, partition: Partition, user: &str) -> Key {
    db.key(partition, &USER_SESSIONS, &[user])
}

/// The key of a partition's sessions by creation.
pub fn all(db: &TenantDb, partition: Partition) -> Key {
    db.key(partition, &SESSIONS, &[])
}

/// The key of a partition's sessions by end.
pub fn expiries(db: &TenantDb, partition: Partition) -> Key {
    db.key(partition, &EXPIRIES, &[])
}

/// The key of a family of refresh tokens.
pub fn refresh(db: &TenantDb, partition: Partition, family: &str) -> Key {
    db.key(partition, &REFRESH, &[family])
}

/// The key that keeps a user's sessions in a partition from moving.
pub fn fence(db: &TenantDb, partition: Partition, user: &str) -> Key {
    db.key(partition, &FENCE, &[user])
}

/// The key of the other partitions in which a user has sessions; it lies at the user's home.
pub fn partitions(db: &TenantDb, user: &str) -> Key {
    db.key(Partition::of(user), &PARTITIONS, &[user])
}

/// The key that says that a session was written here by a server that had held it for itself.
pub fn restored(db: &TenantDb, at: &SessionRef) -> Key {
    db.key(at.partition, &RESTORED, &[&at.fingerprint])
}

/// The key of when all sessions of a user were ended; it lies at the user's home.
pub fn revocations(db: &TenantDb, user: &str) -> Key {
    db.key(Partition::of(user), &REVOCATIONS, &[user])
}
