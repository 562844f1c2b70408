//! Which program is meant, what it loads, and whether it can be preloaded at all. The answer is a report, begun here and filled by
//! `inspect`.
//!
//! ```text
//!    a file ── find ──► a path ── follow ──► the ELF file that runs it ──► objection? ──► loaded::of_program ──► inspect
//!    a pid ── loaded::of_process ──► its files ─────────────────────────► objection? ──────────────────────────► inspect
//! ```
//!
//! A refusal ends the way: 66 where there is nothing to read, 65 where the library cannot be preloaded. A process that has the library
//! loaded already is not refused, whatever its file looks like.
//!
//! ```text
//! no such file, no right to read it, a directory, an interpreter or a loader missing          66
//! another machine, static, privileged, another C library or an older glibc, Go, no program    65
//! ```

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::inspect::inspect;
use super::report::{Report, NO_FILE};
use crate::elf::{self, Elf, Kind};
use crate::failure::{Failure, NOT_PRELOADABLE};
use crate::library::{self, LIBRARY};
use crate::words::shown;
use crate::{glibc, loaded, preloadable, start};

/// Checks a program, a script or a library; a name without a slash may also stand in PATH. What cannot be checked is refused in the report.
pub fn of_file(file: &Path) -> Report {
    let path = find(file);
    let report = Report { subject: file.display().to_string(), program: path.clone(), ..Report::default() };
    match fs::metadata(&path) {
        Err(why) => return report.refused(NO_FILE, format!("cannot be read: {}.", start::words_of(&why))),
        Ok(facts) if facts.is_dir() => return report.refused(NO_FILE, "is a directory, not a program."),
        Ok(facts) if !facts.is_file() => return report.refused(NO_FILE, "is no regular file."),
        Ok(_) => {}
    }
    if let Err(why) = fs::File::open(&path) {
        return report.refused(NO_FILE, format!("cannot be read: {}.", start::words_of(&why)));
    }
    let program = match follow(path) {
        Ok(program) => program,
        Err(sentence) => return report.refused(NO_FILE, sentence),
    };
    let report = Report { program, ..report };
    match objection(&report.program) {
        Some(sentence) => report.refused(NOT_PRELOADABLE, sentence),
        // `objection` reads the file only; execve would fail without its loader.
        None if elf::loader_of(&report.program).is_some_and(|loader| !loader.exists()) => {
            report.refused(NO_FILE, "cannot be executed: its dynamic loader does not exist.")
        }
        None => inspect(Report { objects: loaded::of_program(&report.program), ..report }),
    }
}

/// Checks a running process: all that it has mapped by now. What cannot be checked is refused in the report.
pub fn of_process(pid: u32) -> Report {
    let report = Report { subject: format!("process {pid}"), ..Report::default() };
    match loaded::of_process(pid) {
        Err(why) => report.refused(NO_FILE, format!("cannot be looked at: {}.", start::words_of(&why))),
        Ok(objects) => {
            let program = objects[0].path.clone().unwrap_or_default();
            // A file that could not be preloaded would still have the library, were it linked to it.
            let preloaded = objects.iter().any(|object| object.name.ends_with(LIBRARY));
            let report = Report { program, objects, ..report };
            match objection(&report.program) {
                Some(sentence) if !preloaded => report.refused(NOT_PRELOADABLE, sentence),
                _ => {
                    let mut report = inspect(report);
                    let state = if preloaded { "is" } else { "is not" };
                    report.hints.insert(0, format!("greenpatch {state} loaded in it"));
                    report
                }
            }
        }
    }
}

/// Returns the file itself, or the one that a shell would find for a bare name. A name that nothing answers to is returned as it is, and
/// refused where it is read.
fn find(file: &Path) -> PathBuf {
    if file.exists() || file.components().count() > 1 {
        return file.to_owned();
    }
    start::find(file.as_os_str()).unwrap_or_else(|_| file.to_owned())
}

/// Follows a chain of `#!` lines to its ELF file, through `env` too: `#!/usr/bin/env python3` means the python3 of PATH. Fails with the
/// rest of a sentence, where an interpreter is not there.
fn follow(mut path: PathBuf) -> Result<PathBuf, String> {
    loop {
        let words = elf::first_line(&path).unwrap_or_default();
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let through_env =
            words.first().is_some_and(|first| Path::new(first).file_name().is_some_and(|name| name == "env"));
        // Behind `env` the first word that is neither an option nor an assignment is the program.
        let behind_env = words.iter().skip(1).find(|word| !word.starts_with('-') && !word.contains('='));
        match behind_env.filter(|_| through_env) {
            // A script that env runs by itself would have no end.
            Some(word) if Path::new(word) != path => {
                path = start::find(word.as_ref()).map_err(|Failure(_, why)| format!("is run by {word}: {why}"))?;
            }
            _ => break,
        }
    }
    match elf::kind(&path) {
        // A file that may not be executed is no program of the shell's.
        Ok(Kind::Script(None) | Kind::Other) if start::find(path.as_os_str()).is_err() => return Ok(path),
        _ => {}
    }
    // The report has a subject of its own, so the sentence begins without one.
    let subject = format!("{} ", shown(&path));
    match start::program(path) {
        Ok(program) => Ok(program.elf),
        Err(Failure(_, sentence)) => Err(sentence.strip_prefix(&subject).unwrap_or(&sentence).to_owned()),
    }
}

/// Tells why the library cannot be preloaded into a program: the rest of a sentence. None: it can be, or the file is itself a library,
/// which has no start of its own to be preloaded at. Where the library is not found the command stands for it, which is built for the
/// same machine.
fn objection(program: &Path) -> Option<String> {
    let own = library::find(None).or_else(|_| env::current_exe().map_err(|_| ())).ok()?;
    // Without an ELF header there is nothing more to ask.
    let Some(found) = elf::machine(program) else {
        return Some("is neither an ELF program nor a script with a #! line.".into());
    };
    let data = fs::read(program).unwrap_or_default();
    match Elf::parse(&*data) {
        Err(why) if elf::machine(&own) == Some(found) => Some(format!("is damaged: {why}.")),
        Ok(elf) if elf::is_library(&elf) => None,
        _ => preloadable::objection(program, &own).or_else(|| glibc::objection(program, &own)),
    }
}
