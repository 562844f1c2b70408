//! Signals that were put back into the kernel's queue, because nobody took them.

use crate::base::signal_set::{bit, FIRST_OF_MANY};
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::pending::{is_of_same_timer, Aside};
use crate::runtime::machine::put_back;
use crate::runtime::machine::siginfo::{is_plain_bell, SI_BELL, SI_PUT_BACK};
use crate::sys;
use libc::{c_int, siginfo_t};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::*;

/// A signal from the kernel's queue as it first was; `None`: a bell.
pub fn unwrapped(info: &siginfo_t) -> Option<siginfo_t> {
    let mut info = *info;
    if info.si_code == SI_PUT_BACK {
        (info.si_code, info.si_errno) = (info.si_errno, 0);
        info = put_back::taken_back(&info)?;
    }
    (info.si_code != SI_BELL && !is_plain_bell(&info)).then_some(info)
}

/// A call that has just failed may have left a SIGPIPE with this kernel thread, though it is the thread's: it goes into its queue.
#[cold]
pub fn keep_own_doing(me: &Green) {
    if me.mask.get() & bit(libc::SIGPIPE) != 0 {
        if let Some(info) = sys::take_signal(bit(libc::SIGPIPE)).ok().as_ref().and_then(unwrapped) {
            me.pending.add(&info, true);
        }
    }
}

/// What stands for signals of timers that were put back.
pub static ASIDE: Aside = Aside::new();
/// Signals that the program reads from descriptors.
pub static ON_DESCRIPTORS: AtomicU64 = AtomicU64::new(0);

/// A timer's signal that came from the kernel's queue, where it was put back: itself, unless it has been handed out without that.
pub fn taken_back(info: &siginfo_t) -> Option<siginfo_t> {
    let stands_aside = info.si_signo < FIRST_OF_MANY && !is_read_from_descriptors(info.si_signo);
    if info.si_code != libc::SI_TIMER || !stands_aside {
        return Some(*info);
    }
    ASIDE.take(|kept| is_of_same_timer(kept, info))
}

/// One of these that was put back, and for which nothing may stand in the kernel's queue.
pub fn take_aside(signals: u64) -> Option<siginfo_t> {
    ASIDE.take(|kept| signals & bit(kept.si_signo) != 0)
}

/// Does the program read this signal from a descriptor?
pub fn is_read_from_descriptors(signal: c_int) -> bool {
    ON_DESCRIPTORS.load(Relaxed) & bit(signal) != 0
}

/// In a fork child: nothing waits for it.
pub fn after_fork() {
    ASIDE.after_fork();
}
