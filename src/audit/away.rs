//! Stretches in which a green thread keeps its kernel thread outside any recorded call: from the monitor's hand-over until the thread
//! comes back to the scheduler.
//!
//! ```text
//!   free ──claim (the monitor, before it takes the slot)──► away ──take (the thread, as it comes back; the process's end)──► free
//!                                                             └──give_back (the monitor: the thread was back first)──► free
//! ```

use crate::sys;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering::*};

/// A green thread that is away.
pub struct Away {
    /// The kernel thread that it keeps; 0: a free entry. `CLAIMED` while the entry is written.
    kernel_tid: AtomicI32,
    tid: AtomicI32,
    since_ns: AtomicU64,
    number: AtomicI64,
    place: AtomicU64,
    no_cpu_ns: AtomicU64,
    name: [AtomicU64; 2],
}

/// What was known of a stretch as its slot was handed over.
#[derive(Clone, Copy)]
pub struct Stretch {
    /// The kernel thread.
    pub kernel_tid: i32,
    /// The green thread, and its name.
    pub tid: i32,
    pub name: [u8; 16],
    /// Since when it has kept the kernel thread, CLOCK_MONOTONIC.
    pub since_ns: u64,
    /// The system call in which it was found; `COMPUTING`; `UNKNOWN`.
    pub number: i64,
    /// The address behind that system call's instruction, or 0.
    pub place: u64,
    /// How long the kernel thread was ready without a processor: in all, and, once the stretch is over, meanwhile.
    pub no_cpu_ns: u64,
}

/// No system call: the thread ran.
pub const COMPUTING: i64 = -1;
/// The kernel does not say what the thread does.
pub const UNKNOWN: i64 = -2;

const FREE: i32 = 0;
const CLAIMED: i32 = -1;
/// How many threads may be away at a time: of more nothing is told.
const MOST: usize = 64;

/// The state of this file.
struct State {
    all: [Away; MOST],
}

static STATE: State = State {
    all: [const {
        Away {
            kernel_tid: AtomicI32::new(FREE),
            tid: AtomicI32::new(0),
            since_ns: AtomicU64::new(0),
            number: AtomicI64::new(UNKNOWN),
            place: AtomicU64::new(0),
            no_cpu_ns: AtomicU64::new(0),
            name: [const { AtomicU64::new(0) }; 2],
        }
    }; MOST],
};

/// Notes a stretch that begins. Called by the monitor alone, before it takes the slot; `None`: there is no room.
pub fn claim(stretch: &Stretch) -> Option<&'static Away> {
    let away =
        STATE.all.iter().find(|away| away.kernel_tid.compare_exchange(FREE, CLAIMED, Acquire, Relaxed).is_ok())?;
    let Away { kernel_tid, tid, since_ns, number, place, no_cpu_ns, name } = away;
    tid.store(stretch.tid, Relaxed);
    since_ns.store(stretch.since_ns, Relaxed);
    number.store(stretch.number, Relaxed);
    place.store(stretch.place, Relaxed);
    no_cpu_ns.store(stretch.no_cpu_ns, Relaxed);
    for (word, bytes) in name.iter().zip(stretch.name.as_chunks::<8>().0) {
        word.store(u64::from_ne_bytes(*bytes), Relaxed);
    }
    kernel_tid.store(stretch.kernel_tid, Release);
    Some(away)
}

impl Away {
    /// Frees an entry whose slot was not taken after all. Called by the monitor.
    pub fn give_back(&self, of: i32) {
        self.kernel_tid.compare_exchange(of, FREE, AcqRel, Relaxed).ok();
    }
}

/// Takes the stretch of a kernel thread that is over; of any, where `of` is `None`. Each is taken once. Called by the thread that comes
/// back, and at the process's end.
pub fn take(of: Option<i32>) -> Option<Stretch> {
    for away in &STATE.all {
        let kernel_tid = away.kernel_tid.load(Acquire);
        if kernel_tid <= FREE || of.is_some_and(|of| of != kernel_tid) {
            continue;
        }
        let word = |at: usize| away.name[at].load(Relaxed).to_ne_bytes();
        let mut name = [0; 16];
        name[..8].copy_from_slice(&word(0));
        name[8..].copy_from_slice(&word(1));
        let stretch = Stretch {
            kernel_tid,
            tid: away.tid.load(Relaxed),
            name,
            since_ns: away.since_ns.load(Relaxed),
            number: away.number.load(Relaxed),
            place: away.place.load(Relaxed),
            no_cpu_ns: away.no_cpu_ns.load(Relaxed),
        };
        if away.kernel_tid.compare_exchange(kernel_tid, FREE, AcqRel, Relaxed).is_ok() {
            return Some(stretch);
        }
    }
    None
}

/// Asks the kernel what one of this process's kernel threads does (`sys::task::read_call_of`): the system call's number and the address
/// behind its instruction; `COMPUTING` or `UNKNOWN`, and 0.
pub fn ask(kernel_tid: i32) -> (i64, u64) {
    let mut room = [0u8; 256];
    let count = sys::task::read_call_of(kernel_tid, &mut room);
    let Ok(text) = std::str::from_utf8(&room[..count]) else { return (UNKNOWN, 0) };
    if text.starts_with("running") {
        return (COMPUTING, 0);
    }
    let number = text.split(' ').next().and_then(|word| word.parse::<i64>().ok()).filter(|number| *number >= 0);
    let place = text.trim_end().rsplit(' ').next().and_then(|word| word.strip_prefix("0x"));
    let place = place.and_then(|word| u64::from_str_radix(word, 16).ok());
    number.zip(place).unwrap_or((UNKNOWN, 0))
}

/// Forgets the parent's threads in a fork child.
pub fn after_fork() {
    let State { all } = &STATE;
    all.iter().for_each(|away| away.kernel_tid.store(FREE, Relaxed));
}
