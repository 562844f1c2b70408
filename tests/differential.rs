//! The differential harness: every program in `c-tests/` runs natively and green, and must not differ.
//!
//! A program cannot tell that it is green: same standard output, same exit status, same signal. And the green run must
//! prove that it was green, by the statistics that the library wrote: two runs that both fell through to libc would agree
//! perfectly. What a program must show and prove stands in its header (tests/support/header.rs); tests/support/verdict.rs
//! judges. What this machine lacks for a test (tests/support/needs.rs) makes it skipped, with the reason; skipped tests are counted.
//!
//! `cargo test --release --test differential -- SUBSTRING…` runs the programs whose names contain one of the substrings. A substring that
//! is in no name makes it fail, and it says what names are like it. `GREENPATCH_STRESS=N` runs each N times in each of the stress modes.
//! `GREENPATCH_RECORDED=1` runs all of them green with the recorder alone (`audit=PATH:green=1`), which usually a few do.
//! `GREENPATCH_LIB=FILE` tests that library instead of the one just built, `GREENPATCH_C_TESTS=FOLDER` the programs of that folder.

mod support;

use std::cmp::Reverse;
use std::collections::{hash_map::DefaultHasher, BTreeMap};
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use support::compiler;
use support::header::Header;
use support::library::library;
use support::needs;
use support::run::{self, Ending, Outcome, Scratch};
use support::verdict;

/// A way to run a program green.
struct Mode {
    name: &'static str,
    options: &'static str,
    one_core: bool,
    /// The program stays native and is recorded: nothing but its calls' times may change.
    audited: bool,
    /// The program runs green, and what keeps a worker is recorded: it must behave as without.
    recorded: bool,
}

const fn mode(name: &'static str, options: &'static str) -> Mode {
    Mode { name, options, one_core: false, audited: false, recorded: false }
}

const DIFFERENTIAL: &[Mode] = &[
    mode("1 worker", "workers=1"),
    mode("default workers", ""),
    Mode { audited: true, ..mode("audited", "") },
    Mode { recorded: true, ..mode("recorded", "") },
];
/// The tests that run in the mode `recorded` where not all do: some of each family.
const RECORDED: &[&str] = &[
    "entries_locks",
    "entries_resolver",
    "entries_stdio",
    "fd_close_many",
    "fd_locks",
    "file_flock",
    "io_pipe",
    "io_regular",
    "ipc_system_v",
    "live_hog",
    "live_locks",
    "net_accept_threads",
    "net_connect",
    "net_echo_tcp",
    "poll_epoll",
    "poll_select",
    "process_exec",
    "process_fork",
    "process_spawn",
    "process_system",
    "race_cancel",
    "race_create_join",
    "race_mutex",
    "race_signal_stack",
    "signal_every_call",
    "signal_jump",
    "signal_thread",
    "sync_cond_timed",
    "sync_mutex_robust",
    "thread_cancel_async",
    "thread_cancel_points",
    "thread_exit_deep",
    "thread_keys",
    "thread_names",
    "thread_tls",
    "time_cpu_timer",
    "time_sleep",
];
/// `GREENPATCH_RECORDED=1`: every test, in these modes alone.
const RECORDED_MODES: &[Mode] = &[
    Mode { recorded: true, ..mode("recorded, 1 worker", "workers=1") },
    Mode { recorded: true, ..mode("recorded, default workers", "") },
    Mode { recorded: true, ..mode("recorded, 4 workers", "workers=4") },
];
const STRESS: &[Mode] = &[
    mode("1 worker", "workers=1"),
    mode("default workers", ""),
    mode("4 workers", "workers=4"),
    // The kernel may stop either worker at any instruction to run the other.
    Mode { one_core: true, ..mode("2 workers on one core", "workers=2") },
];

const CFLAGS: &[&str] = &["-O1", "-g", "-Wall", "-Wextra", "-pthread"];

/// A c-test and what has been seen of it.
struct Test {
    name: String,
    header: Result<Header, String>,
    source: PathBuf,
    text: String,
    /// The native run that the green ones are compared with, or the reason why there is none.
    native: OnceLock<Result<(PathBuf, Outcome), Verdict>>,
    tally: Mutex<Tally>,
}

/// What has come of a run, or of the attempt to make one.
#[derive(Clone)]
enum Verdict {
    Passed,
    /// What is wrong.
    Failed(String),
    /// Why this machine cannot run the test.
    Skipped(String),
}

