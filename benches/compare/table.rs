//! The table: medians over the rounds, with the lowest and the highest.

use crate::Failure;
use crate::load::Measurement;
use std::io::Write;

/// What more than this many busy cores of other programs mean: the figures are not to be trusted.
const QUIET: f64 = 0.1;

/// The names of the columns.
pub fn heading(out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "{:24} {:>26} {:>20} {:>8} {:>22}", "", "requests/s", "ratio", "p99 ms", "CPU us: server / Redis")?;
    Ok(())
}

/// One variant; its ratios are to `reference`, round by round.
pub fn row(out: &mut impl Write, name: &str, rounds: &[Measurement], reference: &[Measurement]) -> Result<(), Failure> {
    let speed = Spread::of(rounds.iter().map(|round| round.per_second)).ok_or("no rounds")?;
    let ratios = rounds.iter().zip(reference).map(|(round, reference)| round.per_second / reference.per_second);
    let ratio = Spread::of(ratios).ok_or("no rounds")?;
    let optional = |values: Vec<f64>, digits: usize| {
        Spread::of(values).map_or_else(|| "-".to_owned(), |spread| format!("{:.digits$}", spread.median))
    };
    let p99 = optional(rounds.iter().filter_map(|round| round.p99_millis).collect(), 2);
    let server = optional(rounds.iter().filter_map(|round| round.server_micros).collect(), 1);
    let redis = optional(rounds.iter().map(|round| round.redis_micros).collect(), 1);
    let speed = format!("{:.0} ({:.0}-{:.0})", speed.median, speed.lowest, speed.highest);
    let ratio = format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.lowest, ratio.highest);
    let cpu = format!("{server} / {redis}");
    writeln!(out, "{name:24} {speed:>26} {ratio:>20} {p99:>8} {cpu:>22}")?;
    Ok(())
}

/// What an operation of the REST backend took in round trips, per round.
pub fn round_trips(out: &mut impl Write, per_operation: Vec<f64>) -> Result<(), Failure> {
    let spread = Spread::of(per_operation).ok_or("no rounds")?;
    let Spread { lowest, median, highest } = spread;
    writeln!(out, "REST round trips per operation: {median:.3} ({lowest:.3}-{highest:.3})")?;
    Ok(())
}

/// Says how quiet the machine was.
pub fn notes(out: &mut impl Write, variants: &[&[Measurement]]) -> Result<(), Failure> {
    let others = variants.iter().flat_map(|rounds| rounds.iter().map(|round| round.others));
    let others = Spread::of(others).ok_or("no rounds")?;
    write!(out, "other programs used {:.2} cores (up to {:.2})", others.median, others.highest)?;
    let noisy = others.median > QUIET;
    writeln!(out, "{}", if noisy { ": too many for these figures to count" } else { "" })?;
    Ok(())
}

struct Spread {
    lowest: f64,
    median: f64,
    highest: f64,
}

impl Spread {
    /// Of nothing there is none.
    fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (lowest, highest) = (*values.first()?, *values.last()?);
        Some(Spread { lowest, median: *values.get(values.len() / 2)?, highest })
    }
}
