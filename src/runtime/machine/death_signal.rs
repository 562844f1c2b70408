//! The signal at the parent's end (PR_SET_PDEATHSIG): the kernel keeps it for each kernel thread, the program asks for it for a thread.
//!
//! All shared kernel threads have the signal that some green thread has asked for; a kernel thread that one green thread has for itself has
//! that thread's. The kernel sends the signal to the process, so it comes once for each kernel thread, and one of a kind is pending.

use crate::runtime::machine::parts::{current, Green, Worker};
use crate::runtime::machine::{counts, roll, unusual};
use crate::sys::task;
use libc::PR_SET_PDEATHSIG;
use std::sync::atomic::{AtomicI32, Ordering::*};

/// What the kernel threads that green threads share have been told of the signal at the parent's end.
pub struct DeathSignal {
    /// The signal that all shared kernel threads have; 0: no thread has asked for one.
    pub signal: AtomicI32,
}

/// The only value of `DeathSignal`.
pub static DEATH_SIGNAL: DeathSignal = DeathSignal { signal: AtomicI32::new(0) };

/// Notes the process's as main's. Called by the start, while there is one thread.
pub fn begin(main: &Green) {
    let signal = task::death_signal();
    main.thread.settings.death_signal.store(signal, Relaxed);
    DEATH_SIGNAL.signal.store(signal, Relaxed);
}

/// Sets the signal that a thread has asked for (0: none), and shares it. Called on the kernel thread that runs `me`, or after its end.
pub fn set_death_signal(me: &Green, signal: i32) {
    me.thread.settings.death_signal.store(signal, Relaxed);
    share_death_signal();
}

/// Withdraws the signal that a thread has asked for, at the thread's end.
#[inline]
pub fn end(green: &Green) {
    if green.thread.settings.death_signal() != 0 {
        set_death_signal(green, 0);
    }
}

/// Gives all kernel threads the signal that is asked for now: this one at once, the others at their next switch (`unusual::DEATH`).
pub fn share_death_signal() {
    let asked = current().map_or(0, |me| me.thread.settings.death_signal());
    let of_another = || {
        roll::search(|green| green.thread.settings.death_signal() != 0)
            .map_or(0, |green| green.thread.settings.death_signal())
    };
    DEATH_SIGNAL.signal.store(if asked != 0 { asked } else { of_another() }, SeqCst);
    counts::for_each_worker(|worker| {
        worker.unusual.fetch_or(unusual::DEATH, SeqCst);
    });
    task::option(PR_SET_PDEATHSIG, DEATH_SIGNAL.signal.load(SeqCst) as usize);
}

/// Gives the signal to a kernel thread that becomes a worker's. Called on it.
pub fn arrive() {
    let signal = DEATH_SIGNAL.signal.load(SeqCst);
    if signal != 0 {
        task::option(PR_SET_PDEATHSIG, signal as usize);
    }
}

/// Gives the shared signal back to this kernel thread, after an exec that failed: it is shared again.
pub fn share_death_signal_again(me: &Green) {
    if DEATH_SIGNAL.signal.load(Relaxed) != me.thread.settings.death_signal() {
        task::option(PR_SET_PDEATHSIG, DEATH_SIGNAL.signal.load(SeqCst) as usize);
    }
}

/// Gives a worker's kernel thread the shared signal. Called on it by the switch that finds `unusual::DEATH`.
pub fn bring_death_signal(worker: &Worker) {
    worker.unusual.fetch_and(!unusual::DEATH, SeqCst);
    task::option(PR_SET_PDEATHSIG, DEATH_SIGNAL.signal.load(SeqCst) as usize);
}

/// Gives this kernel thread the running thread's signal, and not another's: it is that thread's own from here on.
pub fn leave_shared(me: &Green) {
    if DEATH_SIGNAL.signal.load(Relaxed) != me.thread.settings.death_signal() {
        task::option(PR_SET_PDEATHSIG, me.thread.settings.death_signal() as usize);
    }
}

/// Forgets the signal in a fork child, as the kernel does.
pub fn after_fork() {
    let DeathSignal { signal } = &DEATH_SIGNAL;
    signal.store(0, Relaxed);
}
