//! `greenpatch audit` and `greenpatch report`: which calls of a program wait, where, how long, and what they hold meanwhile.
//!
//! ```text
//!   CMD with the recorder ──► recordings, one a process ──► recording ──► findings ──► output
//!                             (a folder of its own)          symbols, mends ──┘
//! ```
//!
//! `audit` runs the program as its child, with its own descriptors and signals, and waits for it; its exit status is the program's own.

mod accepted;
mod annotations;
mod attach;
mod beside;
mod bounded;
mod clock;
mod comparison;
mod fields;
mod findings;
mod firefox;
mod folder;
mod interpreter;
mod junit;
mod live;
mod mends;
mod metrics;
mod open;
mod output;
mod page;
mod phrases;
mod pprof;
mod recording;
mod saved;
mod sites;
mod stacks;
mod state;
mod subject;
mod symbols;
mod timeline;
mod unfinished;
mod unseen;
mod verdicts;
mod waited;
mod watch;
mod watched;
mod writing;

use std::ffi::{c_int, OsStr, OsString};
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, FAILED, NOT_PRELOADABLE};
use crate::library::{self, LIB_HELP};
use crate::shared::config::parse_signal;
use crate::words::shown;
use crate::{glibc, options, preloadable, start};
use findings::Report;
pub use folder::Folder;
use folder::{read_all, read_one};
use serde_json::Value;
use start::Program;
use state::State;
pub use waited::{Recording, Waited};

/// The exit status of `audit --fail-on` where the program itself succeeded.
const FOUND: c_int = 66;

/// Which findings fail an audit.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum FailOn {
    /// A call that blocks an event loop, holds the interpreter's lock, or (--green) keeps a worker
    Block,
    /// A call that holds the interpreter's lock
    Gil,
    /// Any call of the threshold or more
    Any,
    /// As block, or one that polls busily, that the baseline has not
    New,
    /// None
    Never,
}

/// Run a program, and say which of its calls wait; its exit status is its own, or 66 by --fail-on
#[derive(clap::Args)]
#[command(override_usage = "greenpatch audit [OPTIONS] -- CMD [ARG]...\n       greenpatch audit [OPTIONS] --pid PID")]
pub struct Arguments {
    /// Write the report into this file, as JSON
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Calls of this many milliseconds are reported; 0: each of ten microseconds
    #[arg(long, value_name = "MS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(..=86_400_000))]
    threshold: u64,
    /// End with status 66 for such findings, where the program itself succeeded
    #[arg(long, value_enum, default_value = "never")]
    fail_on: FailOn,
    #[command(flatten)]
    accepted: accepted::Arguments,
    /// Write the report into this file, as the next baseline
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// Write a report of now whenever this signal comes to greenpatch: into FILE.1, FILE.2 … of --output, else on stderr
    #[arg(long, value_name = "SIGNAL", value_parser = signal)]
    dump_on: Option<c_int>,
    /// Write a report of now, as --dump-on, when no call has begun or ended for this many seconds
    #[arg(long, value_name = "SECONDS")]
    hang: Option<u64>,
    /// Record this process, which was started with GREENPATCH_OPTIONS=audit=PATH:idle=1, until an interrupt
    #[arg(long, value_name = "PID", conflicts_with_all = ["command", "keep", "lib", "dump_on", "hang", "threshold"])]
    pid: Option<i32>,
    /// With --pid: for so many seconds
    #[arg(long, value_name = "N", requires = "pid")]
    seconds: Option<u64>,
    /// No summary at the end
    #[arg(short, long)]
    quiet: bool,
    /// Run the program green: what keeps a worker is reported
    #[arg(long)]
    green: bool,
    /// Run the program twice, natively and green, and say both in one table
    #[arg(long, conflicts_with_all = ["green", "fail_on", "write_baseline"])]
    beside: bool,
    /// Keep the recordings in this folder, for `greenpatch report`
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// The library
    #[arg(long, value_name = "PATH", help = LIB_HELP)]
    lib: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required_unless_present = "pid", trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// How `report` writes.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// The whole report (docs/audit.schema.json)
    Json,
    /// A page for a browser, in one file
    Html,
    /// Waiting by stack, collapsed, in microseconds: for flame graphs
    Folded,
    /// Waiting by stack: for speedscope.app
    Speedscope,
    /// The latest calls along the time: for ui.perfetto.dev
    Perfetto,
    /// The latest calls along the time: for profiler.firefox.com
    Firefox,
    /// Waiting by stack, gzipped: for pprof
    Pprof,
    /// A test case a finding
    Junit,
    /// Findings at Python lines, SARIF 2.1.0
    Sarif,
    /// Annotations of GitHub's workflows
    Github,
    /// GitLab's code quality
    Gitlab,
    /// Sums, in OpenMetrics text
    Openmetrics,
}

