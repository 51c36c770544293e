//! The text format 0.0.4 of Prometheus, made from OpenMetrics text: the samples are the same. What differs is said of
//! them: a counter is described under the name of its samples, and two types are not known yet.

use std::borrow::Cow;

/// The same metrics as a parser of the older format reads them.
pub(super) fn from_openmetrics(text: &str) -> String {
    let mut classic = String::with_capacity(text.len());
    // A counter's `HELP` comes before its `TYPE`, which says that it is one.
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let written = match line.strip_prefix("# ").and_then(|comment| comment.split_once(' ')) {
            Some(("HELP", rest)) => {
                let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
                let kind = lines.peek().and_then(|next| next.strip_prefix("# TYPE ")?.rsplit_once(' '));
                let name = described(name, kind.map_or("", |(_, kind)| kind));
                // Quotes stand for themselves here.
                Cow::from(format!("# HELP {name} {}", help.replace("\\\"", "\"")))
            }
            Some(("TYPE", rest)) => {
                let (name, kind) = rest.rsplit_once(' ').unwrap_or((rest, "unknown"));
                let known = match kind {
                    "unknown" => "untyped",
                    "info" | "stateset" => "gauge",
                    kind => kind,
                };
                Cow::from(format!("# TYPE {} {known}", described(name, kind)))
            }
            // `UNIT` and `EOF` are not of this format.
            _ if line.starts_with('#') => continue,
            _ => Cow::from(line),
        };
        classic.push_str(&written);
        classic.push('\n');
    }
    classic
}

/// The name under which a metric of this kind is described: that of its samples.
fn described<'a>(name: &'a str, kind: &str) -> Cow<'a, str> {
    match kind {
        "counter" => format!("{name}_total").into(),
        "info" => format!("{name}_info").into(),
        _ => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_metrics_is_said_in_the_words_of_the_older_format() {
        let openmetrics = "# HELP a A \\\"counter\\\" of c:\\\\\\n.\n# TYPE a counter\na_total{x=\"# TYPE\"} 1\n\
            # HELP t_seconds Times.\n# TYPE t_seconds histogram\n# UNIT t_seconds seconds\nt_seconds_bucket{le=\"+Inf\"} 1\n\
            # HELP g Gauge.\n# TYPE g gauge\ng 1.5\n# HELP b Build.\n# TYPE b info\nb_info{version=\"1\"} 1\n\
            # HELP u Unknown.\n# TYPE u unknown\nu 1\n# EOF\n";
        let classic = "# HELP a_total A \"counter\" of c:\\\\\\n.\n# TYPE a_total counter\na_total{x=\"# TYPE\"} 1\n\
            # HELP t_seconds Times.\n# TYPE t_seconds histogram\nt_seconds_bucket{le=\"+Inf\"} 1\n\
            # HELP g Gauge.\n# TYPE g gauge\ng 1.5\n# HELP b_info Build.\n# TYPE b_info gauge\nb_info{version=\"1\"} 1\n\
            # HELP u Unknown.\n# TYPE u untyped\nu 1\n";
        assert_eq!(from_openmetrics(openmetrics), classic);
    }
}
