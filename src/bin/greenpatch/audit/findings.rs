//! What recordings say, judged: findings, libraries and loops of one report.
//!
//! ```text
//!   verdict       a call that took the threshold or more
//!   HOLDS_GIL     kept the interpreter's lock: no other Python thread could run
//!   BLOCKS_LOOP   was made by a thread that is an event loop's, within a turn that has ended
//!   OWN_THREADS   was made by a thread of a library's own, which may wait, also where it has a loop (`is_own_thread`)
//!   HIDDEN        (a green run) kept a worker where no hook was: a system call by an instruction, or computing
//!   WAITS         anything else: a wait is no fault in a thread that has nothing else to do
//!   BUSY_POLLS    (a site) fifty short sleeps, and a tenth of the process's time in all: a loop that looks again and again
//!
//!   verdict       a library without any of those
//!   HIDDEN        makes system calls that wait by instructions of its own: its waits cannot be seen (`unseen`)
//!   COOPERATIVE   its calls on loops' threads could not have waited
//! ```
//!
//! A finding's identity is a mix of rule, library, the function that was called there, and the Python line: it stays the same from run to
//! run, and from build to build of the program.

use std::collections::BTreeMap;

use super::mends;
use super::open::{deadlocks, End, Open};
use super::recording::{Long, Loop, Recorded};
use super::sites::Site;
use super::state::State;
use super::symbols::{package, Library, Place, Symbols};
use super::unseen::{self, Hidden};
use super::verdicts::{
    called, identity, identity_of, is_loops_own, keeps_worker, library, quantile, rank, verdict, COOPERATIVE,
};
use crate::words::short;

/// One finding.
pub struct Finding {
    pub verdict: &'static str,
    pub call: String,
    pub library: Library,
    pub count: u64,
    /// Of how many waits those calls are made.
    pub slices: u64,
    pub total_s: f64,
    /// How much of that the threads were ready and had no processor.
    pub no_cpu_s: f64,
    pub worst_s: f64,
    pub p50_s: f64,
    pub p99_s: f64,
    pub worst: Long,
    pub held: u32,
    pub released: u32,
    pub reacquire_worst_s: f64,
    /// Did it keep a worker from other green threads? `None`: the program was not green.
    pub kept_worker: Option<bool>,
    /// How many times a slot was handed over meanwhile.
    pub hand_overs: u32,
    pub threads: u32,
    pub stack: Vec<Option<Place>>,
    /// The stack of the mutex's holder (`Long::holder`).
    pub holder_stack: Vec<Option<Place>>,
    pub process: i32,
    pub id: String,
    pub state: State,
    /// How many frames of the native and of the Python stack are not told.
    pub left_out: [u64; 2],
    /// How many calls there were of each class of durations (`audit_format::class`).
    pub classes: Vec<u32>,
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
        self.slices += other.slices;
        self.total_s += other.total_s;
        self.no_cpu_s += other.no_cpu_s;
        self.held += other.held;
        self.released += other.released;
        self.threads += other.threads;
        self.hand_overs += other.hand_overs;
        self.kept_worker = self.kept_worker.max(other.kept_worker);
        self.reacquire_worst_s = self.reacquire_worst_s.max(other.reacquire_worst_s);
        self.classes.iter_mut().zip(&other.classes).for_each(|(count, more)| *count += more);
        if other.worst_s > self.worst_s {
            (self.worst_s, self.process) = (other.worst_s, other.process);
            (self.worst, self.stack, self.holder_stack) = (other.worst, other.stack, other.holder_stack);
        }
        self.p50_s = quantile(&self.classes, 0.5).min(self.worst_s);
        self.p99_s = quantile(&self.classes, 0.99).min(self.worst_s);
    }
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
    pub lags: Lags,
}

/// A loop's longest turns along the time.
#[derive(Default)]
pub struct Lags {
    /// When the first part begins, since the first process's begin.
    pub from_s: f64,
    /// How long a part is.
    pub part_s: f64,
    /// The longest turn that ended in each part, in microseconds.
    pub worst_us: Vec<u32>,
}

/// What is said of a green run as a whole.
pub struct Green {
    /// How many slots were handed over.
    pub hand_overs: u64,
    /// How many calls gave their worker away while they waited, and for how long in all.
    pub parks: u64,
    pub parked_s: f64,
}

