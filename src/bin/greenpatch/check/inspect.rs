//! Reads the files of a program one after the other: what each imports, defines, and calls by instructions of its own.
//!
//! What a file *imports* comes to the library, whose symbols are found first: `calls` says what becomes of each. What the program itself
//! *defines* is found before the library's, and what a file does by its own `syscall` instructions passes every hook by: both are out of
//! reach. Notes go with that, each a clause that begins with the file's name.
//!
//! Notes of one object, in this order:
//!
//! ```text
//! has no section headers          packed: neither symbols nor text are found
//! conflicts                       a neighbour that `calls` knows
//! defines … too                   hooked functions in a library; the program's own are out of reach instead
//! opens libraries deeply          those pass the hooks by
//! sets a thread's state inline    the library acts on that by itself
//! ```
//!
//! Then the notes of all: more may be loaded by dlopen, Python's tasks, no second thread.

use std::fs;
use std::path::Path;

use object::{Object, ObjectSymbol, SymbolKind};

use super::instructions::{self, Place};
use super::report::{At, Report};
use crate::calls;
use crate::elf::{self, Elf};
use crate::library::LIBRARY;
use crate::words::short;

/// The note about Python's programs: their tasks and greenlets are no threads.
const NO_PTHREADS: &str =
    "asyncio's tasks and the greenlets of gevent and eventlet are no pthreads: a call that blocks one of them blocks \
    its whole loop, as without greenpatch. Make such calls in threads (asyncio.to_thread, gevent's threadpool).";

/// The note where a thread's state is set past the hooks. The library then takes `inline` on by itself, where the kernel can, for a
/// signal mask or a tid of the kernel thread's would be wrong for a green one; where it cannot, the program stays native.
const CAUGHT_BY_ITSELF: &str =
    "if loaded before the first thread, `inline` is taken on by itself (Linux 6.17), or the program stays native";

/// Reads every object of a report, and adds what it finds. A file that cannot be read adds nothing, and glibc's own files are left out:
/// their system calls are those behind the functions.
pub fn inspect(mut report: Report) -> Report {
    // The objects that import dlopen, for one note about all of them.
    let mut loaders = Vec::new();
    for at in 0..report.objects.len() {
        let object = &report.objects[at];
        let Some(path) = object.path.as_deref().filter(|_| !is_libcs_own(&object.name)) else { continue };
        let Ok(data) = fs::read(path) else { continue };
        let Ok(elf) = Elf::parse(&*data) else { continue };
        let name = short(&object.name).to_owned();
        // Symbols and text are found by section; packed programs have none.
        if elf.elf_section_table().is_empty() {
            report.hints.push(format!("{name} has no section headers: nothing of it can be seen"));
        }
        if let Some((_, Err(why))) = calls::NEIGHBOURS.iter().find(|(start, _)| name.starts_with(start)) {
            report.hints.push(format!("{name} conflicts: {why}"));
        }
        // The order of symbols does not matter: the report sorts them.
        let imports = imports(&elf);
        if ["dlopen", "dlmopen"].iter().any(|loader| imports.contains(loader)) {
            loaders.push(name.clone());
        }
        imports.into_iter().for_each(|symbol| note_import(&mut report, symbol, at));
        note_definitions(&mut report, &elf, at, &name);
        note_instructions(&mut report, &elf, at, &name);
    }
    loaders.dedup();
    note_the_whole(&mut report, &loaders);
    report
}

/// Adds an imported symbol under its reach and family. A symbol of which nothing is known does not wait, and is left out.
fn note_import(report: &mut Report, symbol: &str, at: At) {
    let Some(call) = calls::call(symbol) else { return };
    let symbols = report.imports.entry((call.reach, call.family)).or_default();
    symbols.entry(symbol.to_owned()).or_default().push(at);
}

/// Adds the hooked functions that an object defines itself. The program's come before the library's, which is preloaded behind it: calls of
/// them are lost. Those of a library come after the hooks, which may pass a call on to them.
fn note_definitions(report: &mut Report, elf: &Elf, at: At, name: &str) {
    // A definition of a function without a hook changes nothing.
    let defined: Vec<_> =
        definitions(elf).into_iter().filter(|symbol| calls::is_hooked(symbol)).map(str::to_owned).collect();
    match at {
        0 if !elf::is_library(elf) => report.own = defined,
        _ if defined.is_empty() => {}
        _ => report.hints.push(format!("{name} defines {} too: the hooks come first, then these", defined.join(" "))),
    }
}

