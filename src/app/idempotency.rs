//! The idempotency store behind the port that the HTTP platform asks through.

use crate::db::{Database, Error};
use crate::http::ports::{Begun, IdempotencyRecords, KeptAnswer, KeyedRequest};
use crate::stores::idempotency::{Answer, Begun as Known, IdempotencyStore, Owner, Request};
use futures_util::future::LocalBoxFuture;

/// The records of every tenant, and of the operators.
pub(super) struct Records {
    database: Database,
}

impl Records {
    pub(super) fn new(database: Database) -> Self {
        Records { database }
    }

    fn open(&self, request: KeyedRequest<'_>) -> IdempotencyStore {
        IdempotencyStore::new(match request.tenant {
            Some(tenant) => Owner::Tenant(self.database.tenant(tenant).by(request.deadline)),
            None => Owner::System(self.database.system().by(request.deadline)),
        })
    }
}

fn stored(request: KeyedRequest<'_>) -> Request<'_> {
    Request { credential: request.credential, key: request.key, fingerprint: request.fingerprint }
}

impl IdempotencyRecords for Records {
    fn begin<'a>(&'a self, request: KeyedRequest<'a>) -> LocalBoxFuture<'a, Result<Begun, Error>> {
        Box::pin(async move {
            Ok(match self.open(request).begin(stored(request)).await? {
                Known::First(note) => Begun::First(note),
                Known::Running => Begun::Running,
                Known::Reused => Begun::Reused,
                Known::Answered(Answer { status, headers, body }) => {
                    Begun::Answered(KeptAnswer { status, headers, body: body.into_bytes() })
                }
            })
        })
    }

    fn finish<'a>(&'a self, request: KeyedRequest<'a>, kept: &'a KeptAnswer) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let body = String::from_utf8(kept.body.clone()).map_err(|_| Error::unexpected("a JSON answer"))?;
            let answer = Answer { status: kept.status, headers: kept.headers.clone(), body };
            self.open(request).finish(stored(request), &answer).await
        })
    }

    fn abandon<'a>(&'a self, request: KeyedRequest<'a>, note: &'a str) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.open(request).abandon(stored(request), note).await })
    }
}
