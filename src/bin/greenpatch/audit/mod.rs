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
mod comparison;
mod findings;
mod junit;
mod mends;
mod metrics;
mod output;
mod recording;
mod stacks;
mod symbols;
mod timeline;
mod writing;

use std::ffi::{c_int, OsString};
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, FAILED, NOT_PRELOADABLE};
use crate::library::{self, LIB_HELP};
use crate::words::shown;
use crate::{glibc, options, preloadable, start};
use findings::{Report, State};
use serde_json::Value;

/// The exit status of `audit --fail-on` where the program itself succeeded.
const FOUND: c_int = 66;

/// Which findings fail an audit.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum FailOn {
    /// A call that blocks an event loop, or holds the interpreter's lock
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
#[command(override_usage = "greenpatch audit [OPTIONS] -- CMD [ARG]...")]
pub struct Arguments {
    /// Write the report into this file, as JSON
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Calls of this many milliseconds are reported
    #[arg(long, value_name = "MS", default_value_t = 20)]
    threshold: u64,
    /// End with status 66 for such findings, where the program itself succeeded
    #[arg(long, value_enum, default_value = "never")]
    fail_on: FailOn,
    #[command(flatten)]
    accepted: accepted::Arguments,
    /// Write the report into this file, as the next baseline
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// No summary at the end
    #[arg(short, long)]
    quiet: bool,
    /// Keep the recordings in this folder, for `greenpatch report`
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// The library
    #[arg(long, value_name = "PATH", help = LIB_HELP)]
    lib: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// How `report` writes.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// The whole report (docs/audit.schema.json)
    Json,
    /// Waiting by stack, collapsed, in microseconds: for flame graphs
    Folded,
    /// Waiting by stack: for speedscope.app
    Speedscope,
    /// The latest calls along the time: for ui.perfetto.dev
    Perfetto,
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
    /// Recordings, or folders of them
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
    /// Write the report into this file
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
}

fn failed(sentence: impl Into<String>) -> Failure {
    Failure(FAILED, sentence.into())
}

/// Runs the program under the recorder and reports. Returns its exit status, 128 and the signal's number where a signal ended it, or
/// `FOUND`.
pub fn audit(arguments: Arguments) -> Result<c_int, Failure> {
    let library = library::find(arguments.lib)?;
    let program = start::program(start::find(&arguments.command[0])?)?;
    if let Some(objection) = preloadable::objection(&program.elf, &library) {
        return Err(Failure(NOT_PRELOADABLE, format!("{} {objection}", program.subject())));
    }
    start::loader(&program)?;
    if let Some(objection) = glibc::objection(&program.elf, &library) {
        return Err(Failure(NOT_PRELOADABLE, format!("{} {objection}", program.subject())));
    }
    if arguments.fail_on == FailOn::New && arguments.accepted.baseline.is_none() {
        return Err(failed("--fail-on new needs --baseline FILE: what is known."));
    }
    let accepted = accepted::read(&arguments.accepted)?;
    let outputs = [&arguments.output, &arguments.write_baseline];
    for file in outputs.into_iter().flatten() {
        writing::probe(file)?;
    }
    let folder = Folder::new(arguments.keep)?;
    let value =
        format!("audit={}/%p:threshold={}", folder.path.display().to_string().replace(':', "%3A"), arguments.threshold);
    let mut command = Command::new(&arguments.command[0]);
    command.args(&arguments.command[1..]);
    command.env("LD_PRELOAD", library::preload(&library, std::env::var_os("LD_PRELOAD"))?);
    let before = std::env::var(options::VARIABLE).unwrap_or_default();
    command.env(options::VARIABLE, if before.is_empty() { value } else { format!("{before}:{value}") });
    let mut child = command.spawn().map_err(|error| start::refused(&program, &error))?;
    // What the terminal sends goes to the program, too: it decides, and the report is written after it.
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: changes this process's disposition only.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let status = child.wait().map_err(|error| failed(format!("waiting for the program: {error}.")))?;
    let own = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let first = folder.path.join(child.id().to_string());
    let mut report = findings::judge(&read_all(std::slice::from_ref(&folder.path), Some(&first))?);
    let warnings = accepted.mark(&mut report);
    if !arguments.quiet {
        let mut stderr = io::stderr();
        let line = if stderr.is_terminal() { "\n" } else { "" };
        let _ = write!(stderr, "{line}{}", output::text(&report));
    }
    warn(&warnings);
    for file in outputs.into_iter().flatten() {
        writing::write(file, &set(&report, Format::Json)?)?;
    }
    Ok(if own == 0 && fails(&report, arguments.fail_on) { FOUND } else { own })
}

