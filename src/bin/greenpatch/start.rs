//! The way from a command's name to what is started: the file that `execvp` finds for a name, and the program that the kernel loads to
//! run it. `run` and `check` ask the same functions, whose statuses are those of env(1): 127 where execvp answers ENOENT, 126 for every
//! other reason.
//!
//! ```text
//!    a name ── find ──► a file ── program ──► `#!` … `#!` ──► an ELF file ── loader ──► its dynamic loader
//!               PATH                trial of each interpreter                  trial
//! ```
//!
//! The kernel and glibc decide by trying; here the same is asked without starting anything, in the order in which they would ask. Only
//! what cannot be known beforehand (a file that is open for writing elsewhere, too long a list of arguments) is left to the attempt
//! itself: `refused`. Every failure is a whole sentence that begins with the file's name.

use std::env;
use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use libc::c_int;

use crate::elf::{self, Kind};
use crate::failure::{Failure, NOT_EXECUTABLE, NOT_FOUND};
use crate::mount;
use crate::words::shown;

/// The depth to which the kernel follows scripts whose interpreter is a script.
const SCRIPT_DEPTH: usize = 5;
/// The longest name of a file (linux/limits.h).
const NAME_MAX: usize = 255;

/// Makes a failure with the status that env(1) has for this error number: 127 for ENOENT, 126 for any other.
fn failure(number: c_int, sentence: String) -> Failure {
    Failure(if number == libc::ENOENT { NOT_FOUND } else { NOT_EXECUTABLE }, sentence)
}

/// Finds the file that `execvp` is going to execute for a name: by PATH, if the name has no slash. Fails with the status and the reason
/// with which the call would fail.
///
/// ```text
/// at a place of PATH                            glibc           here
/// may be executed                               executes it     the answer
/// is not there, or cannot be reached            goes on         goes on; the last such error is the answer if nothing else is
/// may not be executed (EACCES)                  goes on, and answers EACCES at the end
/// ```
pub fn find(command: &OsStr) -> Result<PathBuf, Failure> {
    if command.is_empty() {
        return Err(failure(libc::ENOENT, "the name of the program is empty.".into()));
    }
    // A name with a slash is a path, and PATH has nothing to do with it.
    if command.as_bytes().contains(&b'/') {
        let path = PathBuf::from(command);
        return match trial(&path) {
            Ok(()) => Ok(path),
            Err(number) => Err(failure(number, reason(&path, number))),
        };
    }
    let name = shown(Path::new(command));
    // glibc tries no such name in any folder.
    if command.len() > NAME_MAX {
        return Err(failure(libc::ENAMETOOLONG, format!("{name}: no file has so long a name.")));
    }
    // Without PATH glibc looks in the folders of confstr(_CS_PATH).
    let path = env::var_os("PATH").unwrap_or("/bin:/usr/bin".into());
    // glibc's rules: a place without the file is passed over. A file that may not be executed is passed over too, and told at the end.
    // Any other error ends the search.
    let (mut denied, mut last) = (None, libc::ENOENT);
    for place in env::split_paths(&path).map(|folder| folder.join(command)) {
        match trial(&place) {
            Ok(()) => return Ok(place),
            Err(libc::EACCES) => denied = denied.or(Some(place)),
            Err(number @ (libc::ENOENT | libc::ESTALE | libc::ENOTDIR | libc::ENODEV | libc::ETIMEDOUT)) => {
                last = number
            }
            Err(number) => return Err(failure(number, reason(&place, number))),
        }
    }
    match denied {
        Some(place) => Err(failure(libc::EACCES, reason(&place, libc::EACCES))),
        None => Err(failure(last, format!("{name} was not found in any directory of PATH."))),
    }
}

/// Asks whether the kernel would open this file to execute it: it is a regular file that this user may execute. Fails with the error
/// number that execve would give.
fn trial(path: &Path) -> Result<(), c_int> {
    let facts = fs::metadata(path).map_err(|why| why.raw_os_error().unwrap_or(libc::EINVAL))?;
    if facts.is_file() && may_execute(path) {
        Ok(())
    } else {
        Err(libc::EACCES)
    }
}

/// Asks the kernel whether this user may execute a file: its mode, its folders and its mount.
fn may_execute(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: the string ends in a NUL.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::X_OK, libc::AT_EACCESS) == 0 }
}

/// Says in a sentence why a file cannot be executed, if `trial` has failed with this error number. The file is looked at again, so that a
/// directory, a link that leads nowhere and a missing x each have words of their own.
fn reason(path: &Path, number: c_int) -> String {
    let name = shown(path);
    let link = fs::read_link(path).ok().map(|target| shown(&target));
    match (number, fs::metadata(path)) {
        (libc::ENOENT, _) if link.is_some() => {
            format!("{name} is a symbolic link to {}, which does not exist.", link.unwrap_or_default())
        }
        (libc::ENOENT, _) => format!("{name} does not exist."),
        (libc::ENOTDIR, _) => format!("{name} cannot be executed: a part of the path is no directory."),
        (libc::ELOOP, _) => format!("{name} cannot be executed: too many levels of symbolic links."),
        (libc::EACCES, Ok(facts)) if facts.is_dir() => format!("{name} is a directory, not a program."),
        (libc::EACCES, Ok(facts)) if !facts.is_file() => format!("{name} is no regular file, and so no program."),
        (libc::EACCES, Ok(facts)) if facts.permissions().mode() & 0o111 == 0 => {
            format!("{name} is not executable: `chmod +x` would make it so.")
        }
        (libc::EACCES, Ok(_)) if forbids_execution(path) => {
            format!("{name} cannot be executed: its file system is mounted with noexec.")
        }
        (libc::EACCES, Ok(_)) => format!("{name} cannot be executed: permission denied to this user."),
        (libc::EACCES, Err(_)) => format!("{name} cannot be reached: permission denied in a directory of its path."),
        _ => format!("{name} cannot be executed: {}.", words(number)),
    }
}