/// Say what recordings hold
#[derive(clap::Args)]
pub struct ReportArguments {
    /// Recordings, or folders of them; or a report (JSON)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The report's form
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    accepted: accepted::Arguments,
    /// Say what is new, gone or slower than in these recordings, or in this report (JSON)
    #[arg(long, value_name = "OTHER")]
    compare: Option<PathBuf>,
    /// Say these recordings, of a native run, beside those of a green run, in one table
    #[arg(long, value_name = "GREEN", conflicts_with = "compare")]
    beside: Option<PathBuf>,
    /// Write the report into this file
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
}

/// Reads the name of a signal.
fn signal(text: &str) -> Result<c_int, String> {
    parse_signal(text).ok_or_else(|| "no signal that may be handled, such as USR1, QUIT, RTMIN+3".to_owned())
}

fn failed(sentence: impl Into<String>) -> Failure {
    Failure(FAILED, sentence.into())
}

/// Runs the program under the recorder and reports. Returns its exit status, 128 and the signal's number where a signal ended it, or
/// `FOUND`.
pub fn audit(arguments: Arguments) -> Result<c_int, Failure> {
    if arguments.fail_on == FailOn::New && arguments.accepted.baseline.is_none() {
        return Err(failed("--fail-on new needs --baseline FILE: what is known."));
    }
    let accepted = accepted::read(&arguments.accepted)?;
    for file in [&arguments.output, &arguments.write_baseline].into_iter().flatten() {
        writing::probe(file)?;
    }
    match arguments.pid {
        Some(pid) => attached(pid, &arguments, &accepted),
        None => started(arguments, &accepted),
    }
}

/// Records a process that was started before, for a while, and reports. Returns 0, or `FOUND`.
fn attached(pid: i32, arguments: &Arguments, accepted: &accepted::Accepted) -> Result<c_int, Failure> {
    let file = attach::find(pid).map_err(failed)?;
    let began_ns = clock::now_ns();
    let was_idle = attach::record(pid, &file, arguments.seconds).map_err(failed)?;
    let mut recorded = read_one(&file)?;
    if was_idle {
        recorded.began_ns = began_ns;
        recorded.last_ns = recorded.last_ns.max(clock::now_ns());
    }
    tell(findings::judge(&[recorded]), arguments, accepted, 0)
}

/// Writes what an audit was asked to write. `own`: the program's exit status, which is returned, or `FOUND`.
fn tell(
    mut report: Report,
    arguments: &Arguments,
    accepted: &accepted::Accepted,
    own: c_int,
) -> Result<c_int, Failure> {
    let warnings = accepted.mark(&mut report);
    if !arguments.quiet {
        let mut stderr = io::stderr();
        let line = if stderr.is_terminal() { "\n" } else { "" };
        let _ = write!(stderr, "{line}{}", output::text(&report));
    }
    warn(&warnings);
    for file in [&arguments.output, &arguments.write_baseline].into_iter().flatten() {
        writing::write(file, &set(&report, Format::Json)?)?;
    }
    if own == 0 && arguments.fail_on != FailOn::Never && report.saw_nothing() {
        return Err(failed("no call that may wait was seen at all: that is no clean bill."));
    }
    Ok(if own == 0 && fails(&report, arguments.fail_on) { FOUND } else { own })
}