#[derive(Default)]
struct Tally {
    counted: usize,
    spared: usize,
    failures: usize,
    /// The first failure: later ones are only counted.
    report: Option<String>,
    /// Why this machine cannot run it.
    skipped: Option<String>,
}

fn main() -> ExitCode {
    let (flags, filters): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let mut tests = all_tests();
    let strays: Vec<_> =
        filters.iter().filter(|part| !tests.iter().any(|test| test.name.contains(part.as_str()))).collect();
    for stray in &strays {
        println!("no c-test has {stray:?} in its name; like it are: {}", nearest(stray, &tests).join(", "));
    }
    if !strays.is_empty() {
        return ExitCode::FAILURE;
    }
    tests.retain(|test| filters.is_empty() || filters.iter().any(|part| test.name.contains(part.as_str())));
    if flags.iter().any(|flag| flag == "--list") {
        tests.iter().for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let (modes, repetitions, width) = match std::env::var("GREENPATCH_STRESS") {
        Err(_) => (if records_all() { RECORDED_MODES } else { DIFFERENTIAL }, 1, 2 * processors),
        Ok(times) => {
            tests.retain(|test| test.header.as_ref().map_or(true, |header| header.stress));
            (
                if records_all() { RECORDED_MODES } else { STRESS },
                times.parse().expect("GREENPATCH_STRESS is a number of runs"),
                processors,
            )
        }
    };
    if tests.is_empty() {
        println!(
            "no c-test to be run: {} (those that say `stress: no` are left out of the stress mode)",
            filters.join(" ")
        );
        return ExitCode::FAILURE;
    }
    run::without_core_files();
    let library = library();
    let runs_each = modes.len() * repetitions;
    in_parallel(width, tests.len() * runs_each, |job| {
        let test = &tests[job / runs_each];
        let verdict = test.is_promising().then(|| compare(test, &modes[job % modes.len()], &library));
        test.count(verdict, runs_each);
    });
    let failed = tests.iter().filter(|test| test.failed()).count();
    let skipped = tests.iter().filter(|test| test.skipped().is_some()).count();
    for (why, count) in reasons(&tests) {
        println!("not run here, {count}: {why}");
    }
    println!("{} passed, {failed} failed, {skipped} skipped", tests.len() - failed - skipped);
    ExitCode::from(u8::from(failed > 0))
}

fn all_tests() -> Vec<Test> {
    c_files("c").into_iter().map(Test::new).collect()
}

/// The few names that have most pairs of letters in common with this word.
fn nearest<'a>(word: &str, tests: &'a [Test]) -> Vec<&'a str> {
    const SHOWN: usize = 3;
    let in_common =
        |name: &str| word.as_bytes().windows(2).filter(|pair| name.as_bytes().windows(2).any(|it| it == *pair)).count();
    let mut names: Vec<_> = tests.iter().map(|test| (in_common(&test.name), test.name.as_str())).collect();
    names.sort_by_key(|&(common, name)| (Reverse(common), name.len()));
    names.into_iter().take(SHOWN).map(|(_, name)| name).collect()
}

/// Why this machine cannot run some tests, each reason once, and how many that are.
fn reasons(tests: &[Test]) -> BTreeMap<String, usize> {
    tests.iter().filter_map(Test::skipped).fold(BTreeMap::new(), |mut reasons, why| {
        *reasons.entry(why).or_default() += 1;
        reasons
    })
}

/// The files of `c-tests/` with this extension, in order.
fn c_files(extension: &str) -> Vec<PathBuf> {
    let folder = std::env::var_os("GREENPATCH_C_TESTS").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("c-tests"));
    let files = fs::read_dir(folder).expect("the folder c-tests").map(|entry| entry.expect("its files").path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|it| it == extension)).collect();
    files.sort();
    files
}

/// What the c-tests include, all of it.
fn shared_headers() -> &'static [String] {
    static HEADERS: OnceLock<Vec<String>> = OnceLock::new();
    HEADERS.get_or_init(|| c_files("h").iter().map(|file| fs::read_to_string(file).expect("a C header")).collect())
}

/// Does the jobs 0 to `jobs`-1, up to `width` at once.
fn in_parallel(width: usize, jobs: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&job| job < jobs);
    std::thread::scope(|scope| {
        for _ in 0..width {
            scope.spawn(|| std::iter::from_fn(take).for_each(&work));
        }
    });
}

impl Test {
    fn new(source: PathBuf) -> Test {
        let text = fs::read_to_string(&source).expect("a c-test's source");
        Test {
            name: source.file_stem().expect("a file's name").to_string_lossy().into_owned(),
            header: Header::parse(&text),
            source,
            text,
            native: OnceLock::new(),
            tally: Mutex::default(),
        }
    }