/// Tells whether the file's file system is mounted with noexec.
fn forbids_execution(path: &Path) -> bool {
    mount::flags(path).is_some_and(|flags| flags & libc::ST_NOEXEC != 0)
}

/// Tells an error in words, without its number: `Permission denied`. Called by those who make a sentence of it.
pub fn words_of(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}

/// Tells an error number in words, for the middle of a sentence.
fn words(number: c_int) -> String {
    words_of(&io::Error::from_raw_os_error(number)).to_lowercase()
}

/// A program, and the file that leads to it.
pub struct Program {
    /// The file that was named or found.
    pub path: PathBuf,
    /// The ELF file at the end of its `#!` lines: itself, if it is no script. What the kernel does not know `execvp` gives to the shell.
    pub elf: PathBuf,
}

impl Program {
    /// Returns the program's name as the beginning of a sentence about the ELF file.
    pub fn subject(&self) -> String {
        if self.elf == self.path {
            shown(&self.path)
        } else {
            format!("{} is run by {}, which", shown(&self.path), shown(&self.elf))
        }
    }
}

/// Follows the `#!` lines of a file to what the kernel loads to run it. Fails where an interpreter cannot be executed, or the chain is
/// longer than the kernel follows. What the kernel does not know, and a `#!` line in a form that it refuses, leads to /bin/sh, as
/// execvp's fallback does.
pub fn program(path: PathBuf) -> Result<Program, Failure> {
    let mut elf = path.clone();
    for depth in 0.. {
        let line = match elf::kind(&elf) {
            Ok(Kind::Script(line)) => line,
            Ok(Kind::Other) => {
                elf = "/bin/sh".into();
                break;
            }
            // A file that cannot be read may be executed all the same.
            Ok(Kind::Elf) | Err(_) => break,
        };
        let name = shown(&elf);
        // The kernel counts the scripts that lead to scripts, and gives up with ELOOP.
        if depth == SCRIPT_DEPTH {
            let sentence =
                format!("{} cannot be executed: more than {SCRIPT_DEPTH} scripts run each other.", shown(&path));
            return Err(failure(libc::ELOOP, sentence));
        }
        let Some(interpreter) = line else {
            // The kernel knows no such script, so that execvp takes it to the shell.
            elf = "/bin/sh".into();
            break;
        };
        // execve gives the interpreter's error as the script's own.
        if let Err(number) = trial(&interpreter) {
            return Err(failure(number, no_interpreter(&name, &interpreter, number)));
        }
        elf = interpreter;
    }
    Ok(Program { path, elf })
}

/// Says why a script's interpreter cannot be executed. `script` is its name as shown.
fn no_interpreter(script: &str, interpreter: &Path, number: c_int) -> String {
    let named = shown(interpreter);
    let ends_in_return = interpreter.as_os_str().as_bytes().ends_with(b"\r");
    match number {
        // A carriage return at the line's end is part of the name, and no editor shows it.
        libc::ENOENT if ends_in_return => format!(
            "{script} cannot be executed: its interpreter {named} does not exist: the file has Windows line ends \
             (CRLF). `sed -i 's/\\r$//'` takes them away."
        ),
        libc::ENOENT => format!("{script} cannot be executed: its interpreter {named} does not exist."),
        _ => format!("{script} cannot be executed by its interpreter: {}", reason(interpreter, number)),
    }
}

/// Checks that there is a dynamic loader where the program asks for one, and that it may be executed. Fails with the status and the
/// reason with which execve would: ENOENT, though the program itself is there.
pub fn loader(program: &Program) -> Result<(), Failure> {
    let Some(loader) = elf::loader_of(&program.elf) else { return Ok(()) };
    match trial(&loader) {
        Ok(()) => Ok(()),
        Err(libc::ENOENT) => {
            let (name, loader) = (shown(&program.elf), shown(&loader));
            let sentence = format!("{name} cannot be executed: its dynamic loader does not exist ({loader}).");
            Err(failure(libc::ENOENT, sentence))
        }
        Err(number) => {
            let sentence = format!("{} cannot be loaded: {}", shown(&program.elf), reason(&loader, number));
            Err(failure(number, sentence))
        }
    }
}

/// Makes the failure of an attempt that nothing above foresaw, from the error that execvp has left.
pub fn refused(program: &Program, error: &io::Error) -> Failure {
    let number = error.raw_os_error().unwrap_or(libc::EINVAL);
    let why = match number {
        libc::ETXTBSY => "somebody has it open for writing".into(),
        libc::E2BIG => "its arguments and environment are too long (ulimit -s)".into(),
        libc::ENOEXEC => "the kernel does not know its format".into(),
        number => words(number),
    };
    failure(number, format!("{} cannot be executed: {why}.", shown(&program.path)))
}
