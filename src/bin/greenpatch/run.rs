//! `greenpatch run`: becomes the program, with the library preloaded.
//!
//! The program replaces greenpatch (exec), so its exit status, its signals and its process id are its own. Whatever can be known to fail
//! is said before that, in a sentence and with an exit status that tells it from the program's. The order is that in which a user would
//! want to know:
//!
//! ```text
//!    the library, the options        125   greenpatch itself cannot
//!    the file, its interpreter       127, 126
//!    can it be preloaded?            65
//!    its loader                      127, 126
//!    is its glibc new enough?        65
//!    execvp                          what remains
//! ```
//!
//! The environment is changed in two places only: LD_PRELOAD and GREENPATCH_OPTIONS; with `--bridge` also GREENPATCH_BRIDGE, which the
//! Python package reads as an interpreter starts (python/greenpatch_bridge.pth). Signal mask, dispositions and descriptors are the
//! caller's.

use std::convert::Infallible;
use std::env;
use std::ffi::{CString, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::ptr;

use crate::failure::{Failure, FAILED, NOT_PRELOADABLE};
use crate::library::{self, LIB_HELP};
use crate::options::{self, Options};
use crate::words::shown;
use crate::{glibc, preloadable, start};

/// Run a program green; its exit status is its own
#[derive(clap::Args)]
#[command(override_usage = "greenpatch run [OPTIONS] -- CMD [ARG]...")]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The library
    #[arg(long, value_name = "PATH", help = LIB_HELP)]
    lib: Option<PathBuf>,
    /// For a Python program that has the package greenpatch: native calls
    /// yield to this loop, with no line of code
    #[arg(long, value_name = "LOOP", value_parser = ["gevent", "eventlet", "asyncio"])]
    bridge: Option<String>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Becomes the program. Returns only where the program could not be started, with the exit status that says why.
pub fn run(arguments: Arguments) -> Result<Infallible, Failure> {
    let library = library::find(arguments.lib)?;
    let options = arguments.options.merged().map_err(|sentence| Failure(FAILED, sentence))?;
    let command = &arguments.command;
    let program = start::program(start::find(&command[0])?)?;
    if let Some(objection) = preloadable::objection(&program.elf, &library) {
        return Err(Failure(NOT_PRELOADABLE, format!("{} {objection}", program.subject())));
    }
    start::loader(&program)?;
    if let Some(objection) = glibc::objection(&program.elf, &library) {
        return Err(Failure(NOT_PRELOADABLE, format!("{} {objection}", program.subject())));
    }
    if let Some(name) = &arguments.bridge {
        if let Some(place) = lacks_package(&program.elf) {
            let place = shown(&place);
            eprintln!("greenpatch: --bridge {name}: {place} has no package greenpatch: install its wheel there");
        }
        env::set_var("GREENPATCH_BRIDGE", name);
    }
    env::set_var("LD_PRELOAD", library::preload(&library, env::var_os("LD_PRELOAD"))?);
    if !options.is_empty() {
        env::set_var(options::VARIABLE, options);
    }
    Err(start::refused(&program, &execute(command)))
}

/// Returns the folder of packages of a Python interpreter in which the package greenpatch is missing; `None`: it is there, or the program
/// is no interpreter, or where its packages are cannot be known. Nothing is run to find out.
fn lacks_package(program: &Path) -> Option<PathBuf> {
    if !program.file_name()?.to_str()?.starts_with("python") {
        return None;
    }
    let prefix = program.parent()?.parent()?;
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".local"));
    let mut places = Vec::new();
    for library in [Some(prefix.join("lib")), Some(prefix.join("local/lib")), home.map(|home| home.join("lib"))] {
        let Some(entries) = library.and_then(|library| fs::read_dir(library).ok()) else { continue };
        let versions = entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"python3"));
        places
            .extend(versions.flat_map(|entry| ["site-packages", "dist-packages"].map(|name| entry.path().join(name))));
    }
    let has_package = |place: &PathBuf| place.join("greenpatch_bridge.pth").exists();
    (!places.iter().any(has_package)).then(|| places.into_iter().find(|place| place.is_dir())).flatten()
}

/// Calls `execvp` itself, because Rust's own empties the signal mask and resets SIGPIPE, which the program should inherit. Returns why it
/// failed.
fn execute(command: &[OsString]) -> io::Error {
    let words = command.iter().map(|word| CString::new(word.clone().into_vec())).collect::<Result<Vec<_>, _>>();
    let Ok(words) = words else { return ErrorKind::InvalidInput.into() };
    let pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
    // SAFETY: `words` keeps each string alive and ended by a NUL, and the list of them ends in a null pointer.
    unsafe { libc::execvp(pointers[0], pointers.as_ptr()) };
    io::Error::last_os_error()
}
