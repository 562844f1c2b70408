//! The command `greenpatch`: runs programs green, and shows what that means.
//!
//! It is a convenience around `LD_PRELOAD=libgreenpatch.so`: it finds the library, checks the options and says beforehand
//! when a program cannot be reached by a preload library at all. It never links the library, whose hooks would be its own.
//!
//! There is no Rust `main`, because Rust's start-up ignores SIGPIPE and opens closed standard descriptors, and a program run
//! by `greenpatch run` must inherit what it would have inherited without it.
#![no_main]

mod calls;
mod check;
// The command reads the table and its parser, not what was parsed.
#[allow(dead_code)]
#[path = "../../config.rs"]
mod config;
mod demo;
mod doctor;
mod elf;
// The layout is for whoever reads it; the command does not fill it.
#[allow(dead_code)]
#[path = "../../figures.rs"]
mod figures;
mod glibc;
mod loaded;
mod options;
mod privilege;
mod run;
// The command asks of files by the same rule what the library asks of what is loaded.
#[path = "../../arch/scan.rs"]
mod scan;
mod start;
mod statistics;
mod words;

use std::env;
use std::ffi::c_int;
use std::io::{self, Write};
use std::path::Path;
use std::process::exit;

use clap::error::ErrorKind;
use clap::Parser;

/// The program cannot be preloaded (EX_DATAERR of sysexits.h).
const NOT_PRELOADABLE: c_int = 65;
/// greenpatch itself failed. This and the next two are those of env, nice, timeout and their like.
const FAILED: c_int = 125;
const NOT_EXECUTABLE: c_int = 126;
const NOT_FOUND: c_int = 127;

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

#[derive(clap::Subcommand)]
enum Job {
    Run(run::Arguments),
    Check(check::Arguments),
    Doctor(doctor::Arguments),
    Stats(statistics::Arguments),
    Demo(demo::Arguments),
}

/// Why greenpatch gives up: its exit status, and a sentence for the user.
struct Failure(c_int, String);

/// The program was named without `run`, as commands like this one are called.
fn hint() {
    let words = env::args_os().skip(1).map(|word| words::shown(Path::new(&word))).collect::<Vec<_>>().join(" ");
    eprintln!("To run a program: greenpatch run -- {words}");
}

/// Prints on stdout. A reader that has gone away is no reason to fail.
fn print(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => Err(why),
        _ => Ok(()),
    }
}

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
        Job::Run(arguments) => run::run(arguments).map(|()| 0),
        Job::Check(arguments) => check::check(arguments),
        Job::Doctor(arguments) => doctor::doctor(arguments),
        Job::Stats(arguments) => statistics::statistics(arguments).map(|()| 0),
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
