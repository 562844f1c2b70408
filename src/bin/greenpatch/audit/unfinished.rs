//! Calls that are not over, in words and in JSON.

use std::collections::BTreeMap;

use serde_json::{json, Value};

use super::open::{End, Open};
use super::phrases::{about, duration, fd, frames, stack, timeout};
use crate::shared::audit_format::UNKNOWN_TIMEOUT;

/// How many calls the words tell whole.
const SHOWN: usize = 20;

/// Sets the calls that are not over in words, a line and a stack each. Of a process that has ended in order only those are told whole that
/// wait for another thread: threads that wait for work at the end are no fault.
pub fn text(all: &[Open]) -> Vec<String> {
    let mut lines = Vec::new();
    let is_whole = |open: &&Open| open.is_told();
    let mut whole: Vec<&Open> = all.iter().filter(is_whole).collect();
    whole.sort_by(|one, other| {
        let key = |open: &Open| open.deadlock.map_or(usize::MAX, |number| number);
        key(one).cmp(&key(other)).then(other.for_s.total_cmp(&one.for_s))
    });
    let mut told = None;
    for open in whole.iter().take(SHOWN) {
        if open.deadlock.is_some() && open.deadlock != told {
            let threads = all.iter().filter(|other| other.deadlock == open.deadlock).count();
            lines.push(String::new());
            lines.push(match threads {
                1 => "  DEADLOCK: a thread waits for itself".to_owned(),
                _ => format!("  DEADLOCK: {threads} threads wait for each other"),
            });
        }
        told = open.deadlock;
        lines.push(String::new());
        lines.push(format!("  {}", sentence(all, open)));
        lines.extend(stack(&open.long, &open.stack).into_iter().map(|line| format!("      {line}")));
    }
    let rest = all.len() - whole.len().min(SHOWN);
    let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
    all.iter().filter(|open| !is_whole(open)).for_each(|open| *calls.entry(&open.long.name).or_insert(0) += 1);
    if rest > 0 {
        let calls: Vec<_> = calls.iter().map(|(call, count)| format!(" {call} ×{count}")).collect();
        let threads = if rest == 1 { "thread" } else { "threads" };
        let colon = if calls.is_empty() { "" } else { ":" };
        lines.push(String::new());
        lines.push(format!("  {rest} more {threads} waited at the end{colon}{}", calls.join(",")));
    }
    lines
}

/// Says a call that is not over: the thread, how long, about what, and whom it waits for.
fn sentence(all: &[Open], open: &Open) -> String {
    let long = &open.long;
    let over = if open.end != End::Lives { "and was not over at the end" } else { "and not over" };
    let waits = open.waits_for.as_ref().map_or(String::new(), |waits| {
        let who = all.iter().find(|other| other.process == open.process && other.long.thread == waits.thread);
        let name = who.map_or(String::new(), |who| format!(" \"{}\", which waits as well", who.long.thread_name));
        match (waits.kind, waits.thread) {
            ("thread", 0) => String::new(),
            ("thread", thread) => format!(": waits for the end of thread {thread}{name}"),
            (kind, 0) => format!(": {kind} {:#x}, of no owner", waits.address),
            (kind, thread) => format!(": {kind} {:#x}, held by thread {thread}{name}", waits.address),
        }
    });
    let verdict = if open.verdict == "WAITS" { String::new() } else { format!("{} ", open.verdict) };
    format!(
        "{verdict}thread {} \"{}\" {} {} {over}{}{}{waits}",
        long.thread,
        long.thread_name,
        long.name,
        duration(open.for_s),
        about(long),
        timeout(long)
    )
}

/// Sets the calls that are not over in JSON (docs/audit.schema.json: `open`).
pub fn json(all: &[Open]) -> Vec<Value> {
    let call = |open: &Open| {
        let long = &open.long;
        json!({
            "process": open.process,
            "thread": { "tid": long.thread, "name": long.thread_name },
            "call": long.name,
            "verdict": open.verdict,
            "library": open.library.json(),
            "for_s": open.for_s,
            "process_ended": open.end != End::Lives,
            "in_order": open.end == End::InOrder,
            "seen": open.seen,
            "timeout_s": (long.timeout_ns >= 0).then_some(long.timeout_ns as f64 / 1e9),
            "may_wait_for_ever": long.timeout_ns < 0 && long.timeout_ns != UNKNOWN_TIMEOUT,
            "fd": fd(long),
            "waits_for": open.waits_for.as_ref().map(|waits| json!({
                "kind": waits.kind,
                "address": waits.address,
                "thread": (waits.thread != 0).then_some(waits.thread),
            })),
            "deadlock": open.deadlock,
            "id": open.id,
            "gil": long.gil,
            "native_stack": frames(&open.stack, &long.frames),
            "python_stack": long.python.iter().map(|(file, line, function)| json!({
                "file": file, "line": line, "function": function,
            })).collect::<Vec<_>>(),
        })
    };
    all.iter().map(call).collect()
}
