//! Put back: signals that the library took from the kernel, that no green thread accepts, and that are in the kernel's queue again.
//!
//! Each carries a code of the library's (`siginfo`), by which it is told from one that comes for the first time. Of a timer's signal only a
//! stand-in is in the kernel's queue; the signal itself is in `ASIDE`.

use crate::base::kept::Kept;
use crate::base::signal_set::{bit, FIRST_OF_MANY};
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::pending::{is_of_same_timer, Aside};
use crate::runtime::machine::siginfo::{is_plain_bell, SI_BELL, SI_PUT_BACK};
use crate::sys;
use libc::{c_int, siginfo_t};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::*;

/// A signal from the kernel's queue as it first was; `None`: a bell, or a stand-in whose signal has been handed out. Called in handlers.
pub fn unwrapped(info: &siginfo_t) -> Option<siginfo_t> {
    let mut info = *info;
    if info.si_code == SI_PUT_BACK {
        (info.si_code, info.si_errno) = (info.si_errno, 0);
        info = taken_back(&info)?;
    }
    (info.si_code != SI_BELL && !is_plain_bell(&info)).then_some(info)
}

/// Moves a SIGPIPE that a call of this thread has left pending at its kernel thread into the thread's queue. Called on that kernel thread
/// after a call that failed, or before the next green thread unblocks SIGPIPE.
#[cold]
pub fn keep_own_doing(me: &Green) {
    if me.mask.get() & bit(libc::SIGPIPE) != 0 {
        if let Some(info) = sys::take_signal(bit(libc::SIGPIPE)).ok().as_ref().and_then(unwrapped) {
            me.signals.pending.add(&info, true);
        }
    }
}

/// Timers' signals that were put back.
pub static ASIDE: Aside = Aside::new();
/// The signals that the program reads from descriptors (signalfd).
pub static ON_DESCRIPTORS: Kept<AtomicU64> = Kept::new(AtomicU64::new(0));

/// The signal that a put-back one stands for: a timer's from `ASIDE`, any other itself. `None`: the timer's has been handed out meanwhile.
pub fn taken_back(info: &siginfo_t) -> Option<siginfo_t> {
    let stands_aside = info.si_signo < FIRST_OF_MANY && !is_read_from_descriptors(info.si_signo);
    if info.si_code != libc::SI_TIMER || !stands_aside {
        return Some(*info);
    }
    ASIDE.take(|kept| is_of_same_timer(kept, info))
}

/// Takes one of `signals` out of `ASIDE`, though its stand-in may still be in the kernel's queue.
pub fn take_aside(signals: u64) -> Option<siginfo_t> {
    ASIDE.take(|kept| signals & bit(kept.si_signo) != 0)
}

/// Does the program read this signal from a descriptor?
pub fn is_read_from_descriptors(signal: c_int) -> bool {
    ON_DESCRIPTORS.load(Relaxed) & bit(signal) != 0
}

/// Empties `ASIDE` in a fork child, which has none of its parent's pending signals. `ON_DESCRIPTORS` stays: the child has the descriptors.
pub fn after_fork() {
    ASIDE.after_fork();
}