/// A report: of one process, or of all that come from one.
pub struct Report {
    pub program: String,
    pub command: String,
    pub duration_s: f64,
    pub threshold_s: f64,
    pub processes: usize,
    pub calls: u64,
    /// Calls that took the threshold only because their thread had no processor, and how long they had none: no findings.
    pub no_cpu: u64,
    pub no_cpu_s: f64,
    /// `None`: the program stayed native.
    pub green: Option<Green>,
    pub findings: Vec<Finding>,
    pub libraries: Vec<Judged>,
    pub loops: Vec<Looping>,
    /// Calls of the threshold or more that are not over, or were not when their process ended.
    pub open: Vec<Open>,
    /// What was not seen, a clause each.
    pub unseen: Vec<String>,
    pub left_out: LeftOut,
    /// When the first process began, on the clock of `latest`, and since 1970.
    pub began_ns: u64,
    pub began_real_ns: u64,
    /// The latest long calls of all processes; `None`: they are not known.
    pub latest: Option<Vec<Latest>>,
    /// How many calls took the threshold or longer.
    pub long_calls: u64,
}

/// What a report in JSON had no room for.
#[derive(Default)]
pub struct LeftOut {
    pub findings: u64,
    /// The findings' identities, or some of them.
    pub identities: Vec<String>,
    pub libraries: u64,
    pub loops: u64,
    /// Loops without their longest turns along the time.
    pub series: u64,
}

/// One of the latest long calls.
pub struct Latest {
    pub process: i32,
    pub program: String,
    pub verdict: &'static str,
    /// The finding's that it belongs to.
    pub id: String,
    pub long: Long,
    pub stack: Vec<Option<Place>>,
}

impl Report {
    /// Was no call seen at all? That is an error, and no clean bill: text, JUnit and exit status say so alike.
    pub fn saw_nothing(&self) -> bool {
        self.calls == 0 && self.findings.is_empty()
    }
}

const NS: f64 = 1e9;

