//! `greenpatch run`: becomes the program, with the library preloaded.
//!
//! The program replaces greenpatch (exec), so its exit status, its signals and its process id are its own. Whatever can be
//! known to fail is said before that, in a sentence and with an exit status that tells it from the program's.

use std::env;
use std::ffi::{CString, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::ptr;

use crate::options::{self, Options};
use crate::words::shown;
use crate::{elf, figures, glibc, start, Failure, FAILED, NOT_PRELOADABLE};

pub const LIBRARY: &str = "libgreenpatch.so";
/// Where the library is, seen from the command: where cargo puts it, and where installations and distributions do.
const LIBRARY_PLACES: [&str; 4] = ["", "../lib", "../lib/x86_64-linux-gnu", "../lib64"];

const LIB_HELP: &str = "\
the library [default: $GREENPATCH_LIB, or
libgreenpatch.so beside this command, in ../lib,
../lib/x86_64-linux-gnu or ../lib64]";

/// Run a program green; its exit status is its own
#[derive(clap::Args)]
#[command(override_usage = "greenpatch run [OPTIONS] -- CMD [ARG]...")]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The library
    #[arg(long, value_name = "PATH", help = LIB_HELP)]
    lib: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Returns only if the program could not be started.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let library = library(arguments.lib)?;
    let options = arguments.options.merged().map_err(|sentence| Failure(FAILED, sentence))?;
    let command = &arguments.command;
    let program = start::program(start::find(&command[0])?)?;
    if let Some(objection) = elf::objection(&program.elf, &library) {
        return Err(Failure(NOT_PRELOADABLE, format!("{} {objection}", program.subject())));
    }
    start::loader(&program)?;
    if let Some(objection) = glibc::objection(&program.elf, &library) {
        return Err(Failure(NOT_PRELOADABLE, format!("{} {objection}", program.subject())));
    }
    env::set_var("LD_PRELOAD", preload(&library, env::var_os("LD_PRELOAD"))?);
    if !options.is_empty() {
        env::set_var(options::VARIABLE, options);
    }
    Err(start::refused(&program, &execute(command)))
}

/// The library's absolute path: a program may change its directory before it executes another.
pub fn library(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let named = named.or_else(|| env::var_os("GREENPATCH_LIB").map(PathBuf::from));
    let command = env::current_exe().unwrap_or_default();
    let beside = |place| command.with_file_name(place).join(LIBRARY);
    let places = named.map_or_else(|| LIBRARY_PLACES.map(beside).to_vec(), |path| vec![path]);
    let found = places.iter().find_map(|path| fs::canonicalize(path).ok().filter(|path| elf::machine(path).is_some()));
    if let Some(other) = found.as_deref().filter(|path| !elf::exports(path, figures::SYMBOL)) {
        return Err(Failure(FAILED, format!("{} is not greenpatch's library, but another.", shown(other))));
    }
    found.ok_or_else(|| {
        let places = places.iter().map(|path| shown(path)).collect::<Vec<_>>().join(" and ");
        let advice = "build it with `cargo build --release`, or name it with --lib or GREENPATCH_LIB.";
        Failure(FAILED, format!("the library was not found; looked for {places}: {advice}"))
    })
}

/// `library`, behind what was preloaded anyway: a library that stands before it sees the program's calls first, as it does natively, and
/// what it passes on comes to ours. (Ours would not pass on a connect to a proxy's that stands behind.)
pub fn preload(library: &Path, others: Option<OsString>) -> Result<OsString, Failure> {
    if library.as_os_str().as_bytes().iter().any(|byte| b" :".contains(byte)) {
        let problem =
            "LD_PRELOAD cannot name a path with a space or a colon. Copy the library elsewhere and name it with --lib.";
        return Err(Failure(FAILED, format!("{}: {problem}", shown(library))));
    }
    let mut value = others.unwrap_or_default();
    if !value.is_empty() {
        value.push(":");
    }
    value.push(library);
    Ok(value)
}

/// `execvp` itself, because Rust's own empties the signal mask and resets SIGPIPE, which the program should inherit.
fn execute(command: &[OsString]) -> io::Error {
    let words = command.iter().map(|word| CString::new(word.clone().into_vec())).collect::<Result<Vec<_>, _>>();
    let Ok(words) = words else { return ErrorKind::InvalidInput.into() };
    let pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
    // SAFETY: `words` keeps each string alive and ended by a NUL, and the list of them ends in a null pointer.
    unsafe { libc::execvp(pointers[0], pointers.as_ptr()) };
    io::Error::last_os_error()
}
