//! A report as one page for a browser: it loads nothing, and has its data as one block of JSON, which its script draws.
//!
//! ```text
//!   page.html   the frame, with places for the others              page.css   light and dark, wide and narrow
//!   words.js    what the rest is made of   time.js, flame.js, findings.js   the parts   page.js   draws them, from the top down
//! ```
//!
//! The block is the report's JSON, the latest calls along the time, and the stacks of the flame graph. Nothing in it can end the block: a
//! text that has `<`, `>` or `&` has them as escapes of JSON.

use std::collections::BTreeMap;

use serde_json::{json, Value};

use super::bounded;
use super::findings::{Latest, Report};
use super::output;
use super::phrases::about;
use super::stacks::{self, Frame};
use super::timeline::latest;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
/// The script's parts, in the order in which they use each other. They are one function's body.
const SCRIPT: [&str; 5] = [
    include_str!("page/words.js"),
    include_str!("page/time.js"),
    include_str!("page/flame.js"),
    include_str!("page/findings.js"),
    include_str!("page/page.js"),
];

/// How many calls are drawn along the time at most: the latest.
const CALLS: usize = 5_000;

/// Sets a report as a page.
pub fn html(report: &Report) -> String {
    let data = json!({ "report": bounded::json(report), "timeline": timeline(report), "flame": flame(report) });
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut page = String::new();
    let mut rest = PAGE;
    for (place, what) in [
        ("/*STYLE*/", STYLE.to_owned()),
        ("<!--WORDS-->", escaped(&output::text(report))),
        ("/*DATA*/", block(&data)),
        ("/*SCRIPT*/", SCRIPT.concat()),
    ] {
        let (before, behind) = rest.split_once(place).unwrap_or((rest, ""));
        page += before;
        page += what.trim_end();
        rest = behind;
    }
    page + rest
}

/// Writes JSON so that it may stand in a page's script element.
fn block(data: &Value) -> String {
    data.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// Sets the latest calls, with the threads that made them. Null: they are not known.
fn timeline(report: &Report) -> Value {
    let Some(calls) = latest(report, CALLS) else { return Value::Null };
    let mut threads: BTreeMap<(i32, i32), (&Latest, usize)> = BTreeMap::new();
    for entry in &calls {
        threads.insert((entry.process, entry.long.thread), (entry, 0));
    }
    threads.values_mut().enumerate().for_each(|(at, (_, index))| *index = at);
    let seconds = |ns: u64| ns as f64 / 1e9;
    let shown: Vec<Value> = calls
        .iter()
        .map(|entry| {
            let long = &entry.long;
            let began_ns = long.ended_ns.saturating_sub(long.duration_ns).saturating_sub(report.began_ns);
            let line = long.python.first().map(|(file, line, function)| format!("{file}:{line} {function}"));
            json!({
                "thread": threads[&(entry.process, long.thread)].1, "from_s": seconds(began_ns),
                "s": seconds(long.duration_ns), "call": long.name, "verdict": entry.verdict, "about": about(long).trim(),
                "gil": long.gil, "id": entry.id, "line": line,
            })
        })
        .collect();
    let named = |((process, tid), (entry, _)): (&(i32, i32), &(&Latest, usize))| {
        let (name, program) = (&entry.long.thread_name, &entry.program);
        json!({ "process": process, "tid": tid, "name": name, "program": program })
    };
    let left_out = report.long_calls.saturating_sub(shown.len() as u64);
    json!({ "threads": threads.iter().map(named).collect::<Vec<_>>(), "calls": shown, "left_out": left_out })
}

/// Sets the stacks of waiting: each with its frames' places in a list, its microseconds, and the finding's identity.
fn flame(report: &Report) -> Value {
    let mut places: BTreeMap<Frame, usize> = BTreeMap::new();
    let mut frames = Vec::new();
    let mut all = Vec::new();
    for finding in &report.findings {
        let stack: Vec<usize> = stacks::rooted(&report.program, &finding.worst, &finding.stack)
            .into_iter()
            .map(|frame| {
                *places.entry(frame.clone()).or_insert_with(|| {
                    frames.push(json!({ "name": frame.name, "kind": frame.kind.name(), "file": frame.file }));
                    frames.len() - 1
                })
            })
            .collect();
        all.push(json!([stack, stacks::microseconds(finding), finding.id]));
    }
    json!({ "frames": frames, "stacks": all })
}
