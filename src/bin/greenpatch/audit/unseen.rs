//! What the recordings cannot show: the report's footer.
//!
//! ```text
//!   what                                          how it is known
//!   waits by instructions of an object's own      its file, as `greenpatch check` reads it: each object that was mapped
//!   programs that left no recording               each process notes what it executes (`format::Child`)
//!   calls without room, an end without order      the recording's own counts
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::recording::{Child, Recorded};
use crate::check::inspect;
use crate::elf::{self, Kind};
use crate::library::LIBRARY;
use crate::preloadable;
use crate::words::short;

/// An object whose waits are not seen, for it makes system calls by instructions of its own.
pub struct Hidden {
    pub path: String,
    /// The calls that wait.
    pub calls: Vec<&'static str>,
}

/// Finds the mapped objects whose waits are not seen. Reads each file once. In a green run those that keep a worker are seen from outside.
pub fn hidden(recordings: &[Recorded]) -> Vec<Hidden> {
    let mapped: BTreeSet<PathBuf> = recordings
        .iter()
        .filter(|recorded| !recorded.green)
        .flat_map(|recorded| &recorded.objects)
        .filter(|path| short(path) != LIBRARY)
        .map(|path| fs::canonicalize(path).unwrap_or_else(|_| path.into()))
        .collect();
    let of = |path: PathBuf| Hidden { calls: inspect::unseen_calls(&path), path: path.display().to_string() };
    mapped.into_iter().map(of).filter(|hidden| !hidden.calls.is_empty()).collect()
}

/// How many programs without a recording are named. The rest is counted.
const NAMED: usize = 5;

/// Says what the recordings cannot show, a clause each.
pub fn clauses(recordings: &[Recorded], hidden: &[Hidden]) -> Vec<String> {
    let mut clauses: Vec<String> = hidden
        .iter()
        .map(|object| {
            let calls = object.calls.join(", ");
            format!("waits in {} ({}): system calls made inline: {calls}", short(&object.path), object.path)
        })
        .collect();
    clauses.extend(recordings.iter().flat_map(|recorded| recorded.unseen.iter().cloned()));
    clauses.extend(unrecorded(recordings));
    let more: u64 = recordings.iter().map(|recorded| recorded.more_children).sum();
    if more > 0 {
        clauses.push(format!("whether {more} more programs were recorded, which children executed"));
    }
    let lost: u64 = recordings.iter().map(|recorded| recorded.lost).sum();
    if lost > 0 {
        clauses.push(format!("{lost} calls, or objects, for which the recording had no room"));
    }
    let unreached = recordings.iter().map(|recorded| recorded.unreached).max().unwrap_or(0);
    if unreached > 0 {
        clauses.push(format!("calls of {unreached} functions whose hooks could not be recorded"));
    }
    if let Some(first) = recordings.iter().find(|recorded| recorded.filtered) {
        let process = first.process;
        clauses.push(format!(
            "what process {process} did under its seccomp filter, which may kill for a recorder's calls"
        ));
    }
    let open: Vec<_> = recordings.iter().filter(|recorded| !recorded.ended && !recorded.lives).collect();
    if let Some(first) = open.first() {
        let name = short(&first.program);
        let others = if open.len() > 1 { format!(" and {} others", open.len() - 1) } else { String::new() };
        clauses.push(format!(
            "how process {} ({name}){others} ended: by a signal, by a system call of its own, or not yet",
            first.process
        ));
    }
    clauses
}

/// Names the programs that were executed and left no recording, a clause for each path, with the reason, as far as the file tells.
fn unrecorded(recordings: &[Recorded]) -> Vec<String> {
    let has_recording =
        |child: &Child| recordings.iter().any(|other| other.process == child.process && other.began_ns > child.at_ns);
    let children = recordings.iter().flat_map(|recorded| &recorded.children).filter(|child| !has_recording(child));
    let mut paths: Vec<(&str, u64)> = Vec::new();
    for child in children {
        match paths.iter_mut().find(|(path, _)| *path == child.path) {
            Some((_, count)) => *count += 1,
            None => paths.push((&child.path, 1)),
        }
    }
    let named = paths.iter().take(NAMED).map(|(path, count)| {
        let times = if *count == 1 { String::new() } else { format!(" ({count} times)") };
        format!("{path}{times}, which was executed without the recorder: it {}", reason(Path::new(path)))
    });
    let rest: u64 = paths.iter().skip(NAMED).map(|(_, count)| count).sum();
    let others = (rest > 0).then(|| format!("{rest} more programs that were executed without the recorder"));
    named.chain(others).collect()
}

/// Says why a program has left no recording: the rest of a clause.
fn reason(program: &Path) -> String {
    // A script is run by another program, which its first line names.
    let interpreter = match elf::kind(program) {
        Ok(Kind::Script(interpreter)) => interpreter,
        _ => None,
    };
    let own = std::env::current_exe().unwrap_or_default();
    let objection = preloadable::objection(interpreter.as_deref().unwrap_or(program), &own);
    match objection {
        Some(sentence) => sentence.trim_end_matches('.').to_owned(),
        None => "had no LD_PRELOAD or no option in its environment, or was killed before it began".to_owned(),
    }
}
