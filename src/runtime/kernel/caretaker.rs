//! The caretaker: a worker at rest that the monitor wakes for what ends or makes threads of glibc's, and so may call the program's
//! allocator and wait for locks that a parked thread holds: burials, and workers for the reserve. The monitor itself never needs what
//! the program may hold: while the caretaker waits it goes on handing slots over, until the owner has got on.
//!
//! There is one at a time; it comes back to rest when nothing is left to do.

use crate::runtime::births::vessel;
use crate::runtime::kernel::reserve::{self, Woken};
use crate::runtime::kernel::worker::{self, GATE};
use crate::runtime::monitor;
use crate::sys;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::*};

/// Since when it is at work, in milliseconds; 0: it is not.
static SINCE_MS: AtomicU64 = AtomicU64::new(0);
/// The pool has been large for a while.
static POOL_IS_DUE: AtomicBool = AtomicBool::new(false);

/// Its kernel thread while it works, and the one that it waits for; 0: none.
static TID: AtomicI32 = AtomicI32::new(0);
static AWAITED: AtomicI32 = AtomicI32::new(0);

/// It has been at work for so long: it may wait for a lock.
const STUCK_MS: u64 = 5;

/// It is the monitor's to call at intervals.
pub fn shrink_pool() {
    if vessel::pool_is_large() {
        POOL_IS_DUE.store(true, Relaxed);
    }
}

fn is_wanted() -> bool {
    GATE.has_dead() || reserve::is_low() || !reserve::is_refused() && (vessel::are_dying() || POOL_IS_DUE.load(Relaxed))
}

pub fn is_at_work() -> bool {
    SINCE_MS.load(Acquire) != 0
}

/// Is it of no help for now? Not where it, or the kernel thread that it waits for, needs nothing but a processor: on a busy machine
/// that takes its time, and is no shortage.
pub fn is_stuck() -> bool {
    let since_ms = SINCE_MS.load(Acquire);
    since_ms != 0
        && monitor::now_ms() > since_ms + STUCK_MS
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

/// The monitor's: wakes it where there is something to do.
pub fn send() {
    if is_at_work() || !is_wanted() {
        return;
    }
    SINCE_MS.store(monitor::now_ms().max(1), Release);
    match reserve::wake(None) {
        Woken::Yes => return,
        Woken::Refused => {}
        // They are on their way (on a busy machine for many ticks, each of which would make one more), or the kernel makes none for now.
        Woken::NoneRests if reserve::is_making() || reserve::is_refused() => {}
        // None has been made, for want of memory or kernel threads: this is the last resort, and a later tick finds one.
        Woken::NoneRests => reserve::make_one(),
    }
    SINCE_MS.store(0, Release);
}

/// What it does.
pub fn work() {
    TID.store(sys::kernel_thread_id(), Release);
    GATE.bury();
    vessel::bury_dying();
    if POOL_IS_DUE.swap(false, Relaxed) {
        vessel::shrink_pool();
    }
    reserve::refill();
    TID.store(0, Release);
}

/// It has its place among those at rest again, or ends.
pub fn has_worked() {
    SINCE_MS.store(0, Release);
    if is_wanted() || worker::some_are_vacant() {
        monitor::call();
    }
}

/// In a fork child there is none.
pub fn after_fork() {
    SINCE_MS.store(0, Relaxed);
    TID.store(0, Relaxed);
    AWAITED.store(0, Relaxed);
    POOL_IS_DUE.store(false, Relaxed);
}
