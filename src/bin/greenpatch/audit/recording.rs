//! Recordings, read: what the library wrote (`audit::format`), as values of Rust.
//!
//! The process may still write, or may have been killed in the midst of it. So the file is copied first, an entry that was being written is
//! left out, and nothing in it is trusted to be text or to lie within bounds.

use std::fs::{self, File};
use std::mem::{align_of, offset_of, size_of};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::clock::Clock;
use super::fields::{classes, text};
use super::sites::{self, Site};
use crate::shared::audit_format::{self as format, gil, kind, Recording, SAME};
use crate::shared::ROWS;
use crate::words::shown;

/// What one process recorded.
pub struct Recorded {
    pub file: PathBuf,
    pub process: i32,
    pub program: String,
    pub command: String,
    /// When it began, since 1970.
    pub began_real_ns: u64,
    /// Times of the monotonic clock.
    pub began_ns: u64,
    pub last_ns: u64,
    /// When it was looked at while it lived, or its end, as far as that is known.
    pub over_ns: u64,
    /// Did it live when it was looked at?
    pub lives: bool,
    pub threshold_ns: u64,
    pub ended: bool,
    /// It has set a seccomp filter, and nothing was recorded from then on.
    pub filtered: bool,
    pub python: bool,
    /// The program ran green: what kept a worker was recorded.
    pub green: bool,
    /// How many functions were not recorded (green).
    pub unreached: u32,
    /// How many slots were handed over (green).
    pub hand_overs: u64,
    pub calls: u64,
    pub lost: u64,
    /// Calls that took the threshold for lack of a processor, and how long they had none.
    pub no_cpu: u64,
    pub no_cpu_ns: u64,
    pub modules: Vec<Module>,
    pub children: Vec<Child>,
    /// How many programs were executed for which the list of children had no room.
    pub more_children: u64,
    /// Every file of which instructions were mapped.
    pub objects: Vec<String>,
    pub loops: Vec<Loop>,
    pub sites: Vec<Site>,
    pub findings: Vec<Finding>,
    /// The latest long calls.
    pub ring: Vec<Long>,
    /// The calls that had begun and were not over when the recording was read, or when the process ended.
    pub open: Vec<Open>,
    pub clock: Clock,
    /// What could not be seen of the living process, or of recordings that lie beside, a clause each.
    pub unseen: Vec<String>,
}

/// A place for looking at recordings again and again: at who records, and at the calls that are not over, and nothing else.
pub struct Glance(Room);

impl Glance {
    /// Makes the place.
    pub fn new() -> Glance {
        Glance(Room::new(size_of::<Recording>()))
    }

    /// Looks at a recording: what it returns has the calls that are not over, and no lists. `None`: it is none, or not yet.
    pub fn look(&mut self, file: &Path) -> Option<Recorded> {
        let opened = File::open(file).ok()?;
        self.0.read(&opened, 0, size_of::<format::Header>())?;
        let head = self.0.recording();
        if head.header.magic.load(Relaxed) != format::MAGIC
            || head.header.bytes.load(Relaxed) != size_of::<Recording>() as u64
        {
            return None;
        }
        let used = (head.header.threads.load(Relaxed) as usize).min(format::THREADS);
        self.0.read(&opened, offset_of!(Recording, threads), used * size_of::<format::Now>())?;
        let mut recorded = head_of(file, self.0.recording());
        recorded.clock.look();
        Some(recorded)
    }
}

/// Memory for a recording, aligned as it must be.
struct Room {
    memory: Vec<u8>,
    from: usize,
}

impl Room {
    /// Makes room for so many bytes, all zero.
    fn new(bytes: usize) -> Room {
        const ALIGNED: usize = align_of::<Recording>();
        let memory = vec![0u8; bytes + ALIGNED];
        let from = memory.as_ptr().align_offset(ALIGNED);
        Room { memory, from }
    }

