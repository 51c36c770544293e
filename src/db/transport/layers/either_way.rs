//! Hearing one database over either of two ways: natively, and over REST while that cannot be.
//!
//! REST only stands in where it is proved that both lead to one database. Until then nothing is written over REST
//! either, so what could be heard there would be of another database or of nobody. It does not matter which way others
//! publish: one database tells all who listen. So this does not follow the way that is in use, and a switch of
//! that disturbs nobody who hears.

use super::failover::{Proof, Switch};
use crate::base::id;
use crate::db::channel::Channel;
use crate::db::transport::{Subscriber, Subscribing};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Listens natively if it can be, else over REST.
pub struct EitherWay {
    native: Arc<dyn Subscriber>,
    rest: Arc<dyn Subscriber>,
    switch: Arc<Switch>,
}

impl EitherWay {
    /// Over two ways, of which `switch` knows whether they lead to one database.
    pub fn new(native: Arc<dyn Subscriber>, rest: Arc<dyn Subscriber>, switch: Arc<Switch>) -> Self {
        EitherWay { native, rest, switch }
    }
}

impl Subscriber for EitherWay {
    fn subscribe(&self, channel: &Channel) -> Subscribing {
        let (native, rest) = (self.native.clone(), self.rest.clone());
        let (switch, channel) = (self.switch.clone(), channel.clone());
        Box::pin(async move {
            let failure = match native.subscribe(&channel).await {
                Ok(messages) => return Ok(messages),
                Err(error) => error,
            };
            if switch.proof() != Proof::Same {
                return Err(failure);
            }
            let over_rest = rest.subscribe(&channel).await?;
            // Whoever listens then begins anew, natively, and looks for what it missed in between.
            let is_back = Box::pin(back(native, channel, switch.pace().failback_after));
            Ok(over_rest.take_until(is_back).boxed())
        })
    }
}

/// Waits until it can be listened natively again. That is tried as often as the way may be taken back.
async fn back(native: Arc<dyn Subscriber>, channel: Channel, every: Duration) {
    loop {
        sleep(every + id::random_part(every / 4)).await;
        if native.subscribe(&channel).await.is_ok() {
            return;
        }
    }
}
