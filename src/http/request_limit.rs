//! The limit on requests, for all endpoints of tenants: asked before a request is read, and told on its answer.

use super::client_address::ClientAddress;
use super::ports::{RequestLimit, RequestStanding, RequestVerdict};
use super::principal::Principal;
use super::problem::Problem;
use super::quota::{POLICY, QuotaFields, QuotaStanding, STANDING, whole_seconds};
use super::request::Request;
use crate::base::code::Code;
use crate::base::deadline::Deadline;
use actix_web::http::header::{HeaderMap, HeaderValue};
use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// What the limit of an API key is called.
const NAME: &str = "api";
/// What the limit of an address is called.
const NAME_OF_ADDRESS: &str = "unauthenticated";
const WINDOW: Duration = Duration::from_secs(60);
/// Values of `RateLimit-Policy` that a worker remembers.
const REMEMBERED: usize = 16;

/// The limit, and how it is told. One per worker.
pub(super) struct Limited {
    limit: Arc<dyn RequestLimit>,
    fields: QuotaFields,
    policies: RefCell<[Option<(u64, HeaderValue)>; REMEMBERED]>,
}

impl Limited {
    pub(super) fn new(limit: Arc<dyn RequestLimit>, fields: QuotaFields) -> Self {
        Limited { limit, fields, policies: RefCell::default() }
    }

    /// Counts a request of an API key, and leaves in `standing` what to tell of it. An operator is not limited.
    ///
    /// # Errors
    /// 429 `rate_limited` beyond the limit; 503 where nobody can tell, and that means no.
    pub(super) async fn count(
        &self,
        principal: Option<&Principal>,
        deadline: Deadline,
        standing: &Cell<Option<RequestStanding>>,
    ) -> Result<(), Problem> {
        let asks = principal.and_then(|principal| Some((principal.key()?, principal.tenant()?)));
        let Some((key, tenant)) = asks else { return Ok(()) };
        if let Some(now) = self.limit.at_once(key.id, tenant) {
            standing.set(Some(now));
            return Ok(());
        }
        match self.limit.take(key.id, tenant, deadline).await? {
            RequestVerdict::Allowed(now) => {
                standing.set(Some(now));
                Ok(())
            }
            RequestVerdict::Denied(now, retry_after) => {
                standing.set(Some(now));
                Err(Problem::quota_exceeded(vec![NAME.to_owned()], retry_after))
            }
            RequestVerdict::Closed => Err(Problem::new(Code::BackendUnavailable, "Limits cannot be checked now.")),
        }
    }

    /// Tells how the caller stands, unless the answer tells of quotas already.
    pub(super) fn tell(&self, standing: &RequestStanding, headers: &mut HeaderMap) {
        // Where there is one of the fields there is the other.
        if headers.contains_key(STANDING) {
            return;
        }
        let RequestStanding { limit, remaining, reset } = *standing;
        if self.fields.legacy {
            let quota = QuotaStanding { policy: NAME.into(), limit, window: WINDOW, remaining, reset };
            return self.fields.write(&[quota], headers);
        }
        // Made for every answer: with room from the start, so that it need not grow.
        let mut text = String::with_capacity(64);
        let written = write!(text, "\"{NAME}\";r={remaining};t={}", whole_seconds(reset));
        if let (Some(policy), Ok(standing), Ok(())) = (self.policy(limit), HeaderValue::from_str(&text), written) {
            headers.insert(POLICY, policy);
            headers.insert(STANDING, standing);
        }
    }

    /// The same for all tenants of one limit, so it is made once.
    fn policy(&self, limit: u64) -> Option<HeaderValue> {
        let mut policies = self.policies.borrow_mut();
        let place = policies.get_mut(usize::try_from(limit % REMEMBERED as u64).ok()?)?;
        match place {
            Some((of, policy)) if *of == limit => Some(policy.clone()),
            _ => {
                let text = format!("\"{NAME}\";q={limit};w={}", WINDOW.as_secs());
                let policy = HeaderValue::from_maybe_shared(text).ok()?;
                *place = Some((limit, policy.clone()));
                Some(policy)
            }
        }
    }

