//! What a watch has seen of calls that were not over, kept beside the recordings of `--keep`: for a later report of that folder.
//!
//! It is the audit's report in JSON, of which the calls that are not over are read again. An audit without such calls keeps nothing.

use std::path::{Path, PathBuf};

use super::findings::Report;
use super::open::{deadlocks, End, Open};
use super::recording::Recorded;
use super::{bounded, saved, writing};
use crate::failure::Failure;

/// The file's name in the folder. Hidden files there are no recordings (`saved::is_beside`).
const NAME: &str = ".watched.json";

/// Keeps what the watch of an audit has seen in the folder of its recordings. Fails as the writing of the file fails.
pub fn keep(folder: &Path, report: &Report) -> Result<(), Failure> {
    if !report.open.iter().any(|open| open.seen && open.end != End::Lives) {
        return Ok(());
    }
    writing::write(&folder.join(NAME), bounded::text(report).as_bytes())
}

/// Completes a report of recordings, which come from these files and folders, by what was kept beside them of processes that have ended.
/// A file that is damaged, or of other processes, adds nothing.
pub fn join(report: &mut Report, recordings: &[Recorded], folders: &[PathBuf]) {
    let is_over = |process: i32| recordings.iter().any(|recorded| recorded.process == process && !recorded.lives);
    for kept in folders.iter().filter_map(|folder| saved::report(&folder.join(NAME)).ok()) {
        let kept: Vec<Open> = kept.open.into_iter().filter(|open| is_over(open.process)).collect();
        report.open.retain(|open| !kept.iter().any(|other| other.process == open.process));
        report.open.extend(kept);
    }
    report.open.iter_mut().for_each(|open| open.deadlock = None);
    deadlocks(&mut report.open);
}