    /// Returns the bytes.
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.from..]
    }

    /// Reads a part of a file into its place. `None`: it cannot be read.
    fn read(&mut self, file: &File, from: usize, bytes: usize) -> Option<()> {
        file.read_exact_at(&mut self.bytes()[from..from + bytes], from as u64).ok()
    }

    /// Returns them as a recording.
    fn recording(&self) -> &Recording {
        assert!(self.memory.len() - self.from >= size_of::<Recording>());
        // SAFETY: aligned, of this size, and every field may have any bits.
        unsafe { &*(self.memory[self.from..].as_ptr() as *const Recording) }
    }
}

/// A call that is not over. `live` tells more of it while the process lives.
#[derive(Clone)]
pub struct Open {
    /// The place of its entry in the recording, and when it began, in ticks: together the call's identity.
    pub at: usize,
    pub ticks: u64,
    /// Where its arguments lie, and the audited function's registers.
    pub place: u64,
    pub registers: [u64; 3],
    /// What is told of it as of a call that is over: `ended_ns` is when it was looked at, `frames` at least the caller.
    pub long: Long,
    /// Was its thread seen in it, with its stack?
    pub seen: bool,
    /// The lock that it waits for, or the thread whose end.
    pub waits_for: Option<WaitsFor>,
}

/// What a call waits for that another thread must do.
#[derive(Clone, PartialEq)]
pub struct WaitsFor {
    /// mutex, rwlock, thread.
    pub kind: &'static str,
    pub address: u64,
    /// The thread that holds the lock, or that is to end; 0: none does.
    pub thread: i32,
}

/// A program that was executed.
pub struct Child {
    pub process: i32,
    pub at_ns: u64,
    pub path: String,
}

/// A mapped object.
#[derive(Clone)]
pub struct Module {
    pub start: u64,
    pub end: u64,
    pub base: u64,
    pub build_id: String,
    pub path: String,
}

/// An event loop.
pub struct Loop {
    pub thread: i32,
    pub name: String,
    pub call: u32,
    pub caller: u64,
    /// The descriptor of epoll that it waits on; -1: it waits by poll or select.
    pub epoll: i32,
    pub first_ns: u64,
    /// When its last turn ended that took a millisecond or more.
    pub last_ns: u64,
    pub turns: u64,
    pub longest_ns: u64,
    pub classes: Vec<u32>,
    pub blocked_ns: u64,
    pub computing_ns: u64,
    pub no_cpu_ns: u64,
    /// The longest turn, in microseconds, of each part of the time since `first_ns`, and how long a part is.
    pub lags_us: Vec<u32>,
    pub lag_ns: u64,
}

/// The sums of a finding, and its worst call.
pub struct Finding {
    pub count: u64,
    pub total_ns: u64,
    pub no_cpu_ns: u64,
    pub slices: u64,
    pub threads: u32,
    pub held: u32,
    pub released: u32,
    pub reacquire_worst_ns: u64,
    /// How many times a slot was handed over (green).
    pub hand_overs: u32,
    pub classes: Vec<u32>,
    pub worst: Long,
}

/// One long call.
#[derive(Clone)]
pub struct Long {
    pub call: u32,
    pub name: String,
    pub thread: i32,
    pub thread_name: String,
    pub ended_ns: u64,
    pub duration_ns: u64,
    /// How much of that the thread was ready and had no processor.
    pub no_cpu_ns: u64,
    /// Of how many waits it is made.
    pub slices: u32,
    /// In nanoseconds; negative numbers are `format`'s.
    pub timeout_ns: i64,
    pub result: i64,
    pub errno: i32,
    pub fd: i32,
    pub fd_kind: &'static str,
    pub gil: &'static str,
    /// What it kept (`format::keeps`).
    pub keeps: u32,
    pub local: String,
    pub peer: String,
    pub path: String,
    pub frames: Vec<u64>,
    /// The innermost first: file, line, function.
    pub python: Vec<(String, u32, String)>,
    /// Who held the mutex that was waited for, as far as that is known.
    pub holder: Option<Holder>,
}

/// Who held a mutex, and where it let go.
#[derive(Clone)]
pub struct Holder {
    pub thread: i32,
    pub name: String,
    pub frames: Vec<u64>,
}

impl Long {
    /// What is known of a site's longest call, which was too short to be kept.
    pub fn of_site(site: &Site) -> Long {
        Long { name: site.name.clone(), duration_ns: site.worst_ns, frames: vec![site.caller], ..Long::unknown() }
    }