/// Starts a program under the recorder, and reports at its end. Returns as `audit`.
fn started(arguments: Arguments, accepted: &accepted::Accepted) -> Result<c_int, Failure> {
    let library = library::find(arguments.lib.clone())?;
    let program = startable(&arguments.command[0], &library)?;
    let folder = Folder::new(arguments.keep.clone())?;
    if arguments.beside {
        return both(&arguments, &library, &program, &folder.path);
    }
    let (own, recordings) = recorded(&arguments, &library, &program, &folder.path, arguments.green)?;
    let report = findings::judge(&recordings);
    if arguments.keep.is_some() {
        watched::keep(&folder.path, &report)?;
    }
    tell(report, &arguments, accepted, own)
}

/// Runs the program once, recorded into a folder, and waits for it. Returns its exit status, 128 and the signal's number where a signal
/// ended it, and the recordings.
fn recorded(
    arguments: &Arguments,
    library: &Path,
    program: &Program,
    folder: &Path,
    green: bool,
) -> Result<(c_int, Vec<recording::Recorded>), Failure> {
    let value = recording_into(folder, arguments.threshold) + if green { ":green=1" } else { "" };
    let mut command = preloaded(&arguments.command, library, &value)?;
    let mut child = command.spawn().map_err(|error| start::refused(program, &error))?;
    // What the terminal sends goes to the program, too: it decides, and the report is written after it.
    const PASSED_BY: [c_int; 2] = [libc::SIGINT, libc::SIGQUIT];
    // SAFETY: changes this process's dispositions only.
    let before = PASSED_BY.map(|signal| unsafe { libc::signal(signal, libc::SIG_IGN) });
    arguments.dump_on.inspect(|signal| watch::take(*signal));
    let first = folder.join(child.id().to_string());
    let mut dumps = Dumps { folder: folder.to_owned(), first: first.clone(), into: arguments.output.clone(), count: 0 };
    let hang = arguments.hang.map(Duration::from_secs);
    let watch = watch::Watch::begin(folder.to_owned(), hang, move || dumps.write());
    let status = child.wait().map_err(|error| failed(format!("waiting for the program: {error}.")))?;
    for (signal, handler) in PASSED_BY.into_iter().zip(before) {
        // SAFETY: what was there before, for the next program inherits what is ignored.
        unsafe { libc::signal(signal, handler) };
    }
    let own = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let over_ns = clock::now_ns();
    let seen = watch.end();
    let mut recordings = read_all(&[folder.to_owned()], Some(&first))?;
    for recorded in &mut recordings {
        seen.complete(recorded, (recorded.process == child.id() as i32).then_some(over_ns));
    }
    Ok((own, recordings))
}

/// Runs the program natively and then green, and says both in one table. Returns the native run's exit status, or, where that is 0, the
/// green one's.
fn both(arguments: &Arguments, library: &Path, program: &Program, folder: &Path) -> Result<c_int, Failure> {
    let run = |name: &str, green: bool| {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).map_err(|error| failed(format!("{}: {error}.", shown(&folder))))?;
        recorded(arguments, library, program, &folder, green)
    };
    let (status, native) = run("native", false)?;
    let (green_status, green) = run("green", true)?;
    let table = beside::json(&native, &green);
    if !arguments.quiet {
        let _ = write!(io::stderr(), "{}", beside::text(&table));
    }
    if let Some(file) = &arguments.output {
        writing::write(file, format!("{table:#}\n").as_bytes())?;
    }
    Ok(if status == 0 { green_status } else { status })
}

