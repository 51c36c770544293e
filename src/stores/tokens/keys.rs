//! The keys of this slice. A user's tokens lie in the user's partition, the settings of providers in the first one. Both
//! are sealed records of one shape. None of them has an expiry: `volatile-lru` evicts what has one, and a token is not to be
//! had again. Only what says that there was one has.

use crate::base::text::Name;
use crate::db::{Family, Key, Partition, TenantDb};

const TOKEN: Family = Family {
    name: "token",
    parts: "user:provider",
    kind: "hash",
    routed_by: "user",
    lives: "until it is deleted; without a refresh token until it has expired, which SESSION_CLEANUP_INTERVAL clears",
    holds: "sealed (envelope of all), details (envelope of what lists show), key (version of the data key), version, times (created, updated, expires ms; 0 is none), \
            refreshable (1 or 0); of a refresh: lease (SHA-256), lease_until (ms), revoked, retry_at (ms)",
    stays: None,
};

const USER_TOKENS: Family = Family {
    name: "user-tokens",
    parts: "user",
    kind: "zset",
    routed_by: "user",
    lives: "until it is empty",
    holds: "the providers of the user's tokens, every score 0; at most 1,000",
    stays: None,
};

const TOKEN_EXPIRIES: Family = Family {
    name: "token-expiries",
    parts: "",
    kind: "zset",
    routed_by: "user",
    lives: "until it is empty",
    holds: "tokens that end by themselves, as in sealed-records; score: when, ms",
    stays: None,
};

const TOKEN_FENCING: Family = Family {
    name: "token-fencing",
    parts: "",
    kind: "string",
    routed_by: "user",
    lives: "until the tenant is deleted",
    holds: "the number of the last lease in the partition",
    stays: None,
};

const TOKEN_EXPIRED: Family = Family {
    name: "token-expired",
    parts: "user:provider",
    kind: "string",
    routed_by: "user",
    lives: "24 h from when the token was found to have expired",
    holds: "1",
    stays: None,
};

const PROVIDER: Family = Family {
    name: "oauth-provider",
    parts: "provider",
    kind: "hash",
    routed_by: "nothing",
    lives: "until it is deleted",
    holds: "as token, of the settings and the client's credentials",
    stays: None,
};

const PROVIDERS: Family = Family {
    name: "oauth-providers",
    parts: "",
    kind: "zset",
    routed_by: "nothing",
    lives: "until it is empty",
    holds: "the names of the tenant's OAuth providers, every score 0; at most 1,000",
    stays: None,
};

const SEALED_RECORDS: Family = Family {
    name: "sealed-records",
    parts: "",
    kind: "zset",
    routed_by: "user, or nothing",
    lives: "until it is empty",
    holds: "what is sealed in the partition: t, the user's length in bytes, `:`, user, provider; or o, provider; score: version of the data key",
    stays: None,
};

const SEALING_FLOOR: Family = Family {
    name: "sealing-floor",
    parts: "",
    kind: "string",
    routed_by: "user, or nothing",
    lives: "until the tenant is deleted",
    holds: "the lowest version of a data key under which anything may still be written in the partition; 0 where it was only noted",
    stays: None,
};

const SEALED_PARTITIONS: Family = Family {
    name: "sealed-partitions",
    parts: "",
    kind: "zset",
    routed_by: "nothing",
    lives: "until the tenant is deleted",
    holds: "the partitions in which something may be sealed, two digits, every score 0",
    stays: None,
};

/// All of them, for `docs/keys.md`.
pub const FAMILIES: &[&Family] = &[
    &TOKEN,
    &USER_TOKENS,
    &TOKEN_EXPIRIES,
    &TOKEN_EXPIRED,
    &TOKEN_FENCING,
    &PROVIDER,
    &PROVIDERS,
    &SEALED_RECORDS,
    &SEALING_FLOOR,
    &SEALED_PARTITIONS,
];

/// What names a sealed record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum RecordName {
    /// A user's token.
    Token { user: Name, provider: Name },
    /// The settings of a provider.
    Provider(Name),
}

