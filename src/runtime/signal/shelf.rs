//! The shelf: signals that came where nothing could be done with them, until they are handed out; and the set of signals that the kernel
//! keeps because no thread takes them (*refused*).
//!
//! A signal is refused while every thread blocks it. Refusing and unblocking race:
//!
//! 1. `refuse` sets the bit in `ARRIVALS.refused`, then looks at all masks; a thread notes its new mask, then fences, then looks at
//!    `ARRIVALS.refused` (`accept`).
//! 2. One of the two writes comes first: `refuse` sees the mask and clears the bit, or the thread sees the bit, clears it, and brings back
//!    what was put aside.

use crate::base::guard::knock;
use crate::base::lock::{Locked, Rank};
use crate::base::signal_set::{bit, FIRST_OF_MANY};
use crate::base::{own_fds, summon};
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::pending::Shelf;
use crate::runtime::machine::put_back::{take_aside, ON_DESCRIPTORS};
use crate::runtime::machine::{disposition, roll};
use crate::runtime::sched::mask::{stop_listening, TAKING};
use crate::runtime::signal::takers::{blocked_for_long, life_goes_on, takes};
use crate::sys::older;
use libc::{c_int, siginfo_t};
use std::sync::atomic::{fence, AtomicU32, AtomicU64, Ordering::*};

/// Signals on their way from the kernel to a thread.
pub struct Arrivals {
    /// Signals that came inside the runtime, or for which no thread could be found at once.
    pub shelf: Shelf,
    /// Signals that no thread took when they came: the monitor leaves them to the kernel until a thread unblocks them.
    pub refused: AtomicU64,
    /// The descriptor (signalfd) that is readable when a signal waits that is wanted; -1: there is none. Its set is changed under the lock.
    watch: Locked<i32>,
    /// How many signals are on their way from the kernel to a thread's queue, or the shelf.
    pub in_hand: AtomicU32,
}

/// The only value of `Arrivals`.
pub static ARRIVALS: Arrivals = Arrivals {
    shelf: Shelf::new(),
    refused: AtomicU64::new(0),
    watch: Locked::new(Rank::Signals, -1),
    in_hand: AtomicU32::new(0),
};

/// Puts a signal on the shelf, and calls the monitor, which hands it out if no sweep does before. Takes no lock: called in handlers, too.
pub fn shelve(info: &siginfo_t) {
    ARRIVALS.in_hand.fetch_add(1, SeqCst);
    ARRIVALS.shelf.put(info);
    ARRIVALS.in_hand.fetch_sub(1, SeqCst);
    summon::call();
}

/// Puts a signal on the shelf that came inside the runtime: it is handed out when the guard goes down on this kernel thread.
pub fn shelve_until_left(info: &siginfo_t) {
    knock();
    shelve(info);
}

/// Are there signals on the shelf that a real-time signal which comes now may not overtake?
pub fn comes_after_shelved(signal: c_int) -> bool {
    signal >= FIRST_OF_MANY && !ARRIVALS.shelf.is_empty()
}

/// Takes out what was put aside of `signals`, which a thread takes now: it goes the way of signals that come.
#[cold]
pub fn bring_back(signals: u64) {
    while let Some(info) = take_aside(signals) {
        shelve(&info);
    }
}

/// Leaves a signal that no thread takes to the kernel. The race with a thread that unblocks it stands above.
pub fn refuse(signal: c_int) {
    ARRIVALS.refused.fetch_or(bit(signal), SeqCst);
    if roll::search(|green| takes(green, signal)).is_some() {
        ARRIVALS.refused.fetch_and(!bit(signal), SeqCst);
    }
    watch_anew();
}

/// The signals that have a handler and are not refused.
pub fn wanted() -> u64 {
    disposition::handled() & !ARRIVALS.refused.load(SeqCst)
}

/// Makes the descriptor that tells the sleeping workers of signals. Called by the start; fails by an error number.
pub fn watch() -> Result<i32, i32> {
    let fd = own_fds::keep(older::signal_fd(-1, wanted())?);
    ARRIVALS.watch.with(|kept| *kept = fd);
    Ok(fd)
}

/// Forgets that descriptor, which the start that has failed closes.
pub fn unwatch() {
    ARRIVALS.watch.with(|fd| *fd = -1);
}

/// Tells the descriptor which signals are wanted: called after each change of `wanted`.
pub fn watch_anew() {
    ARRIVALS.watch.with(|fd| {
        if *fd >= 0 {
            older::signal_fd(*fd, wanted()).ok();
        }
    });
}

/// Does the second half of `accept`: what was refused and `mask` does not hold may come again. If the thread is main, and blocks a signal
/// without a handler, waits until the monitor no longer has that open.
pub fn accept_again(me: &Green, mask: u64) {
    if ARRIVALS.refused.load(Relaxed) & !mask != 0 {
        ARRIVALS.refused.fetch_and(mask, SeqCst);
        watch_anew();
        bring_back(!mask);
    }
    if me.is_main && TAKING.listened.load(Relaxed) & mask != 0 {
        spare_main(mask);
    }
}

/// Keeps the monitor from taking those of `signals` that have no handler: their default action would end main, which blocks them. Waits
/// until the monitor no longer has them open.
pub fn spare_main(signals: u64) {
    stop_listening(signals & !disposition::handled());
}

/// Notes that the program reads `signals` from a descriptor: a signal that no thread takes is to reach it as it was sent.
pub fn leave_to_descriptor(signals: u64) {
    ON_DESCRIPTORS.fetch_or(signals, SeqCst);
    (1..=64).filter(|&signal| signals & bit(signal) != 0).for_each(refuse);
    stop_listening(ARRIVALS.refused.load(SeqCst) & signals);
}

/// Puts onto the shelf what a thread was given of the process's signals and does not take any more: after a change of its mask, and at its
/// end. Signals that only its handlers block stay in its queue. Called on any thread, with no lock held.
#[inline]
pub fn hand_on(green: &Green) {
    if green.signals.pending.bits() == 0 {
        return;
    }
    let left = if life_goes_on(green) { blocked_for_long(green) } else { u64::MAX };
    if green.signals.pending.bits() & left != 0 {
        hand_on_all(green, left);
    }
}

/// Puts onto the shelf what a thread was given of the process's signals in the set `left`.
#[cold]
pub fn hand_on_all(green: &Green, left: u64) {
    while let Some(info) = green.signals.pending.take_undirected(left) {
        shelve(&info);
    }
}

/// Called after each change of a thread's mask to `mask`: hands on what the thread takes no longer, and what it newly takes leaves
/// `ARRIVALS.refused`. If it is main and now blocks a signal without a handler, waits until the monitor no longer has that signal open.
pub fn accept(me: &Green, mask: u64) {
    fence(SeqCst);
    hand_on(me);
    accept_again(me, mask);
}

/// Empties the shelf in a fork child, for which no signal waits.
pub fn after_fork() {
    let Arrivals { shelf, refused, watch, in_hand } = &ARRIVALS;
    shelf.after_fork();
    refused.store(0, Relaxed);
    watch.after_fork(|fd| *fd = -1);
    in_hand.store(0, Relaxed);
}
