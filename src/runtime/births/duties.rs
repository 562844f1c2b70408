//! What the caretaker does, and when the monitor sends it: burials of vessels and workers, and supplies for the reserve.

use crate::base::{clock, summon};
use crate::runtime::births::yard;
use crate::runtime::kernel::caretaker::{is_at_work, SINCE_MS, TID};
use crate::runtime::kernel::gate::GATE;
use crate::runtime::kernel::reserve::{self, Woken};
use crate::runtime::kernel::{supply, worker};
use crate::sys;
use std::sync::atomic::{AtomicBool, Ordering::*};
/// The pool has been large for a while.
pub static POOL_IS_DUE: AtomicBool = AtomicBool::new(false);

/// It is the monitor's to call at intervals.
pub fn shrink_pool() {
    if yard::pool_is_large() {
        POOL_IS_DUE.store(true, Relaxed);
    }
}

pub fn is_wanted() -> bool {
    GATE.has_dead() || reserve::is_low() || !reserve::is_refused() && (yard::are_dying() || POOL_IS_DUE.load(Relaxed))
}

/// The monitor's: wakes it where there is something to do.
pub fn send() {
    if is_at_work() || !is_wanted() {
        return;
    }
    SINCE_MS.store(clock::now_ms().max(1), Release);
    match reserve::wake(None) {
        Woken::Yes => return,
        Woken::Refused => {}
        // They are on their way (on a busy machine for many ticks, each of which would make one more), or the kernel makes none for now.
        Woken::NoneRests if reserve::is_making() || reserve::is_refused() => {}
        // None has been made, for want of memory or kernel threads: this is the last resort, and a later tick finds one.
        Woken::NoneRests => supply::make_one(),
    }
    SINCE_MS.store(0, Release);
}

/// What it does.
pub fn work() {
    TID.store(sys::kernel_thread_id(), Release);
    GATE.bury();
    yard::bury_dying();
    if POOL_IS_DUE.swap(false, Relaxed) {
        yard::shrink_pool();
    }
    supply::refill();
    TID.store(0, Release);
}

/// It has its place among those at rest again, or ends.
pub fn has_worked() {
    SINCE_MS.store(0, Release);
    if is_wanted() || worker::some_are_vacant() {
        summon::call();
    }
}

/// In a fork child nothing is due.
pub fn after_fork() {
    POOL_IS_DUE.store(false, Relaxed);
}
