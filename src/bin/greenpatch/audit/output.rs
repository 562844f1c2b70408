//! A report in words and in JSON.

use serde_json::{json, Value};
use std::fmt::Write;

use super::findings::{Finding, Report, State};
use super::recording::Long;
use super::symbols::Place;
use crate::shared::audit_format::{NO_TIMEOUT, UNKNOWN_TIMEOUT};
use crate::words::{columns, wrap};

/// The form of the JSON (docs/audit.schema.json).
pub const SCHEMA: &str = "greenpatch.audit/1";

/// How many findings the words show, and how many frames of each.
const SHOWN: usize = 10;
const FRAMES: usize = 8;

/// Says a duration as people do.
pub fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds >= 10.0 => format!("{seconds:.1} s"),
        _ if seconds >= 1.0 => format!("{seconds:.2} s"),
        _ if seconds >= 1e-3 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{:.0} µs", seconds * 1e6),
    }
}

/// Says what a call was about: the peer, the path, or the kind of descriptor.
pub fn about(long: &Long) -> String {
    let of = if long.peer.is_empty() { &long.path } else { &long.peer };
    let of = if of.is_empty() { &long.local } else { of };
    match (long.fd_kind, of.is_empty()) {
        ("unknown", true) => String::new(),
        ("unknown", false) => format!(" {of}"),
        (kind, true) => format!(" {kind}"),
        (kind, false) => format!(" {kind} {of}"),
    }
}

/// Says what a verdict means.
pub fn meaning(verdict: &str) -> &'static str {
    match verdict {
        "HOLDS_GIL" => "waits with the interpreter's lock: no other Python thread runs",
        "BLOCKS_LOOP" => "blocks an event loop",
        "BUSY_POLLS" => "polls busily",
        "OWN_THREADS" => "waits in threads of its own: no fault",
        _ => "waits",
    }
}

/// Sets a report in words: verdict by library, the worst findings with their stacks, the loops, and what was not seen.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    let processes = if report.processes == 1 { String::new() } else { format!(", {} processes", report.processes) };
    let _ = writeln!(text, "greenpatch audit: {} ({}{processes})", report.command, duration(report.duration_s));
    if report.calls == 0 && report.findings.is_empty() {
        let _ = writeln!(
            text,
            "  No call that may wait was seen at all: that is no clean bill. `greenpatch check` may tell why."
        );
    } else if report.findings.is_empty() {
        let _ = writeln!(text, "  Nothing waited for {} or longer.", duration(report.threshold_s));
    }
    for known in &report.libraries {
        let package = known.library.package.as_ref().map_or(String::new(), |package| format!(" ({package})"));
        let name = if known.library.soname.is_empty() { "(unknown)" } else { &known.library.soname };
        let _ = writeln!(
            text,
            "  {name}{package} {}: {} in {} {}, the longest {}",
            meaning(known.verdict),
            duration(known.total_s),
            known.calls,
            if known.calls == 1 { "call" } else { "calls" },
            duration(known.worst_s)
        );
        known.advice.inspect(|advice| _ = writeln!(text, "      {advice}"));
    }
    for finding in report.findings.iter().take(SHOWN) {
        let _ = writeln!(text, "\n{}", heading(finding));
        for line in stack(finding) {
            let _ = writeln!(text, "      {line}");
        }
    }
    let rest = report.findings.len().saturating_sub(SHOWN);
    if rest > 0 {
        let _ = writeln!(text, "\n  … {rest} more findings");
    }
    for known in &report.loops {
        let _ = writeln!(
            text,
            "\n  loop of thread {} \"{}\" ({}): {} turns; half below {}, 99 of 100 below {}, the longest {}; blocked {}, computing {}, no \
             processor {}",
            known.thread,
            known.name,
            known.kind,
            known.turns,
            duration(known.p50_s),
            duration(known.p99_s),
            duration(known.longest_s),
            duration(known.blocked_s),
            duration(known.computing_s),
            duration(known.no_cpu_s)
        );
    }
    for what in &report.unseen {
        let _ = writeln!(text, "\n  not seen: {what}");
    }
    text.lines().map(|line| wrap(line, "          ", columns()) + "\n").collect()
}

/// Sets a finding's stacks, a line a frame: the Python one, then the native one, each the innermost first.
pub fn stack(finding: &Finding) -> Vec<String> {
    let python = finding.worst.python.iter().map(|(file, line, function)| format!("{file}:{line} {function}"));
    let native = finding.stack.iter().map(|place| place.as_ref().map_or("?".to_owned(), words));
    python.take(FRAMES).chain(native.take(FRAMES)).collect()
}

/// Sets a finding's first line.
fn heading(finding: &Finding) -> String {
    let state = match &finding.state {
        State::New => String::new(),
        State::Known => " known".to_owned(),
        State::Suppressed(reason) => format!(" suppressed: {reason}"),
    };
    format!("  {} {} [{}]{state}", finding.verdict, sentence(finding), finding.id)
}

