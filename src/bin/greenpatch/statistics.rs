//! `greenpatch stats PID`: what a running process has counted by now. It is read out of the process's memory, as src/figures.rs says
//! where it lies, while the process goes on: nothing is stopped, sent or changed.
//!
//! ```text
//!   greenpatch_figures ─► Layout ─► Plain, Plain, …              one word each, copied as they are
//!                               ─► Counters ─► Counters ─► null  a worker each: added up, with what no worker counted
//!                               ─► names of the hooks            row by row beside the sums
//! ```
//!
//! The process counts on while it is read, so two figures of one answer may be of different moments. Of a pair that belongs together the
//! one that grows later is read first: then no more seems served than came. What is read is never moved or freed, so no pointer leads
//! astray.

use std::mem::{offset_of, size_of};

use serde_json::{Map, Value};

use crate::failure::{Failure, FAILED};
use crate::process::{place, Process};
use crate::shared::figures::{Counters, Layout, Name, Plain, MARK, ROWS, SYMBOL};
use crate::words::print;

/// Print what a running program has counted by now
#[derive(clap::Args)]
pub struct Arguments {
    /// The process
    #[arg(value_name = "PID")]
    pid: u32,
}

/// Prints a process's figures as JSON. Fails with `FAILED` where its memory cannot be read, or has no figures of this version.
pub fn statistics(arguments: Arguments) -> Result<(), Failure> {
    let pid = arguments.pid;
    let fail = |why: String| Failure(FAILED, format!("process {pid}: {why}"));
    let figures = Process::open(pid).and_then(|process| self::figures(&process, pid)).map_err(fail)?;
    print(&format!("{figures}\n")).map_err(|why| fail(why.to_string()))
}

/// Reads all figures into a JSON object: `version`, `pid`, each plain figure by its name, the sums, `hooks` (calls that came, by symbol)
/// and `served` (those that did not go on to libc). A hook without a call is left out. The names are those of the statistics at exit.
/// Fails with the rest of a sentence where the memory cannot be read, or has no figures of this version.
fn figures(process: &Process, pid: u32) -> Result<Value, String> {
    let layout: Layout = process.read(place(pid, SYMBOL)?)?;
    if layout.mark != MARK {
        return Err("another version of greenpatch is loaded in it: use that one's command.".into());
    }
    let mut all = Map::new();
    all.insert("version".into(), process.text(&layout.version)?.into());
    all.insert("pid".into(), pid.into());
    for at in 0..layout.plain_count {
        let figure: Plain = process.read(layout.plain as usize + at * size_of::<Plain>())?;
        // A figure of one byte is a yes or no, any other a number of eight.
        let value = match figure.bytes {
            1 => (process.bytes(figure.place as usize, 1)?[0] != 0).into(),
            _ => process.word(figure.place as usize)?.into(),
        };
        all.insert(process.text(&figure.name)?, value);
    }
    // First what passed: what comes meanwhile must not look like more than came.
    let mut passed: Vec<u64> = process.read::<[u64; ROWS]>(layout.others_passed as usize)?.into();
    let mut calls: Vec<u64> = process.read::<[u64; ROWS]>(layout.others as usize)?.into();
    let (mut created, mut parks, mut switches) = (process.word(layout.created_by_others as usize)?, 0, 0);
    // Workers are only ever added, at the beginning of the list.
    let mut worker = process.word(layout.workers as usize)? as usize;
    while worker != 0 {
        let words = process.bytes(worker, size_of::<Counters>())?;
        let word = |at: usize| u64::from_ne_bytes(words[at..at + 8].try_into().unwrap_or_default());
        created += word(offset_of!(Counters, created));
        parks += word(offset_of!(Counters, parks));
        switches += word(offset_of!(Counters, switches));
        for (sums, first) in [(&mut calls, offset_of!(Counters, calls)), (&mut passed, offset_of!(Counters, passed))] {
            sums.iter_mut().enumerate().for_each(|(row, sum)| *sum += word(first + row * 8));
        }
        worker = word(offset_of!(Counters, next)) as usize;
    }
    for (name, value) in [("green_threads", created), ("parks", parks), ("switches", switches)] {
        all.insert(name.into(), value.into());
    }
    let (mut hooks, mut served) = (Map::new(), Map::new());
    for (row, (&came, &passed)) in calls.iter().zip(&passed).enumerate().take(layout.hook_count) {
        if came > 0 {
            let name: Name = process.read(layout.hooks as usize + row * size_of::<Name>())?;
            let name = process.text(&name)?;
            if came > passed {
                served.insert(name.clone(), (came - passed).into());
            }
            hooks.insert(name, came.into());
        }
    }
    all.insert("hooks".into(), hooks.into());
    all.insert("served".into(), served.into());
    Ok(all.into())
}
