//! What the library says at its start: the answer to a wrong or a helpful GREENPATCH_OPTIONS. All of it is called at load, and writes
//! to stderr.
//!
//! Each line begins with `greenpatch` and goes to descriptor 2 by system calls, not by stdio: the hooks are still closed, and libc may
//! not have begun. Memory is allocated freely here; nothing of it is called in signal handlers. What is found wrong later, at the end, is
//! told by `statistics::place` and `dumper`, which allocate nothing.

use crate::config::{self, Options, Wrong};
use crate::environment::Environment;
use crate::sys;

/// The environment variable that holds the options. `options` reads it at load, and `statistics::prepare` changes it for the programs that
/// this one executes. The command sets it for `greenpatch run` (bin/greenpatch/options.rs).
pub const VARIABLE: &str = "GREENPATCH_OPTIONS";

/// Parses the options in the environment, and writes the help where they ask for it. Called once, at load. `None`: they are wrong, one line
/// on stderr has said how, and the program is to run natively. What is returned borrows the environment's entry, which lives as long as the
/// process.
pub fn options(environment: &mut Environment) -> Option<Options<'static>> {
    let Some(value) = environment.get(VARIABLE) else { return Some(Options::DEFAULT) };
    let Ok(text) = value.to_str() else {
        complain("it is not UTF-8");
        return None;
    };
    match config::parse(text) {
        Ok(options) => {
            if options.help {
                help();
            }
            Some(options)
        }
        Err(wrong) => {
            complain(&describe(&wrong));
            None
        }
    }
}

/// Returns what is wrong with an option, in words. `Wrong::Key` does not come here: `config::parse` names the key.
fn describe(wrong: &Wrong) -> String {
    match wrong {
        Wrong::NoValue(part) => format!("'{part}' is not of the form key=value"),
        Wrong::UnknownKey(key) => {
            let known: Vec<&str> = config::HELP.iter().map(|(name, ..)| *name).collect();
            format!("unknown option '{key}' (known: {})", known.join(", "))
        }
        Wrong::Value { key, value, expects } => format!("{key}={value}: expected {expects}"),
        Wrong::Alone { key, needs } => format!("{key}=1 is for {needs}=…, which is not set"),
        Wrong::Key => String::new(),
    }
}

/// Writes a line on stderr about the options, after which the caller leaves the program native. `what` is a clause without a full stop.
fn complain(what: &str) {
    sys::write_all(2, format!("greenpatch: {VARIABLE}: {what}; running natively\n").as_bytes());
}

/// Why a program under valgrind stays native. The reason is kept for the statistics (`started::refuse`), and told by `warn`.
pub const VALGRIND: &str = "valgrind runs every thread itself, one at a time, and knows no green ones";

/// Why a program stays native beside a library of `config::PASSED_BY`.
pub const PASSED_BY: &str =
    "a library behind it in LD_PRELOAD puts itself in front of connect or open, and green threads would pass it by: \
    put that library first";

/// Writes a line on stderr that says why the program runs natively. Called by the front door at load, with `VALGRIND` or `PASSED_BY`.
pub fn warn(why: &str) {
    sys::write_all(2, format!("greenpatch: {why}; running natively\n").as_bytes());
}

/// Writes a line on stderr: `inline=1` is set, and the kernel cannot do it. The program runs green all the same. Called by the front door
/// at load.
pub fn refuse_inline() {
    let what = "inline=1 needs Syscall User Dispatch from a range of addresses (Linux 6.17); running without it";
    sys::write_all(2, format!("greenpatch: {VARIABLE}: {what}\n").as_bytes());
}

/// Writes a line on stderr: the recording cannot be made, by this error number. The program runs natively, or green where that was asked
/// for, and nothing is recorded. Called by the front door at load.
pub fn refuse_audit(why: i32, green: bool) {
    let how = if green { "green" } else { "natively" };
    let what = format!("greenpatch: {VARIABLE}: the recording cannot be made (error {why}); running {how}\n");
    sys::write_all(2, what.as_bytes());
}

/// Writes a line on stderr: what keeps a worker cannot be recorded, for this library's code may not be written. The program runs green all
/// the same. Called by the front door at load.
pub fn refuse_green_audit() {
    let what = format!(
        "greenpatch: {VARIABLE}: green=1 needs code that may be written (SELinux, MDWE); nothing is recorded\n"
    );
    sys::write_all(2, what.as_bytes());
}

/// Writes a line on stderr: there is no ticker, by this error number. The program runs without it. Called by the front door at load.
pub fn refuse_ticker(why: i32) {
    sys::write_all(2, format!("greenpatch: {VARIABLE}: no ticker (error {why}); running without it\n").as_bytes());
}

/// Writes every option and its meaning on stderr: the option `help`. The program then runs as the other options say.
fn help() {
    let mut text = format!("greenpatch {}: {VARIABLE}=key=value:key=value\n", env!("CARGO_PKG_VERSION"));
    for (name, placeholder, meaning) in config::HELP {
        text += &format!("  {name}={placeholder}\n      {meaning}\n");
    }
    sys::write_all(2, text.as_bytes());
}
