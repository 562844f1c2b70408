//! The latest long calls along the time, for ui.perfetto.dev: Chrome's trace events in JSON.
//!
//! A slice a call, a track a thread. Of one thread no two slices overlap: a call within a recorded call is not recorded. Times are whole
//! microseconds since the first process's begin.

use std::collections::BTreeMap;

use serde_json::{json, Value};

use super::findings::{Latest, Report};
use super::phrases::{about, words};
use crate::words::short;

/// How many calls are written at most: the latest.
pub const CALLS: usize = 20_000;

/// Returns a report's latest calls, at most so many, by process, thread and time. `None`: they are not known, for the report was read from
/// JSON.
pub fn latest(report: &Report, at_most: usize) -> Option<Vec<&Latest>> {
    let mut calls: Vec<&Latest> = report.latest.as_ref()?.iter().collect();
    calls.sort_by_key(|entry| std::cmp::Reverse(entry.long.ended_ns));
    calls.truncate(at_most);
    calls.sort_by_key(|entry| (entry.process, entry.long.thread, entry.long.ended_ns));
    Some(calls)
}

/// Sets a report's latest calls as trace events. `None`: they are not known.
pub fn perfetto(report: &Report) -> Option<Value> {
    let calls = latest(report, CALLS)?;
    let mut events = Vec::new();
    let mut processes = BTreeMap::new();
    // When the thread's slice before ends.
    let mut threads: BTreeMap<(i32, i32), u64> = BTreeMap::new();
    for entry in calls {
        let long = &entry.long;
        if processes.insert(entry.process, ()).is_none() {
            events.push(named("process_name", entry.process, entry.process, short(&entry.program)));
        }
        let until = threads.entry((entry.process, long.thread)).or_insert_with(|| {
            events.push(named("thread_name", entry.process, long.thread, &long.thread_name));
            0
        });
        let us = |ns: u64| ns.saturating_sub(report.began_ns) / 1_000;
        let ends = us(long.ended_ns).max(*until);
        let begins = us(long.ended_ns.saturating_sub(long.duration_ns)).max(*until);
        *until = ends;
        let python: Vec<_> = long.python.iter().map(|(file, line, of)| format!("{file}:{line} {of}")).collect();
        let native: Vec<_> = entry.stack.iter().map(|place| place.as_ref().map_or("?".to_owned(), words)).collect();
        events.push(json!({
            "ph": "X", "name": long.name, "cat": entry.verdict, "pid": entry.process, "tid": long.thread, "ts": begins,
            "dur": ends - begins,
            "args": {
                "verdict": entry.verdict, "about": about(long).trim(), "gil": long.gil, "result": long.result,
                "python": python.join("\n"), "native": native.join("\n"),
            },
        }));
    }
    Some(json!({ "displayTimeUnit": "ms", "traceEvents": events }))
}

/// Returns the event that names a process or a thread.
fn named(what: &str, process: i32, thread: i32, name: &str) -> Value {
    json!({ "ph": "M", "name": what, "pid": process, "tid": thread, "args": { "name": name } })
}
