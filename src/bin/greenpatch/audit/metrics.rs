//! A report as OpenMetrics text (the exposition format, version 1.0): sums by verdict, library and call, and the loops' lags.
//!
//! The lines are written here: the crates that write them keep registries for programs that count while they run.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::findings::Report;

/// Sets a report in OpenMetrics text.
pub fn openmetrics(report: &Report) -> String {
    let mut sums: BTreeMap<String, (u64, f64, f64)> = BTreeMap::new();
    for finding in &report.findings {
        let labels =
            labels(&[("verdict", finding.verdict), ("library", &finding.library.soname), ("call", &finding.call)]);
        let (count, total, worst) = sums.entry(labels).or_default();
        *count += finding.count;
        *total += finding.total_s;
        *worst = worst.max(finding.worst_s);
    }
    let mut text = String::new();
    let family = |text: &mut String, name: &str, kind: &str, help: &str| {
        let _ = writeln!(text, "# TYPE {name} {kind}");
        if name.ends_with("_seconds") {
            let _ = writeln!(text, "# UNIT {name} seconds");
        }
        let _ = writeln!(text, "# HELP {name} {help}");
    };
    family(&mut text, "greenpatch_duration_seconds", "gauge", "How long the program was recorded.");
    let _ = writeln!(text, "greenpatch_duration_seconds {}", report.duration_s);
    family(&mut text, "greenpatch_calls", "counter", "Calls of functions that may wait.");
    let _ = writeln!(text, "greenpatch_calls_total {}", report.calls);
    family(&mut text, "greenpatch_waits", "counter", "Calls that waited for the threshold or longer.");
    sums.iter().for_each(|(labels, sum)| _ = writeln!(text, "greenpatch_waits_total{labels} {}", sum.0));
    family(&mut text, "greenpatch_wait_seconds", "counter", "Their time; threads wait beside each other.");
    sums.iter().for_each(|(labels, sum)| _ = writeln!(text, "greenpatch_wait_seconds_total{labels} {}", sum.1));
    family(&mut text, "greenpatch_wait_worst_seconds", "gauge", "The longest of them.");
    sums.iter().for_each(|(labels, sum)| _ = writeln!(text, "greenpatch_wait_worst_seconds{labels} {}", sum.2));
    family(&mut text, "greenpatch_loop_lag_seconds", "summary", "Time between two waits of an event loop.");
    for known in &report.loops {
        let (process, thread) = (known.process.to_string(), known.thread.to_string());
        for (quantile, lag) in [("0.5", known.p50_s), ("0.99", known.p99_s), ("1.0", known.longest_s)] {
            let labels = labels(&[
                ("process", &process),
                ("thread", &thread),
                ("name", &known.name),
                ("kind", &known.kind),
                ("quantile", quantile),
            ]);
            let _ = writeln!(text, "greenpatch_loop_lag_seconds{labels} {lag}");
        }
    }
    text + "# EOF\n"
}

/// Writes labels, their values escaped.
fn labels(pairs: &[(&str, &str)]) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let all: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", all.join(","))
}
