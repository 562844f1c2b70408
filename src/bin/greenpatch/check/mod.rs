//! `greenpatch check`: what of a program the library reaches, read from its files, before anything is executed.
//!
//! A program and its libraries name in their symbol tables what they call in libc. What is known of each name stands in `calls`; what
//! they call without a name stands in their text, and `inline` finds it. The rest is sorting: `Report` is one program's answer.

mod findings;
pub mod instructions;

use std::collections::BTreeMap;
use std::env;
use std::ffi::c_int;
use std::fs;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSymbol, SymbolKind};

use self::instructions::{Elf, Place, ThreadState};
use crate::calls::{self, Reach};
use crate::elf::{self, Kind};
use crate::loaded::{self, Loaded};
use crate::words::shown;
use crate::{glibc, run, start, Failure, FAILED, NOT_PRELOADABLE};

/// Something that waits is out of reach.
const OUT_OF_REACH: c_int = 1;
/// There is no such file (EX_NOINPUT of sysexits.h).
const NO_FILE: c_int = 66;

pub const EXIT_STATUS: &str = "\
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

const NO_PTHREADS: &str =
    "asyncio's tasks and the greenlets of gevent and eventlet are no pthreads: a call that blocks one of them blocks \
    its whole loop, as without greenpatch. Make such calls in threads (asyncio.to_thread, gevent's threadpool).";

/// What the library does where a thread's state is set past the hooks.
const CAUGHT_BY_ITSELF: &str =
    "if loaded before the first thread, `inline` is taken on by itself (Linux 6.17), or the program stays native";

/// Where a finding stands: the place of an object in the report's list.
pub type At = usize;

/// What is found about one program.
#[derive(Default)]
pub struct Report {
    pub subject: String,
    /// Whose text is executed: the end of a chain of `#!` lines.
    pub program: PathBuf,
    pub objects: Vec<Loaded>,
    /// Functions of libc that are imported, and by whom.
    pub imports: BTreeMap<(Reach, &'static str), BTreeMap<String, Vec<At>>>,
    /// Inline system calls that wait, or whose number is not known.
    pub inline: Vec<(At, Place)>,
    /// Whose own system call instructions set, or ask for, a thread's state.
    pub thread_states: Vec<(At, ThreadState)>,
    /// Hooked functions that the program itself defines: its definition comes before the library's.
    pub own: Vec<String>,
    pub hints: Vec<String>,
    /// Why it cannot be checked or preloaded, and the exit status for that.
    pub refusal: Option<(c_int, String)>,
}

impl Report {
    pub fn status(&self) -> c_int {
        match &self.refusal {
            Some((status, _)) => *status,
            None if self.objects.iter().any(|object| object.path.is_none()) => NO_FILE,
            None if self.escapes() => OUT_OF_REACH,
            None => 0,
        }
    }

    fn escapes(&self) -> bool {
        let beyond = self.imports.keys().any(|(reach, _)| *reach == Reach::Beyond);
        beyond || !self.inline.is_empty() || !self.own.is_empty()
    }

    fn refused(mut self, status: c_int, sentence: impl Into<String>) -> Self {
        self.refusal = Some((status, sentence.into()));
        self
    }
}

pub fn check(arguments: Arguments) -> Result<c_int, Failure> {
    let processes = arguments.pid.iter().map(|pid| of_process(*pid));
    let reports: Vec<_> = processes.chain(arguments.files.iter().map(|file| of_file(file))).collect();
    let text = if arguments.json { findings::json(&reports) } else { findings::text(&reports) };
    crate::print(&text).map_err(|why| Failure(FAILED, why.to_string()))?;
    Ok(reports.iter().map(Report::status).max().unwrap_or(0))
}

fn of_file(file: &Path) -> Report {
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
        None if elf::loader_of(&report.program).is_some_and(|loader| !loader.exists()) => {
            report.refused(NO_FILE, "cannot be executed: its dynamic loader does not exist.")
        }
        None => inspect(Report { objects: loaded::of_program(&report.program), ..report }),
    }
}

