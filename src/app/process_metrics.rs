//! What the process takes of its machine, under the names that Prometheus' own libraries use; read from `/proc` when the
//! metrics are read. Where there is no `/proc` they are absent.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::fs;

/// The unit of times in `/proc`, which the kernel shows to programs as this on every platform that is built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Registers them, and what was built.
pub(super) fn register(registry: &mut Registry) {
    let version = vec![("version", env!("CARGO_PKG_VERSION"))];
    registry.register("agentapi_build", "What is running", Info::new(version));
    registry.register_collector(Box::new(Process));
}

#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        if let Some(seconds) = cpu_seconds(&stat) {
            let counter = ConstCounter::new(seconds);
            let help = "Time that the process ran on a processor";
            counter.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, counter.metric_type())?)?;
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kibibytes = |name| number_after(&status, name).map(|kibibytes| kibibytes * 1024.0);
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
        let started = started_ticks(&stat).zip(number_after(&boot, "btime "));
        let gauges = [
            ("process_resident_memory_bytes", "Memory that the process takes", kibibytes("VmRSS:")),
            ("process_virtual_memory_bytes", "Addresses that the process has reserved", kibibytes("VmSize:")),
            ("process_threads", "Threads of the process", number_after(&status, "Threads:")),
            ("process_open_fds", "Files and sockets that the process has open", open_files()),
            (
                "process_max_fds",
                "The most files and sockets that the process may have open",
                number_after(&limits, "Max open files"),
            ),
            (
                "process_start_time_seconds",
                "When the process started, in seconds since 1970",
                started.map(|(ticks, boot)| boot + ticks / TICKS_PER_SECOND),
            ),
        ];
        for (name, help, value) in gauges {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// The fields after the name of the program, which may hold anything.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_ascii_whitespace()
}

/// The time in user and in kernel mode: the 14th and the 15th field.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut times = fields(stat).skip(11).take(2).map(|ticks| ticks.parse::<f64>().ok());
    Some((times.next()?? + times.next()??) / TICKS_PER_SECOND)
}

/// When it started, in ticks since the machine did: the 22nd field.
fn started_ticks(stat: &str) -> Option<f64> {
    fields(stat).nth(19)?.parse().ok()
}

/// The number in the line that begins so.
fn number_after(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

fn open_files() -> Option<f64> {
    // The directory is open while it is read.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_program_may_hold_anything() {
        let stat = "7 (a) 9 9 (b) S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15 16 17 18 4200 20";
        assert_eq!((cpu_seconds(stat), started_ticks(stat)), (Some(2.0), Some(4200.0)));
        assert_eq!((cpu_seconds(""), started_ticks("7 (a) S 1")), (None, None));
    }

    #[test]
    fn lines_are_read_by_how_they_begin() {
        assert_eq!(number_after("VmSize:\t 7 kB\nVmRSS:\t  2048 kB\n", "VmRSS:"), Some(2048.0));
        assert_eq!(number_after("Max open files            unlimited            x", "Max open files"), None);
    }
}
