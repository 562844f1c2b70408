//! What recordings say, judged: findings, libraries and loops of one report.
//!
//! ```text
//!   verdict       a call that took the threshold or more
//!   HOLDS_GIL     kept the interpreter's lock: no other Python thread could run
//!   BLOCKS_LOOP   was made by a thread that is an event loop's, within one of its turns
//!   OWN_THREADS   was made by a thread of a Python process that is none of Python's: a library's own, which may wait
//!   WAITS         anything else: a wait is no fault in a thread that has nothing else to do
//!   BUSY_POLLS    (a site) a thousand short sleeps or waits with a timeout, and half a second in all: a loop that looks again and again
//! ```
//!
//! A finding's identity is a mix of rule, library, the function that was called there, and the Python line: it stays the same from run to
//! run, and from build to build of the program.

use std::collections::BTreeMap;
use std::path::Path;

use super::mends;
use super::recording::{Long, Loop, Recorded, Site};
use super::symbols::{package, Place, Symbols};

/// One finding.
pub struct Finding {
    pub verdict: &'static str,
    pub call: String,
    pub library: Library,
    pub count: u64,
    pub total_s: f64,
    pub worst_s: f64,
    pub p50_s: f64,
    pub p99_s: f64,
    pub worst: Long,
    pub held: u32,
    pub released: u32,
    pub reacquire_worst_s: f64,
    pub threads: u32,
    pub stack: Vec<Option<Place>>,
    pub process: i32,
    pub id: String,
    pub state: State,
    /// How many calls there were of each class of durations (`audit_format::class`).
    classes: Vec<u32>,
}

impl Finding {
    /// Is this another process's finding of the same place?
    fn is_of(&self, other: &Finding) -> bool {
        let place = |finding: &Finding| finding.stack.first().cloned();
        self.id == other.id && place(self) == place(other)
    }

    /// Adds another process's finding of the same place.
    fn add(&mut self, other: Finding) {
        self.count += other.count;
        self.total_s += other.total_s;
        self.held += other.held;
        self.released += other.released;
        self.threads += other.threads;
        self.reacquire_worst_s = self.reacquire_worst_s.max(other.reacquire_worst_s);
        self.classes.iter_mut().zip(&other.classes).for_each(|(count, more)| *count += more);
        if other.worst_s > self.worst_s {
            (self.worst_s, self.process) = (other.worst_s, other.process);
            (self.worst, self.stack) = (other.worst, other.stack);
        }
        self.p50_s = quantile(&self.classes, 0.5).min(self.worst_s);
        self.p99_s = quantile(&self.classes, 0.99).min(self.worst_s);
    }
}

/// Whether a finding is looked at.
#[derive(PartialEq)]
pub enum State {
    /// It was not there before, as far as is known.
    New,
    /// A baseline has it.
    Known,
    /// It is accepted, with the reason.
    Suppressed(String),
}

/// A library that waits.
#[derive(Clone, Default, PartialEq)]
pub struct Library {
    pub soname: String,
    pub path: String,
    pub build_id: String,
    pub package: Option<String>,
}

/// What is said of a library as a whole.
pub struct Judged {
    pub library: Library,
    pub verdict: &'static str,
    pub calls: u64,
    pub total_s: f64,
    pub worst_s: f64,
    pub advice: Option<&'static str>,
}

/// An event loop of a process.
pub struct Looping {
    pub process: i32,
    pub thread: i32,
    pub name: String,
    pub kind: String,
    pub turns: u64,
    pub p50_s: f64,
    pub p99_s: f64,
    pub longest_s: f64,
    pub blocked_s: f64,
    pub computing_s: f64,
    pub no_cpu_s: f64,
}

/// A report: of one process, or of all that come from one.
pub struct Report {
    pub program: String,
    pub command: String,
    pub duration_s: f64,
    pub threshold_s: f64,
    pub processes: usize,
    pub calls: u64,
    pub findings: Vec<Finding>,
    pub libraries: Vec<Judged>,
    pub loops: Vec<Looping>,
    /// What was not seen, a clause each.
    pub unseen: Vec<String>,
    /// When the first process began, on the clock of `latest`.
    pub began_ns: u64,
    /// The latest long calls of all processes; `None`: they are not known.
    pub latest: Option<Vec<Latest>>,
}