/// Adds what an object does by instructions of its own: libraries opened so that their calls pass the hooks by, a thread's state set, and
/// system calls. A system call counts if it waits, or if its number is not known.
fn note_instructions(report: &mut Report, elf: &Elf, at: At, name: &str) {
    if instructions::binds_deeply(elf) {
        report.hints.push(format!(
            "{name} opens libraries with RTLD_DEEPBIND: what these call is reached by libc's entries only"
        ));
    }
    if let Some(state) = instructions::thread_state(elf, name) {
        report.hints.push(format!("{name} sets a thread's state inline: {CAUGHT_BY_ITSELF}"));
        report.thread_states.push((at, state));
    }
    report.inline.extend(waiting_calls(elf).map(|place| (at, place)));
}

/// Finds the system calls that an object makes by instructions of its own, and that wait, or whose number is not known.
fn waiting_calls(elf: &Elf) -> impl Iterator<Item = Place> {
    let calls = instructions::syscalls(elf).into_iter();
    calls.filter(|place| place.number.is_none_or(|number| calls::waiting(number).is_some()))
}

/// Names the system calls that wait and that a mapped file makes by instructions of its own, each once: what nobody sees who stands before
/// libc's functions. Called by `greenpatch audit`, for its footer. Empty: there are none, the file is libc's own, or it cannot be read.
pub fn unseen_calls(path: &Path) -> Vec<&'static str> {
    if is_libcs_own(&path.to_string_lossy()) {
        return Vec::new();
    }
    let Ok(data) = fs::read(path) else { return Vec::new() };
    let Ok(elf) = Elf::parse(&*data) else { return Vec::new() };
    let mut names: Vec<_> =
        waiting_calls(&elf).map(|place| place.number.and_then(calls::waiting).unwrap_or("of unknown number")).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Adds the notes that are about all objects together: more may be loaded by those in `loaders`, Python's tasks are no threads, and
/// without a second thread nothing is green.
fn note_the_whole(report: &mut Report, loaders: &[String]) {
    if let Some((first, others)) = loaders.split_first() {
        let others = if others.is_empty() { String::new() } else { format!(" and {} others", others.len()) };
        let advice = "`greenpatch check --pid` sees what a process has loaded";
        report.hints.push(format!("{first}{others} may load more by dlopen: {advice}"));
    }
    if short(&report.program.display().to_string()).starts_with("python") {
        report.hints.push(format!("Python's threads become green. {NO_PTHREADS}"));
    }
    if !["pthread_create", "thrd_create", "clone"].iter().any(|symbol| imported(report, symbol)) {
        report.hints.push("nobody imports pthread_create: without a second thread it runs as natively".into());
    }
}

/// Tells whether an object of the report imports a symbol. The symbol has to be one that `calls` knows, or nothing would be noted of it.
fn imported(report: &Report, symbol: &str) -> bool {
    report.imports.values().any(|symbols| symbols.contains_key(symbol))
}

/// Lists the symbols that a file imports: those of its dynamic table that it does not define.
fn imports<'data>(elf: &Elf<'data>) -> Vec<&'data str> {
    let undefined = elf.dynamic_symbols().filter(|symbol| symbol.is_undefined());
    undefined.filter_map(|symbol| symbol.name().ok()).collect()
}

/// Lists the functions that a file defines for others: those of its dynamic table, data left out.
fn definitions<'data>(elf: &Elf<'data>) -> Vec<&'data str> {
    let functions = elf.dynamic_symbols().filter(|symbol| symbol.is_definition() && symbol.kind() == SymbolKind::Text);
    functions.filter_map(|symbol| symbol.name().ok()).collect()
}

/// Tells whether a file is this library, or a part of glibc: its system calls are those behind its functions, and what it imports is its
/// own affair. Name service modules of others are no part of it, for they wait in their own ways.
fn is_libcs_own(name: &str) -> bool {
    /// File names, without folders.
    const WHOLE: [&str; 13] = [
        "libc.so.6",
        "ld-linux-x86-64.so.2",
        "libpthread.so.0",
        "libdl.so.2",
        "librt.so.1",
        "libm.so.6",
        "libmvec.so.1",
        "libutil.so.1",
        "libanl.so.1",
        "libresolv.so.2",
        "libnss_files.so.2",
        "libnss_dns.so.2",
        LIBRARY,
    ];
    WHOLE.contains(&short(name))
}
