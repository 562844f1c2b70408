//! Makes workers for the reserve: in advance, by threads that make threads, and later by the caretaker.

use crate::runtime::kernel::reserve::{is_low, is_made, is_refused, KEPT, LEAST, RESERVE};
use crate::runtime::kernel::{caretaker, worker};
use crate::runtime::machine::parts::current;
use crate::runtime::sched::slots;
use crate::sys;
use std::sync::atomic::Ordering::*;

/// How many workers are made in advance, at the most.
pub const MADE: usize = 8;

/// Makes workers in advance where there are fewer at rest than threads, up to `MADE`. Called by each `create`, on the thread that makes
/// a thread; `threads`: how many green threads live now.
#[inline]
pub fn provide(threads: usize) {
    let wanted = threads.clamp(LEAST, MADE);
    if RESERVE.count.load(Relaxed) < wanted {
        make(wanted, threads);
    }
}

/// Asks the kernel whether the program's address space is limited, and notes it. Then the heap that glibc would make for the caretaker
/// (`put`) would be missing elsewhere: threads of the program's make more in advance, and the caretaker makes some only when the last one
/// is hired.
pub fn look_at_limit() -> bool {
    let is_limited = sys::limit(libc::RLIMIT_AS) != libc::RLIM_INFINITY;
    RESERVE.is_limited.store(is_limited, Relaxed);
    is_limited
}

/// Makes workers until `wanted` rest or are being made. Called on the running thread, whose pthread_create would have called the program's
/// malloc natively, too; its kernel thread is kept meanwhile.
#[cold]
pub fn make(wanted: usize, threads: usize) {
    let (asked, is_limited) = (wanted, look_at_limit());
    // For all slots, and for all threads that may stand in calls of their own.
    let wanted = if is_limited { (threads + slots::slots().len() + 1).min(KEPT) } else { wanted };
    let missing = wanted.saturating_sub(RESERVE.making.load(Relaxed) as usize + RESERVE.count.load(Relaxed));
    let at_once = if is_limited { missing } else { missing.min(LEAST) };
    // Announced before they are missed: else the caretaker or the monitor would make the first ones.
    RESERVE.making.fetch_add(at_once as u32, AcqRel);
    RESERVE.wanted.fetch_max(asked, Release);
    if at_once == 0 {
        return;
    }
    // A wait in the program's malloc keeps the kernel thread.
    let creator = current();
    creator.inspect(|me| me.thread.pinned.set(me.thread.pinned.get() + 1));
    (0..at_once).for_each(|_| make_announced());
    if RESERVE.count.load(Relaxed) == 0 {
        // From the first thread on there is one for the caretaker: the monitor must never have to make it.
        await_made();
    }
    creator.inspect(|me| me.thread.pinned.set(me.thread.pinned.get() - 1));
}

/// Makes one worker. Called where a wait for the program's allocator is allowed: by the caretaker, and by the monitor as the last resort.
pub fn make_one() {
    RESERVE.making.fetch_add(1, AcqRel);
    make_announced();
}

/// Makes one worker that `making` counts already. A refusal is noted, and counted down again.
pub fn make_announced() {
    let made = worker::make_at_rest();
    RESERVE.is_refused.store(!made, Relaxed);
    if !made {
        is_made();
    }
}

/// Waits in the kernel until no worker is being made.
pub fn await_made() {
    loop {
        let making = RESERVE.making.load(Acquire);
        if making == 0 {
            break;
        }
        caretaker::while_it_waits(RESERVE.newest.load(Relaxed), &|| _ = sys::futex_wait(&RESERVE.making, making, None));
    }
}

/// The caretaker's duty: fills the reserve up, one worker after the other, so that there are few kernel threads at a time.
pub fn refill() {
    look_at_limit();
    while is_low() {
        make_one();
        await_made();
    }
    if !is_refused() {
        RESERVE.is_used.store(false, Relaxed);
    }
}