    /// A test that failed often enough is not run again: each hang takes as long as its alarm. Nor is one that is skipped.
    fn is_promising(&self) -> bool {
        const ENOUGH: usize = 10;
        let tally = self.tally.lock().expect("no thread panicked");
        tally.failures < ENOUGH && tally.skipped.is_none()
    }

    /// Counts one run, made or spared; the last one prints the test's line.
    fn count(&self, verdict: Option<Verdict>, runs_each: usize) {
        let mut tally = self.tally.lock().expect("no thread panicked");
        tally.counted += 1;
        tally.spared += usize::from(verdict.is_none());
        match verdict {
            Some(Verdict::Failed(report)) => {
                tally.failures += 1;
                tally.report.get_or_insert(report);
            }
            Some(Verdict::Skipped(why)) => tally.skipped = Some(why),
            Some(Verdict::Passed) | None => {}
        }
        if tally.counted < runs_each {
            return;
        }
        if let Some(why) = &tally.skipped {
            println!("skip  {}: {why}", self.name);
        } else {
            let word = if tally.failures == 0 { "ok  " } else { "FAIL" };
            println!("{word}  {}: {} runs, {} failed", self.name, tally.counted - tally.spared, tally.failures);
            if let Some(report) = &tally.report {
                println!("      {}", report.trim_end().replace('\n', "\n      "));
            }
        }
    }

    fn failed(&self) -> bool {
        self.tally.lock().expect("no thread panicked").failures > 0
    }

    /// Why it was not run, if it was not.
    fn skipped(&self) -> Option<String> {
        self.tally.lock().expect("no thread panicked").skipped.clone()
    }
}

/// Do all tests run recorded, and in no other mode?
fn records_all() -> bool {
    std::env::var_os("GREENPATCH_RECORDED").is_some()
}

/// Runs a test green once and compares with the native run, which the first comparison makes.
fn compare(test: &Test, mode: &Mode, library: &Path) -> Verdict {
    let header = match &test.header {
        Ok(header) => header,
        Err(why) => return Verdict::Failed(format!("its header: {why}")),
    };
    let (program, native) = match test.native.get_or_init(|| run_natively(test, header)) {
        Ok(native) => native,
        Err(verdict) => return verdict.clone(),
    };
    if mode.audited {
        return audit(header, program, native, library);
    }
    // With more workers than processors what a test says of numbers need not hold, unless it is one for the stress modes.
    let is_left_out = if records_all() {
        !header.stress && mode.options == "workers=4"
    } else {
        !RECORDED.contains(&test.name.as_str())
    };
    if mode.recorded && is_left_out {
        return Verdict::Passed;
    }
    let scratch = Scratch::new();
    let statistics = scratch.path("statistics");
    let recording = scratch.path("recording");
    let recorded = if mode.recorded { format!("audit={}:green=1", recording.display()) } else { String::new() };
    let mut command = Command::new(program);
    command.env("LD_PRELOAD", library);
    let own = header.options.iter().map(String::as_str);
    let options: Vec<_> = own.chain([mode.options, &recorded]).filter(|options| !options.is_empty()).collect();
    command.env(
        "GREENPATCH_OPTIONS",
        format!("stats={}:{}", statistics.display(), options.join(":")).trim_end_matches(':'),
    );
    if let Some(count) = if mode.one_core { Some(1) } else { header.processors } {
        run::on_processors(&mut command, count);
    }
    let green = match run::run(&mut command, &scratch) {
        Ok(green) => green,
        Err(why) => return Verdict::Failed(why.to_string()),
    };
    let statistics = fs::read_to_string(statistics).ok();
    let mut faults = verdict::faults(header, native, &green, statistics.as_deref());
    if mode.recorded && !fs::read(&recording).is_ok_and(|bytes| bytes.starts_with(b"gpaudit")) {
        faults.push("no recording was made: nothing proves that the run was recorded".into());
    }
    match faults.is_empty() {
        true => Verdict::Passed,
        false => Verdict::Failed(report(mode, &faults, &green, statistics.as_deref())),
    }
}

