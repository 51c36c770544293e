//! Encrypted tokens of a tenant's users.

pub mod oauth;
