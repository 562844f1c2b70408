//! Calls that block in the kernel: their kernel thread stays with them, their slot does not.
//!
//! A lock between processes, a slow disk, libc's own waits: what cannot park keeps its kernel thread. Its slot must not wait with
//! it, but neither may a call that is over in a microsecond cost a switch. So the caller marks its slot by one compare-exchange, and
//! takes the mark back by another; between the two anybody else may take the slot, by one as well:
//!
//! ```text
//!     CALL       it may block: the monitor takes the slot when it finds the same call twice
//!     OFFERED    it will: a spare is woken at once, and takes the slot unless the caller is back before it has got up
//! ```
//!
//! Which of them it is, is known (a try without waiting has just failed), or not, or supposed: calls of one sort are long while the
//! last one lost its slot, and short again when one was offered in vain (`Habit`). A wrong guess costs a wake-up, or a millisecond.

use crate::runtime::kernel::worker;
use crate::runtime::machine::green::{current, Green};
use crate::runtime::sched::slots::{yield_now, Slot, CALL, GREEN, OFFERED};
use crate::runtime::signal::{handler, sweep};
use crate::why::Why;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// How long a call will take.
#[derive(Clone, Copy)]
pub enum Length {
    Unknown,
    Long,
    /// As its like lately.
    Usual(&'static Habit),
}

/// Were the calls of a sort long lately?
pub struct Habit(AtomicBool);

impl Habit {
    pub const fn new() -> Habit {
        Habit(AtomicBool::new(false))
    }
}

impl Length {
    #[inline]
    fn is_long(self) -> bool {
        match self {
            Length::Unknown => false,
            Length::Long => true,
            Length::Usual(habit) => habit.0.load(Relaxed),
        }
    }

    #[inline]
    fn learn(self, long: bool) {
        if let Length::Usual(habit) = self {
            if habit.0.load(Relaxed) != long {
                habit.0.store(long, Relaxed);
            }
        }
    }
}

/// Says what the next call that blocks in the kernel is for, to those who ask what this thread waits for.
#[cold]
pub fn announce(why: Why) {
    if let Some(me) = current() {
        me.why.announce(why);
    }
}

/// A call that may block in the kernel.
#[inline]
pub fn block<R>(call: impl FnOnce() -> R) -> R {
    block_for(Length::Unknown, call)
}

/// A call that blocks in the kernel for so long.
#[inline]
pub fn block_for<R>(length: Length, call: impl FnOnce() -> R) -> R {
    let Some(me) = current() else { return call() };
    let worker = me.worker();
    let long = length.is_long();
    let (green, marked) = (worker.word(GREEN), worker.word(if long { OFFERED } else { CALL }));
    if worker.slot().is_some_and(|slot| is_marked(slot.owner.load(Relaxed), worker.word(CALL))) {
        return call();
    }
    let owned = worker.slot().filter(|slot| slot.owner.compare_exchange(green, marked, AcqRel, Relaxed).is_ok());
    if long && owned.is_some() {
        worker::call_spare();
    }
    me.why.enter();
    let result = call();
    me.why.leave();
    // Where it parked meanwhile (in a hook that libc came upon), this is perhaps another worker, and the mark is gone.
    let worker = me.worker();
    let (green, marked) = (worker.word(GREEN), worker.word(if long { OFFERED } else { CALL }));
    // The slot is still ours (nobody came), or gone for good: then wait in line for another one.
    let back = |slot: &Slot| slot.owner.compare_exchange(marked, green, AcqRel, Relaxed);
    let kept = worker.slot().is_some_and(|slot| !matches!(back(slot), Err(now) if now != green));
    if owned.is_some() {
        length.learn(!kept);
    }
    if !kept && !handler::is_bound(me) {
        worker.slot.set(std::ptr::null());
        yield_now();
    }
    if long || !kept || matches!(length, Length::Unknown) {
        sweep::sweep();
    }
    result
}

/// Is that the word of a worker in a call, CALL or OFFERED?
#[inline]
fn is_marked(owner: usize, in_call: usize) -> bool {
    owner == in_call || owner == in_call - CALL + OFFERED
}

/// The running thread leaves a `block` that will not return: its slot is its own again, or gone.
pub fn leave(me: &Green) {
    me.why.leave();
    let worker = me.worker();
    let (green, in_call) = (worker.word(GREEN), worker.word(CALL));
    let Some(slot) = worker.slot() else { return };
    let own = |now| is_marked(now, in_call).then_some(green);
    if slot.owner.fetch_update(AcqRel, Relaxed, own).is_err_and(|now| now != green) {
        worker.slot.set(std::ptr::null());
    }
}