    /// Whether the backend may be asked about a key that is not known.
    ///
    /// # Errors
    /// 429 `rate_limited` where the client's address has been refused too often.
    pub(super) fn may_fail(&self, request: &Request) -> Result<(), Problem> {
        let address = ClientAddress::of(request).known();
        address.map_or(Ok(()), |address| self.limit.may_fail(address).map_err(too_often))
    }

    /// The refusal of a request without a valid key; another one where there have been too many.
    pub(super) fn refused(&self, request: &Request, problem: Problem) -> Problem {
        let address = ClientAddress::of(request).known();
        let counted = address.map_or(Ok(()), |address| self.limit.failed(address));
        counted.map_or_else(too_often, |()| problem)
    }
}

fn too_often(retry_after: Duration) -> Problem {
    Problem::quota_exceeded(vec![NAME_OF_ADDRESS.to_owned()], retry_after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Error;
    use crate::tenancy::{KeyId, Tenant};
    use futures_util::future::LocalBoxFuture;
    use std::net::IpAddr;

    struct Never;

    impl RequestLimit for Never {
        fn at_once(&self, _: KeyId, _: &Tenant) -> Option<RequestStanding> {
            None
        }

        fn take<'a>(
            &'a self,
            _: KeyId,
            _: &'a Tenant,
            _: Deadline,
        ) -> LocalBoxFuture<'a, Result<RequestVerdict, Error>> {
            Box::pin(async { Ok(RequestVerdict::Closed) })
        }

        fn may_fail(&self, _: IpAddr) -> Result<(), Duration> {
            Ok(())
        }

        fn failed(&self, _: IpAddr) -> Result<(), Duration> {
            Ok(())
        }
    }

    fn told(fields: QuotaFields, limit: u64, remaining: u64, reset_millis: u64) -> Vec<(String, String)> {
        let limited = Limited::new(Arc::new(Never), fields);
        let standing = RequestStanding { limit, remaining, reset: Duration::from_millis(reset_millis) };
        let mut headers = HeaderMap::new();
        limited.tell(&standing, &mut headers);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let mut all: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        all.sort();
        all
    }

    #[test]
    fn the_fields_are_those_that_the_general_writer_writes() {
        for (limit, remaining, reset) in [(60, 59, 60_000), (1, 0, 1), (4_294_967_295, 4_294_967_294, 59_001)] {
            let new = told(QuotaFields { legacy: false }, limit, remaining, reset);
            let both = told(QuotaFields { legacy: true }, limit, remaining, reset);
            assert_eq!(new, both[..2]);
            assert_eq!((both.len(), &*both[2].0), (5, "x-ratelimit-limit"));
        }
        let expected = [("ratelimit", "\"api\";r=59;t=60"), ("ratelimit-policy", "\"api\";q=60;w=60")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(told(QuotaFields { legacy: false }, 60, 59, 59_001), expected);
    }

    #[test]
    fn two_limits_that_share_a_place_in_memory_are_told_apart() {
        let limited = Limited::new(Arc::new(Never), QuotaFields { legacy: false });
        for _ in 0..2 {
            for limit in [60, 60 + REMEMBERED as u64] {
                assert_eq!(limited.policy(limit).unwrap(), format!("\"api\";q={limit};w=60"));
            }
        }
    }

    #[test]
    fn what_a_handler_has_said_of_quotas_stays() {
        let limited = Limited::new(Arc::new(Never), QuotaFields { legacy: true });
        let standing = RequestStanding { limit: 60, remaining: 1, reset: Duration::ZERO };
        let mut headers = HeaderMap::new();
        for name in [POLICY, STANDING] {
            headers.insert(name, HeaderValue::from_static("own"));
        }
        limited.tell(&standing, &mut headers);
        assert!(headers.len() == 2 && headers.iter().all(|(_, value)| value == "own"), "{headers:?}");
    }
}
