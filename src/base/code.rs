//! The public error codes: one table, which clients may rely on.
//!
//! A code never changes its meaning or its status. The table is free of HTTP types, so that a store
//! can name what went wrong without knowing who asks.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $title:literal;)*) => {
        /// What went wrong, in the words that clients see as `code`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The stable snake_case name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The HTTP status that goes with it (RFC 9110).
            pub const fn status(self) -> u16 {
                match self { $(Code::$name => $status,)* }
            }

            /// A short human-readable summary, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// Whether it says that too much is going on, and nothing else.
            pub const fn is_overload(self) -> bool {
                matches!(self, Code::Overloaded | Code::TenantBusy)
            }
        }
    };
}

codes! {
    /// The body is not JSON; `detail` has line and column.
    InvalidJson = "invalid_json", 400, "The body is not valid JSON";
    /// The cursor was not made by this list.
    InvalidCursor = "invalid_cursor", 400, "The cursor is not valid";
    /// A query parameter is unknown, repeated or malformed.
    InvalidQuery = "invalid_query", 400, "A query parameter is not valid";
    /// A header has a value that cannot be read.
    InvalidHeader = "invalid_header", 400, "A header is not valid";
    /// A name in the path is empty, too long, not UTF-8 or has control characters.
    InvalidName = "invalid_name", 400, "A name in the path is not valid";
    /// The evaluation context lacks the targeting key that the flag's rules need.
    TargetingKeyMissing = "targeting_key_missing", 400, "The targeting key is missing";
    /// The evaluation context is not one.
    InvalidContext = "invalid_context", 400, "The evaluation context is not valid";
    /// The flag's rules gave nothing that the flag has; who evaluates goes on with the default in the code.
    FlagFailed = "flag_evaluation_failed", 400, "The flag could not be evaluated";
    /// No credential, or one that is not known.
    Unauthorized = "unauthorized", 401, "Authentication is required";
    /// The refresh token is not known, or its session has ended.
    RefreshTokenInvalid = "refresh_token_invalid", 401, "The refresh token is not valid";
    /// The refresh token was used before: its whole family has been revoked.
    RefreshTokenReused = "refresh_token_reused", 401, "The refresh token was used before";
    /// The credential is good, its scopes do not allow this.
    InsufficientScope = "insufficient_scope", 403, "The key lacks the scope for this";
    /// The tenant has been suspended by an operator.
    TenantSuspended = "tenant_suspended", 403, "The tenant is suspended";
    /// No such route.
    NotFound = "not_found", 404, "There is nothing here";
    /// No such session, or it has ended.
    SessionNotFound = "session_not_found", 404, "There is no such session";
    /// No such tenant.
    TenantNotFound = "tenant_not_found", 404, "There is no such tenant";
    /// No such API key.
    KeyNotFound = "key_not_found", 404, "There is no such API key";
    /// No such policy.
    PolicyNotFound = "policy_not_found", 404, "There is no such rate limit policy";
    /// No such token.
    TokenNotFound = "token_not_found", 404, "There is no such token";
    /// No such OAuth provider.
    ProviderNotFound = "provider_not_found", 404, "There is no such OAuth provider";
    /// No such job.
    JobNotFound = "job_not_found", 404, "There is no such job";
    /// No such flag.
    FlagNotFound = "flag_not_found", 404, "There is no such flag";
    /// The set of flags never had this version, or it is kept no longer.
    FlagsetVersionNotFound = "flagset_version_not_found", 404, "There is no such version of the flags";
    /// No such reservation, or it has freed itself.
    ReservationNotFound = "reservation_not_found", 404, "There is no such reservation";
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405, "The method is not allowed here";
    /// The body did not arrive in time.
    RequestTimeout = "request_timeout", 408, "The request body took too long";
    /// The chosen session id is taken.
    SessionExists = "session_exists", 409, "A session with this id exists";
    /// The user has as many sessions as the tenant allows.
    SessionLimitReached = "session_limit_reached", 409, "The user has too many sessions";
    /// A tenant with the chosen id is being deleted; the id is free when that is done.
    TenantBeingDeleted = "tenant_being_deleted", 409, "A tenant with this id is being deleted";
    /// The lease is not in force any more: another one was given, or the token was changed; nothing was stored.
    LeaseLost = "lease_lost", 409, "The lease was lost";
    /// This server lacks a root key under which the tenant's data keys are wrapped; nothing was written.
    RootKeyUnknown = "root_key_unknown", 409, "The export needs another root key";
    /// The chosen tenant id is taken.
    TenantExists = "tenant_exists", 409, "A tenant with this id exists";
    /// The same `Idempotency-Key` is being worked on.
    IdempotencyKeyInUse = "idempotency_key_in_use", 409, "The first request with this key is still running";
    /// The reservation was committed with another cost, or cancelled.
    ReservationSettled = "reservation_settled", 409, "The reservation has been settled otherwise";
    /// Other writers kept changing the resource; nothing was written.
    EditConflict = "edit_conflict", 409, "The resource changed too often meanwhile";
    /// The token has expired, and there is no refresh token to get another one with.
    TokenExpired = "token_expired", 410, "The token has expired";
    /// The provider says that the refresh token is not valid any more: the user must consent again.
    TokenRevoked = "token_revoked", 410, "The token was revoked";
    /// `If-Match` or `If-None-Match` did not hold.
    VersionMismatch = "version_mismatch", 412, "The resource is not at the version asked for";
    /// The body is larger than `MAX_BODY_BYTES`.
    BodyTooLarge = "body_too_large", 413, "The body is too large";
    /// The body is not in a format that this endpoint reads.
    UnsupportedMediaType = "unsupported_media_type", 415, "The media type is not supported";
    /// The body is JSON, but not what this endpoint takes; `errors` points at each fault.
    ValidationFailed = "validation_failed", 422, "The body is not valid here";
    /// What was asked for is more than one answer may hold; fewer at a time will do.
    AnswerTooLarge = "answer_too_large", 422, "The answer would be too large";
    /// A line is not one of an export, the end is missing or does not fit; the tenant stays suspended and is to be purged.
    ImportInvalid = "import_invalid", 422, "The export cannot be read";
    /// The tenant has as many policies as it may.
    PolicyLimitReached = "policy_limit_reached", 422, "The tenant has too many rate limit policies";
    /// The key is limited over as many different windows as it may be.
    TooManyWindows = "too_many_windows", 422, "The key is limited over too many windows";
    /// The tenant has as many circuit breakers as it may.
    BreakerLimitReached = "breaker_limit_reached", 422, "The tenant has too many circuit breakers";
    /// The tenant's flags are too large together.
    FlagsetTooLarge = "flagset_too_large", 422, "The set of flags would be too large";
    /// The user has as many tokens as a user may.
    TokenLimitReached = "token_limit_reached", 422, "The user has too many tokens";
    /// The tenant has as many OAuth providers as it may.
    ProviderLimitReached = "provider_limit_reached", 422, "The tenant has too many OAuth providers";
    /// The same `Idempotency-Key` came with another request before.
    IdempotencyKeyReused = "idempotency_key_reused", 422, "The key was used with another request";
    /// A limit was reached; `Retry-After` says when it is worth asking again.
    RateLimited = "rate_limited", 429, "Too many requests";
    /// The tenant, or all tenants together, have as many event streams open as there may be.
    TooManyStreams = "too_many_streams", 429, "Too many event streams are open";
    /// A defect of this server.
    Internal = "internal_error", 500, "The server made a mistake";
    /// The token is past its end and the OAuth provider did not give another one.
    TokenRefreshFailed = "token_refresh_failed", 502, "The OAuth provider did not refresh the token";
    /// The server has no key to encrypt secrets with.
    VaultNotConfigured = "vault_not_configured", 503, "The vault is not configured";
    /// This server lacks the root key under which something was encrypted.
    VaultKeyMissing = "vault_key_missing", 503, "The server lacks an encryption key";
    /// The backend cannot be asked, or did not answer in time.
    BackendUnavailable = "backend_unavailable", 503, "The backend is not available";
    /// The server has as much to do as it can do in time; nothing was done for this request.
    Overloaded = "overloaded", 503, "The server has too much to do";
    /// The tenant has as many requests in flight as it may; nothing was done for this one.
    TenantBusy = "tenant_busy", 503, "The tenant has too many requests in flight";
    /// The backend has no memory left for what grows.
    StorageFull = "storage_full", 507, "The storage is full";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_is_unique_snake_case_and_an_error_status() {
        let mut seen = HashSet::new();
        for code in Code::ALL {
            let name = code.as_str();
            assert!(seen.insert(name), "{name} stands twice");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!((400..600).contains(&code.status()), "{name}");
            assert!(!code.title().is_empty());
        }
    }
}
