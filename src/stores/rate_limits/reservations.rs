//! Reservations: units that are held for a use whose cost is not known yet.
//!
//! What is held stands beside what is used, so a check sees both in one read. The record of a reservation says whose
//! it is, so that its id is all that a client needs, and remembers how it was settled.

use super::across::ID_LENGTH;
use super::exchange::{Answer, Exchange};
use super::record::Record;
use super::store::RateLimits;
use super::types::{Check, Error, Reservation, ReserveOutcome, SettleOutcome, Settlement};
use super::{keys, scripts};
use crate::base::clock::Timestamp;
use crate::base::id::{NoRandomness, is_base62, random_base62};
use crate::base::text::Name;
use crate::db::{self, Command, Partition};
use std::time::Duration;

const PREFIX: &str = "rsv_";
/// How long it is known how a reservation was settled, at least.
const SETTLED: Duration = Duration::from_secs(60);

impl RateLimits {
    /// Holds what the check asks for, until it is settled or `hold` is over.
    pub async fn reserve(&self, check: &Check, hold: Duration) -> Result<ReserveOutcome, Error> {
        let at = check.subject.partition();
        let id = random_base62(ID_LENGTH)?;
        let name = Name::parse(&format!("{PREFIX}{}{id}", at.digits())).map_err(|_| NoRandomness)?;
        let record = keys::reservation(&self.db, at, &id);
        let exchange = Exchange::new(&self.db, at, vec![check]);
        let (lasts, written) = (hold.as_millis().max(1).to_string(), Record::of(check).write());
        let command = exchange.command(&scripts::HOLD, &[&id, &lasts, &written], Some(&record));
        let reply = self.db.run(command).await?;
        let Answer::Decided(decisions, ends) = exchange.read(reply)? else { return Ok(ReserveOutcome::TooManyWindows) };
        let (Some(decision), Some(ends)) = (decisions.first().copied(), ends) else {
            return Err(db::Error::unexpected("a decision").into());
        };
        let reservation = Reservation { id: name, expires_at: Timestamp::from_millis(ends) };
        Ok(ReserveOutcome::Decided(decision, (decision.allowed || check.shadow).then_some(reservation)))
    }

    /// Counts what was used in place of what was held. The same again is answered the same, and counted once.
    pub async fn settle(&self, id: &Name, how: Settlement) -> Result<SettleOutcome, Error> {
        let Some((at, hold)) = parse(id) else { return Ok(SettleOutcome::Absent) };
        let key = keys::reservation(&self.db, at, hold);
        let Some(stored) = self.db.run(Command::get(&key)).await?.optional_bytes()? else {
            return Ok(SettleOutcome::Absent);
        };
        let check = Record::read(&stored).ok_or(db::Error::unexpected("a reservation"))?.check();
        let used = match how {
            Settlement::Commit(units) => units,
            Settlement::Cancel => 0,
        };
        let exchange = Exchange::new(&self.db, at, vec![&check]);
        let first = [hold, &used.to_string(), &SETTLED.as_millis().to_string()];
        let [word] = self.db.run(exchange.command(&scripts::SETTLE, &first, Some(&key))).await?.array_of()?;
        Ok(match word.text()?.as_str() {
            "settled" => SettleOutcome::Settled(used),
            "otherwise" => SettleOutcome::SettledOtherwise,
            "absent" => SettleOutcome::Absent,
            _ => return Err(db::Error::unexpected("a known word").into()),
        })
    }
}

/// The partition and the hold that an id names.
fn parse(id: &Name) -> Option<(Partition, &str)> {
    let (digits, hold) = id.as_str().strip_prefix(PREFIX)?.split_at_checked(2)?;
    (hold.len() == ID_LENGTH && is_base62(hold)).then_some((Partition::parse(digits)?, hold))
}
