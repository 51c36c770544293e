//! Floor 1: Redis. What may be said ([`Command`], [`Script`]), where ([`Key`], made for a tenant by a
//! [`TenantDb`] and by nobody else), what comes back ([`Reply`], [`Error`]), what is
//! heard of others ([`Channel`], [`Listener`]) and, below all that, who carries it ([`transport`]).

mod backend_clock;
mod channel;
mod command;
mod database;
mod error;
mod examination;
mod key;
mod listener;
mod operation;
mod outage;
mod reply;
mod scan;
mod script;
mod server_info;
mod slow_log;
pub mod transport;

pub use backend_clock::BackendClock;
pub use channel::Channel;
pub use command::{Batch, COMMANDS, Command, Effect, Expiry};
pub use database::{Database, SystemDb, TenantDb};
pub use error::{Delivery, Error, ErrorKind, Refusal, TOO_LONG};
pub use examination::{EXAMINATION_FAMILIES, Examination, Latency};
pub use key::{Family, Key, Partition};
pub use listener::{Heard, Listener};
pub use operation::FAMILIES;
pub use outage::Outage;
pub use reply::Reply;
pub use scan::{ScanCursor, Scanned};
pub use script::Script;
pub use server_info::ServerInfo;
pub use slow_log::SlowCommand;