/// Judges recordings: the first is the program's own, the others those of what comes from it.
pub fn judge(recordings: &[Recorded]) -> Report {
    let first = &recordings[0];
    let mut symbols = Symbols::default();
    let mut packages: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut loops = Vec::new();
    let mut cooperating = Vec::new();
    let mut latest = Vec::new();
    let begun = recordings.iter().map(|recorded| recorded.began_ns).min().unwrap_or(0);
    let mut open = Vec::new();
    for recorded in recordings {
        let turning: Vec<&Loop> = recorded.loops.iter().collect();
        for entry in &recorded.findings {
            let stack: Vec<Option<Place>> =
                entry.worst.frames.iter().map(|frame| symbols.place(recorded, *frame, true)).collect();
            let library = library(&stack, &mut packages);
            if is_loops_own(&turning, &entry.worst) {
                continue;
            }
            let verdict = verdict(recorded, &turning, &entry.worst, entry.held, &stack);
            let id = identity_of(verdict, &stack, &entry.worst);
            findings.push(Finding {
                verdict,
                state: State::New,
                call: called(&entry.worst),
                library,
                count: entry.count,
                slices: entry.slices,
                total_s: entry.total_ns as f64 / NS,
                no_cpu_s: entry.no_cpu_ns as f64 / NS,
                worst_s: entry.worst.duration_ns as f64 / NS,
                p50_s: quantile(&entry.classes, 0.5).min(entry.worst.duration_ns as f64 / NS),
                p99_s: quantile(&entry.classes, 0.99).min(entry.worst.duration_ns as f64 / NS),
                held: entry.held,
                released: entry.released,
                reacquire_worst_s: entry.reacquire_worst_ns as f64 / NS,
                kept_worker: recorded.green.then(|| keeps_worker(&entry.worst)),
                hand_overs: entry.hand_overs,
                threads: entry.threads,
                stack,
                holder_stack: entry
                    .worst
                    .holder
                    .iter()
                    .flat_map(|holder| &holder.frames)
                    .map(|frame| symbols.place(recorded, *frame, true))
                    .collect(),
                process: recorded.process,
                id,
                classes: entry.classes.clone(),
                left_out: [0; 2],
                worst: entry.worst.clone(),
            });
        }
        for long in recorded.ring.iter().filter(|long| !is_loops_own(&turning, long)) {
            let stack: Vec<_> = long.frames.iter().map(|frame| symbols.place(recorded, *frame, true)).collect();
            let verdict = verdict(recorded, &turning, long, u32::from(long.gil == "held"), &stack);
            latest.push(Latest {
                process: recorded.process,
                program: recorded.program.clone(),
                verdict,
                id: identity_of(verdict, &stack, long),
                stack,
                long: long.clone(),
            });
        }
        open.extend(not_over(recorded, &turning, &mut symbols, &mut packages));
        if recorded.green {
            // A thread that sleeps shortly again and again keeps nobody there, and a loop is a thread like any other.
            continue;
        }
        findings.extend(busy_polls(recorded, &mut symbols, &mut packages));
        cooperating.extend(could_not_wait(recorded, &mut symbols, &mut packages));
        loops.extend(recorded.loops.iter().map(|entry| looping(recorded, entry, &mut symbols, begun)));
    }
    let long_calls =
        findings.iter().filter(|finding| finding.verdict != "BUSY_POLLS").map(|finding| finding.count).sum();
    deadlocks(&mut open);
    let mut findings = merged(findings);
    let hidden = unseen::hidden(recordings);
    let parked = cooperative(recordings, &mut symbols, &mut packages);
    findings.sort_by(|one, other| {
        (rank(one.verdict), other.total_s)
            .partial_cmp(&(rank(other.verdict), one.total_s))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let over = recordings.iter().map(|recorded| recorded.last_ns).max().unwrap_or(0);
    Report {
        program: first.program.clone(),
        command: first.command.clone(),
        duration_s: over.saturating_sub(begun) as f64 / NS,
        threshold_s: first.threshold_ns as f64 / NS,
        processes: recordings.len(),
        calls: recordings.iter().map(|recorded| recorded.calls).sum(),
        no_cpu: recordings.iter().map(|recorded| recorded.no_cpu).sum(),
        no_cpu_s: recordings.iter().map(|recorded| recorded.no_cpu_ns).sum::<u64>() as f64 / NS,
        green: green(recordings),
        libraries: libraries(&findings, &hidden, parked.into_iter().chain(cooperating).collect()),
        findings,
        loops,
        open,
        unseen: unseen::clauses(recordings, &hidden),
        left_out: LeftOut::default(),
        began_ns: begun,
        began_real_ns: recordings.iter().map(|recorded| recorded.began_real_ns).min().unwrap_or(0),
        latest: Some(latest),
        long_calls,
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

/// Judges a recording's calls that are not over: those of the threshold or more.
fn not_over(
    recorded: &Recorded,
    loops: &[&Loop],
    symbols: &mut Symbols,
    packages: &mut BTreeMap<String, Option<String>>,
) -> Vec<Open> {
    let end = match (recorded.lives, recorded.ended) {
        (true, _) => End::Lives,
        (false, true) => End::InOrder,
        (false, false) => End::Otherwise,
    };
    let judge = |open: &super::recording::Open| {
        let took_ns = recorded.over_ns.saturating_sub(open.long.ended_ns);
        let stack: Vec<_> = open.long.frames.iter().map(|frame| symbols.place(recorded, *frame, true)).collect();
        let in_turn = Long { ended_ns: recorded.over_ns, duration_ns: took_ns, ..open.long.clone() };
        let is_own = is_loops_own(loops, &open.long);
        let known = if open.seen { stack.as_slice() } else { &[] };
        let verdict = if is_own {
            "WAITS"
        } else {
            verdict(recorded, loops, &in_turn, u32::from(open.long.gil == "held"), known)
        };
        (took_ns >= recorded.threshold_ns).then(|| Open {
            process: recorded.process,
            end,
            verdict,
            library: library(&stack, packages),
            for_s: took_ns as f64 / NS,
            long: in_turn,
            is_loops: is_own,
            id: identity_of(verdict, &stack, &open.long),
            state: State::New,
            stack,
            seen: open.seen,
            waits_for: open.waits_for.clone(),
            deadlock: None,
        })
    };
    recorded.open.iter().filter_map(judge).collect()
}

/// Calls that sleep.
const SLEEPS: [&str; 5] = ["usleep", "nanosleep", "__nanosleep", "clock_nanosleep", "thrd_sleep"];
/// How many short sleeps from one place are busy polling, how long they are in all, and at least which part of the process's time.
const MANY: u64 = 50;
const TOGETHER_S: f64 = 0.2;
const PART: f64 = 0.1;

/// Finds the places from which a process sleeps shortly again and again. Sleeps that are told as a call's slices do not count.
fn busy_polls(
    recorded: &Recorded,
    symbols: &mut Symbols,
    packages: &mut BTreeMap<String, Option<String>>,
) -> Vec<Finding> {
    let lived_s = recorded.last_ns.saturating_sub(recorded.began_ns) as f64 / NS;
    let rest = |site: &Site| {
        let is_of = |entry: &&super::recording::Finding| {
            entry.worst.name == site.name && entry.worst.frames.contains(&site.caller)
        };
        let told = recorded.findings.iter().filter(is_of);
        let (slices, total) =
            told.fold((0, 0), |(slices, total), entry| (slices + entry.slices, total + entry.total_ns));
        (site.count.saturating_sub(slices), site.total_ns.saturating_sub(total))
    };
    let is_busy = |(site, (count, total_ns)): &(&Site, (u64, u64))| {
        SLEEPS.contains(&site.name.as_str())
            && *count >= MANY
            && *total_ns as f64 / NS >= TOGETHER_S.max(lived_s * PART)
            && total_ns / count < recorded.threshold_ns
    };
    let sites: Vec<_> = recorded.sites.iter().map(|site| (site, rest(site))).filter(is_busy).collect();
    let finding = |(site, (count, total_ns)): (&Site, (u64, u64))| {
        let stack = vec![symbols.place(recorded, site.caller, true)];
        let library = library(&stack, packages);
        let function = stack[0].as_ref().map_or("", |place| place.function.as_str());
        Finding {
            verdict: "BUSY_POLLS",
            state: State::New,
            id: identity(&["BUSY_POLLS", &library.soname, &site.name, function, "", ""]),
            call: site.name.clone(),
            library,
            count,
            slices: count,
            total_s: total_ns as f64 / NS,
            no_cpu_s: 0.0,
            worst_s: site.worst_ns as f64 / NS,
            p50_s: quantile(&site.classes, 0.5).min(site.worst_ns as f64 / NS),
            p99_s: quantile(&site.classes, 0.99).min(site.worst_ns as f64 / NS),
            classes: site.classes.clone(),
            left_out: [0; 2],
            worst: Long::of_site(site),
            held: 0,
            released: 0,
            reacquire_worst_s: 0.0,
            kept_worker: None,
            hand_overs: 0,
            threads: site.threads,
            stack,
            holder_stack: Vec::new(),
            process: recorded.process,
        }
    };
    sites.into_iter().map(finding).collect()
}

/// Sums a green run up.
fn green(recordings: &[Recorded]) -> Option<Green> {
    let all = || recordings.iter().filter(|recorded| recorded.green);
    let sites = || all().flat_map(|recorded| &recorded.sites);
    all().next().map(|_| Green {
        hand_overs: all().map(|recorded| recorded.hand_overs).sum(),
        parks: sites().map(|site| site.parks).sum(),
        parked_s: sites().map(|site| site.parked_ns as f64 / NS).sum(),
    })
}

/// Sums up what parked in green programs for the threshold or longer, by library.
fn cooperative(
    recordings: &[Recorded],
    symbols: &mut Symbols,
    packages: &mut BTreeMap<String, Option<String>>,
) -> Vec<Judged> {
    let mut judged = Vec::new();
    for recorded in recordings.iter().filter(|recorded| recorded.green) {
        for site in recorded.sites.iter().filter(|site| site.parked_worst_ns >= recorded.threshold_ns) {
            let library = library(&[symbols.place(recorded, site.caller, true)], packages);
            let sums = [site.parked_ns as f64 / NS, site.parked_worst_ns as f64 / NS];
            add(&mut judged, &library, COOPERATIVE, site.parks, sums);
        }
    }
    judged
}

fn looping(recorded: &Recorded, entry: &Loop, symbols: &mut Symbols, begun_ns: u64) -> Looping {
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
        lags: Lags {
            from_s: entry.first_ns.saturating_sub(begun_ns) as f64 / NS,
            part_s: entry.lag_ns as f64 / NS,
            worst_us: entry.lags_us.clone(),
        },
    }
}

/// Adds calls, their sum and the longest of them to a library's.
fn add(judged: &mut Vec<Judged>, library: &Library, verdict: &'static str, calls: u64, [total_s, worst_s]: [f64; 2]) {
    let at = judged.iter().position(|known| known.library.path == library.path).unwrap_or_else(|| {
        judged.push(Judged { library: library.clone(), verdict, calls: 0, total_s: 0.0, worst_s: 0.0, advice: None });
        judged.len() - 1
    });
    let known = &mut judged[at];
    // The sums are those of the library's verdict: waits that are no fault are not added to those that are.
    if rank(verdict) < rank(known.verdict) {
        (known.verdict, known.calls, known.total_s, known.worst_s) = (verdict, 0, 0.0, 0.0);
    }
    if verdict == known.verdict {
        known.calls += calls;
        known.total_s += total_s;
        known.worst_s = known.worst_s.max(worst_s);
    }
}

/// Sums the findings up by library: the worst of its verdicts is the library's.
///
/// A library without a finding is told as well where more is known of it: that its waits cannot be seen (`hidden`), or that its calls
/// parked, or could not have waited on loops' threads (`cooperative`).
fn libraries(findings: &[Finding], hidden: &[Hidden], cooperative: Vec<Judged>) -> Vec<Judged> {
    let mut judged: Vec<Judged> = Vec::new();
    for finding in findings {
        add(&mut judged, &finding.library, finding.verdict, finding.count, [finding.total_s, finding.worst_s]);
    }
    let hidden = hidden.iter().map(|object| Judged {
        library: Library {
            soname: short(&object.path).to_owned(),
            path: object.path.clone(),
            package: package(&object.path),
            ..Library::default()
        },
        verdict: "HIDDEN",
        calls: 0,
        total_s: 0.0,
        worst_s: 0.0,
        advice: None,
    });
    for known in hidden.chain(cooperative) {
        if judged.iter().all(|other| other.library.path != known.library.path) {
            judged.push(known);
        }
    }
    judged.sort_by_key(|known| rank(known.verdict));
    for known in &mut judged {
        if ["HOLDS_GIL", "BLOCKS_LOOP", "BUSY_POLLS"].contains(&known.verdict) {
            known.advice = Some(mends::of(&known.library.soname).unwrap_or(mends::ANY));
        }
    }
    judged
}

/// Finds the libraries whose calls on sockets and the like, made by loops' threads, could not have waited: the descriptors do not wait, and
/// what may wait with a timeout has 0. One call that could have waited is enough against it, however short it was. It was asked of some
/// calls of each place only (`ask_whether_it_could_wait`), and of those of a microsecond or more.
fn could_not_wait(
    recorded: &Recorded,
    symbols: &mut Symbols,
    packages: &mut BTreeMap<String, Option<String>>,
) -> Vec<Judged> {
    let mut judged: BTreeMap<String, (Judged, bool)> = BTreeMap::new();
    for site in recorded.sites.iter().filter(|site| site.could_wait + site.could_not_wait > 0) {
        let stack = [symbols.place(recorded, site.caller, true)];
        let library = library(&stack, packages);
        if library.path.is_empty() {
            continue;
        }
        let new = || {
            let (verdict, advice) = ("COOPERATIVE", None);
            (Judged { library: library.clone(), verdict, calls: 0, total_s: 0.0, worst_s: 0.0, advice }, true)
        };
        let (known, is_so) = judged.entry(library.path.clone()).or_insert_with(new);
        known.calls += site.count;
        known.total_s += site.total_ns as f64 / NS;
        known.worst_s = known.worst_s.max(site.worst_ns as f64 / NS);
        *is_so &= site.could_wait == 0;
    }
    judged.into_values().filter(|(_, is_so)| *is_so).map(|(known, _)| known).collect()
}
