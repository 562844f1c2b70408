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

use crate::runtime::machine::owner::Mode;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::sched::spares;
use crate::runtime::signal::{frames, sweep};
use crate::runtime::waiting::yielding::yield_now;
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
    let mode = if long { Mode::Offered } else { Mode::Call };
    if worker.slot().is_some_and(|slot| slot.owner.is_in_call(worker.id())) {
        return call();
    }
    let owned = worker.slot().is_some_and(|slot| slot.owner.begin_call(worker.id(), mode));
    if long && owned {
        spares::call_spare();
    }
    me.why.enter();
    let result = call();
    me.why.leave();
    // Where it parked meanwhile (in a hook that libc came upon), this is perhaps another worker, and the mark is gone.
    let worker = me.worker();
    // The slot is still ours (nobody came), or gone for good: then wait in line for another one.
    let kept = worker.slot().is_some_and(|slot| slot.owner.end_call(worker.id(), mode));
    if owned {
        length.learn(!kept);
    }
    if !kept && !frames::is_bound(me) {
        worker.slot.set(std::ptr::null());
        yield_now();
    }
    if long || !kept || matches!(length, Length::Unknown) {
        sweep::sweep();
    }
    result
}

/// The running thread leaves a `block` that will not return: its slot is its own again, or gone.
pub fn leave(me: &Green) {
    me.why.leave();
    let worker = me.worker();
    let Some(slot) = worker.slot() else { return };
    if !slot.owner.leave_call(worker.id()) {
        worker.slot.set(std::ptr::null());
    }
}
