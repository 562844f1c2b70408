//! The caretaker's duties, and when the monitor sends it: burials of vessels and workers, and supplies for the reserve.

use crate::base::{clock, summon};
use crate::runtime::births::yard;
use crate::runtime::kernel::caretaker::{is_at_work, CARETAKER};
use crate::runtime::kernel::gate::GATE;
use crate::runtime::kernel::reserve::{self, Woken};
use crate::runtime::kernel::{supply, worker};
use crate::sys;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// What is due for the caretaker.
pub struct Due {
    /// True: a pool was large when the monitor last looked. Set by the monitor, cleared by the caretaker before it shrinks the pools.
    pub pool: AtomicBool,
}

/// The only value of `Due`.
pub static DUE: Due = Due { pool: AtomicBool::new(false) };

/// Notes whether a pool has more vessels than are kept. Called by the monitor, once a second and before it sleeps for long.
pub fn shrink_pool() {
    if yard::pool_is_large() {
        DUE.pool.store(true, Relaxed);
    }
}

/// Is there something for the caretaker to do that is not in vain? Asked by the monitor and the caretaker, without a lock. While the kernel
/// makes no kernel threads (`reserve::is_refused`) burials of vessels are in vain, for each needs one.
pub fn is_wanted() -> bool {
    GATE.has_dead() || reserve::is_low() || !reserve::is_refused() && (yard::are_dying() || DUE.pool.load(Relaxed))
}

/// Wakes the caretaker where there is something to do: called by the monitor at each tick. `CARETAKER.since_ms` is set before the wake, so
/// that the caretaker, when it has worked, clears it last.
pub fn send() {
    if is_at_work() || !is_wanted() {
        return;
    }
    CARETAKER.since_ms.store(clock::now_ms().max(1), Release);
    match reserve::wake(None) {
        Woken::Yes => return,
        Woken::Refused => {}
        // Workers are on their way (on a busy machine for many ticks, each of which would make one more), or the kernel makes none for now.
        Woken::NoneRests if reserve::is_making() || reserve::is_refused() => {}
        // No worker was made in advance, for want of memory or kernel threads: this is the last resort, and a later tick finds a worker.
        Woken::NoneRests => supply::make_one(),
    }
    CARETAKER.since_ms.store(0, Release);
}

/// Does all that is to be done: burials first, for they give stacks back, then supplies. Called on the caretaker's kernel thread, with the
/// guard up and no lock held (`Duties::work`); it may wait for locks of the program's allocator.
pub fn work() {
    CARETAKER.tid.store(sys::kernel_thread_id(), Release);
    GATE.bury();
    yard::bury_dying();
    if DUE.pool.swap(false, Relaxed) {
        yard::shrink_pool();
    }
    supply::refill();
    CARETAKER.tid.store(0, Release);
}

/// Notes that the caretaker rests again, and calls the monitor where there is more to do (`Duties::has_worked`).
pub fn has_worked() {
    CARETAKER.since_ms.store(0, Release);
    if is_wanted() || worker::some_are_vacant() {
        summon::call();
    }
}

/// In a fork child nothing is due.
pub fn after_fork() {
    let Due { pool } = &DUE;
    pool.store(false, Relaxed);
}
