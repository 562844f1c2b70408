//! The signal masks of workers' kernel threads: a switch gives the kernel thread the mask of the green thread that it resumes.
//!
//! Real-time signals are delivered in the order in which they came, so one taker at a time takes those of a kind from the kernel. A worker
//! opens its mask for them when no sweep and no listening monitor takes them:
//!
//! 1. A sweep stores the signals in `TAKING.swept`, then looks at the workers' masks, and takes only what no worker has open.
//! 2. A worker notes the signals as open in `Worker::mask` (`open_for`), then reads `TAKING.swept` and waits while they are in it. Only
//!    then the kernel learns of the mask.
//! 3. All are sequentially consistent: either the sweep sees the worker's mask and leaves the signals alone, or the worker waits for it.
//!
//! The listening monitor (`TAKING.listened`) is asked to stop in the same way (`stop_listening`).

use crate::base::signal_set::{bit, CLOSED, FIRST_OF_MANY};
use crate::base::summon;
use crate::runtime::machine::disposition;
use crate::runtime::machine::parts::{Green, Worker};
use crate::runtime::machine::put_back::keep_own_doing;
use crate::sys;
use std::sync::atomic::Ordering::*;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Gives a worker's kernel thread another mask. Called on that kernel thread, between two green threads or for the running one. A SIGPIPE
/// that the last green thread blocked, and that the new mask opens, goes into that thread's queue first: it is not the next one's.
#[cold]
pub fn change_mask(worker: &Worker, mask: u64) {
    if worker.mask.load(Relaxed) & !mask & bit(libc::SIGPIPE) != 0 {
        // SAFETY: null or a green thread, which is never freed.
        unsafe { worker.charged.load(Relaxed).as_ref() }.inspect(|last| keep_own_doing(last));
    }
    open_for(worker, mask);
    sys::set_signal_mask(mask);
    worker.mask.store(mask, Relaxed);
}

/// Blocks all signals on the kernel thread of a worker that has nothing to do, so that the kernel delivers what has a handler to another.
/// Called by that worker before it sleeps.
pub fn close(worker: &Worker) {
    if disposition::handled() & !worker.mask.load(Relaxed) != 0 {
        change_mask(worker, CLOSED);
    }
}

/// Notes the mask that this kernel thread has as the running green thread's.
pub fn note_mask(me: &Green, mask: u64) {
    me.mask.set(mask);
    me.worker().mask.store(mask, Relaxed);
}

/// What the library takes from the kernel's queue now.
pub struct Taking {
    /// The signals that the sleeping monitor takes from the kernel now. Written by the monitor alone (`signal::sweep`).
    pub listened: AtomicU64,
    /// How often the monitor has stopped listening; `stop_listening` sleeps on this word.
    pub listenings: AtomicU32,
    /// The real-time signals that a sweep takes from the kernel now: no worker opens its mask for them meanwhile. Written by the sweep
    /// alone.
    pub swept: AtomicU64,
}

/// The only value of `Taking`.
pub static TAKING: Taking =
    Taking { listened: AtomicU64::new(0), listenings: AtomicU32::new(0), swept: AtomicU64::new(0) };

/// The signals of which several of a kind may be pending.
pub const OF_MANY: u64 = u64::MAX << (FIRST_OF_MANY - 1);

/// Waits, before a worker's kernel thread unblocks real-time signals, until no sweep and no monitor takes them: two takers would break
/// their order. Signals without a handler have no order to keep and are passed over. Called on that kernel thread; it may yield the
/// processor, and sleeps at most until the monitor's next turn.
pub fn open_for(worker: &Worker, mask: u64) {
    let opened = worker.mask.fetch_and(mask, SeqCst) & !mask & OF_MANY & disposition::handled();
    if opened != 0 {
        while TAKING.swept.load(SeqCst) & opened != 0 {
            sys::yield_processor();
        }
        stop_listening(opened);
    }
}

/// Waits until the monitor no longer takes these signals, or has begun anew, and so has seen what the caller changed before.
pub fn stop_listening(signals: u64) {
    let listenings = TAKING.listenings.load(SeqCst);
    while TAKING.listened.load(SeqCst) & signals != 0 && TAKING.listenings.load(SeqCst) == listenings {
        summon::call();
        sys::futex_wait(&TAKING.listenings, listenings, None).ok();
    }
}

/// Gives a worker's kernel thread the mask of the green thread that is about to run there: one comparison where the masks are equal.
#[inline]
pub fn apply_mask(worker: &Worker, green: &Green) {
    if green.mask.get() != worker.mask.load(Relaxed) {
        change_mask(worker, green.mask.get());
    }
}

/// Clears, in a fork child, what the parent's sweep and monitor took: neither is here. `TAKING.listenings` only counts.
pub fn after_fork() {
    // `listenings` only tells one listening from the next.
    let Taking { listened, listenings: _, swept } = &TAKING;
    [listened, swept].into_iter().for_each(|signals| signals.store(0, Relaxed));
}
