//! The stack of a thread's handlers that have not ended: a place each, the innermost last. A handler that was left by a jump is noticed
//! when the thread next wants to wait, or takes another signal: the stack pointer is no longer where that handler ran.
//!
//! Each place counts once in `Green::pinned`, for the end of a handler's frame is the kernel's: the thread stays on its kernel thread.
//!
//! A place's way:
//!
//! 1. `enter`, before the handler is called: pushes the place, pins the thread, and takes over what the interrupted call holds on to
//!    (`held`), so that the handler's own calls begin with nothing.
//! 2. `leave`, after it has returned: pops the place, gives `held` back, and unpins.
//! 3. A handler that was left by a jump reaches no `leave`. `forget_left` pops every innermost place that does not hold the stack pointer;
//!    what those calls held on to is let go (`let_go_left`), for they go on no more.

use crate::base::guard;
use crate::base::signal_set::CLOSED;
use crate::runtime::machine::alternate;
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::place::Place;
use crate::runtime::signal::shelf;
use crate::{arch, sys};
use std::sync::atomic::Ordering::Relaxed;

/// The alternate stack of the thread's worker.
pub fn workers_stack(me: &Green) -> Place {
    let low = me.worker().signal_stack.get();
    Place::new(low, low + alternate::STACK_BYTES)
}

/// Is this the alternate stack of the thread's worker, with the kernel's frame on it? No other signal may come here.
pub fn is_between_stacks(me: &Green) -> bool {
    workers_stack(me).holds(arch::stack_pointer()) && sys::signal_mask() & CLOSED == CLOSED
}

/// Where the stack that `address` lies on may begin: the thread's own, or, on a stack that the library does not know (a coroutine's), 0:
/// below `address` anything may be that stack.
pub fn lowest_of(me: &Green, address: usize) -> usize {
    let own = me.vessel.stack.get().lowest..me.vessel.stack.get().lowest + me.vessel.stack.get().bytes;
    if own.contains(&address) {
        own.start
    } else {
        0
    }
}

/// Changes the places of the running thread's handlers, with the guard up: no handler runs meanwhile.
pub fn change<R>(me: &Green, change: impl FnOnce(&mut Vec<Place>) -> R) -> R {
    guard::enter_runtime();
    // SAFETY: only the running thread touches its handlers' places, and no handler of its own does while the guard is up: `change` is not
    // entered twice.
    let result = change(unsafe { &mut *me.signals.handlers.get() });
    guard::leave_runtime();
    result
}

/// Notes that a handler begins at `place`, and takes over what the thread holds on to. The thread is pinned.
pub fn enter(me: &Green, place: Place) {
    change(me, |places| {
        places.push(Place { held: me.wait.held.take(), in_call: me.wait.in_call.load(Relaxed), ..place });
        me.thread.pinned.set(me.thread.pinned.get() + 1);
    });
}

/// Notes that the innermost handler has returned. Called on its thread, by the end of the handler's frame.
pub fn leave(me: &Green) {
    change(me, |places| end_last(me, places));
}

/// Takes the innermost place away, and gives back what the thread held on to before. Called within `change`.
pub fn end_last(me: &Green, places: &mut Vec<Place>) {
    if let Some(place) = places.pop() {
        me.wait.held.set(place.held);
        let fewer = u64::from(me.thread.pins() > 0);
        me.thread.pinned.set(me.thread.pinned.get() - fewer);
    }
}

/// Forgets the innermost handlers in whose places `here`, the running thread's stack pointer, does not lie: they were left by a jump.
/// Called on the thread, with the guard up or down, where it is about to wait or takes another signal.
pub fn forget_left(me: &Green, here: usize) {
    let_go_left(me, here);
    let left = change(me, |places| {
        let before = places.len();
        while places.last().is_some_and(|place| !place.holds(here)) {
            end_last(me, places);
        }
        if places.is_empty() && before > 0 {
            me.signals.outer_mask.set(u64::MAX);
        }
        places.len() != before
    });
    if left {
        shelf::hand_on(me); // Signals that those handlers blocked stay blocked after the jump: other threads may take them.
    }
}

/// Lets go of what handlers left by a jump, and the calls that they interrupted, held on to. Called when they are forgotten, and by the
/// jump itself (`here` is where it leads): otherwise a `close` would wait until the thread notices.
pub fn let_go_left(me: &Green, here: usize) {
    change(me, |places| {
        for place in places.iter_mut().rev().take_while(|place| !place.holds(here)) {
            for record in [me.wait.held.take(), place.held.take()].into_iter().flatten() {
                record.let_go();
            }
        }
    });
}

/// Has the handlers be forgotten that a jump to `here` leaves, however far down the thread's stack goes afterwards. Called by a jump that
/// does not come back, on the thread.
pub fn empty_left(me: &Green, here: usize) {
    change(me, |places| {
        for place in places.iter_mut().rev().take_while(|place| !place.holds(here)) {
            place.top = place.low;
        }
    });
}

/// Takes the thread out of the calls that the handlers interrupted which a jump to `here` leaves. Called by the jump itself, whose target
/// is in the calls that the handler there is in. Later it would be too late: the thread may be in another call.
pub fn leave_calls(me: &Green, here: usize) {
    change(me, |places| {
        let left = places.iter().rev().take_while(|place| !place.holds(here)).count();
        if left > 0 {
            let kept = &places[..places.len() - left];
            me.wait.in_call.store(kept.last().is_some_and(|place| place.in_call), Relaxed);
            me.wait.cut.set(false);
        }
    });
}

/// How many handlers run on this thread. Handlers that were left by a jump count until they are forgotten.
pub fn running(me: &Green) -> u32 {
    change(me, |places| places.len() as u32)
}

/// Is the running thread bound to its kernel thread: by a handler that runs on it, or by what pins it otherwise? Such a thread blocks its
/// kernel thread where another would park. One load for a thread that is not.
#[inline]
pub fn is_bound(me: &Green) -> bool {
    me.thread.pinned.get() > 0 && is_still_bound(me)
}

/// Is the thread bound to its kernel thread, once handlers that were left by a jump are forgotten? Those pin the thread no more.
#[cold]
pub fn is_still_bound(me: &Green) -> bool {
    forget_left(me, arch::stack_pointer());
    me.thread.pins() > 0
}

/// Forgets all handlers of the running thread, which ends, perhaps out of a handler. Called by `serve::vessel_main`.
pub fn forget_all(me: &Green) {
    forget_left(me, 0);
    if let Some(record) = me.wait.held.take() {
        record.let_go();
    }
}
