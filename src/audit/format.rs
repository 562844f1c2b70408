//! The layout of a recording: the file that an audited process fills, and that `greenpatch report` reads.
//!
//! The file is mapped, shared, so what was recorded is in it whatever ends the process, SIGKILL too. It has a fixed size, and blocks only
//! where something was recorded: each list is filled from its begin, and looked up by a small index.
//!
//! ```text
//!   header      who records, and since when
//!   indices     where a site, or a finding, lies in its list, by its key
//!   modules     what is mapped where: for the addresses below
//!   children    programs that children have executed: each should have a recording of its own
//!   objects     every file of which instructions were mapped: for what cannot be seen
//!   loops       threads that wait again and again in one place: event loops
//!   sites       every call that took SHORTEST_NS or more, summed by call and caller
//!   findings    calls of `threshold` or more, summed by call, caller and Python line, with the worst one whole
//!   ring        the latest of those calls, each whole: the flight recorder
//!   threads     the call that each thread is in now
//! ```
//!
//! The command includes this file as well, so it names nothing else of the library. All numbers are the machine's own. A text ends at its
//! first zero byte, or with its field; it is cut at a character.

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU16, AtomicU32, AtomicU64, AtomicU8};

/// What stands around the number of bytes that a Python frame's file shares with the frame's before (`Long::python`).
pub const SAME: u8 = 1;

/// The first eight bytes of a recording. The last is the layout's version.
pub const MAGIC: u64 = u64::from_le_bytes(*b"gpaudit\x01");

/// A call that took less, in nanoseconds, is not counted.
pub const SHORTEST_NS: u64 = 1_000;

/// How many modules there is room for.
pub const MODULES: usize = 512;
/// How many executed programs, and how many files.
pub const CHILDREN: usize = 256;
pub const OBJECTS: usize = 512;
/// How many loops.
pub const LOOPS: usize = 64;
/// How many sites.
pub const SITES: usize = 8192;
/// How many shards the sums of a call from one place may have.
pub const SHARDS: u32 = 4;
/// How many findings.
pub const FINDINGS: usize = 512;
/// How many calls the ring has.
pub const RING: usize = 512;
/// How many threads have a place for the call that they are in.
pub const THREADS: usize = 2048;

/// How many frames of a stack are kept.
pub const FRAMES: usize = 32;
/// How many frames of a lock's holder.
pub const HOLDER_FRAMES: usize = 16;
/// How many classes of durations there are: class n holds those from 2^n to 2^(n+1) microseconds, the last all that are longer.
pub const CLASSES: usize = 32;

/// How many parts a loop's time has in its series.
pub const LAGS: usize = 128;
/// The first width of a part, as a power of two in nanoseconds: a millisecond.
pub const LAG_SHIFT: u32 = 20;

/// Text of at most N bytes.
pub type Text<const N: usize> = [AtomicU8; N];

/// The whole file.
#[repr(C)]
pub struct Recording {
    pub header: Header,
    pub site_index: Index<{ 2 * SITES }>,
    pub finding_index: Index<{ 2 * FINDINGS }>,
    pub modules: [Module; MODULES],
    pub children: [Child; CHILDREN],
    pub objects: [Object; OBJECTS],
    pub loops: [Loop; LOOPS],
    pub sites: [Site; SITES],
    pub findings: [Finding; FINDINGS],
    pub ring: [Long; RING],
    pub threads: [Now; THREADS],
}

/// Places in a list by key: the places that a key may have begin at its remainder. 0: none; `TAKEN`: one is being made; else the place,
/// from 2 on. A place is never changed once it is there.
pub type Index<const N: usize> = [AtomicU16; N];

/// An index's word while an entry is made.
pub const TAKEN: u16 = 1;

/// `Header::ended` of a process that has set a seccomp filter.
pub const FILTERED: u32 = 2;