/// One of the latest long calls.
pub struct Latest {
    pub process: i32,
    pub program: String,
    pub verdict: &'static str,
    pub long: Long,
    pub stack: Vec<Option<Place>>,
}

const NS: f64 = 1e9;

/// Judges recordings: the first is the program's own, the others those of what comes from it.
pub fn judge(recordings: &[Recorded]) -> Report {
    let first = &recordings[0];
    let mut symbols = Symbols::default();
    let mut packages: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut loops = Vec::new();
    let mut latest = Vec::new();
    for recorded in recordings {
        let turning: Vec<&Loop> = recorded.loops.iter().collect();
        for entry in &recorded.findings {
            let stack: Vec<Option<Place>> =
                entry.worst.frames.iter().map(|frame| symbols.place(recorded, *frame, true)).collect();
            let place = library_of(&stack);
            let library = library(&stack, &mut packages);
            if is_loops_own(&turning, &entry.worst) {
                continue;
            }
            let verdict = verdict(recorded, &turning, &entry.worst, entry.held);
            let function = place.map_or("", |place| place.function.as_str());
            let line = entry.worst.python.first();
            let id = identity(&[
                verdict,
                &library.soname,
                &entry.worst.name,
                function,
                line.map_or("", |(file, ..)| file.as_str()),
                &line.map_or(String::new(), |(_, line, _)| line.to_string()),
            ]);
            findings.push(Finding {
                verdict,
                state: State::New,
                call: entry.worst.name.clone(),
                library,
                count: entry.count,
                total_s: entry.total_ns as f64 / NS,
                worst_s: entry.worst.duration_ns as f64 / NS,
                p50_s: quantile(&entry.classes, 0.5).min(entry.worst.duration_ns as f64 / NS),
                p99_s: quantile(&entry.classes, 0.99).min(entry.worst.duration_ns as f64 / NS),
                held: entry.held,
                released: entry.released,
                reacquire_worst_s: entry.reacquire_worst_ns as f64 / NS,
                threads: entry.threads,
                stack,
                process: recorded.process,
                id,
                classes: entry.classes.clone(),
                worst: clone(&entry.worst),
            });
        }
        for long in recorded.ring.iter().filter(|long| !is_loops_own(&turning, long)) {
            latest.push(Latest {
                process: recorded.process,
                program: recorded.program.clone(),
                verdict: verdict(recorded, &turning, long, u32::from(long.gil == "held")),
                stack: long.frames.iter().map(|frame| symbols.place(recorded, *frame, true)).collect(),
                long: clone(long),
            });
        }
        findings.extend(busy_polls(recorded, &mut symbols, &mut packages));
        loops.extend(recorded.loops.iter().map(|entry| looping(recorded, entry, &mut symbols)));
    }
    let mut findings = merged(findings);
    findings.sort_by(|one, other| {
        (rank(one.verdict), other.total_s)
            .partial_cmp(&(rank(other.verdict), one.total_s))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let begun = recordings.iter().map(|recorded| recorded.began_ns).min().unwrap_or(0);
    let over = recordings.iter().map(|recorded| recorded.last_ns).max().unwrap_or(0);
    Report {
        program: first.program.clone(),
        command: first.command.clone(),
        duration_s: over.saturating_sub(begun) as f64 / NS,
        threshold_s: first.threshold_ns as f64 / NS,
        processes: recordings.len(),
        calls: recordings.iter().map(|recorded| recorded.calls).sum(),
        libraries: libraries(&findings),
        findings,
        loops,
        unseen: unseen(recordings),
        began_ns: begun,
        latest: Some(latest),
    }
}

/// Adds up what several processes found at one place.
fn merged(all: Vec<Finding>) -> Vec<Finding> {
    let mut places: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for finding in all {
        let same = places.entry(finding.id.clone()).or_default();
        match same.iter_mut().find(|known| known.is_of(&finding)) {
            Some(known) => known.add(finding),
            None => same.push(finding),
        }
    }
    places.into_values().flatten().collect()
}

/// Calls that sleep.
const SLEEPS: [&str; 5] = ["usleep", "nanosleep", "__nanosleep", "clock_nanosleep", "thrd_sleep"];
/// How many short sleeps from one place are busy polling, how long they are in all, and at least which part of the process's time.
const MANY: u64 = 50;
const TOGETHER_S: f64 = 0.2;
const PART: f64 = 0.1;

/// Finds the places from which a process sleeps shortly again and again.
fn busy_polls(
    recorded: &Recorded,
    symbols: &mut Symbols,
    packages: &mut BTreeMap<String, Option<String>>,
) -> Vec<Finding> {
    let lived_s = recorded.last_ns.saturating_sub(recorded.began_ns) as f64 / NS;
    let is_busy = |site: &&Site| {
        let total_s = site.total_ns as f64 / NS;
        SLEEPS.contains(&site.name.as_str())
            && site.count >= MANY
            && total_s >= TOGETHER_S.max(lived_s * PART)
            && site.total_ns / site.count < recorded.threshold_ns
    };
    let sites: Vec<_> = recorded.sites.iter().filter(is_busy).collect();
    let finding = |site: &Site| {
        let stack = vec![symbols.place(recorded, site.caller, true)];
        let library = library(&stack, packages);
        let function = stack[0].as_ref().map_or("", |place| place.function.as_str());
        Finding {
            verdict: "BUSY_POLLS",
            state: State::New,
            id: identity(&["BUSY_POLLS", &library.soname, &site.name, function, "", ""]),
            call: site.name.clone(),
            library,
            count: site.count,
            total_s: site.total_ns as f64 / NS,
            worst_s: site.worst_ns as f64 / NS,
            p50_s: quantile(&site.classes, 0.5).min(site.worst_ns as f64 / NS),
            p99_s: quantile(&site.classes, 0.99).min(site.worst_ns as f64 / NS),
            classes: site.classes.clone(),
            worst: Long::of_site(site),
            held: 0,
            released: 0,
            reacquire_worst_s: 0.0,
            threads: site.threads,
            stack,
            process: recorded.process,
        }
    };
    sites.into_iter().map(finding).collect()
}

/// The order in which verdicts are shown: the worst first.
fn rank(verdict: &str) -> usize {
    ["HOLDS_GIL", "BLOCKS_LOOP", "BUSY_POLLS", "OWN_THREADS", "WAITS"]
        .iter()
        .position(|known| *known == verdict)
        .unwrap_or(9)
}

fn clone(long: &Long) -> Long {
    Long {
        name: long.name.clone(),
        thread_name: long.thread_name.clone(),
        local: long.local.clone(),
        peer: long.peer.clone(),
        path: long.path.clone(),
        frames: long.frames.clone(),
        python: long.python.clone(),
        ..*long
    }
}

/// Returns the place of the stack that the wait is said of: the first beyond libc and the loader.
fn library_of(stack: &[Option<Place>]) -> Option<&Place> {
    stack.iter().flatten().find(|place| {
        let name = place.soname.as_str();
        !["libc.so", "libc-2", "libpthread", "ld-linux", "libgreenpatch"].iter().any(|own| name.starts_with(own))
    })
}

/// Tells the library of a stack, with its package.
fn library(stack: &[Option<Place>], packages: &mut BTreeMap<String, Option<String>>) -> Library {
    library_of(stack).map_or_else(Library::default, |place| {
        let known = packages.entry(place.path.clone()).or_insert_with(|| package(&place.path));
        Library {
            soname: place.soname.clone(),
            path: place.path.clone(),
            build_id: place.build_id.clone(),
            package: known.clone(),
        }
    })
}

/// Is this wait the loop's own, noted before its place was known for a loop's?
fn is_loops_own(loops: &[&Loop], long: &Long) -> bool {
    loops.iter().any(|entry| {
        entry.thread == long.thread && entry.call == long.call && long.frames.first() == Some(&entry.caller)
    })
}

fn verdict(recorded: &Recorded, loops: &[&Loop], long: &Long, held: u32) -> &'static str {
    let in_loop = loops.iter().any(|entry| entry.thread == long.thread && long.ended_ns >= entry.first_ns);
    if held > 0 {
        "HOLDS_GIL"
    } else if in_loop {
        "BLOCKS_LOOP"
    } else if recorded.python && long.gil == "none" && long.thread != recorded.process {
        "OWN_THREADS"
    } else {
        "WAITS"
    }
}

/// Returns the upper end of the class in which the quantile lies, in seconds.
fn quantile(classes: &[u32], part: f64) -> f64 {
    let all: u64 = classes.iter().map(|count| u64::from(*count)).sum();
    let wanted = (all as f64 * part).ceil().max(1.0) as u64;
    let mut seen = 0;
    for (class, count) in classes.iter().enumerate() {
        seen += u64::from(*count);
        if seen >= wanted {
            return 2f64.powi(class as i32 + 1) / 1e6;
        }
    }
    0.0
}

/// Mixes words to sixteen hexadecimal digits (FNV-1a).
fn identity(words: &[&str]) -> String {
    let bytes = words.iter().flat_map(|word| word.bytes().chain([0]));
    let mixed =
        bytes.fold(0xcbf2_9ce4_8422_2325u64, |mixed, byte| (mixed ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{mixed:016x}")
}

fn looping(recorded: &Recorded, entry: &Loop, symbols: &mut Symbols) -> Looping {
    let place = symbols.place(recorded, entry.caller, true);
    Looping {
        process: recorded.process,
        thread: entry.thread,
        name: entry.name.clone(),
        kind: place.map_or(String::new(), |place| place.soname),
        turns: entry.turns,
        p50_s: quantile(&entry.classes, 0.5).min(entry.longest_ns as f64 / NS),
        p99_s: quantile(&entry.classes, 0.99).min(entry.longest_ns as f64 / NS),
        longest_s: entry.longest_ns as f64 / NS,
        blocked_s: entry.blocked_ns as f64 / NS,
        computing_s: entry.computing_ns as f64 / NS,
        no_cpu_s: entry.no_cpu_ns as f64 / NS,
    }
}

/// Sums the findings up by library: the worst of its verdicts is the library's.
fn libraries(findings: &[Finding]) -> Vec<Judged> {
    let mut judged: Vec<Judged> = Vec::new();
    for finding in findings {
        let at = judged.iter().position(|known| known.library.path == finding.library.path).unwrap_or_else(|| {
            judged.push(Judged {
                library: finding.library.clone(),
                verdict: finding.verdict,
                calls: 0,
                total_s: 0.0,
                worst_s: 0.0,
                advice: None,
            });
            judged.len() - 1
        });
        let known = &mut judged[at];
        known.calls += finding.count;
        known.total_s += finding.total_s;
        known.worst_s = known.worst_s.max(finding.worst_s);
        if rank(finding.verdict) < rank(known.verdict) {
            known.verdict = finding.verdict;
        }
    }
    for known in &mut judged {
        if known.verdict != "WAITS" && known.verdict != "OWN_THREADS" {
            known.advice = Some(mends::of(&known.library.soname).unwrap_or(mends::ANY));
        }
    }
    judged
}

/// Says what the recordings cannot show.
fn unseen(recordings: &[Recorded]) -> Vec<String> {
    let mut unseen = Vec::new();
    let lost: u64 = recordings.iter().map(|recorded| recorded.lost).sum();
    if lost > 0 {
        unseen.push(format!("{lost} calls, or objects, for which the recording had no room"));
    }
    let open: Vec<_> = recordings.iter().filter(|recorded| !recorded.ended).collect();
    if let Some(first) = open.first() {
        let name =
            Path::new(&first.program).file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        let others = if open.len() > 1 { format!(" and {} others", open.len() - 1) } else { String::new() };
        unseen.push(format!(
            "how process {} ({name}){others} ended: by a signal, by a system call of its own, or not yet",
            first.process
        ));
    }
    unseen
}