/// Says a finding's call: how long, about what, and what it held.
pub fn sentence(finding: &Finding) -> String {
    let timeout = match finding.worst.timeout_ns {
        NO_TIMEOUT => ", no timeout".to_owned(),
        UNKNOWN_TIMEOUT => String::new(),
        ns => format!(", timeout {}", duration(ns as f64 / 1e9)),
    };
    let lock = match finding.worst.gil {
        "held" => ", GIL held".to_owned(),
        "released" => format!(", GIL released, back after {}", duration(finding.reacquire_worst_s)),
        _ => String::new(),
    };
    let times = if finding.count == 1 {
        String::new()
    } else {
        format!(" ×{}, {} in all", finding.count, duration(finding.total_s))
    };
    format!("{} {}{}{times}{timeout}{lock}", finding.call, duration(finding.worst_s), about(&finding.worst))
}

/// Says where a frame is.
pub fn words(place: &Place) -> String {
    if place.function.is_empty() {
        format!("{}+{:#x}", place.soname, place.offset)
    } else {
        format!("{}:{}+{:#x}", place.soname, place.function, place.offset)
    }
}

/// Sets a report in JSON, whose form docs/audit.schema.json tells.
pub fn json(report: &Report) -> Value {
    json!({
        "schema": SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "program": report.program,
        "command": report.command,
        "duration_s": report.duration_s,
        "threshold_s": report.threshold_s,
        "processes": report.processes,
        "calls": report.calls,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "libraries": report.libraries.iter().map(|known| json!({
            "soname": known.library.soname, "path": known.library.path, "build_id": known.library.build_id,
            "package": known.library.package, "verdict": known.verdict, "calls": known.calls, "total_s": known.total_s,
            "worst_s": known.worst_s, "advice": known.advice,
        })).collect::<Vec<_>>(),
        "loops": report.loops.iter().map(|known| json!({
            "process": known.process, "thread": known.thread, "name": known.name, "kind": known.kind, "turns": known.turns,
            "lag_p50_s": known.p50_s, "lag_p99_s": known.p99_s, "lag_max_s": known.longest_s, "blocked_s": known.blocked_s,
            "computing_s": known.computing_s, "no_cpu_s": known.no_cpu_s,
        })).collect::<Vec<_>>(),
        "unseen": report.unseen,
    })
}

fn finding(finding: &Finding) -> Value {
    let long = &finding.worst;
    let timeout = match long.timeout_ns {
        NO_TIMEOUT | UNKNOWN_TIMEOUT => Value::Null,
        ns => json!(ns as f64 / 1e9),
    };
    let fd = (long.fd >= 0 || !long.path.is_empty()).then(|| {
        json!({
            "number": (long.fd >= 0).then_some(long.fd), "kind": long.fd_kind, "local": some(&long.local), "peer": some(&long.peer),
            "path": some(&long.path),
        })
    });
    json!({
        "id": finding.id,
        "rule": format!("{}/{}", finding.verdict, finding.call),
        "verdict": finding.verdict,
        "state": match finding.state { State::New => "new", State::Known => "known", State::Suppressed(_) => "suppressed" },
        "suppressed_because": match &finding.state { State::Suppressed(reason) => Some(reason), _ => None },
        "library": {
            "soname": finding.library.soname, "path": finding.library.path, "build_id": finding.library.build_id,
            "package": finding.library.package,
        },
        "call": finding.call,
        "count": finding.count,
        "total_s": finding.total_s,
        "worst_s": finding.worst_s,
        "p50_s": finding.p50_s,
        "p99_s": finding.p99_s,
        "timeout_s": timeout,
        "may_wait_for_ever": long.timeout_ns == NO_TIMEOUT,
        "result": long.result,
        "errno": if long.result < 0 { json!(long.errno) } else { Value::Null },
        "fd": fd,
        "gil": long.gil,
        "gil_held": finding.held,
        "gil_released": finding.released,
        "gil_reacquire_s": finding.reacquire_worst_s,
        "native_stack": finding.stack.iter().zip(&long.frames).map(|(place, address)| json!({
            "address": address,
            "soname": place.as_ref().map(|place| &place.soname),
            "path": place.as_ref().map(|place| &place.path),
            "function": place.as_ref().and_then(|place| some(&place.function)),
            "offset": place.as_ref().map(|place| place.offset),
        })).collect::<Vec<_>>(),
        "python_stack": long.python.iter().map(|(file, line, function)| json!({
            "file": file, "line": line, "function": function,
        })).collect::<Vec<_>>(),
        "process": finding.process,
        "thread": { "tid": long.thread, "name": long.thread_name },
        "threads": finding.threads,
    })
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
