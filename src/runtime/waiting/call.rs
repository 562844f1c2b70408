//! Calls that block in the kernel: their kernel thread stays with them, their slot does not.
//!
//! A thread that cannot park (at a lock between processes, a slow disk, libc's own waits) keeps its kernel thread. Its slot must not wait
//! with it, and a call that is over in a microsecond must not cost a switch. So the caller marks its slot's owner word by one
//! compare-exchange, and takes the mark back by another; between the two the monitor or a spare may take the slot, by one as well:
//!
//! ```text
//!   from       to         by
//!   Green      Call       block_for: the call may block
//!   Green      Offered    block_for: the call will block; a spare is woken at once
//!   Call       vacant     the monitor, when it finds the same call twice
//!   Offered    a spare's  the spare, unless the caller is back before the spare runs; or the monitor, where no spare is coming
//!   Call       Green      block_for, when the call is over and the slot was not taken
//!   Offered    Green      block_for, as from Call
//! ```
//!
//! A race for the slot, at the end of a call:
//!
//! 1. The caller returns from the kernel and exchanges its own mark for Green; the taker exchanges the same mark for its own.
//! 2. The word has one order of changes, so exactly one of the exchanges finds the mark.
//! 3. Where the taker won, the caller's worker has no slot: the caller yields, and goes on when some worker resumes it.
//!
//! `Length` says how long a call takes: known (a try without waiting has just failed), unknown, or guessed. `Habit` guesses: calls of one
//! kind are long since the last of them lost its slot, and short again since one was offered in vain. A wrong guess costs a wake-up, or a
//! millisecond.

use crate::audit::green;
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
    /// The length is not known: the monitor takes the slot where the call blocks.
    Unknown,
    /// The call will block: the slot is offered at once.
    Long,
    /// The call is taken to be as long as the last ones of its kind.
    Usual(&'static Habit),
}

/// Whether the last call of one kind was long: a static beside each kind of call. Any thread reads and writes it.
pub struct Habit(AtomicBool);

impl Habit {
    /// Makes a habit that guesses short, until a call was long.
    pub const fn new() -> Habit {
        Habit(AtomicBool::new(false))
    }
}

impl Length {
    /// Returns whether the slot is to be offered before the call.
    #[inline]
    fn is_long(self) -> bool {
        match self {
            Length::Unknown => false,
            Length::Long => true,
            Length::Usual(habit) => habit.0.load(Relaxed),
        }
    }

    /// Notes whether the call just made lost its slot. Writes only on a change, for many threads read the word.
    #[inline]
    fn learn(self, long: bool) {
        if let Length::Usual(habit) = self {
            if habit.0.load(Relaxed) != long {
                habit.0.store(long, Relaxed);
            }
        }
    }
}

/// Notes what the running thread's next call that blocks in the kernel is for: shown where threads are listed. Called on any thread, by
/// hooks and waits; does nothing on a foreign one.
#[cold]
pub fn announce(why: Why) {
    if let Some(me) = current() {
        me.wait.why.announce(why);
    }
}

/// Does `call`, which may block in the kernel: the running thread's slot may go to another worker meanwhile. Called as `block_for` is.
#[inline]
pub fn block<R>(call: impl FnOnce() -> R) -> R {
    block_for(Length::Unknown, call)
}

/// Does `call`, which blocks in the kernel for as long as `length` says, and returns its result.
///
/// Called on any thread with no lock held. A foreign thread just makes the call. A call inside another one's mark (a hook that libc came
/// upon) is made under the outer mark. May yield after the call, so the worker may be another one when it returns; sweeps for signals.
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
    me.wait.why.enter();
    let result = call();
    me.wait.why.leave();
    // The thread may have parked inside the call (in a hook that libc came upon): then the worker may be another, and the mark is gone.
    let worker = me.worker();
    // `kept`: no taker came. Otherwise the slot is gone for good, and the thread waits in line for another one.
    let kept = worker.slot().is_some_and(|slot| slot.owner.end_call(worker.id(), mode));
    if owned {
        length.learn(!kept);
    }
    if !kept {
        lost_slot(me, owned);
    }
    if long || !kept || matches!(length, Length::Unknown) {
        sweep::sweep();
    }
    result
}

/// Waits in line for a slot, if the thread needs one: its own was taken, in the call that is over (`was_owned`) or before it.
#[cold]
fn lost_slot(me: &'static Green, was_owned: bool) {
    let worker = me.worker();
    if was_owned {
        green::lost_slot(worker.kernel_tid.load(Relaxed));
    } else {
        green::came_back(worker.kernel_tid.load(Relaxed));
    }
    if !frames::is_bound(me) {
        worker.slot.set(std::ptr::null());
        yield_now();
    }
}

/// Ends a `block` of the running thread that will not return: its slot is its worker's again, or gone. Called by the bell's handler, on the
/// thread itself, before a cancellation unwinds the frame of the call.
pub fn leave(me: &Green) {
    me.wait.why.leave();
    let worker = me.worker();
    let Some(slot) = worker.slot() else { return };
    if !slot.owner.leave_call(worker.id()) {
        green::came_back(worker.kernel_tid.load(Relaxed));
        worker.slot.set(std::ptr::null());
    }
}
