//! What is answered in place of the backend, operation by operation: from what this process holds, else with 503
//! during the outage and by the backend after it.

use super::super::id::{SessionId, SessionRef};
use super::super::refresh_token::Token;
use super::super::store::Sessions;
use super::super::types::{
    CreateOutcome, Cursor, Error, NewSession, Page, PatchOutcome, PatchSession, PutOutcome, PutSession, RefreshOutcome,
    RefreshToken, RenewOutcome, Session, Touch,
};
use super::here::{Here, away};
use super::ledger::Fate;
use super::{Phase, Standby};
use crate::base::json_object::ObjectPatch;
use crate::base::precondition::Precondition;
use crate::base::text::Name;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a request waits for its session to be handed over, which takes some milliseconds when all is well.
const STEP: Duration = Duration::from_millis(250);

/// The sessions of one tenant while this process stands in.
pub struct Standing {
    pub(super) backend: Sessions,
    pub(super) standby: Arc<Standby>,
    degraded: Arc<AtomicBool>,
}

/// Who answers for a session.
enum Reach<'a> {
    Here(Here<'a>),
    /// It was here and has ended.
    Ended,
    Backend,
}

impl Standing {
    pub(super) fn new(backend: Sessions, standby: Arc<Standby>) -> Standing {
        Standing { backend, standby, degraded: Arc::default() }
    }

    pub(super) fn degraded(&self) -> Arc<AtomicBool> {
        self.degraded.clone()
    }