/// Do these findings fail an audit?
fn fails(report: &Report, on: FailOn) -> bool {
    let mut open = report.findings.iter().filter(|finding| !matches!(finding.state, State::Suppressed(_)));
    let mut any = |verdicts: &[&str]| open.any(|finding| verdicts.contains(&finding.verdict));
    match on {
        FailOn::Block => any(&["BLOCKS_LOOP", "HOLDS_GIL"]),
        FailOn::Gil => any(&["HOLDS_GIL"]),
        FailOn::Any => open.next().is_some(),
        FailOn::New => open.any(|finding| {
            finding.state == State::New && ["BLOCKS_LOOP", "HOLDS_GIL", "BUSY_POLLS"].contains(&finding.verdict)
        }),
        FailOn::Never => false,
    }
}

/// Writes a report of recordings.
pub fn report(arguments: ReportArguments) -> Result<(), Failure> {
    let accepted = accepted::read(&arguments.accepted)?;
    let mut report = findings::judge(&read_all(&arguments.files, None)?);
    warn(&accepted.mark(&mut report));
    let text = match &arguments.compare {
        Some(other) => compare(&report, other, arguments.format)?,
        None => set(&report, arguments.format)?,
    };
    match &arguments.output {
        Some(file) => writing::write(file, &text),
        None => crate::words::print(&text).map_err(|error| failed(format!("the report cannot be written: {error}."))),
    }
}

/// Says what is to be said about suppressions, a line each.
fn warn(warnings: &[String]) {
    warnings.iter().for_each(|warning| eprintln!("{}", crate::words::for_errors(&format!("greenpatch: {warning}"))));
}

/// Sets a comparison with other recordings, or with a report in JSON.
fn compare(report: &Report, other: &Path, format: Format) -> Result<String, Failure> {
    let begins = fs::read(other).unwrap_or_default().into_iter().find(|byte| !byte.is_ascii_whitespace());
    let before = match begins {
        Some(b'{') => accepted::saved(other)?,
        _ => output::json(&findings::judge(&read_all(&[other.to_owned()], None)?)),
    };
    let comparison = comparison::json(&output::json(report), &before);
    match format {
        Format::Text => Ok(comparison::text(&comparison)),
        Format::Json => Ok(format!("{comparison:#}\n")),
        _ => Err(failed("a comparison is text or JSON: --format text, --format json.")),
    }
}

/// Sets a report in a format.
fn set(report: &Report, format: Format) -> Result<String, Failure> {
    let lines = |value: Value| format!("{value:#}\n");
    Ok(match format {
        Format::Text => output::text(report),
        Format::Json => lines(output::json(report)),
        Format::Folded => stacks::folded(report),
        Format::Speedscope => lines(stacks::speedscope(report)),
        Format::Perfetto => {
            let trace = timeline::perfetto(report);
            lines(trace.ok_or_else(|| failed("a report has no times: a timeline needs the recordings (--keep)."))?)
        }
        Format::Junit => junit::junit(report),
        Format::Sarif => lines(annotations::sarif(report)),
        Format::Github => annotations::github(report),
        Format::Gitlab => lines(annotations::gitlab(report)),
        Format::Openmetrics => metrics::openmetrics(report),
    })
}

/// Reads recordings, and those in folders. `first`: the one of the program itself; else the one that began first is.
fn read_all(files: &[PathBuf], first: Option<&Path>) -> Result<Vec<recording::Recorded>, Failure> {
    let mut all = Vec::new();
    for file in files {
        if file.is_dir() {
            let entries = fs::read_dir(file).map_err(|error| failed(format!("{}: {error}.", shown(file))))?;
            let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            inside.sort();
            for file in inside {
                all.push(recording::read(&file).map_err(failed)?);
            }
        } else {
            all.push(recording::read(file).map_err(failed)?);
        }
    }
    all.sort_by_key(|recorded| (Some(recorded.file.as_path()) != first, recorded.began_ns));
    if all.is_empty() {
        return Err(failed(
            "nothing was recorded: the program did not load the library. `greenpatch check` may tell why.",
        ));
    }
    Ok(all)
}

/// The folder of the recordings: the user's, or one for this audit alone.
struct Folder {
    path: PathBuf,
    own: bool,
}

impl Folder {
    fn new(kept: Option<PathBuf>) -> Result<Folder, Failure> {
        let (path, own) = match kept {
            Some(path) => {
                fs::create_dir_all(&path).map_err(|error| failed(format!("{}: {error}.", shown(&path))))?;
                (fs::canonicalize(&path).map_err(|error| failed(format!("{}: {error}.", shown(&path))))?, false)
            }
            None => {
                let path = std::env::temp_dir().join(format!("greenpatch-audit.{}", std::process::id()));
                fs::create_dir(&path).map_err(|error| failed(format!("{}: {error}.", shown(&path))))?;
                (path, true)
            }
        };
        Ok(Folder { path, own })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.own {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
