//! What goes into the session store and what comes out of it. Expected outcomes are values; only what
//! nobody can help is an [`Error`].

use super::id::{SessionId, SessionRef};
use crate::base::clock::Timestamp;
use crate::base::id::NoRandomness;
use crate::base::json_object::{JsonObject, ObjectPatch};
use crate::base::secret::Secret;
use crate::base::text::Name;
use crate::db;
use std::time::Duration;

/// A live session, as a client sees it.
#[derive(Clone)]
pub struct Session {
    /// Its id, where the caller named it or it is new; lists do not know it.
    pub id: Option<Name>,
    /// What may be shown and revokes it.
    pub reference: SessionRef,
    /// Whose it is.
    pub user_id: Name,
    /// The client's data; absent in lists.
    pub data: Option<JsonObject>,
    /// What the client noted of the device: any members, commonly `ip_address`, `user_agent`, `device_type`.
    pub metadata: JsonObject,
    /// Counts the writes of data and metadata, from 1.
    pub version: u64,
    /// When it was created. A rotated session keeps it.
    pub created_at: Timestamp,
    /// When it was last used, to a tenth of its lifetime.
    pub last_activity: Timestamp,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
    /// When it ends in any case.
    pub absolute_expires_at: Option<Timestamp>,
    /// Seconds until `expires_at`, rounded up.
    pub ttl: u64,
}

/// Shows the version alone: everything else is somebody's.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("version", &self.version).finish_non_exhaustive()
    }
}

/// A session to be created.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Whose it is.
    pub user_id: Name,
    /// The client's data.
    pub data: JsonObject,
    /// The client's notes of the device.
    pub metadata: JsonObject,
    /// A lifetime of its own in place of the tenant's policy; above zero.
    pub ttl: Option<Duration>,
    /// How long it may live at all; above zero.
    pub absolute_ttl: Option<Duration>,
    /// An id that the client chose.
    pub id: Option<SessionId>,
    /// Whether it gets a refresh token.
    pub refresh: bool,
}

/// What a session is replaced by.
#[derive(Debug, Clone)]
pub struct PutSession {
    /// Whose it is from now on.
    pub user_id: Name,
    /// The client's data.
    pub data: JsonObject,
    /// The client's notes of the device.
    pub metadata: JsonObject,
    /// A lifetime of its own; without one the tenant's policy holds (again). Above zero.
    pub ttl: Option<Duration>,
}

/// A merge patch (RFC 7396) of a session.
#[derive(Debug, Clone, Default)]
pub struct PatchSession {
    /// Changes to the client's data.
    pub data: ObjectPatch,
    /// Changes to the client's notes of the device.
    pub metadata: ObjectPatch,
}

/// Whether a read counts as use and slides the expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// A refresh token, shown this once.
#[derive(Debug, Clone)]
pub struct RefreshToken {
    /// The token.
    pub token: Secret,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What came of creating a session.
#[derive(Debug)]
pub enum CreateOutcome {
    /// It is there.
    Created {
        /// The session.
        session: Session,
        /// Its refresh token, when one was asked for.
        refresh: Option<RefreshToken>,
    },
    /// The chosen id is taken.
    Exists,
    /// The chosen id begins like the server's own (`ses_`, `sref_`).
    ReservedId,
    /// The user has as many sessions as the tenant allows.
    LimitReached,
}

/// What came of putting a session.
#[derive(Debug)]
pub enum PutOutcome {
    /// There was none; it is there.
    Created(Session),
    /// It was there and is replaced.
    Replaced(Session),
    /// A precondition did not hold.
    VersionMismatch,
    /// The id begins like the server's own (`ses_`, `sref_`).
    ReservedId,
    /// The user has as many sessions as the tenant allows.
    LimitReached,
}

/// What came of patching a session.
#[derive(Debug)]
pub enum PatchOutcome {
    /// It is patched.
    Patched(Session),
    /// There is no such session.
    Absent,
    /// `If-Match` did not hold.
    VersionMismatch,
    /// The patched data or metadata would be larger than a session may grow by patches.
    TooLarge,
}

/// What came of giving a session a new expiry or a new id.
#[derive(Debug)]
pub enum RenewOutcome {
    /// It has that.
    Renewed(Session),
    /// There is no such session.
    Absent,
    /// `If-Match` did not hold.
    VersionMismatch,
}

/// What came of revoking a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// It is gone, and its refresh token with it.
    Revoked,
    /// There is no such session.
    Absent,
    /// `If-Match` did not hold.
    VersionMismatch,
}

/// What came of presenting a refresh token.
#[derive(Debug)]
pub enum RefreshOutcome {
    /// The session has a new id, and there is a new token.
    Refreshed {
        /// The session under its new id.
        session: Session,
        /// The token that replaces the one presented.
        refresh: RefreshToken,
    },
    /// The token had been used before: the session and the token's whole family are revoked.
    Reused,
    /// The token is malformed or not known, or its session has ended.
    Invalid,
}

/// Where a list goes on: what came last. Opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(super) String);

impl Cursor {
    /// Reads what [`Cursor::as_str`] gave.
    pub fn parse(text: &str) -> Option<Cursor> {
        let (created, reference) = text.split_at_checked(16)?;
        let fits = created.bytes().all(|b| b.is_ascii_digit()) && crate::base::id::is_base64url_256(reference);
        fits.then(|| Cursor(text.to_owned()))
    }

    /// The cursor as text of `[0-9A-Za-z_-]`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Part of a list, newest first.
#[derive(Debug)]
pub struct Page {
    /// The sessions, without `id` and `data`.
    pub items: Vec<Session>,
    /// Where it goes on, if it may. The last page may be empty.
    pub next: Option<Cursor>,
}

/// Why a call to the session store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The backend could not be asked, or refused.
    #[error(transparent)]
    Backend(#[from] db::Error),
    /// Others kept changing the session meanwhile; nothing was written by this call.
    #[error("the session changed too often meanwhile")]
    EditConflict,
    /// The operating system had no randomness for an id.
    #[error("the operating system's random generator failed")]
    NoRandomness,
}

impl From<NoRandomness> for Error {
    fn from(_: NoRandomness) -> Self {
        Error::NoRandomness
    }
}
