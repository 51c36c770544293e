//! The sessions of a tenant as a handler gets them: from the backend, or from whoever stands in for it. Which of the
//! two is decided when they are opened, so that a server without an outage pays for one branch.

use super::super::counts::Counted;
use super::super::id::{SessionId, SessionRef};
use super::super::store::Sessions;
use super::super::types::{
    CreateOutcome, Cursor, Error, NewSession, Page, PatchOutcome, PatchSession, PutOutcome, PutSession, RefreshOutcome,
    RenewOutcome, RevokeOutcome, Session, Touch,
};
use super::Standby;
use super::standing::Standing;
use crate::base::precondition::Precondition;
use crate::base::text::Name;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The sessions of one tenant, served by the backend or by this process.
pub enum Served {
    /// The backend, and nobody ever stands in for it.
    Backend(Sessions),
    /// The backend. Other servers may be holding sessions for themselves and have to be told what is ended here.
    Shared(Sessions),
    /// This process, as far as it can.
    Local(Box<Standing>),
}

impl Served {
    /// Sessions of the backend, or of what stands in for it.
    pub fn open(backend: Sessions, standby: Option<&Arc<Standby>>) -> Served {
        match standby {
            None => Served::Backend(backend),
            Some(standby) if standby.is_engaged() => Served::Local(Box::new(Standing::new(backend, standby.clone()))),
            Some(_) => Served::Shared(backend),
        }
    }

    /// Becomes true when an answer comes from this process's memory; nothing where none can.
    pub fn degraded(&self) -> Option<Arc<AtomicBool>> {
        match self {
            Served::Backend(_) | Served::Shared(_) => None,
            Served::Local(standing) => Some(standing.degraded()),
        }
    }

    /// As [`Sessions::revoke_all`].
    pub async fn revoke_all(&self, user: &Name, except: Option<&SessionRef>) -> Result<u64, Error> {
        let revoked = match self {
            Served::Backend(sessions) => sessions.revoke_all(user, except).await,
            Served::Shared(sessions) => sessions.revoke_all_everywhere(user, except).await,
            Served::Local(standing) => Box::pin(standing.revoke_all(user, except)).await,
        };
        self.counted(revoked)
    }

    /// The same outcome, once it is counted.
    fn counted<T: Counted>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        let sessions = match self {
            Served::Backend(sessions) | Served::Shared(sessions) => sessions,
            Served::Local(standing) => &standing.backend,
        };
        outcome.inspect(|outcome| sessions.upkeep.counts().tell(sessions.db.tenant(), outcome))
    }
}

impl Sessions {
    /// As [`Sessions::revoke_all`], and ends what other servers hold for themselves when they write it here.
    pub(super) async fn revoke_all_everywhere(&self, user: &Name, except: Option<&SessionRef>) -> Result<u64, Error> {
        self.mark_revocation(user, except.map(|except| except.fingerprint.as_str()), None).await?;
        self.revoke_all(user, except).await
    }
}

/// Methods of [`Sessions`]. What stands in is boxed, as it is rare and large: every request would carry the room for it.
macro_rules! picked {
    ($how:ident: $($name:ident($($argument:ident: $type:ty),*) -> $outcome:ty;)*) => {
        impl Served {$(
            #[doc = concat!("As [`Sessions::", stringify!($name), "`].")]
            pub async fn $name(&self, $($argument: $type),*) -> Result<$outcome, Error> {
                let outcome = match self {
                    Served::Backend(sessions) | Served::Shared(sessions) => sessions.$name($($argument),*).await,
                    Served::Local(standing) => Box::pin(standing.$name($($argument),*)).await,
                };
                picked!(@$how self, outcome)
            }
        )*}
    };
    (@plain $served:ident, $outcome:ident) => { $outcome };
    (@counted $served:ident, $outcome:ident) => { $served.counted($outcome) };
}

picked! { plain:
    read(id: &SessionId, touch: Touch) -> Option<Session>;
    exists(id: &SessionId) -> bool;
    read_many(ids: &[SessionId]) -> Vec<Option<Session>>;
    patch(id: &SessionId, patch: &PatchSession, only: &Precondition) -> PatchOutcome;
    extend(id: &SessionId, ttl: Option<Duration>, only: &Precondition) -> RenewOutcome;
    rotate(id: &SessionId, only: &Precondition) -> RenewOutcome;
    list(before: Option<&Cursor>, limit: usize) -> Page;
    list_user(user: &Name, before: Option<&Cursor>, limit: usize) -> Page;
}

picked! { counted:
    create(new: NewSession) -> CreateOutcome;
    put(id: &SessionId, put: PutSession, only: &Precondition) -> PutOutcome;
    refresh(token: &str) -> RefreshOutcome;
    revoke(at: &SessionRef, only: &Precondition) -> RevokeOutcome;
    revoke_many(sessions: &[SessionRef]) -> u64;
}