/// Who records.
#[repr(C)]
pub struct Header {
    /// `MAGIC`, written last.
    pub magic: AtomicU64,
    /// The file's size in bytes: another one is another layout.
    pub bytes: AtomicU64,
    /// The process, and its parent.
    pub process: AtomicI32,
    pub parent: AtomicI32,
    /// When the recording began: CLOCK_REALTIME and CLOCK_MONOTONIC, in nanoseconds.
    pub began_real_ns: AtomicU64,
    pub began_ns: AtomicU64,
    /// When something was recorded last, CLOCK_MONOTONIC; the process's end, where it came in order.
    pub last_ns: AtomicU64,
    /// Calls of this duration are kept whole.
    pub threshold_ns: AtomicU64,
    /// How many calls found no room among the sites, the findings, or modules among the modules.
    pub lost: AtomicU64,
    /// How many calls the ring has seen.
    pub rung: AtomicU64,
    /// How many calls took the threshold only because their thread had no processor, and how long it had none in them. They are no
    /// findings.
    pub no_cpu: AtomicU64,
    pub no_cpu_ns: AtomicU64,
    /// How many programs were executed for which the list had no room.
    pub more_children: AtomicU64,
    /// How many entries the list of objects has; how many entries the lists of sites and findings have.
    pub objects: AtomicU32,
    pub sites: AtomicU32,
    pub findings: AtomicU32,
    /// 1: the process has reached its end in order, or executed another program; `FILTERED`: it has set a seccomp filter, and nothing was
    /// recorded from then on.
    pub ended: AtomicU32,
    /// 1: CPython's functions were found, and the interpreter lock is watched.
    pub python: AtomicU32,
    /// 1: the program runs green, and what kept a worker is recorded.
    pub green: AtomicU32,
    /// How many functions of the table are not recorded, for their entries could not be taken (green programs).
    pub unreached: AtomicU32,
    /// How many slots were handed over (green programs).
    pub hand_overs: AtomicU64,
    /// The library's version.
    pub version: Text<16>,
    /// The program's file, and the arguments with spaces between.
    pub program: Text<256>,
    pub command: Text<512>,
    /// The clock of `Now::began`: its ticks and CLOCK_MONOTONIC in nanoseconds at the begin, and at a later moment. `ticks_per_us` is the
    /// rate that was measured at the begin; 0: ticks are the clock's own nanoseconds.
    pub first: [AtomicU64; 2],
    pub last: [AtomicU64; 2],
    pub ticks_per_us: AtomicU64,
    /// How many rows the table of hooks has: `Now::row` and `Long::call` are places in it.
    pub rows: AtomicU32,
    /// Where a thread's number lies behind its pthread_t, in bytes.
    pub tid_offset: AtomicU32,
    /// How many entries of `threads` were ever used.
    pub threads: AtomicU32,
    /// How often an entry of `threads` was claimed.
    pub claims: AtomicU32,
    pub switch: Switch,
}

/// Whether calls are recorded: a word on a line of its own, for every call looks at it.
#[repr(C, align(64))]
pub struct Switch {
    /// 1: they are; 0: the recorder is idle.
    pub on: AtomicU32,
}

/// A mapped object.
#[repr(C)]
pub struct Module {
    /// The addresses of its segments, from `start` to before `end`; start 0: a free entry.
    pub start: AtomicU64,
    pub end: AtomicU64,
    /// What was added to the addresses in the file.
    pub base: AtomicU64,
    /// Its build id: how many bytes, then the bytes.
    pub id_bytes: AtomicU32,
    pub id: [AtomicU8; 20],
    /// Its file, as the loader names it; empty: the program.
    pub path: Text<256>,
}

/// A program that was executed: by this process, where the number is its own, or by a child on its memory (vfork, posix_spawn).
#[repr(C)]
pub struct Child {
    /// The process that executed it; 0: a free entry, or it could not be executed.
    pub process: AtomicI32,
    /// When, CLOCK_MONOTONIC.
    pub at_ns: AtomicU64,
    /// The program's path, as it was given.
    pub path: Text<240>,
}

/// A file of which instructions are mapped.
#[repr(C)]
pub struct Object {
    pub path: Text<256>,
}

/// A thread that waits again and again in one place.
#[repr(C)]
pub struct Loop {
    /// The kernel thread; 0: a free entry.
    pub thread: AtomicI32,
    /// The row of the call in which it waits.
    pub call: AtomicU32,
    /// The return address of that call.
    pub caller: AtomicU64,
    /// The descriptor of epoll that it waits on; -1: it waits by poll or select.
    pub epoll: AtomicI32,
    /// When its first wait ended, and its last, CLOCK_MONOTONIC.
    pub first_ns: AtomicU64,
    pub last_ns: AtomicU64,
    /// How many times it has waited.
    pub turns: AtomicU64,
    /// The time between two waits: the sum, the longest, and classes.
    pub busy_ns: AtomicU64,
    pub longest_ns: AtomicU64,
    pub classes: [AtomicU32; CLASSES],
    /// How much of `busy_ns` was spent in calls that were recorded as findings.
    pub blocked_ns: AtomicU64,
    /// The processor time that the thread used between waits, where it was asked (turns longer than a millisecond).
    pub computing_ns: AtomicU64,
    /// How long the thread was ready and had no processor, in those turns.
    pub no_cpu_ns: AtomicU64,
    /// Its name.
    pub name: Text<16>,
    /// The longest turn along the time, in microseconds: part n is of the turns that ended from n to n + 1 widths after `first_ns`, which
    /// is `lag_began_ticks` on the recorder's clock. A width is 2^`lag_shift` nanoseconds, and doubles when the parts are full. Only the
    /// loop's thread writes them.
    pub lag_began_ticks: AtomicU64,
    pub lag_shift: AtomicU32,
    pub lags_us: [AtomicU32; LAGS],
}

