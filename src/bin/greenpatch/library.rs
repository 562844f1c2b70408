//! The library's file: where it is, and how LD_PRELOAD names it.
//!
//! A path that the user names counts, be it by --lib or GREENPATCH_LIB; else the usual places beside this command are tried in order. A
//! file counts as the library if it exports the figures' symbol: so another library of that name is told from it, and one of another
//! version is not, for the two go together.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::elf;
use crate::failure::{Failure, FAILED};
use crate::shared::figures;
use crate::words::shown;

/// The library's file name.
pub const LIBRARY: &str = "libgreenpatch.so";
/// The folders of the library, seen from the command's: where cargo puts it, and where installations and distributions do.
const FOLDERS: [&str; 4] = ["", "../lib", "../lib/x86_64-linux-gnu", "../lib64"];

/// The help text of a `--lib` option.
pub const LIB_HELP: &str = "\
the library [default: $GREENPATCH_LIB, or
libgreenpatch.so beside this command, in ../lib,
../lib/x86_64-linux-gnu or ../lib64]";

/// Finds the library: the file `named` by the user, else GREENPATCH_LIB's, else the first of the usual places. The path is absolute, for a
/// program may change its directory before it executes another. Fails with `FAILED` where there is none, or another library has its name.
pub fn find(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let named = named.or_else(|| env::var_os("GREENPATCH_LIB").map(PathBuf::from));
    let command = env::current_exe().unwrap_or_default();
    let beside = |place| command.with_file_name(place).join(LIBRARY);
    let places = named.map_or_else(|| FOLDERS.map(beside).to_vec(), |path| vec![path]);
    // Files that are no ELF files are passed over. The first ELF file has to be the library.
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

/// Makes the value of LD_PRELOAD: `library` behind what was preloaded anyway (`others`, the value so far). A library that stands before
/// ours sees the program's calls first, as it does natively, and what it passes on comes to ours; one behind ours would not see a
/// connect. Fails with `FAILED` where the path has a space or a colon, which the loader takes for an end.
///
/// ```text
/// others none or empty      /usr/lib/libgreenpatch.so
/// others proxy.so           proxy.so:/usr/lib/libgreenpatch.so
/// ```
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