    /// A call of which nothing is known.
    pub fn unknown() -> Long {
        Long {
            call: 0,
            name: String::new(),
            thread: 0,
            thread_name: String::new(),
            ended_ns: 0,
            duration_ns: 0,
            no_cpu_ns: 0,
            slices: 1,
            timeout_ns: format::UNKNOWN_TIMEOUT,
            result: 0,
            errno: 0,
            fd: -1,
            fd_kind: "unknown",
            gil: "none",
            keeps: format::keeps::NONE,
            local: String::new(),
            peer: String::new(),
            path: String::new(),
            frames: Vec::new(),
            python: Vec::new(),
            holder: None,
        }
    }
}

/// Returns the sentence on a recording whose magic number is missing.
pub fn unbegun(file: &Path) -> String {
    format!("{} has no begin: its process was killed while it made the recording, or is about to begin.", shown(file))
}

/// Reads a recording. Fails with a sentence for the user that begins with the file's name.
pub fn read(file: &Path) -> Result<Recorded, String> {
    let name = shown(file);
    let bytes = fs::read(file).map_err(|error| format!("{name}: {error}."))?;
    let foreign = || format!("{name} is no recording of greenpatch's: record one by `greenpatch audit -- CMD`.");
    let first = bytes.first_chunk::<8>().map(|eight| u64::from_ne_bytes(*eight)).ok_or_else(foreign)?;
    const VERSION: u32 = 56;
    if first == 0 {
        return Err(unbegun(file));
    }
    if first != format::MAGIC {
        let newer = first << 8 == format::MAGIC << 8;
        let which = first >> VERSION;
        return Err(if newer {
            format!("{name} is a recording of another version ({which}): read it with the greenpatch that made it.")
        } else {
            foreign()
        });
    }
    if bytes.len() != size_of::<Recording>() {
        return Err(format!(
            "{name} is cut off, or of another build: it has {} bytes, and {} make a recording.",
            bytes.len(),
            size_of::<Recording>()
        ));
    }
    // A vector of bytes need not lie as the structure must.
    let mut room = Room::new(bytes.len());
    room.bytes()[..bytes.len()].copy_from_slice(&bytes);
    Ok(of(file, room.recording()))
}

/// Returns all that a recording holds.
fn of(file: &Path, recording: &Recording) -> Recorded {
    let present = |key: u64| key != 0;
    Recorded {
        modules: recording.modules.iter().filter(|module| present(module.start.load(Relaxed))).map(module).collect(),
        children: recording.children.iter().filter(|child| child.process.load(Relaxed) != 0).map(child).collect(),
        objects: recording.objects.iter().map(|object| text(&object.path)).filter(|path| !path.is_empty()).collect(),
        loops: recording.loops.iter().filter(|entry| entry.turns.load(Relaxed) != 0).map(loop_of).collect(),
        sites: sites::all(recording),
        findings: recording.findings.iter().filter(|entry| present(entry.count.load(Relaxed))).map(finding).collect(),
        ring: recording.ring.iter().filter(|entry| is_whole(entry.turn.load(Relaxed))).map(long).collect(),
        ..head_of(file, recording)
    }
}

/// Returns what the header says, and the calls that are not over.
fn head_of(file: &Path, recording: &Recording) -> Recorded {
    let header = &recording.header;
    let pair = |pair: &[AtomicU64; 2]| [0, 1].map(|at| pair[at].load(Relaxed));
    let clock =
        Clock { first: pair(&header.first), last: pair(&header.last), ticks_per_us: header.ticks_per_us.load(Relaxed) };
    Recorded {
        file: file.to_owned(),
        process: header.process.load(Relaxed),
        program: text(&header.program),
        command: text(&header.command),
        began_real_ns: header.began_real_ns.load(Relaxed),
        began_ns: header.began_ns.load(Relaxed),
        last_ns: header.last_ns.load(Relaxed),
        over_ns: header.last_ns.load(Relaxed),
        lives: false,
        threshold_ns: header.threshold_ns.load(Relaxed),
        ended: header.ended.load(Relaxed) != 0,
        filtered: header.ended.load(Relaxed) == format::FILTERED,
        python: header.python.load(Relaxed) != 0,
        green: header.green.load(Relaxed) != 0,
        unreached: header.unreached.load(Relaxed),
        hand_overs: header.hand_overs.load(Relaxed),
        calls: sites::calls(recording),
        lost: header.lost.load(Relaxed),
        no_cpu: header.no_cpu.load(Relaxed),
        no_cpu_ns: header.no_cpu_ns.load(Relaxed),
        modules: Vec::new(),
        children: Vec::new(),
        more_children: header.more_children.load(Relaxed),
        objects: Vec::new(),
        loops: Vec::new(),
        sites: Vec::new(),
        findings: Vec::new(),
        ring: Vec::new(),
        open: open(recording, &clock),
        clock,
        unseen: Vec::new(),
    }
}

