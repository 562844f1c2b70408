//! The signal masks of workers' kernel threads: a switch gives the kernel thread its green thread's.
//!
//! Before a worker opens signals nobody else may be taking them: two takers would break the order of real-time signals.

use crate::base::signal_set::{bit, CLOSED, FIRST_OF_MANY};
use crate::base::summon;
use crate::runtime::machine::disposition;
use crate::runtime::machine::parts::{self, Green, Worker};
use crate::runtime::machine::put_back::keep_own_doing;
use crate::runtime::sched::mask;
use crate::sys;
use std::sync::atomic::Ordering::*;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Gives a worker's kernel thread another mask. A SIGPIPE that the last thread blocked is that one's, not the next one's.
#[cold]
pub fn change_mask(worker: &parts::Worker, mask: u64) {
    if worker.mask.load(Relaxed) & !mask & bit(libc::SIGPIPE) != 0 {
        // SAFETY: null or a green thread, which is never freed.
        unsafe { worker.charged.load(Relaxed).as_ref() }.inspect(|last| keep_own_doing(last));
    }
    mask::open_for(worker, mask);
    sys::set_signal_mask(mask);
    worker.mask.store(mask, Relaxed);
}

/// A worker has nothing to do: the kernel is to leave to others what has a handler.
pub fn close(worker: &parts::Worker) {
    if disposition::handled() & !worker.mask.load(Relaxed) != 0 {
        change_mask(worker, CLOSED);
    }
}

/// The mask that the kernel thread has is the running thread's.
pub fn note_mask(me: &Green, mask: u64) {
    me.mask.set(mask);
    me.worker().mask.store(mask, Relaxed);
}

/// What the sleeping monitor takes right now.
pub static LISTENED: AtomicU64 = AtomicU64::new(0);
/// How often it has done so; whoever waits for it sleeps on this.
pub static LISTENINGS: AtomicU32 = AtomicU32::new(0);
/// Real-time signals that a sweeper takes from the kernel right now: no worker opens its mask for them meanwhile.
pub static TAKING: AtomicU64 = AtomicU64::new(0);

/// Signals of which several may wait.
pub const OF_MANY: u64 = u64::MAX << (FIRST_OF_MANY - 1);

/// A worker's kernel thread is about to have this mask: what that opens is left to it, once nobody takes it elsewhere any more. (Of what
/// has no handler there is no order to keep.)
pub fn open_for(worker: &Worker, mask: u64) {
    let opened = worker.mask.fetch_and(mask, SeqCst) & !mask & OF_MANY & disposition::handled();
    if opened != 0 {
        while TAKING.load(SeqCst) & opened != 0 {
            sys::yield_processor();
        }
        stop_listening(opened);
    }
}

/// Waits until the monitor no longer stands in for these, or does so anew, knowing what has changed.
pub fn stop_listening(signals: u64) {
    let listenings = LISTENINGS.load(SeqCst);
    while LISTENED.load(SeqCst) & signals != 0 && LISTENINGS.load(SeqCst) == listenings {
        summon::call();
        sys::futex_wait(&LISTENINGS, listenings, None).ok();
    }
}

/// Gives the kernel thread the green thread's signal mask, where it has another.
#[inline]
pub fn apply_mask(worker: &Worker, green: &Green) {
    if green.mask.get() != worker.mask.load(Relaxed) {
        mask::change_mask(worker, green.mask.get());
    }
}

/// In a fork child: nobody takes signals elsewhere.
pub fn after_fork() {
    LISTENED.store(0, Relaxed);
    TAKING.store(0, Relaxed);
}
