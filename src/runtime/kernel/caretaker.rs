//! The caretaker: a worker at rest that the monitor wakes for what ends or makes threads of glibc's, and so may call the program's
//! allocator and wait for locks that a parked thread holds: burials, and workers for the reserve. The monitor itself never needs what
//! the program may hold: while the caretaker waits it goes on handing slots over, until the owner has got on.
//!
//! There is one at a time; it comes back to rest when nothing is left to do.

use crate::base::clock;
use crate::sys;
use once_cell::race::OnceBox;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::*};

/// Since when it is at work, in milliseconds; 0: it is not.
pub static SINCE_MS: AtomicU64 = AtomicU64::new(0);

/// Its kernel thread while it works, and the one that it waits for; 0: none.
pub static TID: AtomicI32 = AtomicI32::new(0);
static AWAITED: AtomicI32 = AtomicI32::new(0);

/// It has been at work for so long: it may wait for a lock.
const STUCK_MS: u64 = 5;

pub fn is_at_work() -> bool {
    SINCE_MS.load(Acquire) != 0
}

/// Is it of no help for now? Not where it, or the kernel thread that it waits for, needs nothing but a processor: on a busy machine
/// that takes its time, and is no shortage.
pub fn is_stuck() -> bool {
    let since_ms = SINCE_MS.load(Acquire);
    since_ms != 0
        && clock::now_ms() > since_ms + STUCK_MS
        && sys::task::sleeps(TID.load(Acquire))
        && !sys::task::runs(AWAITED.load(Acquire))
}

/// A wait for a kernel thread to come to rest, or to end; whoever waits.
pub fn while_it_waits(tid: i32, wait: &dyn Fn()) {
    let is_caretaker = TID.load(Relaxed) == sys::kernel_thread_id();
    if is_caretaker {
        AWAITED.store(tid, Release);
    }
    wait();
    if is_caretaker {
        AWAITED.store(0, Release);
    }
}

/// What it does, and what is seen to when it rests again.
pub struct Duties {
    /// Called on the caretaker's kernel thread.
    pub work: fn(),
    /// Called there once it has its place among those at rest again, or ends.
    pub has_worked: fn(),
}

static DUTIES: OnceBox<Duties> = OnceBox::new();

/// Sets them, once. Called by the start, while there is one thread.
pub fn set_duties(duties: Duties) {
    DUTIES.set(Box::new(duties)).ok();
}

/// Its duties; set before there is a worker at rest.
pub fn duties() -> Option<&'static Duties> {
    DUTIES.get()
}

/// In a fork child there is none.
pub fn after_fork() {
    SINCE_MS.store(0, Relaxed);
    TID.store(0, Relaxed);
    AWAITED.store(0, Relaxed);
}