/// Lists the calls that are not over. Of two entries of one thread the later claim is the thread's.
fn open(recording: &Recording, clock: &Clock) -> Vec<Open> {
    let used = (recording.header.threads.load(Relaxed) as usize).min(format::THREADS);
    let entries = || recording.threads[..used].iter().enumerate();
    let is_last = |entry: &format::Now| {
        let of = |entry: &format::Now| (entry.thread.load(Relaxed), entry.claim.load(Relaxed));
        let (thread, claim) = of(entry);
        entries().all(|(_, other)| of(other).0 != thread || of(other).1 <= claim)
    };
    let begun = entries().filter(|(_, entry)| entry.began.load(Relaxed) != 0 && is_last(entry));
    let known = recording.header.rows.load(Relaxed) as usize == ROWS.len();
    begun.map(|(at, entry)| open_call(at, entry, clock, known)).collect()
}

/// Tells a call that is not over; `known`: the recording was made with this table of rows.
fn open_call(at: usize, entry: &format::Now, clock: &Clock, known: bool) -> Open {
    let row = entry.row.load(Relaxed);
    let name = ROWS.get(row as usize).filter(|_| known).map_or("call", |row| row.0);
    let is_about_fd = ROWS.get(row as usize).is_some_and(|row| known && row.1.first() == Some(&"fd"));
    let caller = entry.caller.load(Relaxed);
    let ticks = entry.began.load(Relaxed);
    Open {
        at,
        ticks,
        place: entry.place.load(Relaxed),
        registers: [&entry.ip, &entry.sp, &entry.bp].map(|register| register.load(Relaxed)),
        long: Long {
            fd: if is_about_fd { entry.argument.load(Relaxed) as i32 } else { -1 },
            call: row,
            name: name.to_owned(),
            thread: entry.thread.load(Relaxed),
            thread_name: text(&entry.name),
            ended_ns: clock.ns(ticks),
            frames: if caller == 0 { Vec::new() } else { vec![caller] },
            ..Long::unknown()
        },
        seen: false,
        waits_for: None,
    }
}

/// Is an entry of the ring there, and not being written?
fn is_whole(turn: u32) -> bool {
    turn != 0 && turn.is_multiple_of(2)
}

fn module(module: &format::Module) -> Module {
    let id = &module.id[..(module.id_bytes.load(Relaxed) as usize).min(module.id.len())];
    Module {
        start: module.start.load(Relaxed),
        end: module.end.load(Relaxed),
        base: module.base.load(Relaxed),
        build_id: id.iter().map(|byte| format!("{:02x}", byte.load(Relaxed))).collect(),
        path: text(&module.path),
    }
}

fn child(child: &format::Child) -> Child {
    Child { process: child.process.load(Relaxed), at_ns: child.at_ns.load(Relaxed), path: text(&child.path) }
}

