//! Places for event streams, which are open for long and do little: so they take none of those for requests.

use super::{Admission, Crowd, Entrance, Taken};
use crate::http::problem::Problem;
use crate::tenancy::Tenant;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A place among the open event streams; given back when it is dropped.
pub(in crate::http) struct StreamPlace {
    admission: Arc<Admission>,
    share: Option<Arc<Taken>>,
}

impl Entrance {
    /// A place for a stream, of this tenant's where it has one.
    ///
    /// # Errors
    /// 429 `too_many_streams` when there is none.
    pub(in crate::http) fn open_stream(&self, tenant: Option<&Arc<Tenant>>) -> Result<StreamPlace, Problem> {
        let admission = self.admission.clone();
        let share = tenant.map(|tenant| Arc::clone(&self.counter(tenant)));
        let all = admission.streams.fetch_add(1, Relaxed);
        let own = share.as_ref().map_or(0, |share| share.streams.fetch_add(1, Relaxed));
        // Dropping the place gives it back.
        let place = StreamPlace { admission, share };
        if own >= place.admission.most_streams_of_tenant {
            return Err(place.admission.refuse(Crowd::StreamsOfTenant));
        }
        if all < place.admission.most_streams { Ok(place) } else { Err(place.admission.refuse(Crowd::Streams)) }
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.admission.streams.fetch_sub(1, Relaxed);
        if let Some(share) = &self.share {
            share.streams.fetch_sub(1, Relaxed);
        }
    }
}