/// Calls of one kind from one place, on the processors of one shard: their sums lie on a line that other processors do not write. A reader
/// adds the shards up.
#[repr(C, align(64))]
pub struct Site {
    /// A mix of call, caller and shard; 0: a free entry.
    pub key: AtomicU64,
    /// The return address of the call, or, where libc made it, that of the call of libc.
    pub caller: AtomicU64,
    /// The row, and the function's name.
    pub call: AtomicU32,
    /// A bit for each thread that was seen, by its number's lowest five bits.
    pub threads: AtomicU32,
    pub count: AtomicU64,
    pub total_ns: AtomicU64,
    pub worst_ns: AtomicU64,
    /// How many calls came to the recorder, however short: counted by each thread for itself, and added here with a call of this site.
    pub calls: AtomicU64,
    /// The processor's number, the remainder of its division by `SHARDS`.
    pub shard: AtomicU32,
    /// Of those made by loops' threads, and of which it was asked: how many could not have waited, whatever they did (a descriptor with
    /// O_NONBLOCK, a timeout of 0), and how many could.
    pub could_not_wait: AtomicU32,
    pub could_wait: AtomicU32,
    /// Of a green program: how many of the calls gave their worker to other threads while they waited, how long, and the longest.
    pub parks: AtomicU64,
    pub parked_ns: AtomicU64,
    pub parked_worst_ns: AtomicU64,
    pub name: Text<24>,
    pub classes: [AtomicU32; CLASSES],
}

/// Long calls of one kind from one place and one Python line.
#[repr(C, align(64))]
pub struct Finding {
    /// A mix of call, caller and Python line; 0: a free entry.
    pub key: AtomicU64,
    pub count: AtomicU64,
    pub total_ns: AtomicU64,
    /// How much of that their threads were ready and had no processor.
    pub no_cpu_ns: AtomicU64,
    pub threads: AtomicU32,
    /// How many waits they were made of: a call may wait in slices.
    pub slices: AtomicU64,
    /// How many were made with the interpreter's lock held, and how many with it let go.
    pub held: AtomicU32,
    pub released: AtomicU32,
    /// How long the lock was waited for afterwards.
    pub reacquire_total_ns: AtomicU64,
    pub reacquire_worst_ns: AtomicU64,
    /// How many times a slot was handed over meanwhile (green programs).
    pub hand_overs: AtomicU32,
    pub classes: [AtomicU32; CLASSES],
    pub worst: Long,
}

/// The call that a thread is in. The thread alone writes its entry, without a lock, and `began` tells a reader what holds:
///
/// ```text
///   began        the other words                          written by
///   0            of the call before, or being written     recorder::end, and at the claim
///   ticks        of the call that began then              recorder::begin, last of all words
/// ```
///
/// No two calls of a thread begin at the same ticks. So a reader takes `began`, then the other words, the stack, whatever it wants, then
/// `began` once more: the same number means that the call went on all the while.
#[repr(C, align(128))]
pub struct Now {
    /// The kernel thread; 0: a free entry. The entry of a thread that is gone is free as well.
    pub thread: AtomicI32,
    /// The row of the call.
    pub row: AtomicU32,
    pub began: AtomicU64,
    /// Where the audited function keeps its arguments on its stack: a zero, then each in eight bytes.
    pub place: AtomicU64,
    /// Its registers: from there the stack can be unwound.
    pub ip: AtomicU64,
    pub sp: AtomicU64,
    pub bp: AtomicU64,
    /// The return address of the call, or 0: not known yet.
    pub caller: AtomicU64,
    /// The first argument.
    pub argument: AtomicU64,
    /// The how-manieth claim of an entry that was, of `Header::claims`: of two entries of one thread the later claim is the thread's.
    pub claim: AtomicU32,
    /// The thread's name when the entry was claimed.
    pub name: Text<16>,
}