impl RecordName {
    pub(super) fn partition(&self) -> Partition {
        match self {
            RecordName::Token { user, .. } => Partition::of(user.as_str()),
            RecordName::Provider(_) => Partition::FIRST,
        }
    }

    /// The name in its list.
    pub(super) fn listed(&self) -> &str {
        match self {
            RecordName::Token { provider, .. } | RecordName::Provider(provider) => provider.as_str(),
        }
    }

    /// Injective: what [`RecordName::parse`] reads.
    pub(super) fn member(&self) -> String {
        match self {
            RecordName::Token { user, provider } => format!("t{}:{user}{provider}", user.as_str().len()),
            RecordName::Provider(provider) => format!("o{provider}"),
        }
    }

    pub(super) fn parse(member: &str) -> Option<RecordName> {
        if let Some(provider) = member.strip_prefix('o') {
            return Name::parse(provider).ok().map(RecordName::Provider);
        }
        let (length, names) = member.strip_prefix('t')?.split_once(':')?;
        let (user, provider) = names.split_at_checked(length.parse().ok()?)?;
        Some(RecordName::Token { user: Name::parse(user).ok()?, provider: Name::parse(provider).ok()? })
    }

    pub(super) fn key(&self, db: &TenantDb) -> Key {
        match self {
            RecordName::Token { user, provider } => {
                db.key(self.partition(), &TOKEN, &[user.as_str(), provider.as_str()])
            }
            RecordName::Provider(provider) => db.key(self.partition(), &PROVIDER, &[provider.as_str()]),
        }
    }

    /// The list in which it is.
    pub(super) fn list(&self, db: &TenantDb) -> Key {
        match self {
            RecordName::Token { user, .. } => user_tokens(db, user),
            RecordName::Provider(_) => providers(db),
        }
    }

    /// What says that it has expired. No provider does, so there its key is never written.
    pub(super) fn expired(&self, db: &TenantDb) -> Key {
        match self {
            RecordName::Token { user, provider } => {
                db.key(self.partition(), &TOKEN_EXPIRED, &[user.as_str(), provider.as_str()])
            }
            RecordName::Provider(provider) => db.key(self.partition(), &TOKEN_EXPIRED, &[provider.as_str()]),
        }
    }
}

pub(super) fn user_tokens(db: &TenantDb, user: &Name) -> Key {
    db.key(Partition::of(user.as_str()), &USER_TOKENS, &[user.as_str()])
}

pub(super) fn providers(db: &TenantDb) -> Key {
    db.key(Partition::FIRST, &PROVIDERS, &[])
}

pub(super) fn fencing(db: &TenantDb, partition: Partition) -> Key {
    db.key(partition, &TOKEN_FENCING, &[])
}

pub(super) fn expiries(db: &TenantDb, partition: Partition) -> Key {
    db.key(partition, &TOKEN_EXPIRIES, &[])
}

pub(super) fn sealed_records(db: &TenantDb, partition: Partition) -> Key {
    db.key(partition, &SEALED_RECORDS, &[])
}

pub(super) fn floor(db: &TenantDb, partition: Partition) -> Key {
    db.key(partition, &SEALING_FLOOR, &[])
}

pub(super) fn partitions(db: &TenantDb) -> Key {
    db.key(Partition::FIRST, &SEALED_PARTITIONS, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = Name> {
        "[to0-9:é]{1,6}".prop_map(|text| Name::parse(&text).unwrap())
    }

    proptest! {
        #[test]
        fn a_member_is_read_back_as_the_name_that_it_was_made_of(user in name(), provider in name()) {
            for record in [RecordName::Token { user, provider: provider.clone() }, RecordName::Provider(provider)] {
                prop_assert_eq!(RecordName::parse(&record.member()), Some(record));
            }
        }

        #[test]
        fn no_member_makes_it_panic(text in "[to0-9:é]{0,10}") {
            if let Some(record) = RecordName::parse(&text) {
                prop_assert_eq!(RecordName::parse(&record.member()), Some(record));
            }
        }
    }
}
