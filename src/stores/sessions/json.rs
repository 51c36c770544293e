//! A session as JSON, written by hand: its names are known, most of its values need no escaping, and what
//! the client stored is JSON already. A general serialiser looks at each of these bytes, for every read.

use super::types::{RefreshToken, Session};
use crate::base::clock::Timestamp;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

impl Session {
    /// Appends the session as a JSON object.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        self.write_members(out);
        out.push(b'}');
    }

    /// Appends the session with its refresh token, where it has one, as a JSON object.
    pub fn write_json_with(&self, refresh: Option<&RefreshToken>, out: &mut Vec<u8>) {
        self.write_members(out);
        if let Some(refresh) = refresh {
            out.extend_from_slice(br#","refresh_token":"#);
            write_text(refresh.token.expose(), out);
            out.extend_from_slice(br#","refresh_expires_at":"#);
            write_time(refresh.expires_at, out);
        }
        out.push(b'}');
    }

    fn write_members(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        if let Some(id) = &self.id {
            out.extend_from_slice(br#""id":"#);
            write_text(id.as_str(), out);
            out.push(b',');
        }
        out.extend_from_slice(br#""ref":""#);
        self.reference.write(out);
        out.extend_from_slice(br#"","user_id":"#);
        write_text(self.user_id.as_str(), out);
        if let Some(data) = &self.data {
            out.extend_from_slice(br#","data":"#);
            out.extend_from_slice(data.as_str().as_bytes());
        }
        out.extend_from_slice(br#","metadata":"#);
        out.extend_from_slice(self.metadata.as_str().as_bytes());
        out.extend_from_slice(br#","version":"#);
        write_number(self.version, out);
        for (name, time) in [
            (br#","created_at":"#.as_slice(), self.created_at),
            (br#","last_activity":"#, self.last_activity),
            (br#","expires_at":"#, self.expires_at),
        ] {
            out.extend_from_slice(name);
            write_time(time, out);
        }
        out.extend_from_slice(br#","absolute_expires_at":"#);
        match self.absolute_expires_at {
            Some(time) => write_time(time, out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#","ttl":"#);
        write_number(self.ttl, out);
    }
}

/// Within a list or a batch.
impl Serialize for Session {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Vec::with_capacity(512);
        self.write_json(&mut text);
        let text = String::from_utf8(text).map_err(S::Error::custom)?;
        RawValue::from_string(text).map_err(S::Error::custom)?.serialize(serializer)
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        let written = serde_json::to_writer(out, text);
        debug_assert!(written.is_ok(), "text can be written to memory");
    }
}

fn write_time(time: Timestamp, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(&time.rfc3339());
    out.push(b'"');
}

fn write_number(number: u64, out: &mut Vec<u8>) {
    let written = serde_json::to_writer(out, &number);
    debug_assert!(written.is_ok(), "a number can be written to memory");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use crate::base::text::Name;
    use crate::stores::sessions::{JsonObject, SessionId};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn session(id: &str, user: &str) -> Session {
        let id = Name::parse(id).unwrap();
        let object = |text: &str| JsonObject::parse(text.as_bytes()).unwrap();
        Session {
            reference: SessionId::parse(&id).reference().clone(),
            id: Some(id),
            user_id: Name::parse(user).unwrap(),
            data: Some(object(r#"{"n": 1.0e2}"#)),
            metadata: object("{}"),
            version: 7,
            created_at: Timestamp::from_millis(1_800_000_000_000),
            last_activity: Timestamp::from_millis(1_800_000_000_001),
            expires_at: Timestamp::from_millis(1_800_003_600_000),
            absolute_expires_at: None,
            ttl: 3600,
        }
    }

    #[test]
    fn it_has_the_members_of_the_contract_and_the_clients_text_as_it_was() {
        let mut text = Vec::new();
        let token = RefreshToken { token: Secret::new("rft_x".into()), expires_at: Timestamp::from_millis(0) };
        session("s", "u").write_json_with(Some(&token), &mut text);
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(r#""data":{"n": 1.0e2},"#), "{text}");
        let read: Value = serde_json::from_str(&text).unwrap();
        let names: Vec<_> = read.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = [
            "id",
            "ref",
            "user_id",
            "data",
            "metadata",
            "version",
            "created_at",
            "last_activity",
            "expires_at",
            "absolute_expires_at",
            "ttl",
            "refresh_token",
            "refresh_expires_at",
        ];
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert_eq!(read["created_at"], json!("2027-01-15T08:00:00.000Z"));
        assert_eq!(
            (&read["version"], &read["ttl"], &read["absolute_expires_at"]),
            (&json!(7), &json!(3600), &Value::Null)
        );
        assert_eq!(read["ref"].as_str(), Some(session("s", "u").reference.to_string().as_str()));
        let listed = Session { id: None, data: None, ..session("s", "u") };
        let listed = serde_json::to_value(&listed).unwrap();
        assert!(listed.get("id").is_none() && listed.get("data").is_none());
    }

    proptest! {
        #[test]
        fn any_name_is_written_as_json(id in "[^\\x00-\\x1f\\x7f-\\u{9f}]{1,40}", user in "[^\\x00-\\x1f\\x7f-\\u{9f}]{1,40}") {
            let mut text = Vec::new();
            session(&id, &user).write_json(&mut text);
            let read: Value = serde_json::from_slice(&text).unwrap();
            prop_assert_eq!(read["id"].as_str(), Some(id.as_str()));
            prop_assert_eq!(read["user_id"].as_str(), Some(user.as_str()));
        }
    }
}
