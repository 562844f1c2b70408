//! Calls that block in the kernel: their kernel thread stays with them, their slot does not.
//!
//! A lock between processes, a slow disk, libc's own waits: a thread that cannot park keeps its kernel thread. Its slot must not wait with
//! it, but neither may a call that is over in a microsecond cost a switch. So the caller marks its slot by one compare-exchange, and
//! takes the mark back by another; between the two the monitor or a spare may take the slot, by one as well:
//!
//! ```text
//!     CALL       the call may block: the monitor takes the slot when it finds the same call twice
//!     OFFERED    the call will block: a spare is woken at once, and takes the slot unless the caller is back before the spare runs
//! ```
//!
//! How long a call takes is known (a try without waiting has just failed), or unknown, or guessed: calls of one kind are guessed long since
//! the last of them lost its slot, and short again since one was offered in vain (`Habit`). A wrong guess costs a wake-up, or a
//! millisecond.

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
    /// Not known: the monitor takes the slot where the call blocks.
    Unknown,
    /// The call will block: the slot is offered at once.
    Long,
    /// As long as the last calls of this kind took.
    Usual(&'static Habit),
}

/// Whether the last call of one kind was long: a static beside each kind of call. Any thread reads and writes it.
pub struct Habit(AtomicBool);

impl Habit {
    /// Short, until a call was long.
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

/// Notes what the running thread's next call that blocks in the kernel is for: shown where threads are listed.
#[cold]
pub fn announce(why: Why) {
    if let Some(me) = current() {
        me.why.announce(why);
    }
}

/// Does `call`, which may block in the kernel: the running thread's slot may go to another worker meanwhile.
#[inline]
pub fn block<R>(call: impl FnOnce() -> R) -> R {
    block_for(Length::Unknown, call)
}

/// Does `call`, which blocks in the kernel for so long. Called on any thread with no lock held; it may yield after the call, and sweeps.
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
    // The slot is still this worker's (no other came), or gone for good: then the thread waits in line for another one.
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

/// Ends a `block` of the running thread that will not return: its slot is its worker's again, or gone.
pub fn leave(me: &Green) {
    me.why.leave();
    let worker = me.worker();
    let Some(slot) = worker.slot() else { return };
    if !slot.owner.leave_call(worker.id()) {
        worker.slot.set(std::ptr::null());
    }
}