    pub(super) async fn lock(&self) -> Here<'_> {
        let local = self.standby.local.lock().await;
        let tenant = self.backend.db.tenant();
        Here { sessions: local.sessions(tenant, &self.backend.settings), local, tenant }
    }

    /// As [`lock`](Self::lock); if one of these sessions is just being handed over, after that.
    async fn lock_for(&self, sessions: &[&SessionRef]) -> Here<'_> {
        let here = self.lock().await;
        if !sessions.iter().any(|at| here.fate(at) == Fate::InDoubt) {
            return here;
        }
        drop(here);
        drop(tokio::time::timeout(STEP, self.standby.step.lock()).await);
        self.lock().await
    }

    pub(super) fn answers_from_here(&self) {
        self.degraded.store(true, Ordering::Relaxed);
    }

    async fn reach(&self, at: &SessionRef) -> Result<Reach<'_>, Error> {
        let here = self.lock_for(&[at]).await;
        let reach = match (here.fate(at), here.local.phase) {
            (Fate::Here, _) => Reach::Here(here),
            (Fate::Ended, _) => Reach::Ended,
            (Fate::InDoubt, _) | (Fate::Unknown, Phase::Away) => return Err(away()),
            (Fate::Unknown, Phase::Idle | Phase::Returning) => return Ok(Reach::Backend),
        };
        self.answers_from_here();
        Ok(reach)
    }

    pub(super) async fn create(&self, new: NewSession) -> Result<CreateOutcome, Error> {
        let mut here = self.lock().await;
        if here.local.phase != Phase::Away {
            drop(here);
            return self.backend.create(new).await;
        }
        // An id that a client chose may be taken where nobody can look.
        if new.id.as_ref().is_some_and(|chosen| !chosen.is_reserved()) {
            return Err(away());
        }
        let user = new.user_id.clone();
        here.room_for(1, new.data.as_str().len() + new.metadata.as_str().len() + user.as_str().len())?;
        let before = here.limited(&user).await?;
        let outcome = here.sessions.create(new).await?;
        if let CreateOutcome::Created { session, refresh } = &outcome {
            let token = refresh.as_ref().and_then(|refresh| Token::parse(refresh.token.expose()));
            here.local.ledger.hold(here.tenant, session, token.as_ref().map(Token::family_fingerprint));
            here.local.ledger.changed(here.tenant, session, refresh.as_ref().map(|refresh| refresh.expires_at));
            here.note_ended(&user, before).await?;
        }
        self.answers_from_here();
        Ok(outcome)
    }

    pub(super) async fn read(&self, id: &SessionId, touch: Touch) -> Result<Option<Session>, Error> {
        let mut here = match self.reach(id.reference()).await? {
            Reach::Here(here) => here,
            Reach::Ended => return Ok(None),
            Reach::Backend => return self.backend.read(id, touch).await,
        };
        let session = here.sessions.read(id, touch).await?;
        session.iter().for_each(|session| here.changed(session));
        Ok(session)
    }

    pub(super) async fn exists(&self, id: &SessionId) -> Result<bool, Error> {
        Ok(self.read(id, Touch::No).await?.is_some())
    }

    pub(super) async fn read_many(&self, ids: &[SessionId]) -> Result<Vec<Option<Session>>, Error> {
        let here = self.lock_for(&ids.iter().map(SessionId::reference).collect::<Vec<_>>()).await;
        let (mut sessions, mut elsewhere) = (Vec::with_capacity(ids.len()), Vec::new());
        for (place, id) in ids.iter().enumerate() {
            sessions.push(match (here.fate(id.reference()), here.local.phase) {
                (Fate::Here, _) => here.sessions.read(id, Touch::No).await?,
                (Fate::Ended, _) => None,
                (Fate::InDoubt, _) | (Fate::Unknown, Phase::Away) => return Err(away()),
                (Fate::Unknown, Phase::Idle | Phase::Returning) => {
                    elsewhere.push((place, id.clone()));
                    None
                }
            });
        }
        drop(here);
        if elsewhere.len() < ids.len() {
            self.answers_from_here();
        }
        let (places, ids): (Vec<_>, Vec<_>) = elsewhere.into_iter().unzip();
        for (place, session) in places.into_iter().zip(self.backend.read_many(&ids).await?) {
            if let Some(slot) = sessions.get_mut(place) {
                *slot = session;
            }
        }
        Ok(sessions)
    }

    pub(super) async fn put(&self, id: &SessionId, put: PutSession, only: &Precondition) -> Result<PutOutcome, Error> {
        let mut here = match self.reach(id.reference()).await? {
            Reach::Here(here) => here,
            Reach::Backend => return self.backend.put(id, put, only).await,
            Reach::Ended => return Err(away()),
        };
        // Nothing is created under an id of the client's choice.
        if here.sessions.head(id.reference()).await?.is_none() {
            return Err(away());
        }
        here.room_for(0, put.data.as_str().len() + put.metadata.as_str().len())?;
        let user = put.user_id.clone();
        let before = here.limited(&user).await?;
        let outcome = here.sessions.put(id, put, only).await?;
        if let PutOutcome::Replaced(session) = &outcome {
            here.changed(session);
        }
        here.note_ended(&user, before).await?;
        Ok(outcome)
    }

    pub(super) async fn patch(
        &self,
        id: &SessionId,
        patch: &PatchSession,
        only: &Precondition,
    ) -> Result<PatchOutcome, Error> {
        let mut here = match self.reach(id.reference()).await? {
            Reach::Here(here) => here,
            Reach::Ended => return Ok(PatchOutcome::Absent),
            Reach::Backend => return self.backend.patch(id, patch, only).await,
        };
        let size = |patch: &ObjectPatch| match patch {
            ObjectPatch::Merge(object) => object.as_str().len(),
            ObjectPatch::Keep | ObjectPatch::Clear => 0,
        };
        here.room_for(0, size(&patch.data) + size(&patch.metadata))?;
        let outcome = here.sessions.patch(id, patch, only).await?;
        if let PatchOutcome::Patched(session) = &outcome {
            here.changed(session);
        }
        Ok(outcome)
    }

    pub(super) async fn extend(
        &self,
        id: &SessionId,
        ttl: Option<Duration>,
        only: &Precondition,
    ) -> Result<RenewOutcome, Error> {
        let mut here = match self.reach(id.reference()).await? {
            Reach::Here(here) => here,
            Reach::Ended => return Ok(RenewOutcome::Absent),
            Reach::Backend => return self.backend.extend(id, ttl, only).await,
        };
        let outcome = here.sessions.extend(id, ttl, only).await?;
        if let RenewOutcome::Renewed(session) = &outcome {
            here.changed(session);
        }
        Ok(outcome)
    }

    pub(super) async fn rotate(&self, id: &SessionId, only: &Precondition) -> Result<RenewOutcome, Error> {
        let mut here = match self.reach(id.reference()).await? {
            Reach::Here(here) => here,
            Reach::Ended => return Ok(RenewOutcome::Absent),
            Reach::Backend => return self.backend.rotate(id, only).await,
        };
        let outcome = here.sessions.rotate(id, only).await?;
        if let RenewOutcome::Renewed(session) = &outcome {
            here.renamed(id.reference(), session);
        }
        Ok(outcome)
    }

    pub(super) async fn refresh(&self, token: &str) -> Result<RefreshOutcome, Error> {
        let Some(parsed) = Token::parse(token) else { return Ok(RefreshOutcome::Invalid) };
        let family = parsed.family_fingerprint();
        let mut here = self.lock().await;
        if let Some(at) = here.local.ledger.of_family(here.tenant, &family).cloned() {
            drop(here);
            here = self.lock_for(&[&at]).await;
        }
        let at = match (here.local.ledger.of_family(here.tenant, &family).cloned(), here.local.phase) {
            (Some(at), _) => at,
            (None, Phase::Away) => return Err(away()),
            (None, Phase::Idle | Phase::Returning) => {
                drop(here);
                return self.backend.refresh(token).await;
            }
        };
        if here.fate(&at) == Fate::InDoubt {
            return Err(away());
        }
        let outcome = here.sessions.refresh(token).await?;
        match &outcome {
            RefreshOutcome::Refreshed { session, refresh: RefreshToken { expires_at, .. } } => {
                here.renamed(&at, session);
                here.local.ledger.changed(here.tenant, session, Some(*expires_at));
            }
            RefreshOutcome::Reused => here.end(&at),
            RefreshOutcome::Invalid => {}
        }
        self.answers_from_here();
        Ok(outcome)
    }

    /// A list would be of what is here alone.
    async fn lists_nothing(&self) -> Result<(), Error> {
        if self.lock().await.local.phase == Phase::Idle { Ok(()) } else { Err(away()) }
    }

    pub(super) async fn list(&self, before: Option<&Cursor>, limit: usize) -> Result<Page, Error> {
        self.lists_nothing().await?;
        self.backend.list(before, limit).await
    }

    pub(super) async fn list_user(&self, user: &Name, before: Option<&Cursor>, limit: usize) -> Result<Page, Error> {
        self.lists_nothing().await?;
        self.backend.list_user(user, before, limit).await
    }
}
