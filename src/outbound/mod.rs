//! Floor 1: requests to servers that tenants name. A tenant must not reach through this server what it could not reach
//! itself, so every address is judged after its name was resolved, and only what was judged is connected to. No redirect
//! is followed, no proxy of the environment is used, and time and size are bounded.

mod address;
mod client;
mod settings;
mod target;

pub use client::{Failure, Outbound, Received};
pub use settings::OutboundSettings;
pub use target::{NotATarget, TargetUrl};
