//! Waiting by stack, for flame graphs: collapsed lines, and speedscope's form.
//!
//! A stack begins with the program, goes on with the Python frames, then with the native ones up to the interpreter, and ends with the call
//! that waits. All time of a finding is told of the stack of its longest call. Threads wait beside each other, so the sum of all stacks may
//! be more than the program's time.

use std::collections::BTreeMap;

use serde_json::{json, Value};

use super::findings::{Finding, Report};
use super::recording::Long;
use super::symbols::Place;
use crate::words::short;

/// A frame of a mixed stack.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frame {
    pub kind: Kind,
    pub name: String,
    /// Its source, where it is known; else the object's file.
    pub file: Option<String>,
    pub line: Option<u32>,
}

/// What a frame is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Program,
    Python,
    Native,
    Call,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Program => "program",
            Kind::Python => "python",
            Kind::Native => "native",
            Kind::Call => "call",
        }
    }
}

impl Frame {
    fn named(kind: Kind, name: &str) -> Frame {
        Frame { kind, name: name.to_owned(), file: None, line: None }
    }
}

/// Does the interpreter's own code lie in this object?
fn is_interpreter(soname: &str) -> bool {
    soname.starts_with("python") || soname.starts_with("libpython")
}

/// Returns the native frames of a call, the innermost first: where there are Python frames, those up to the interpreter.
pub fn native<'a>(long: &'a Long, stack: &'a [Option<Place>]) -> impl Iterator<Item = &'a Option<Place>> {
    let is_outer = |place: &Place| !long.python.is_empty() && is_interpreter(&place.soname);
    stack.iter().take_while(move |place| !place.as_ref().is_some_and(is_outer))
}

/// Returns a call's stack, the root first.
pub fn rooted(program: &str, long: &Long, stack: &[Option<Place>]) -> Vec<Frame> {
    let native = native(long, stack)
        .map(|place| match place {
            None => Frame::named(Kind::Native, "?"),
            Some(place) => Frame {
                kind: Kind::Native,
                name: format!("{} ({})", place.function, place.soname).trim_start().to_owned(),
                file: Some(place.path.clone()),
                line: None,
            },
        })
        .collect::<Vec<_>>();
    let lines = long.python.iter().rev().map(|(file, line, function)| Frame {
        kind: Kind::Python,
        name: format!("{function} ({}:{line})", short(file)),
        file: Some(file.clone()),
        line: Some(*line),
    });
    let mut stack = vec![Frame::named(Kind::Program, short(program))];
    stack.extend(lines);
    stack.extend(native.into_iter().rev());
    stack.push(Frame::named(Kind::Call, &long.name));
    stack
}

/// Returns the microseconds that a finding's calls waited in all.
pub fn microseconds(finding: &Finding) -> u64 {
    (finding.total_s * 1e6).round() as u64
}

/// Sums the microseconds of each stack.
fn sums(report: &Report) -> BTreeMap<Vec<Frame>, u64> {
    let mut sums = BTreeMap::new();
    for finding in &report.findings {
        *sums.entry(rooted(&report.program, &finding.worst, &finding.stack)).or_insert(0) += microseconds(finding);
    }
    sums
}

/// Sets a report in collapsed lines: the frames, root first, a semicolon between two, then a space and the microseconds.
pub fn folded(report: &Report) -> String {
    let word = |frame: &Frame| {
        frame.name.chars().map(|letter| if letter == ';' || letter.is_control() { '_' } else { letter }).collect()
    };
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for (stack, us) in sums(report) {
        *lines.entry(stack.iter().map(word).collect::<Vec<String>>().join(";")).or_insert(0) += us;
    }
    lines.iter().map(|(line, us)| format!("{line} {us}\n")).collect()
}

/// Sets a report in speedscope's form (<https://www.speedscope.app/file-format-schema.json>): one profile, whose weights are the waits.
pub fn speedscope(report: &Report) -> Value {
    let mut frames: BTreeMap<Frame, usize> = BTreeMap::new();
    let mut shown = Vec::new();
    let (mut samples, mut weights) = (Vec::new(), Vec::new());
    for (stack, us) in sums(report) {
        let mut sample = Vec::new();
        for frame in stack {
            let next = frames.len();
            let at = *frames.entry(frame.clone()).or_insert_with(|| {
                let mut known = json!({ "name": frame.name });
                if let Some(file) = frame.file {
                    known["file"] = json!(file);
                }
                if let Some(line) = frame.line {
                    known["line"] = json!(line);
                }
                shown.push(known);
                next
            });
            sample.push(at);
        }
        samples.push(sample);
        weights.push(us);
    }
    json!({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": concat!("greenpatch ", env!("CARGO_PKG_VERSION")),
        "name": report.command,
        "activeProfileIndex": 0,
        "shared": { "frames": shown },
        "profiles": [{
            "type": "sampled",
            "name": "time waited, of all threads",
            "unit": "microseconds",
            "startValue": 0,
            "endValue": weights.iter().sum::<u64>(),
            "samples": samples,
            "weights": weights,
        }],
    })
}
