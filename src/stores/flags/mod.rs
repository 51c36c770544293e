//! Feature flags: what a tenant's clients are to see, decided by rules that the tenant writes.

pub mod rules;
