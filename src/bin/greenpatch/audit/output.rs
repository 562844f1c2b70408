//! A report in words and in JSON.

use serde_json::{json, Value};
use std::fmt::Write;

use super::findings::{Finding, Report};
use super::phrases::{about, duration, fd, frames, stack, timeout, words};
use super::state::State;
use super::unfinished;
use crate::shared::audit_format::{keeps, NO_TIMEOUT, UNKNOWN_TIMEOUT};
use crate::words::{columns, wrap};

/// The form of the JSON (docs/audit.schema.json).
pub const SCHEMA: &str = "greenpatch.audit/1";

/// How many findings the words show, and how many frames of each.
const SHOWN: usize = 10;
const FRAMES: usize = 8;

/// Says what a verdict means.
pub fn meaning(verdict: &str) -> &'static str {
    match verdict {
        "HOLDS_GIL" => "waits with the interpreter's lock: no other Python thread runs",
        "BLOCKS_LOOP" => "blocks an event loop",
        "BUSY_POLLS" => "polls busily",
        "HIDDEN" => "keeps a worker where no hook is",
        "COOPERATIVE" => "parks: no worker was kept",
        "OWN_THREADS" => "waits in threads of its own: no fault",
        _ => "waits",
    }
}

/// Says what a verdict on a library means in a report: of a native run something else than of a green one.
fn meaning_in(report: &Report, verdict: &str) -> &'static str {
    match verdict {
        "HIDDEN" if report.green.is_none() => {
            "makes system calls by instructions of its own: what waits in them is not seen"
        }
        "COOPERATIVE" if report.green.is_none() => "waits by the loop only: its own calls could not wait",
        _ => meaning(verdict),
    }
}

