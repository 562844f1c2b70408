//! The signal at the parent's end (PR_SET_PDEATHSIG): the kernel keeps it for each kernel thread, the program asks for it for a thread.
//!
//! All kernel threads have what some thread has asked for; one that is a thread's own has that thread's.

use crate::runtime::machine::parts::{current, Green, Worker};
use crate::runtime::machine::{counts, roll, unusual};
use crate::sys::task;
use libc::PR_SET_PDEATHSIG;
use std::sync::atomic::{AtomicI32, Ordering::*};

/// What all kernel threads have: the signal that some thread has asked for, or 0.
pub static DEATH_SIGNAL: AtomicI32 = AtomicI32::new(0);

/// At the start: the only thread's is the process's.
pub fn begin(main: &Green) {
    let signal = task::death_signal();
    main.settings.death_signal.store(signal, Relaxed);
    DEATH_SIGNAL.store(signal, Relaxed);
}

/// A thread has asked for a signal at the parent's end, or for none any more.
pub fn set_death_signal(me: &Green, signal: i32) {
    me.settings.death_signal.store(signal, Relaxed);
    share_death_signal();
}

/// A thread has ended that had asked for one.
#[inline]
pub fn end(green: &Green) {
    if green.settings.death_signal() != 0 {
        set_death_signal(green, 0);
    }
}

/// All kernel threads get what is asked for now: this one at once, the others when they next switch.
pub fn share_death_signal() {
    let asked = current().map_or(0, |me| me.settings.death_signal());
    let of_another =
        || roll::search(|green| green.settings.death_signal() != 0).map_or(0, |green| green.settings.death_signal());
    DEATH_SIGNAL.store(if asked != 0 { asked } else { of_another() }, SeqCst);
    counts::for_each_worker(|worker| {
        worker.unusual.fetch_or(unusual::DEATH, SeqCst);
    });
    task::option(PR_SET_PDEATHSIG, DEATH_SIGNAL.load(SeqCst) as usize);
}

/// A kernel thread becomes a worker's.
pub fn arrive() {
    let signal = DEATH_SIGNAL.load(SeqCst);
    if signal != 0 {
        task::option(PR_SET_PDEATHSIG, signal as usize);
    }
}

/// This kernel thread is shared again: what it was to execute could not be.
pub fn share_death_signal_again(me: &Green) {
    if DEATH_SIGNAL.load(Relaxed) != me.settings.death_signal() {
        task::option(PR_SET_PDEATHSIG, DEATH_SIGNAL.load(SeqCst) as usize);
    }
}

/// A worker is to have the signal that all have.
pub fn bring_death_signal(worker: &Worker) {
    worker.unusual.fetch_and(!unusual::DEATH, SeqCst);
    task::option(PR_SET_PDEATHSIG, DEATH_SIGNAL.load(SeqCst) as usize);
}

/// This kernel thread is the thread's own from here on: it gets the thread's signal, and not another's.
pub fn leave_shared(me: &Green) {
    if DEATH_SIGNAL.load(Relaxed) != me.settings.death_signal() {
        task::option(PR_SET_PDEATHSIG, me.settings.death_signal() as usize);
    }
}

/// In a fork child: the kernel has forgotten it.
pub fn after_fork() {
    DEATH_SIGNAL.store(0, Relaxed);
}
