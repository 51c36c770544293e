//! What commands print: texts, tables and JSON on standard output, and what went wrong on standard error.

use serde_json::Value;
use std::io::Write as _;
use std::process::ExitCode;

/// Prints to standard output; a reader that has gone away is no failure.
pub(super) fn print(text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Says on standard error what is wrong.
pub(super) fn complain(what: &str, code: u8) -> ExitCode {
    // When standard error is closed there is nobody left to tell; the exit code still says it.
    match writeln!(std::io::stderr().lock(), "agentapi: {what}") {
        Ok(()) | Err(_) => ExitCode::from(code),
    }
}

/// A member as people read it.
pub(super) fn shown(value: &Value, member: &str) -> String {
    match value.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// Rows of aligned columns; the last is as wide as it is.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_no_line_ends_with_blanks() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(table(&[row(["ID", "NAME"]), row(["acmé-1", ""])]), "ID      NAME\nacmé-1\n");
        assert_eq!(table(&[]), "");
    }
}