/// Runs a test natively under the recorder: nothing may differ, and the recording must be there.
fn audit(header: &Header, program: &Path, native: &Outcome, library: &Path) -> Verdict {
    let mut faults = Vec::new();
    for _ in 0..if header.native_again { TRIES } else { 1 } {
        let scratch = Scratch::new();
        let recording = scratch.path("recording");
        let mut command = Command::new(program);
        command.env("LD_PRELOAD", library).env("GREENPATCH_OPTIONS", format!("audit={}", recording.display()));
        if let Some(count) = header.processors {
            run::on_processors(&mut command, count);
        }
        let audited = match run::run(&mut command, &scratch) {
            Ok(audited) => audited,
            Err(why) => return Verdict::Failed(why.to_string()),
        };
        faults = verdict::differences(header, native, &audited);
        if !fs::read(&recording).is_ok_and(|bytes| bytes.starts_with(b"gpaudit")) {
            faults.push("no recording was made: nothing proves that the run was audited".into());
        }
        if faults.is_empty() {
            return Verdict::Passed;
        }
        faults.push(last_lines("standard error", &audited.stderr));
    }
    Verdict::Failed(format!("audited: {}", faults.join("\n")))
}

/// How often a program is run whose native run may fail.
const TRIES: usize = 5;

/// Compiles the test and runs it without the library, unless the machine lacks what it needs.
fn run_natively(test: &Test, header: &Header) -> Result<(PathBuf, Outcome), Verdict> {
    let inline = ["inline".to_owned()];
    let implied = if header.options.iter().any(|option| option == "inline=1") { &inline[..] } else { &[] };
    if let Some(why) = needs::missing(&header.needs).or_else(|| needs::missing(implied)) {
        return Err(Verdict::Skipped(why.into()));
    }
    let program = compile(test, header).map_err(Verdict::Failed)?;
    let run = || {
        let mut command = Command::new(&program);
        if let Some(count) = header.processors {
            run::on_processors(&mut command, count);
        }
        run::run(&mut command, &Scratch::new()).map_err(|why| Verdict::Failed(why.to_string()))
    };
    let mut native = run()?;
    for _ in 1..if header.native_again { TRIES } else { 1 } {
        if native.ending == header.ending {
            break;
        }
        native = run()?;
    }
    if native.ending == header.ending {
        return Ok((program, native));
    }
    if native.ending == Ending::Exited(needs::SKIPPED) {
        return Err(Verdict::Skipped(verdict::last_line(&native.stdout)));
    }
    Err(Verdict::Failed(format!(
        "natively: {} instead of {}\n{}{}",
        native.ending,
        header.ending,
        last_lines("standard output", &native.stdout),
        last_lines("standard error", &native.stderr),
    )))
}

/// Compiles the test, and its library if it has one, unless the program is there that the same sources and flags made.
fn compile(test: &Test, header: &Header) -> Result<PathBuf, String> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-tests");
    fs::create_dir_all(&folder).map_err(|why| why.to_string())?;
    let mut hasher = DefaultHasher::new();
    (&compiler, CFLAGS, &header.cflags, header.library, &test.text, shared_headers()).hash(&mut hasher);
    let program = folder.join(format!("{}-{:016x}", test.name, hasher.finish()));
    if program.exists() {
        return Ok(program);
    }
    if header.library {
        let library = folder.join(format!("{}-{:016x}.so", test.name, hasher.finish()));
        compile_into(&library, &compiler, test, header, &["-shared", "-fPIC", "-DLIBRARY"])?;
    }
    compile_into(&program, &compiler, test, header, &[])?;
    Ok(program)
}

/// Under another name first: others may run what is there.
fn compile_into(made: &Path, compiler: &str, test: &Test, header: &Header, flags: &[&str]) -> Result<(), String> {
    let unfinished = made.with_extension(std::process::id().to_string());
    let output = Command::new(compiler)
        .args(CFLAGS)
        .args(compiler::strictness(compiler))
        .args(&header.cflags)
        .args(flags)
        .args([Path::new("-o"), &unfinished, &test.source])
        .output()
        .map_err(|why| format!("{compiler}: {why}"))?;
    if !output.status.success() {
        return Err(format!("does not compile\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    fs::rename(unfinished, made).map_err(|why| why.to_string())
}

/// Everything that helps to understand a failure.
fn report(mode: &Mode, faults: &[String], green: &Outcome, statistics: Option<&str>) -> String {
    let mut report = format!("{}: {}\n", mode.name, faults.join("\n"));
    report += &last_lines("standard error", &green.stderr);
    report += &last_lines("statistics", statistics.unwrap_or_default().as_bytes());
    report += green.stuck.as_deref().unwrap_or_default();
    report
}

const LINES: usize = 20;

fn last_lines(what: &str, text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text.lines().collect();
    match &lines[lines.len().saturating_sub(LINES)..] {
        [] => String::new(),
        last => format!("{what}:\n  {}\n", last.join("\n  ")),
    }
}
