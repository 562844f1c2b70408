//! The command `greenpatch`: runs programs green, and shows what that means.
//!
//! The command is a convenience around `LD_PRELOAD=libgreenpatch.so`: it finds the library, checks the options and says beforehand when a
//! program cannot be reached by a preload library at all. It never links the library, whose hooks would be its own.
//!
//! This file knows the subcommands, each a file or a folder, and no subcommand knows another, but `ticker`, which asks audit
//! and threads. What several of them ask lies below:
//!
//! ```text
//!    main ──► run  audit/  ticker/  check/  doctor/  statistics  threads  demo
//!              │     │       │          │          │      │
//!              ▼     ▼       ▼          ▼          ▼      ▼
//!    judge files:   start  preloadable  privilege  glibc     run: options
//!    read files:    library  loaded  calls  elf  mount       read processes: process
//!    at the bottom: shared (what the library knows too)  failure (exit statuses)  words
//! ```
//!
//! There is no Rust `main`, because Rust's start-up ignores SIGPIPE and opens closed standard descriptors, and a program run by
//! `greenpatch run` must inherit what it would have inherited without it.
#![no_main]

mod audit;
mod calls;
mod check;
mod demo;
mod doctor;
mod elf;
mod failure;
mod glibc;
mod library;
mod loaded;
mod mount;
mod options;
mod preloadable;
mod privilege;
mod process;
mod run;
mod shared;
mod start;
mod statistics;
mod threads;
mod ticker;
mod words;

use std::env;
use std::ffi::c_int;
use std::path::Path;
use std::process::exit;

use clap::error::ErrorKind;
use clap::Parser;
use failure::{Failure, FAILED};

/// The end of `--help`.
const EXIT_STATUS: &str = "\
Exit status of `greenpatch run`: the program's own, or
   65  the program cannot be preloaded: static, setuid, for another machine or
       C library, a glibc before 2.34, most Go programs
  125  greenpatch failed: a wrong option, no library
  126  the program was found but cannot be executed
  127  the program, its interpreter or its loader was not found
`greenpatch check --help` and `greenpatch doctor --help` tell theirs.";

/// Runs unmodified threaded programs on green threads.
#[derive(Parser)]
#[command(name = "greenpatch", version, after_help = EXIT_STATUS)]
struct Command {
    #[command(subcommand)]
    job: Job,
}

/// The subcommands, each with its own arguments. The comments above those are their help texts.
#[derive(clap::Subcommand)]
enum Job {
    Run(run::Arguments),
    Audit(audit::Arguments),
    Report(audit::ReportArguments),
    Ticker(ticker::Arguments),
    Tarpit(ticker::TarpitArguments),
    Check(check::Arguments),
    Doctor(doctor::Arguments),
    Stats(statistics::Arguments),
    Dump(threads::Arguments),
    Demo(demo::Arguments),
}

/// Tells on stderr how to run a program, where its name stands in place of a subcommand: so are commands like this one called.
fn hint() {
    let words = env::args_os().skip(1).map(|word| words::shown(Path::new(&word))).collect::<Vec<_>>().join(" ");
    eprintln!("To run a program: greenpatch run -- {words}");
}

/// C's `main`. Returns the command's exit status; `run` returns only where it failed.
#[no_mangle]
extern "C" fn main() -> c_int {
    let command = Command::try_parse().unwrap_or_else(|usage| {
        // A reader that has gone away is no reason to fail.
        let _ = usage.print();
        if usage.kind() == ErrorKind::InvalidSubcommand {
            hint();
        }
        exit(if usage.use_stderr() { FAILED } else { 0 })
    });
    let result = match command.job {
        Job::Run(arguments) => run::run(arguments).map(|never| match never {}),
        Job::Audit(arguments) => audit::audit(arguments),
        Job::Report(arguments) => audit::report(arguments).map(|()| 0),
        Job::Ticker(arguments) => ticker::ticker(arguments),
        Job::Tarpit(arguments) => ticker::tarpit(arguments).map(|()| 0),
        Job::Check(arguments) => check::check(arguments),
        Job::Doctor(arguments) => doctor::doctor(arguments),
        Job::Stats(arguments) => statistics::statistics(arguments).map(|()| 0),
        Job::Dump(arguments) => threads::dump(arguments).map(|()| 0),
        Job::Demo(arguments) => demo::demo(arguments).map(|()| 0),
    };
    match result {
        Ok(status) => status,
        Err(Failure(status, sentence)) => {
            eprintln!("{}", words::for_errors(&format!("greenpatch: {sentence}")));
            status
        }
    }
}