fn of_process(pid: u32) -> Report {
    let report = Report { subject: format!("process {pid}"), ..Report::default() };
    match loaded::of_process(pid) {
        Err(why) => report.refused(NO_FILE, format!("cannot be looked at: {}.", start::words_of(&why))),
        Ok(objects) => {
            let program = objects[0].path.clone().unwrap_or_default();
            let preloaded = objects.iter().any(|object| object.name.ends_with(run::LIBRARY));
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

/// The file itself, or the one that a shell would find.
fn find(file: &Path) -> PathBuf {
    if file.exists() || file.components().count() > 1 {
        return file.to_owned();
    }
    start::find(file.as_os_str()).unwrap_or_else(|_| file.to_owned())
}

/// The ELF file at the end of a chain of `#!` lines; `env` is looked through.
fn follow(mut path: PathBuf) -> Result<PathBuf, String> {
    loop {
        let words = elf::first_line(&path).unwrap_or_default();
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let through_env =
            words.first().is_some_and(|first| Path::new(first).file_name().is_some_and(|name| name == "env"));
        let behind_env = words.iter().skip(1).find(|word| !word.starts_with('-') && !word.contains('='));
        match behind_env.filter(|_| through_env) {
            // (A script that env runs by itself has no end.)
            Some(word) if Path::new(word) != path => {
                path = start::find(word.as_ref()).map_err(|Failure(_, why)| format!("is run by {word}: {why}"))?;
            }
            _ => break,
        }
    }
    match elf::kind(&path) {
        // What nobody may execute is no program of the shell's.
        Ok(Kind::Script(None) | Kind::Other) if start::find(path.as_os_str()).is_err() => return Ok(path),
        _ => {}
    }
    let subject = format!("{} ", shown(&path));
    match start::program(path) {
        Ok(program) => Ok(program.elf),
        Err(Failure(_, sentence)) => Err(sentence.strip_prefix(&subject).unwrap_or(&sentence).to_owned()),
    }
}

/// Why the library cannot be preloaded into it.
fn objection(program: &Path) -> Option<String> {
    let own = run::library(None).or_else(|_| env::current_exe().map_err(|_| ())).ok()?;
    let Some(found) = elf::machine(program) else {
        return Some("is neither an ELF program nor a script with a #! line.".into());
    };
    let data = fs::read(program).unwrap_or_default();
    match Elf::parse(&*data) {
        Err(why) if elf::machine(&own) == Some(found) => Some(format!("is damaged: {why}.")),
        Ok(elf) if elf::is_library(&elf) => None,
        _ => elf::objection(program, &own).or_else(|| glibc::objection(program, &own)),
    }
}

/// Reads every object of the report.
fn inspect(mut report: Report) -> Report {
    let mut loaders = Vec::new();
    for at in 0..report.objects.len() {
        let object = &report.objects[at];
        let Some(path) = object.path.as_deref().filter(|_| !is_libcs_own(&object.name)) else { continue };
        let Ok(data) = fs::read(path) else { continue };
        let Ok(elf) = Elf::parse(&*data) else { continue };
        let name = short(&object.name).to_owned();
        if elf.elf_section_table().is_empty() {
            report.hints.push(format!("{name} has no section headers: nothing of it can be seen"));
        }
        if let Some((_, Err(why))) = calls::NEIGHBOURS.iter().find(|(start, _)| name.starts_with(start)) {
            report.hints.push(format!("{name} conflicts: {why}"));
        }
        for symbol in imports(&elf) {
            if let Some(call) = calls::call(symbol) {
                report
                    .imports
                    .entry((call.reach, call.family))
                    .or_default()
                    .entry(symbol.to_owned())
                    .or_default()
                    .push(at);
            }
            if symbol == "dlopen" || symbol == "dlmopen" {
                loaders.push(name.clone());
            }
        }
        let defined: Vec<_> =
            definitions(&elf).into_iter().filter(|symbol| calls::is_hooked(symbol)).map(str::to_owned).collect();
        match at {
            0 if !elf::is_library(&elf) => report.own = defined,
            _ if defined.is_empty() => {}
            _ => {
                report.hints.push(format!("{name} defines {} too: the hooks come first, then these", defined.join(" ")))
            }
        }
        if instructions::binds_deeply(&elf) {
            report.hints.push(format!(
                "{name} opens libraries with RTLD_DEEPBIND: what these call is reached by libc's entries only"
            ));
        }
        if let Some(state) = instructions::thread_state(&elf, &name) {
            report.hints.push(format!("{name} sets a thread's state inline: {CAUGHT_BY_ITSELF}"));
            report.thread_states.push((at, state));
        }
        let calls = instructions::syscalls(&elf).into_iter();
        let waiting = calls.filter(|place| place.number.is_none_or(|number| calls::waiting(number).is_some()));
        report.inline.extend(waiting.map(|place| (at, place)));
    }
    loaders.dedup();
    if let Some((first, others)) = loaders.split_first() {
        let others = if others.is_empty() { String::new() } else { format!(" and {} others", others.len()) };
        let advice = "`greenpatch check --pid` sees what a process has loaded";
        report.hints.push(format!("{first}{others} may load more by dlopen: {advice}"));
    }
    if short(&report.program.display().to_string()).starts_with("python") {
        report.hints.push(format!("Python's threads become green. {NO_PTHREADS}"));
    }
    if !["pthread_create", "thrd_create", "clone"].iter().any(|symbol| imported(&report, symbol)) {
        report.hints.push("nobody imports pthread_create: without a second thread it runs as natively".into());
    }
    report
}

fn imported(report: &Report, symbol: &str) -> bool {
    report.imports.values().any(|symbols| symbols.contains_key(symbol))
}

fn imports<'data>(elf: &Elf<'data>) -> Vec<&'data str> {
    let undefined = elf.dynamic_symbols().filter(|symbol| symbol.is_undefined());
    undefined.filter_map(|symbol| symbol.name().ok()).collect()
}

fn definitions<'data>(elf: &Elf<'data>) -> Vec<&'data str> {
    let functions = elf.dynamic_symbols().filter(|symbol| symbol.is_definition() && symbol.kind() == SymbolKind::Text);
    functions.filter_map(|symbol| symbol.name().ok()).collect()
}

/// A file's name without its folders.
pub fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The parts of glibc, whose system calls are those behind the functions, and this library.
fn is_libcs_own(name: &str) -> bool {
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
        run::LIBRARY,
    ];
    WHOLE.contains(&short(name))
}