/// The reports of now that an audit writes while the program runs.
struct Dumps {
    folder: PathBuf,
    first: PathBuf,
    into: Option<PathBuf>,
    count: u32,
}

impl Dumps {
    /// Writes the next. What cannot be written is one line on stderr: the program and its audit go on.
    fn write(&mut self) {
        self.count += 1;
        let written = read_all(std::slice::from_ref(&self.folder), Some(&self.first)).and_then(|recordings| {
            let report = findings::judge(&recordings);
            match &self.into {
                Some(file) => {
                    let mut numbered = file.clone().into_os_string();
                    numbered.push(format!(".{}", self.count));
                    writing::write(Path::new(&numbered), &set(&report, Format::Json)?)
                }
                None => io::stderr().write_all(output::text(&report).as_bytes()).map_err(|why| failed(why.to_string())),
            }
        });
        if let Err(Failure(_, why)) = written {
            warn(&[why]);
        }
    }
}

/// Finds the program that a command starts. Fails as `run` does where it cannot be started, or cannot be preloaded.
pub fn startable(name: &OsStr, library: &Path) -> Result<Program, Failure> {
    let program = start::program(start::find(name)?)?;
    if let Some(objection) = preloadable::objection(&program.elf, library) {
        return Err(Failure(NOT_PRELOADABLE, format!("{} {objection}", program.subject())));
    }
    start::loader(&program)?;
    if let Some(objection) = glibc::objection(&program.elf, library) {
        return Err(Failure(NOT_PRELOADABLE, format!("{} {objection}", program.subject())));
    }
    Ok(program)
}

/// Returns the option that has a program recorded into a folder.
pub fn recording_into(folder: &Path, threshold: u64) -> String {
    format!("audit={}/%p:threshold={threshold}", folder.display().to_string().replace(':', "%3A"))
}

/// Makes a command that runs preloaded, with these options behind those that it has.
pub fn preloaded(words: &[OsString], library: &Path, value: &str) -> Result<Command, Failure> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command.env("LD_PRELOAD", library::preload(library, std::env::var_os("LD_PRELOAD"))?);
    let before = std::env::var(options::VARIABLE).unwrap_or_default();
    command.env(options::VARIABLE, if before.is_empty() { value.to_owned() } else { format!("{before}:{value}") });
    Ok(command)
}

/// Do these findings fail an audit?
fn fails(report: &Report, on: FailOn) -> bool {
    const FAULTS: [&str; 3] = ["BLOCKS_LOOP", "HOLDS_GIL", "BUSY_POLLS"];
    let is_shown = |state: &State| !matches!(state, State::Suppressed(_));
    let mut found = report.findings.iter().filter(|finding| is_shown(&finding.state));
    // What is not over is as a finding.
    let mut open = report.open.iter().filter(|open| is_shown(&open.state));
    match on {
        FailOn::Block => {
            found.any(|finding| FAULTS[..2].contains(&finding.verdict) || finding.kept_worker == Some(true))
                || open.any(|open| FAULTS[..2].contains(&open.verdict))
        }
        FailOn::Gil => {
            found.any(|finding| finding.verdict == "HOLDS_GIL") || open.any(|open| open.verdict == "HOLDS_GIL")
        }
        FailOn::Any => found.next().is_some() || open.any(|open| open.is_told() && !open.is_loops),
        FailOn::New => {
            found.any(|finding| finding.state == State::New && FAULTS.contains(&finding.verdict))
                || open.any(|open| open.state == State::New && FAULTS.contains(&open.verdict))
        }
        FailOn::Never => false,
    }
}

