//! The layout of a recording: the file that an audited process fills, and that `greenpatch report` reads.
//!
//! The file is mapped, shared, so what was recorded is in it whatever ends the process, SIGKILL too. It has a fixed size, and blocks only
//! where something was recorded: each list is filled from its begin, and looked up by a small index.
//!
//! ```text
//!   header      who records, and since when
//!   indices     where a site, or a finding, lies in its list, by its key
//!   modules     what is mapped where: for the addresses below
//!   loops       threads that wait again and again in one place: event loops
//!   sites       every call that took SHORTEST_NS or more, summed by call and caller
//!   findings    calls of `threshold` or more, summed by call, caller and Python line, with the worst one whole
//!   ring        the latest of those calls, each whole: the flight recorder
//! ```
//!
//! The command includes this file as well, so it names nothing else of the library. All numbers are the machine's own. A text ends at its
//! first zero byte, or with its field; it is cut at a character.

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU16, AtomicU32, AtomicU64, AtomicU8};

/// The first eight bytes of a recording. The last is the layout's version.
pub const MAGIC: u64 = u64::from_le_bytes(*b"gpaudit\x01");

/// A call that took less, in nanoseconds, is not counted.
pub const SHORTEST_NS: u64 = 1_000;

/// How many modules there is room for.
pub const MODULES: usize = 512;
/// How many loops.
pub const LOOPS: usize = 64;
/// How many sites.
pub const SITES: usize = 8192;
/// How many findings.
pub const FINDINGS: usize = 512;
/// How many calls the ring has.
pub const RING: usize = 512;

/// How many frames of a stack are kept.
pub const FRAMES: usize = 32;
/// How many classes of durations there are: class n holds those from 2^n to 2^(n+1) microseconds, the last all that are longer.
pub const CLASSES: usize = 32;

/// Text of at most N bytes.
pub type Text<const N: usize> = [AtomicU8; N];

/// The whole file.
#[repr(C)]
pub struct Recording {
    pub header: Header,
    pub site_index: Index<{ 2 * SITES }>,
    pub finding_index: Index<{ 2 * FINDINGS }>,
    pub modules: [Module; MODULES],
    pub loops: [Loop; LOOPS],
    pub sites: [Site; SITES],
    pub findings: [Finding; FINDINGS],
    pub ring: [Long; RING],
}

/// Places in a list by key: the places that a key may have begin at its remainder. 0: none; `TAKEN`: one is being made; else the place,
/// from 2 on. A place is never changed once it is there.
pub type Index<const N: usize> = [AtomicU16; N];

/// An index's word while an entry is made.
pub const TAKEN: u16 = 1;

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
    /// How many calls came to the recorder, however short. Counted by each thread for itself and added up now and then.
    pub calls: AtomicU64,
    /// How many calls found no room among the sites, the findings, or modules among the modules.
    pub lost: AtomicU64,
    /// How many calls the ring has seen.
    pub rung: AtomicU64,
    /// How many entries the lists of sites and findings have.
    pub sites: AtomicU32,
    pub findings: AtomicU32,
    /// 1: the process has reached its end in order, or executed another program.
    pub ended: AtomicU32,
    /// 1: CPython's functions were found, and the interpreter lock is watched.
    pub python: AtomicU32,
    /// The library's version.
    pub version: Text<16>,
    /// The program's file, and the arguments with spaces between.
    pub program: Text<256>,
    pub command: Text<512>,
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

/// A thread that waits again and again in one place.
#[repr(C)]
pub struct Loop {
    /// The kernel thread; 0: a free entry.
    pub thread: AtomicI32,
    /// The row of the call in which it waits.
    pub call: AtomicU32,
    /// The return address of that call.
    pub caller: AtomicU64,
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
}

/// Calls of one kind from one place.
#[repr(C, align(64))]
pub struct Site {
    /// A mix of call and caller; 0: a free entry.
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
    pub threads: AtomicU32,
    /// How many were made with the interpreter's lock held, and how many with it let go.
    pub held: AtomicU32,
    pub released: AtomicU32,
    /// How long the lock was waited for afterwards.
    pub reacquire_total_ns: AtomicU64,
    pub reacquire_worst_ns: AtomicU64,
    pub classes: [AtomicU32; CLASSES],
    pub worst: Long,
}

/// One long call.
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
    /// The Python stack, a line a frame, the innermost first: FILE, tab, LINE, tab, FUNCTION.
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
