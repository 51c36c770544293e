//! `agentapi export` and `import`: a tenant as a file, over a running server.
//!
//! What comes is checked as it passes: a file that was broken off on the way does not get the name that was asked for.

use super::admin_api::{AdminApi, ask};
use super::output::{complain, print, shown};
use crate::base::text::TenantId;
use crate::tenancy::transfer::{LONGEST_LINE, Line, Tally};
use clap::ArgMatches;
use futures_util::{Stream, StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::sync::mpsc;

/// How many bytes are read from a file at once, and how many such pieces wait for the network.
const PIECE: usize = 64 * 1024;
const WAITING: usize = 4;

/// Runs `agentapi export` or `agentapi import`: 1 when it failed, 2 when it was called wrongly.
pub(super) fn run(what: &str, given: &ArgMatches) -> ExitCode {
    let text = |name| given.try_get_one::<String>(name).ok().flatten();
    // A text that no id can be must not become another path.
    let Some(tenant) = text("tenant").and_then(|id| TenantId::parse(id).ok()) else {
        return complain("--tenant: is not a tenant's id: a-z, 0-9 and '-', 2 to 63 characters", 2);
    };
    let path = format!("/admin/v1/tenants/{tenant}/{what}");
    let file = |name| text(name).filter(|path| *path != "-").map(PathBuf::from);
    ask(given, async |api, json| match what {
        "export" => export(api, &path, file("output").as_deref(), json).await,
        _ => import(api, &path, file("input").as_deref(), json).await,
    })
}

fn progress(what: &str, length: Option<u64>) -> Result<ProgressBar, String> {
    let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let template = match length {
        Some(_) => "{prefix} [{bar:40}] {bytes}/{total_bytes} {binary_bytes_per_sec} eta {eta}",
        None => "{prefix} {spinner} {bytes} {binary_bytes_per_sec}",
    };
    let style = ProgressStyle::with_template(template).map_err(|_| "the progress bar is none")?;
    bar.set_style(style.progress_chars("=> "));
    bar.set_prefix(what.to_owned());
    Ok(bar)
}

/// Looks at the lines of an export as they pass, whatever pieces they come in.
#[derive(Default)]
struct Checked {
    line: Vec<u8>,
    tally: Tally,
    is_whole: bool,
}

impl Checked {
    fn take(&mut self, piece: &[u8]) -> Result<(), String> {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > LONGEST_LINE + 1 {
                return Err("what comes is no export: a line is too long".to_owned());
            }
            if self.line.pop_if(|byte| *byte == b'\n').is_some() {
                self.is_whole = match Line::parse(&self.line) {
                    Ok(Line::End(end)) => end == self.tally.end(),
                    _ => false,
                };
                self.tally.add(&self.line);
                self.line.clear();
            }
        }
        Ok(())
    }
}

async fn export(api: &AdminApi, path: &str, file: Option<&Path>, json: bool) -> Result<ExitCode, String> {
    let failed = |error: io::Error| format!("the file cannot be written: {}", error.kind());
    let mut answer = api.open(path).await?;
    let partial = file.map(|file| file.with_added_extension("partial"));
    let mut out: Box<dyn Write> = match &partial {
        Some(path) => Box::new(File::create(path).map_err(failed)?),
        None => Box::new(io::stdout()),
    };
    let (bar, mut checked) = (progress("export", None)?, Checked::default());
    while let Some(piece) = answer.chunk().await.map_err(|_| "the export was broken off: try again".to_owned())? {
        checked.take(&piece)?;
        out.write_all(&piece).map_err(failed)?;
        bar.inc(piece.len() as u64);
    }
    out.flush().map_err(failed)?;
    bar.finish_and_clear();
    if !checked.is_whole || !checked.line.is_empty() {
        return Err("the export was broken off: try again".to_owned());
    }
    let lines = checked.tally.lines();
    let (Some(file), Some(partial)) = (file, partial) else { return Ok(ExitCode::SUCCESS) };
    std::fs::rename(partial, file).map_err(failed)?;
    Ok(if json {
        print(&format!("{}\n", json!({"lines": lines})))
    } else {
        print(&format!("{lines} lines exported\n"))
    })
}

/// The pieces of a file, read on a thread of their own as they are taken.
fn pieces(mut from: impl Read + Send + 'static, bar: ProgressBar) -> impl Stream<Item = io::Result<Vec<u8>>> + Send {
    let (send, receive) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let read = from.read(&mut piece).map(|length| {
                piece.truncate(length);
                piece
            });
            let is_last = read.as_ref().map_or(true, Vec::is_empty);
            // Nobody takes them any more where the server has refused the rest.
            if read.as_ref().is_ok_and(Vec::is_empty) || send.blocking_send(read).is_err() || is_last {
                return;
            }
        }
    });
    let stream =
        stream::unfold(receive, |mut receive| async move { receive.recv().await.map(|piece| (piece, receive)) });
    stream.inspect(move |piece| bar.inc(piece.as_ref().map_or(0, |piece| piece.len() as u64)))
}

async fn import(api: &AdminApi, path: &str, file: Option<&Path>, json: bool) -> Result<ExitCode, String> {
    let failed = |error: io::Error| format!("the file cannot be read: {}", error.kind());
    let (from, length): (Box<dyn BufRead + Send>, _) = match file {
        Some(path) => {
            let file = File::open(path).map_err(failed)?;
            let length = file.metadata().map_err(failed)?.len();
            (Box::new(BufReader::new(file)), Some(length))
        }
        None => (Box::new(BufReader::new(io::stdin())), None),
    };
    let bar = progress("import", length)?;
    let imported = api.send_lines(path, pieces(from, bar.clone())).await;
    bar.finish_and_clear();
    let imported = imported?;
    if json {
        return Ok(print(&format!("{imported}\n")));
    }
    let (keys, entries) = (shown(&imported, "api_keys"), shown(&imported, "entries"));
    Ok(print(&format!("imported: {keys} API keys, {entries} lines of data\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_whole_only_with_its_own_end_whatever_pieces_it_comes_in() {
        let mut tally = Tally::default();
        let mut text = Vec::new();
        for line in [Line::ApiKey("a".into()), Line::ApiKey("b".into())] {
            let line = line.text().unwrap();
            tally.add(&line);
            text.extend([&line[..], b"\n"].concat());
        }
        text.extend([&Line::End(tally.end()).text().unwrap()[..], b"\n"].concat());
        let is_whole = |text: &[u8], size: usize| {
            let mut checked = Checked::default();
            text.chunks(size).for_each(|piece| checked.take(piece).unwrap());
            checked.is_whole && checked.line.is_empty()
        };
        for size in [1, 2, 7, 1000] {
            assert!(is_whole(&text, size), "{size}");
            for end in 0..text.len() {
                assert!(!is_whole(&text[..end], size), "{end}");
            }
        }
        assert!(!is_whole(&[&text[..], b"{}\n"].concat(), 7), "more after the end");
        let changed: Vec<u8> = text.iter().map(|byte| if *byte == b'a' { b'c' } else { *byte }).collect();
        assert!(!is_whole(&changed, 7));
    }
}
