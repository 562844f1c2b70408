//! `greenpatch check`: what of a program the library reaches, read from its files, before anything is executed.
//!
//! `subject` finds the program that is meant and what it loads, `inspect` reads each file of it, `findings` sets what was found in words
//! and in JSON; in between it is a `report`. A program and its libraries name in their symbol tables what they call in libc: what is known
//! of each name stands in `calls`. What they call without a name stands in their text, where `instructions` finds it.
//!
//! ```text
//!    file or pid ──► subject ──► inspect ──► report ──► findings ──► text or JSON, and the exit status
//!                                 │    └──► calls, by symbol
//!                                 └──► instructions, by text
//! ```

mod findings;
pub mod inspect;
mod instructions;
mod report;
mod subject;

use std::ffi::c_int;
use std::path::PathBuf;

use self::report::Report;
use crate::failure::{Failure, FAILED};
use crate::words::print;

/// The end of `--help`.
const EXIT_STATUS: &str = "\
Exit status, the greatest of all files':
    0  nothing that waits is out of reach
    1  something that waits is out of reach: system calls made inline,
       functions that the program defines itself
   65  it cannot be preloaded: static, setuid, for another machine or C library,
       a glibc before 2.34, most Go programs, no program at all
   66  there is no such file or process, or a library that it needs is missing
  125  greenpatch failed: a wrong option";

/// Say which blocking calls of a program are reached, without running it
#[derive(clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub struct Arguments {
    /// Programs, scripts or libraries; a name also by PATH
    #[arg(required_unless_present = "pid", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A running process: everything that it has loaded by now
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Print one JSON array, with every symbol and every place
    #[arg(long)]
    json: bool,
}

/// Checks each program and process, and prints what was found. Returns the greatest exit status of all; fails where it cannot print.
pub fn check(arguments: Arguments) -> Result<c_int, Failure> {
    let processes = arguments.pid.iter().map(|pid| subject::of_process(*pid));
    let reports: Vec<_> = processes.chain(arguments.files.iter().map(|file| subject::of_file(file))).collect();
    let text = if arguments.json { findings::json(&reports) } else { findings::text(&reports) };
    print(&text).map_err(|why| Failure(FAILED, why.to_string()))?;
    Ok(reports.iter().map(Report::status).max().unwrap_or(0))
}