/// Writes a report of recordings.
pub fn report(arguments: ReportArguments) -> Result<(), Failure> {
    let accepted = accepted::read(&arguments.accepted)?;
    if let Some(green) = &arguments.beside {
        let table = beside(&read_all(&arguments.files, None)?, green, arguments.format)?.into_bytes();
        return match &arguments.output {
            Some(file) => writing::write(file, &table),
            None => writing::print(&table, true),
        };
    }
    let mut report = read(&arguments.files)?;
    warn(&accepted.mark(&mut report));
    let set = match &arguments.compare {
        Some(other) => compare(&report, other, arguments.format)?.into_bytes(),
        None => set(&report, arguments.format)?,
    };
    match &arguments.output {
        Some(file) => writing::write(file, &set),
        None => writing::print(&set, !matches!(arguments.format, Format::Pprof)),
    }
}

/// Reads a report of recordings, or one in JSON.
fn read(files: &[PathBuf]) -> Result<Report, Failure> {
    let is_report = |file: &&PathBuf| saved::is_report(file);
    match (files, files.iter().find(is_report)) {
        (_, None) => {
            let recordings = read_all(files, None)?;
            let mut report = findings::judge(&recordings);
            watched::join(&mut report, &recordings, files);
            Ok(report)
        }
        ([file], Some(_)) => saved::report(file),
        (_, Some(file)) => Err(failed(format!(
            "{} is a report in JSON, and is told alone: name it alone, or recordings only.",
            shown(file)
        ))),
    }
}

/// Says what is to be said about suppressions, a line each.
fn warn(warnings: &[String]) {
    warnings.iter().for_each(|warning| eprintln!("{}", crate::words::for_errors(&format!("greenpatch: {warning}"))));
}

/// Sets a comparison with other recordings, or with a report in JSON.
fn compare(report: &Report, other: &Path, format: Format) -> Result<String, Failure> {
    let before = if saved::is_report(other) {
        saved::value(other)?
    } else {
        output::json(&findings::judge(&read_all(&[other.to_owned()], None)?))
    };
    let comparison = comparison::json(&output::json(report), &before);
    match format {
        Format::Text => Ok(comparison::text(&comparison)),
        Format::Json => Ok(format!("{comparison:#}\n")),
        _ => Err(failed("a comparison is text or JSON: --format text, --format json.")),
    }
}

/// Sets recordings of a native run beside those of a green one.
fn beside(native: &[recording::Recorded], green: &Path, format: Format) -> Result<String, Failure> {
    let green = read_all(&[green.to_owned()], None)?;
    if native.iter().any(|recorded| recorded.green) || !green.iter().any(|recorded| recorded.green) {
        return Err(failed("--beside is for a native run's recordings and, behind it, those of a green run."));
    }
    let table = beside::json(native, &green);
    match format {
        Format::Text => Ok(beside::text(&table)),
        Format::Json => Ok(format!("{table:#}\n")),
        _ => Err(failed("a native run beside a green one is text or JSON: --format text, --format json.")),
    }
}

/// Sets a report in a format.
fn set(report: &Report, format: Format) -> Result<Vec<u8>, Failure> {
    let lines = |value: Value| format!("{value:#}\n");
    let text = match format {
        Format::Text => output::text(report),
        Format::Json => bounded::text(report),
        Format::Html => page::html(report),
        Format::Folded => stacks::folded(report),
        Format::Speedscope => lines(stacks::speedscope(report)),
        Format::Perfetto => lines(timeline::perfetto(report).ok_or_else(no_times)?),
        Format::Firefox => format!("{}\n", firefox::firefox(report).ok_or_else(no_times)?),
        Format::Pprof => {
            let packed = pprof::pprof(report);
            return packed.map_err(|error| failed(format!("the profile cannot be packed: {error}.")));
        }
        Format::Junit => junit::junit(report),
        Format::Sarif => lines(annotations::sarif(report)),
        Format::Github => annotations::github(report),
        Format::Gitlab => lines(annotations::gitlab(report)),
        Format::Openmetrics => metrics::openmetrics(report),
    };
    Ok(text.into_bytes())
}

/// Says why a report has no timeline.
fn no_times() -> Failure {
    failed("a report in JSON has no times of single calls: a timeline needs the recordings (`greenpatch audit --keep FOLDER`).")
}
