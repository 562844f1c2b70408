//! The shelf: signals that came where nothing could be done with them, until somebody hands them out; and which signals the kernel keeps
//! because nobody takes them (*refused*).

use crate::base::guard::knock;
use crate::base::lock::{Rank, RawLock};
use crate::base::signal_set::{bit, FIRST_OF_MANY};
use crate::base::{own_fds, summon};
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::pending::Shelf;
use crate::runtime::machine::put_back::{take_aside, ON_DESCRIPTORS};
use crate::runtime::machine::{disposition, roll};
use crate::runtime::sched::mask::{stop_listening, LISTENED};
use crate::runtime::signal::shelf;
use crate::runtime::signal::takers::{blocked_for_long, life_goes_on, takes};
use crate::sys::older;
use libc::{c_int, siginfo_t};
use std::sync::atomic::{fence, AtomicI32, AtomicU32, AtomicU64, Ordering::*};

pub struct Watch {
    pub lock: RawLock,
    pub fd: AtomicI32,
}

pub static SHELF: Shelf = Shelf::new();
/// Signals that nobody took when they came: the monitor leaves them to the kernel until somebody unblocks them.
pub static REFUSED: AtomicU64 = AtomicU64::new(0);
/// The descriptor that tells of signals that are wanted; changed under the lock.
pub static WATCH: Watch = Watch { lock: RawLock::new(Rank::Signals), fd: AtomicI32::new(-1) };
/// How many signals are on their way from the kernel to a thread's queue, or the shelf.
pub static IN_HAND: AtomicU32 = AtomicU32::new(0);

/// Nothing can be done with it here: the monitor hands it out, if nobody does before.
pub fn shelve(info: &siginfo_t) {
    IN_HAND.fetch_add(1, SeqCst);
    SHELF.put(info);
    IN_HAND.fetch_sub(1, SeqCst);
    summon::call();
}

/// It comes inside the runtime: it is handed out when that is left.
pub fn shelve_until_left(info: &siginfo_t) {
    knock();
    shelve(info);
}

/// Are there some that came before one that comes now, which is not to overtake them?
pub fn comes_after_shelved(signal: c_int) -> bool {
    signal >= FIRST_OF_MANY && !SHELF.is_empty()
}

/// Somebody takes these now: those that were put back go the way of those that come.
#[cold]
pub fn bring_back(signals: u64) {
    while let Some(info) = take_aside(signals) {
        shelve(&info);
    }
}

/// The monitor leaves this signal to the kernel. Whoever unblocks it meanwhile looks at `REFUSED` after that, we look at him after
/// this.
pub fn refuse(signal: c_int) {
    REFUSED.fetch_or(bit(signal), SeqCst);
    if roll::search(|green| takes(green, signal)).is_some() {
        REFUSED.fetch_and(!bit(signal), SeqCst);
    }
    watch_anew();
}

/// What has a handler, and perhaps somebody who takes it.
pub fn wanted() -> u64 {
    disposition::handled() & !REFUSED.load(SeqCst)
}

/// Makes the descriptor that tells the sleeping workers of signals.
pub fn watch() -> Result<i32, i32> {
    let fd = own_fds::keep(older::signal_fd(-1, wanted())?);
    WATCH.fd.store(fd, Relaxed);
    Ok(fd)
}

/// The start has failed: that descriptor is closed.
pub fn unwatch() {
    WATCH.fd.store(-1, Relaxed);
}

/// What is wanted has changed.
pub fn watch_anew() {
    WATCH.lock.with(|| {
        let fd = WATCH.fd.load(Relaxed);
        if fd >= 0 {
            older::signal_fd(fd, wanted()).ok();
        }
    });
}

/// A thread accepts now what `mask` does not hold, and no more: what nobody took may come again. main's own defaults are spared.
pub fn accept_again(me: &Green, mask: u64) {
    if REFUSED.load(Relaxed) & !mask != 0 {
        REFUSED.fetch_and(mask, SeqCst);
        watch_anew();
        bring_back(!mask);
    }
    if me.is_main && LISTENED.load(Relaxed) & mask != 0 {
        spare_main(mask);
    }
}

/// Of `signals`, those whose default main is to be spared from now on.
pub fn spare_main(signals: u64) {
    stop_listening(signals & !disposition::handled());
}

/// The program reads signals from a descriptor: those that nobody takes are to reach it as they were sent.
pub fn leave_to_descriptor(signals: u64) {
    ON_DESCRIPTORS.fetch_or(signals, SeqCst);
    (1..=64).filter(|&signal| signals & bit(signal) != 0).for_each(refuse);
    stop_listening(REFUSED.load(SeqCst) & signals);
}

/// What a thread was given of the process's signals, and does not take any more, is another's. What only its handlers block is not.
#[inline]
pub fn hand_on(green: &Green) {
    if green.pending.bits() == 0 {
        return;
    }
    let left = if life_goes_on(green) { blocked_for_long(green) } else { u64::MAX };
    if green.pending.bits() & left != 0 {
        hand_on_all(green, left);
    }
}

#[cold]
pub fn hand_on_all(green: &Green, left: u64) {
    while let Some(info) = green.pending.take_undirected(left) {
        shelf::shelve(&info);
    }
}

/// A thread accepts now what `mask` does not hold, and no more: what nobody took may come again. main's own defaults are spared.
pub fn accept(me: &Green, mask: u64) {
    fence(SeqCst);
    hand_on(me);
    accept_again(me, mask);
}

/// In a fork child: nothing waits for it.
pub fn after_fork() {
    SHELF.after_fork();
    REFUSED.store(0, Relaxed);
    WATCH.lock.after_fork();
    WATCH.fd.store(-1, Relaxed);
    IN_HAND.store(0, Relaxed);
}
