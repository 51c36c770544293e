//! What names a session: the id, which is a secret and is never stored, and the reference, which is
//! stored, may be shown, and is good for revoking alone. If a reference could read, a dump of the
//! backend could be replayed.

use crate::base::id::{self, NoRandomness};
use crate::base::text::Name;
use crate::db::Partition;
use std::fmt;

const ID_PREFIX: &str = "ses_";
const REFERENCE_PREFIX: &str = "sref_";

/// The id of a session: `ses_`, two digits of its partition and 256 random bits in base64url; or any
/// other name that a client chose.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId {
    name: Name,
    reference: SessionRef,
    reserved: bool,
}

impl SessionId {
    /// Reads any name as an id. One that looks like a server's id or reference without being an id
    /// names no session, ever.
    pub fn parse(name: &Name) -> SessionId {
        let text = name.as_str();
        let known = partition_and_rest(text, ID_PREFIX);
        let reserved = known.is_none() && (text.starts_with(ID_PREFIX) || text.starts_with(REFERENCE_PREFIX));
        let partition = known.map_or_else(|| Partition::of(text), |(partition, _)| partition);
        let reference = SessionRef { partition, fingerprint: id::fingerprint(text) };
        SessionId { name: name.clone(), reference, reserved }
    }

    /// A new id in a partition.
    pub(super) fn random(partition: Partition) -> Result<SessionId, NoRandomness> {
        Self::from_secret(partition, &id::random_base64url()?)
    }

    /// The id that holds this secret, 43 characters of base64url.
    pub(super) fn from_secret(partition: Partition, secret: &str) -> Result<SessionId, NoRandomness> {
        let text = format!("{ID_PREFIX}{}{secret}", partition.digits());
        Name::parse(&text).map(|name| SessionId::parse(&name)).map_err(|_| NoRandomness)
    }

    /// The id itself: a secret.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What stands for it in the backend and in lists.
    pub fn reference(&self) -> &SessionRef {
        &self.reference
    }

    /// Whether it begins like an id or a reference of the server's without being an id. No session is
    /// created under such a name.
    pub fn is_reserved(&self) -> bool {
        self.reserved
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId")
    }
}

/// The public reference of a session: `sref_`, two digits of its partition and the id's SHA-256 in
/// base64url. It revokes, and it neither reads nor writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionRef {
    pub(super) partition: Partition,
    pub(super) fingerprint: String,
}

impl SessionRef {
    /// What a client names when it revokes: a reference, or the id itself.
    pub fn to_revoke(name: &Name) -> SessionRef {
        match partition_and_rest(name.as_str(), REFERENCE_PREFIX) {
            Some((partition, fingerprint)) => SessionRef { partition, fingerprint: fingerprint.to_owned() },
            None => SessionId::parse(name).reference,
        }
    }
}

impl SessionRef {
    /// Appends the reference, which is all of `[0-9A-Za-z_-]`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(REFERENCE_PREFIX.as_bytes());
        out.extend_from_slice(&self.partition.hex());
        out.extend_from_slice(self.fingerprint.as_bytes());
    }
}

impl fmt::Display for SessionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{REFERENCE_PREFIX}{}{}", self.partition.digits(), self.fingerprint)
    }
}

impl serde::Serialize for SessionRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Splits `prefix`, two digits and 43 characters; nothing else will do.
fn partition_and_rest<'a>(text: &'a str, prefix: &str) -> Option<(Partition, &'a str)> {
    let (digits, rest) = text.strip_prefix(prefix)?.split_at_checked(2)?;
    id::is_base64url_256(rest).then_some(())?;
    Some((Partition::parse(digits)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn an_id_of_the_server_carries_its_partition() {
        let partition = Partition::of("somebody");
        let made = SessionId::random(partition).unwrap();
        assert_eq!(made.name().as_str().len(), 4 + 2 + 43);
        assert_eq!(SessionId::parse(made.name()), made);
        assert_eq!(made.reference().partition, partition);
        assert!(!made.is_reserved());
    }

    #[test]
    fn a_chosen_id_lies_where_its_own_text_says() {
        let chosen = SessionId::parse(&name("my session/*"));
        assert_eq!(chosen.reference().partition, Partition::of("my session/*"));
        assert!(!chosen.is_reserved());
    }

    #[test]
    fn names_that_only_look_like_the_servers_are_reserved() {
        let digest = id::fingerprint("x");
        for text in ["ses_", "sref_", "ses_00abc", &format!("ses_0G{digest}"), &format!("ses_00{digest}x")] {
            assert!(SessionId::parse(&name(text)).is_reserved(), "{text}");
        }
        assert!(SessionId::parse(&name(&format!("sref_00{digest}"))).is_reserved());
        assert!(!SessionId::parse(&name("session_1")).is_reserved());
    }

    #[test]
    fn a_reference_revokes_and_does_not_read() {
        let made = SessionId::random(Partition::of("u")).unwrap();
        let shown = name(&made.reference().to_string());
        assert_eq!(&SessionRef::to_revoke(&shown), made.reference());
        assert_eq!(&SessionRef::to_revoke(made.name()), made.reference());
        assert_ne!(SessionId::parse(&shown).reference(), made.reference());
    }

    #[test]
    fn a_printed_id_does_not_show_itself() {
        let made = SessionId::random(Partition::of("u")).unwrap();
        assert!(!format!("{made:?}").contains(made.name().as_str()));
    }
}