fn loop_of(entry: &format::Loop) -> Loop {
    let mut lags_us: Vec<u32> = entry.lags_us.iter().map(|lag| lag.load(Relaxed)).collect();
    lags_us.truncate(lags_us.iter().rposition(|lag| *lag > 0).map_or(0, |last| last + 1));
    Loop {
        lags_us,
        lag_ns: 1 << entry.lag_shift.load(Relaxed).min(62),
        thread: entry.thread.load(Relaxed),
        name: text(&entry.name),
        call: entry.call.load(Relaxed),
        caller: entry.caller.load(Relaxed),
        epoll: entry.epoll.load(Relaxed),
        first_ns: entry.first_ns.load(Relaxed),
        last_ns: entry.last_ns.load(Relaxed),
        turns: entry.turns.load(Relaxed),
        longest_ns: entry.longest_ns.load(Relaxed),
        classes: classes(&entry.classes),
        blocked_ns: entry.blocked_ns.load(Relaxed),
        computing_ns: entry.computing_ns.load(Relaxed),
        no_cpu_ns: entry.no_cpu_ns.load(Relaxed),
    }
}

fn finding(entry: &format::Finding) -> Finding {
    Finding {
        count: entry.count.load(Relaxed),
        total_ns: entry.total_ns.load(Relaxed),
        no_cpu_ns: entry.no_cpu_ns.load(Relaxed),
        slices: entry.slices.load(Relaxed),
        threads: entry.threads.load(Relaxed).count_ones(),
        held: entry.held.load(Relaxed),
        released: entry.released.load(Relaxed),
        reacquire_worst_ns: entry.reacquire_worst_ns.load(Relaxed),
        hand_overs: entry.hand_overs.load(Relaxed),
        classes: classes(&entry.classes),
        worst: long(&entry.worst),
    }
}

fn long(long: &format::Long) -> Long {
    let depth = (long.depth.load(Relaxed) as usize).min(format::FRAMES);
    Long {
        call: long.call.load(Relaxed),
        name: text(&long.name),
        thread: long.thread.load(Relaxed),
        thread_name: text(&long.thread_name),
        ended_ns: long.ended_ns.load(Relaxed),
        duration_ns: long.duration_ns.load(Relaxed),
        no_cpu_ns: long.no_cpu_ns.load(Relaxed),
        slices: long.slices.load(Relaxed),
        timeout_ns: long.timeout_ns.load(Relaxed),
        result: long.result.load(Relaxed),
        errno: long.errno.load(Relaxed),
        fd: long.fd.load(Relaxed),
        fd_kind: kind::NAMES.get(long.fd_kind.load(Relaxed) as usize).copied().unwrap_or("unknown"),
        gil: match long.gil.load(Relaxed) {
            gil::RELEASED => "released",
            gil::HELD => "held",
            _ => "none",
        },
        keeps: long.keeps.load(Relaxed),
        local: text(&long.local),
        peer: text(&long.peer),
        path: text(&long.path),
        frames: long.frames[..depth].iter().map(|frame| frame.load(Relaxed)).collect(),
        holder: holder(long),
        python: python(&text(&long.python)),
    }
}

/// Reads a Python stack (`Long::python`): file, line and function of each frame. A frame that was cut is left out.
fn python(lines: &str) -> Vec<(String, u32, String)> {
    let mut stack: Vec<(String, u32, String)> = Vec::new();
    let mut before = String::new();
    for line in lines.lines() {
        let mut parts = line.splitn(3, '\t');
        let (Some(file), Some(number), Some(function)) = (parts.next(), parts.next(), parts.next()) else { break };
        before = whole_path(file, &before);
        if let Ok(number) = number.parse() {
            stack.push((before.clone(), number, function.to_owned()));
        }
    }
    stack
}

/// Returns a frame's file, given that of the frame before.
fn whole_path(file: &str, before: &str) -> String {
    let shared = file.strip_prefix(char::from(SAME)).and_then(|file| file.split_once(char::from(SAME)));
    match shared {
        Some((count, rest)) => {
            let start = count.parse().ok().and_then(|count: usize| before.get(..count)).unwrap_or("…/");
            format!("{start}{rest}")
        }
        None => file.to_owned(),
    }
}

fn holder(long: &format::Long) -> Option<Holder> {
    let thread = long.holder.load(Relaxed);
    let depth = (long.holder_depth.load(Relaxed) as usize).min(format::HOLDER_FRAMES);
    let frames = || long.holder_frames[..depth].iter().map(|frame| frame.load(Relaxed)).collect();
    (thread != 0).then(|| Holder { thread, name: text(&long.holder_name), frames: frames() })
}