/// One long call, or several short ones that belong together (`series`): the sum of them, and the one that reached the threshold.
#[repr(C, align(64))]
pub struct Long {
    /// Odd while the entry is written; 0: free.
    pub turn: AtomicU32,
    /// The row.
    pub call: AtomicU32,
    /// The kernel thread.
    pub thread: AtomicI32,
    /// How many frames there are.
    pub depth: AtomicU32,
    /// When it ended, CLOCK_MONOTONIC, and how long it took.
    pub ended_ns: AtomicU64,
    pub duration_ns: AtomicU64,
    /// How much of that the thread was ready and had no processor.
    pub no_cpu_ns: AtomicU64,
    /// Of how many waits it is made.
    pub slices: AtomicU32,
    /// The timeout that was asked for, in nanoseconds; `NO_TIMEOUT`, `UNKNOWN_TIMEOUT`.
    pub timeout_ns: AtomicI64,
    /// What it returned, and errno afterwards.
    pub result: AtomicI64,
    pub errno: AtomicI32,
    /// The descriptor that it was about, or -1.
    pub fd: AtomicI32,
    /// What that descriptor stands for (`kind`).
    pub fd_kind: AtomicU32,
    /// How the interpreter's lock was (`gil`).
    pub gil: AtomicU32,
    /// How long the lock was waited for afterwards.
    pub reacquire_ns: AtomicU64,
    /// What the call kept (`keeps`), and how many times its slot was handed over meanwhile.
    pub keeps: AtomicU32,
    pub hand_overs: AtomicU32,
    /// The function's name.
    pub name: Text<24>,
    /// Both addresses of a connection, or a path.
    pub local: Text<64>,
    pub peer: Text<64>,
    pub path: Text<128>,
    /// The thread's name.
    pub thread_name: Text<16>,
    /// Return addresses, the caller of the hooked function first.
    pub frames: [AtomicU64; FRAMES],
    /// The thread that held the mutex that was waited for, and let go of it; 0: none is known. Its name, and where it let go.
    pub holder: AtomicI32,
    pub holder_depth: AtomicU32,
    pub holder_name: Text<16>,
    pub holder_frames: [AtomicU64; HOLDER_FRAMES],
    /// The Python stack, a line a frame, the innermost first: FILE, tab, LINE, tab, FUNCTION. A file that begins as that of the frame
    /// before is the number of those bytes between two bytes `SAME`, and the rest.
    pub python: Text<1024>,
}

/// No timeout was asked for: the call may wait for ever.
pub const NO_TIMEOUT: i64 = -1;
/// The call has no timeout, or the timeout is not known.
pub const UNKNOWN_TIMEOUT: i64 = i64::MIN;

/// How the interpreter's lock was during a call.
pub mod gil {
    /// There is no interpreter, or the thread is none of its.
    pub const NONE: u32 = 0;
    /// Another Python thread could run.
    pub const RELEASED: u32 = 1;
    /// No other Python thread could run.
    pub const HELD: u32 = 2;
}

/// What a call of a green program kept.
pub mod keeps {
    /// Its own kernel thread: the thread was not green, or the whole program is not.
    pub const OWN: u32 = 0;
    /// A worker: the call could not park.
    pub const WORKER: u32 = 1;
    /// No worker: it parked. Told where the interpreter's lock was held.
    pub const NONE: u32 = 2;
    /// A worker, in a system call of which no hook knew.
    pub const UNHOOKED: u32 = 3;
    /// A worker, by computing.
    pub const COMPUTED: u32 = 4;
}

/// `call` of what no row made is this, and the system call's number; `COMPUTED`: it was no system call.
pub const UNHOOKED: u32 = 1 << 16;
pub const COMPUTED: u32 = 1 << 17;

/// What a descriptor stands for.
pub mod kind {
    /// It was closed meanwhile, or is of no kind below.
    pub const UNKNOWN: u32 = 0;
    /// A stream of the Internet's, version 4 or 6.
    pub const TCP: u32 = 1;
    /// Datagrams of the Internet's.
    pub const UDP: u32 = 2;
    /// A socket of AF_UNIX.
    pub const UNIX: u32 = 3;
    /// A pipe or a FIFO.
    pub const PIPE: u32 = 4;
    /// A file, a folder or a device, by its path.
    pub const FILE: u32 = 5;
    /// An epoll.
    pub const EPOLL: u32 = 6;
    /// An eventfd.
    pub const EVENT: u32 = 7;
    /// A terminal.
    pub const TERMINAL: u32 = 8;
    /// A socket of another family.
    pub const SOCKET: u32 = 9;
    /// Their names, in the report.
    #[allow(dead_code)]
    pub const NAMES: [&str; 10] =
        ["unknown", "tcp", "udp", "unix", "pipe", "file", "epoll", "eventfd", "terminal", "socket"];
}

/// Returns the class of a duration.
pub fn class(ns: u64) -> usize {
    let us = ns / 1_000;
    (63 - (us | 1).leading_zeros() as usize).min(CLASSES - 1)
}
