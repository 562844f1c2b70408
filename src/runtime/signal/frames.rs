//! Where a thread's handlers run that have not ended. One that was left by a jump is noticed when the thread next wants to wait, or takes
//! another signal: its stack pointer is no longer where the handler ran.

use crate::base::guard;
use crate::base::signal_set::CLOSED;
use crate::runtime::machine::alternate;
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::place::Place;
use crate::runtime::signal::shelf;
use crate::{arch, sys};

/// The alternate stack of the thread's worker.
pub fn workers_stack(me: &Green) -> Place {
    let low = me.worker().signal_stack.get();
    Place::new(low, low + alternate::STACK_BYTES)
}

/// Is this the alternate stack of the thread's worker, with the kernel's frame on it? No other signal may come here.
pub fn is_between_stacks(me: &Green) -> bool {
    workers_stack(me).holds(arch::stack_pointer()) && sys::signal_mask() & CLOSED == CLOSED
}

/// Where the stack that `address` lies on may begin.
pub fn lowest_of(me: &Green, address: usize) -> usize {
    let own = me.stack.get().lowest..me.stack.get().lowest + me.stack.get().bytes;
    if own.contains(&address) {
        own.start
    } else {
        0
    }
}

/// Changes the places of the thread's handlers: none comes meanwhile.
pub fn change<R>(me: &Green, change: impl FnOnce(&mut Vec<Place>) -> R) -> R {
    guard::enter_runtime();
    // SAFETY: only the running thread touches its handlers' places, and while the guard is up no handler runs.
    let result = change(unsafe { &mut *me.handlers.get() });
    guard::leave_runtime();
    result
}

pub fn enter(me: &Green, place: Place) {
    change(me, |places| {
        places.push(Place { held: me.held.take(), ..place });
        me.pinned.set(me.pinned.get() + 1);
    });
}

pub fn leave(me: &Green) {
    change(me, |places| end_last(me, places));
}

pub fn end_last(me: &Green, places: &mut Vec<Place>) {
    if let Some(place) = places.pop() {
        me.held.set(place.held);
        me.pinned.set(me.pinned.get().saturating_sub(1));
    }
}

/// The stack pointer is, or was, `here`: the handlers that this is not in were left by a jump.
pub fn forget_left(me: &Green, here: usize) {
    let_go_left(me, here);
    let left = change(me, |places| {
        let before = places.len();
        while places.last().is_some_and(|place| !place.holds(here)) {
            end_last(me, places);
        }
        places.len() != before
    });
    if left {
        shelf::hand_on(me); // What they blocked, and the jump left so, is blocked for long.
    }
}

/// The same for what those handlers, and the calls that they interrupted, held on to: by the jump itself, for nobody else is to wait
/// until the thread notices.
pub fn let_go_left(me: &Green, here: usize) {
    change(me, |places| {
        for place in places.iter_mut().rev().take_while(|place| !place.holds(here)) {
            for record in [me.held.take(), place.held.take()].into_iter().flatten() {
                record.let_go();
            }
        }
    });
}

/// How many handlers run on this thread.
pub fn running(me: &Green) -> u32 {
    change(me, |places| places.len() as u32)
}

/// Is the running thread bound to its kernel thread?
#[inline]
pub fn is_bound(me: &Green) -> bool {
    me.pinned.get() > 0 && is_still_bound(me)
}

#[cold]
pub fn is_still_bound(me: &Green) -> bool {
    forget_left(me, arch::stack_pointer());
    me.pinned.get() > 0
}

/// The thread ends, perhaps out of a handler.
pub fn forget_all(me: &Green) {
    forget_left(me, 0);
    if let Some(record) = me.held.take() {
        record.let_go();
    }
}
