//! The application's endpoint table, for tests that walk all of it.

use super::app::{Answer, Caller};
use agentapi::http::Access;
use reqwest::Method;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub method: Method,
    /// The path, names in braces.
    pub path: String,
    pub access: Access,
}

impl Row {
    /// The path with a value for each name; values are percent-encoded already.
    pub fn filled(&self, value: impl Fn(&str) -> String) -> String {
        let segment = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => value(name),
            None => segment.to_owned(),
        };
        self.path.split('/').map(segment).collect::<Vec<_>>().join("/")
    }

    /// The path with some value for each name.
    pub fn any_path(&self) -> String {
        self.filled(|name| format!("some-{name}").replace('_', "-"))
    }

    /// Sends a request to this row, with a body that no endpoint can read where the method may have one.
    pub async fn send_garbage(&self, caller: &Caller) -> Answer {
        let body = (!matches!(self.method, Method::GET | Method::HEAD)).then(|| b"{ no json \xff".to_vec());
        caller.send(self.method.clone(), &self.any_path(), body).await
    }

    /// Checks for a refusal; an answer to `HEAD` has no body to look at.
    #[track_caller]
    pub fn refused(&self, answer: &Answer, status: u16, code: &str) {
        if self.method == Method::HEAD {
            assert_eq!(answer.status.as_u16(), status, "{self:?}: {answer:?}");
        } else {
            assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (status, Some(code)), "{self:?}");
            answer.refused(status, code);
        }
    }
}

/// All rows, in the order of the table.
pub fn rows() -> Vec<Row> {
    let row = |row: &agentapi::http::Endpoint| Row {
        method: row.method.as_str().parse().expect("a method"),
        path: row.path.clone(),
        access: row.access,
    };
    let rows: Vec<Row> = agentapi::app::described().rows().map(row).collect();
    assert!(rows.len() > 20, "the table has {} rows", rows.len());
    rows
}

/// The rows that this access picks.
pub fn rows_where(wanted: impl Fn(Access) -> bool) -> Vec<Row> {
    let picked: Vec<Row> = rows().into_iter().filter(|row| wanted(row.access)).collect();
    assert!(!picked.is_empty());
    picked
}
