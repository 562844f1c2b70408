//! Waits with another signal mask, which is changed in one step with the wait: sigsuspend, ppoll, pselect.

use crate::base::signal_set::CLOSED;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::sched::mask::note_mask;
use crate::runtime::signal::delivery::{deliver, lend_mask, set_mask};
use crate::runtime::waiting::cancel;
use crate::runtime::waiting::wait::{self, Cancel};
use crate::why::Why;

/// Does `call`, a system call that swaps the mask for `mask` during its wait, in one step (ppoll, pselect). A cancellation point. Called on
/// any thread, with no lock held; the thread's own mask is back when it returns, and signals that it had not blocked are delivered.
pub fn while_masked<R>(mask: u64, call: impl FnOnce() -> R) -> R {
    let Some(me) = current() else { return call() };
    let before = me.mask.get();
    lend_mask(me, mask & CLOSED);
    let result = cancel::block(|| {
        let result = call();
        note_mask(me, before);
        result
    });
    if me.signals.pending.bits() & !before != 0 {
        deliver(me);
    }
    result
}

/// Waits with another mask until a handler has run: sigsuspend, on the green thread `me`, with no lock held.
///
/// A handler may run on the way into the wait, and nothing would end that wait then:
///
/// 1. `set_mask` delivers what the new mask lets in, and counts handlers that ran.
/// 2. `wait` arms the waiter, with the guard up: from here on no handler runs.
/// 3. Only now the count is read again: a handler of step 1 ends the wait, and a later signal fires the armed waiter.
pub fn suspend(me: &'static Green, mask: u64) {
    let (before, handled) = (me.mask.get(), me.handlers());
    set_mask(me, mask);
    while me.handlers() == handled {
        wait::wait(Why::Signal, Cancel::Act, None, |_| me.handlers() == handled, || {});
    }
    set_mask(me, before);
}
