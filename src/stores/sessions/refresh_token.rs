//! The refresh token: `rft_`, two digits of its partition, its family, its secret and a checksum.
//!
//! The family is as random as the secret and as little stored, so a token of a known family was made here
//! once. The successor of a token is derived from its secret and a salt that the backend keeps: a repeated
//! presentation gets the same answer again, although nothing that is stored could be presented.

use super::id::SessionId;
use super::types::Error;
use crate::base::id;
use crate::base::secret::Secret;
use crate::db::Partition;
use std::fmt;

const PREFIX: &str = "rft_";
const CHECKSUM: usize = 6;

/// A well-formed refresh token.
#[derive(Clone)]
pub struct Token {
    /// Where its family and its session lie.
    pub partition: Partition,
    family: Secret,
    secret: Secret,
}

impl Token {
    /// The first token of a new family.
    pub fn random(partition: Partition) -> Result<Token, Error> {
        let family = Secret::new(id::random_base64url()?);
        Ok(Token { partition, family, secret: Secret::new(id::random_base64url()?) })
    }

    /// Reads a token; nothing if it is malformed or its checksum is wrong.
    pub fn parse(text: &str) -> Option<Token> {
        let (body, checksum) = text.split_at_checked(text.len().checked_sub(CHECKSUM)?)?;
        let (digits, secrets) = body.strip_prefix(PREFIX)?.split_at_checked(2)?;
        let (family, secret) = secrets.split_at_checked(id::SECRET_LENGTH)?;
        let whole =
            id::is_base64url_256(family) && id::is_base64url_256(secret) && checksum.chars().eq(id::checksum(body));
        whole.then_some(())?;
        Some(Token {
            partition: Partition::parse(digits)?,
            family: Secret::new(family.to_owned()),
            secret: Secret::new(secret.to_owned()),
        })
    }

    /// The token as its bearer keeps it.
    pub fn text(&self) -> Secret {
        let mut text = format!("{PREFIX}{}{}{}", self.partition.digits(), self.family.expose(), self.secret.expose());
        let checksum = id::checksum(&text);
        text.extend(checksum);
        Secret::new(text)
    }

    /// What stands for the family in the backend.
    pub fn family_fingerprint(&self) -> String {
        id::fingerprint(self.family.expose())
    }

    /// What stands for the secret in the backend.
    pub fn secret_fingerprint(&self) -> String {
        id::fingerprint(self.secret.expose())
    }

    /// The token and the session id that follow on this token under `salt`: the same ones each time.
    pub fn successor(&self, salt: &str) -> Result<(Token, SessionId), Error> {
        let derive = |purpose| id::derived_base64url(self.secret.expose(), salt, purpose);
        let token = Token { secret: Secret::new(derive("agentapi refresh token")?), ..self.clone() };
        let session = SessionId::from_secret(self.partition, &derive("agentapi session id")?)?;
        Ok((token, session))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_read_back_and_any_changed_character_is_noticed() {
        let token = Token::random(Partition::of("u")).unwrap();
        let text = token.text().expose().to_owned();
        assert_eq!(text.len(), 4 + 2 + 43 + 43 + 6);
        let read = Token::parse(&text).unwrap();
        assert_eq!(read.text().expose(), text);
        assert_eq!(read.secret_fingerprint(), token.secret_fingerprint());
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            assert!(Token::parse(std::str::from_utf8(&bytes).unwrap()).is_none(), "{at}");
        }
    }

    #[test]
    fn a_successor_follows_from_secret_and_salt_alone() {
        let token = Token::random(Partition::of("u")).unwrap();
        let (next, session) = token.successor("salt").unwrap();
        let (again, same) = token.successor("salt").unwrap();
        assert_eq!((next.text().expose(), &session), (again.text().expose(), &same));
        assert_eq!(next.family_fingerprint(), token.family_fingerprint());
        assert_eq!(session.reference().partition, token.partition);
        let (other, elsewhere) = token.successor("pepper").unwrap();
        assert_ne!(other.text().expose(), next.text().expose());
        assert_ne!(elsewhere, session);
        assert!(!session.name().as_str().contains(&next.text().expose()[49..92]), "each has its own purpose");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_fail(text in "\\PC{0,120}") {
            prop_assert!(Token::parse(&text).is_none());
        }
    }
}