/// Sets a report in words: verdict by library, the worst findings with their stacks, the loops, and what was not seen.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    let processes = if report.processes == 1 { String::new() } else { format!(", {} processes", report.processes) };
    let green = report.green.as_ref().map_or(String::new(), |green| {
        let plural = if green.hand_overs == 1 { "" } else { "s" };
        format!("; green: {} calls parked, {} hand-over{plural}", green.parks, green.hand_overs)
    });
    let _ = writeln!(text, "greenpatch audit: {} ({}{processes}{green})", report.command, duration(report.duration_s));
    if report.saw_nothing() {
        let _ = writeln!(
            text,
            "  No call that may wait was seen at all: that is no clean bill. `greenpatch check` may tell why."
        );
    } else if report.findings.is_empty() && report.green.is_some() {
        let _ = writeln!(text, "  Nothing kept a worker for {} or longer.", duration(report.threshold_s));
    } else if report.findings.is_empty() {
        let _ = writeln!(text, "  Nothing waited for {} or longer.", duration(report.threshold_s));
    }
    for known in &report.libraries {
        let package = known.library.package.as_ref().map_or(String::new(), |package| format!(" ({package})"));
        let name = if known.library.soname.is_empty() { "(unknown)" } else { &known.library.soname };
        let sums = format!(
            ": {} in {} {}, the longest {}",
            duration(known.total_s),
            known.calls,
            if known.calls == 1 { "call" } else { "calls" },
            duration(known.worst_s)
        );
        let sums = if known.calls == 0 { String::new() } else { sums };
        let _ = writeln!(text, "  {name}{package} {}{sums}", meaning_in(report, known.verdict));
        known.advice.inspect(|advice| _ = writeln!(text, "      {advice}"));
    }
    for finding in report.findings.iter().take(SHOWN) {
        let _ = writeln!(text, "\n{}", heading(finding));
        for line in stack(&finding.worst, &finding.stack) {
            let _ = writeln!(text, "      {line}");
        }
        if let Some(holder) = &finding.worst.holder {
            let _ = writeln!(text, "    held by thread {} \"{}\", which let go here:", holder.thread, holder.name);
            for place in finding.holder_stack.iter().take(FRAMES) {
                let _ = writeln!(text, "      {}", place.as_ref().map_or("?".to_owned(), words));
            }
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
    if report.no_cpu > 0 {
        let calls = if report.no_cpu == 1 { "call" } else { "calls" };
        let _ = writeln!(
            text,
            "\n  no processor: {} {calls} took {} or longer only because the thread had none ({} in all): no findings",
            report.no_cpu,
            duration(report.threshold_s),
            duration(report.no_cpu_s)
        );
    }
    unfinished::text(&report.open).iter().for_each(|line| _ = writeln!(text, "{line}"));
    for what in &report.unseen {
        let _ = writeln!(text, "\n  not seen: {what}");
    }
    text.lines().map(|line| wrap(line, "          ", columns()) + "\n").collect()
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
    let timeout = timeout(&finding.worst);
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
    let lack_s = finding.worst.no_cpu_ns as f64 / 1e9;
    let lack = if lack_s >= 1e-3 { format!(" ({} of it no processor)", duration(lack_s)) } else { String::new() };
    let slices = if finding.worst.slices > 1 { format!(" in {} slices", finding.worst.slices) } else { String::new() };
    let kept = match finding.kept_worker {
        None => String::new(),
        Some(true) => format!(", kept a worker (thread {} \"{}\")", finding.worst.thread, finding.worst.thread_name),
        Some(false) if finding.worst.keeps == keeps::OWN => {
            ", no green thread's: a kernel thread of its own".to_owned()
        }
        Some(false) => ", parked".to_owned(),
    };
    let (call, worst, about) = (&finding.call, duration(finding.worst_s), about(&finding.worst));
    format!("{call} {worst}{slices}{lack}{about}{times}{timeout}{lock}{kept}")
}

/// Sets a report in JSON, whose form docs/audit.schema.json tells.
pub fn json(report: &Report) -> Value {
    json!({
        "schema": SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "program": report.program,
        "command": report.command,
        "began_unix_s": (report.began_real_ns / 1_000) as f64 / 1e6,
        "duration_s": report.duration_s,
        "threshold_s": report.threshold_s,
        "processes": report.processes,
        "calls": report.calls,
        "no_processor": { "calls": report.no_cpu, "total_s": report.no_cpu_s },
        "green": report.green.as_ref().map(|green| json!({
            "hand_overs": green.hand_overs, "parks": green.parks, "parked_s": green.parked_s,
        })),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "libraries": report.libraries.iter().map(|known| json!({
            "soname": known.library.soname, "path": known.library.path, "build_id": known.library.build_id,
            "package": known.library.package, "verdict": known.verdict, "calls": known.calls, "total_s": whole_ns(known.total_s),
            "worst_s": known.worst_s, "advice": known.advice,
        })).collect::<Vec<_>>(),
        "loops": report.loops.iter().map(|known| json!({
            "process": known.process, "thread": known.thread, "name": known.name, "kind": known.kind, "turns": known.turns,
            "lag_p50_s": known.p50_s, "lag_p99_s": known.p99_s, "lag_max_s": known.longest_s, "blocked_s": known.blocked_s,
            "computing_s": known.computing_s, "no_cpu_s": known.no_cpu_s,
            "lag_series": {
                "from_s": known.lags.from_s, "part_s": known.lags.part_s, "worst_us": known.lags.worst_us,
            },
        })).collect::<Vec<_>>(),
        "open": unfinished::json(&report.open),
        "unseen": report.unseen,
        "left_out": {
            "findings": report.left_out.findings, "identities": report.left_out.identities,
            "libraries": report.left_out.libraries, "loops": report.left_out.loops, "series": report.left_out.series,
        },
    })
}

/// Rounds a sum to nanoseconds: such a number is read again as it was written.
fn whole_ns(seconds: f64) -> f64 {
    (seconds * 1e9).round() / 1e9
}

fn finding(finding: &Finding) -> Value {
    let long = &finding.worst;
    let timeout = match long.timeout_ns {
        NO_TIMEOUT | UNKNOWN_TIMEOUT => Value::Null,
        ns => json!(ns as f64 / 1e9),
    };
    json!({
        "id": finding.id,
        "rule": format!("{}/{}", finding.verdict, finding.call),
        "verdict": finding.verdict,
        "state": match finding.state { State::New => "new", State::Known => "known", State::Suppressed(_) => "suppressed" },
        "suppressed_because": match &finding.state { State::Suppressed(reason) => Some(reason), _ => None },
        "library": finding.library.json(),
        "call": finding.call,
        "count": finding.count,
        "slices": finding.slices,
        "worst_slices": long.slices,
        "total_s": whole_ns(finding.total_s),
        "no_cpu_s": whole_ns(finding.no_cpu_s),
        "worst_s": finding.worst_s,
        "worst_no_cpu_s": long.no_cpu_ns as f64 / 1e9,
        "p50_s": finding.p50_s,
        "p99_s": finding.p99_s,
        "timeout_s": timeout,
        "may_wait_for_ever": long.timeout_ns == NO_TIMEOUT,
        "result": long.result,
        "errno": if long.result < 0 { json!(long.errno) } else { Value::Null },
        "fd": fd(long),
        "gil": long.gil,
        "gil_held": finding.held,
        "gil_released": finding.released,
        "gil_reacquire_s": finding.reacquire_worst_s,
        "kept_worker": finding.kept_worker,
        "hand_overs": finding.hand_overs,
        "native_stack": frames(&finding.stack, &long.frames),
        "native_left_out": finding.left_out[0],
        "python_left_out": finding.left_out[1],
        "python_stack": long.python.iter().map(|(file, line, function)| json!({
            "file": file, "line": line, "function": function,
        })).collect::<Vec<_>>(),
        "holder": long.holder.as_ref().map(|holder| json!({
            "tid": holder.thread, "name": holder.name, "native_stack": frames(&finding.holder_stack, &holder.frames),
        })),
        "process": finding.process,
        "thread": { "tid": long.thread, "name": long.thread_name },
        "threads": finding.threads,
    })
}
