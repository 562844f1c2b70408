//! Waits with another signal mask, which is changed in one step with the wait: sigsuspend, ppoll, pselect.

use crate::base::signal_set::CLOSED;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::sched::mask::note_mask;
use crate::runtime::signal::delivery::{deliver, lend_mask, set_mask};
use crate::runtime::waiting::cancel;
use crate::runtime::waiting::wait::{self, Cancel};
use crate::why::Why;

/// Does `call`, which swaps the mask for the time of its wait, as one step (`mask` is what the kernel gets), in the kernel. A cancellation
/// point.
pub fn while_masked<R>(mask: u64, call: impl FnOnce() -> R) -> R {
    let Some(me) = current() else { return call() };
    let before = me.mask.get();
    lend_mask(me, mask & CLOSED);
    let result = cancel::block(|| {
        let result = call();
        note_mask(me, before);
        result
    });
    if me.pending.bits() & !before != 0 {
        deliver(me);
    }
    result
}

/// Waits with another mask until a handler has run: sigsuspend, on a green thread. A handler may run on the way into the wait, and nothing
/// would end that wait then: so whether one has run is asked again within it, where none can run any more.
pub fn suspend(me: &'static Green, mask: u64) {
    let (before, handled) = (me.mask.get(), me.handlers());
    set_mask(me, mask);
    while me.handlers() == handled {
        wait::wait(Why::Signal, Cancel::Act, None, |_| me.handlers() == handled, || {});
    }
    set_mask(me, before);
}
