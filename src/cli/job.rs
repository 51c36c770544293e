//! Following a job of a running server to its end.

use super::admin_api::AdminApi;
use super::output::{complain, print, shown};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// From one look at a job to the next.
const LOOK: Duration = Duration::from_millis(500);

/// Shows how far the job is until it is finished: 1 when it failed or left something undone.
pub(super) async fn follow(api: &AdminApi, mut job: Value, what: &str, json: bool) -> Result<ExitCode, String> {
    let path = format!("/admin/v1/jobs/{}", shown(&job, "id"));
    let bar = bar(what)?;
    while matches!(job.get("state").and_then(Value::as_str), Some("waiting" | "running")) {
        show(&bar, &job);
        tokio::time::sleep(LOOK).await;
        job = api.get(&path).await?;
    }
    show(&bar, &job);
    bar.finish_and_clear();
    let (state, done, note) = (shown(&job, "state"), shown(&job, "done"), job.get("error").and_then(Value::as_str));
    let printed = if json { print(&format!("{job}\n")) } else { print(&format!("{what} {state}: {done} done\n")) };
    Ok(note.map_or(printed, |note| complain(note, 1)))
}

/// A bar on standard error, where that is a terminal.
pub(super) fn bar(what: &str) -> Result<ProgressBar, String> {
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{prefix} [{bar:40}] {pos}/{len} {per_sec} eta {eta}");
    bar.set_style(style.map_err(|_| "the progress bar is none")?.progress_chars("=> "));
    bar.set_prefix(what.to_owned());
    Ok(bar)
}

fn show(bar: &ProgressBar, job: &Value) {
    if let Some(total) = job.get("total").and_then(Value::as_u64) {
        bar.set_length(total);
    }
    bar.set_position(job.get("done").and_then(Value::as_u64).unwrap_or_default());
}
