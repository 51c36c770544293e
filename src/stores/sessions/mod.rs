//! Sessions: who is signed in where, and for how long.
//!
//! Every change is one script, so that a logout and a save, two refreshes or two patches never mix; a read
//! is one command. Ids and refresh tokens are secrets of the client: the backend holds their SHA-256. Time
//! is the backend's.
//!
//! A session lies in the partition of its user, which its id carries; one under an id that a client chose
//! lies where that id says, and the user's home partition knows of it before it is there. Each partition has
//! its own indexes, so each script has all its keys in one place.

mod bodies;
mod counts;
mod create;
mod id;
mod json;
pub mod keys;
mod list;
mod merge_patch;
mod record;
mod refresh;
mod refresh_token;
mod revoke;
pub mod routes;
pub mod scripts;
mod settings;
pub mod standby;
mod store;
mod types;
mod upkeep;
mod write;

pub use crate::base::json_object::{JsonObject, ObjectPatch};
pub use counts::SessionCounts;
pub use id::{SessionId, SessionRef};
pub use keys::FAMILIES;
pub use scripts::SCRIPTS;
pub use settings::{SessionFallback, SessionSettings};
pub use store::Sessions;
pub use types::{
    CreateOutcome, Cursor, Error, NewSession, Page, PatchOutcome, PatchSession, PutOutcome, PutSession, RefreshOutcome,
    RefreshToken, RenewOutcome, RevokeOutcome, Session, Touch,
};
pub use upkeep::Upkeep;
