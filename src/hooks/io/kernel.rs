//! Calls that the kernel answers, and may take its time for: the slot is offered meanwhile, and the result becomes an answer.
//!
//! | function | how long | a cancellation point | goes on after a signal of no handler |
//! |---|---|---|---|
//! | `plain`, `plain_for` | unknown, or as given | yes | no: the program's signal interrupts natively, too |
//! | `long`, `long_call` | long | yes | yes |
//! | `long_uncancelled`, `uncancelled` | long, unknown | no | yes |
//!
//! `Length` says how long: `Long` offers the slot to a spare worker at once, `Unknown` leaves that to the monitor
//! (runtime/waiting/call.rs). A foreign thread, which has no slot, just makes the call. Of cancellations: only the kernel call itself
//! is interrupted, and a call that has had its effect returns it.

use crate::hooks::answer::{answer, Answer};
use crate::runtime::{self, Length};
use libc::{EAGAIN, EINTR};

/// The kernel's "would block", a negated EAGAIN; EWOULDBLOCK is the same number (errno(3)).
pub const WOULD_BLOCK: isize = -(EAGAIN as isize);

/// Makes the program's call as it is: the kernel answers, and may take its time. `call` returns the kernel's result, negative for an
/// error. A cancellation point, before the call and in it.
#[inline]
pub fn plain<T: TryFrom<isize>>(call: impl FnOnce() -> isize) -> Answer<T> {
    plain_for(Length::Unknown, call)
}

/// As `plain`, with what is known of the time that the call takes. The call may have been quick: then other green threads get their
/// turn if the monitor asks for it (`breathe`).
#[inline]
pub fn plain_for<T: TryFrom<isize>>(length: Length, call: impl FnOnce() -> isize) -> Answer<T> {
    let result = runtime::waiting::cancel::block_for(length, call);
    runtime::breathe();
    answer(result)
}

/// Makes a call that is known to block, since a try without waiting has just failed. If a signal has interrupted it and no handler of
/// the caller's has run (the signal was another thread's), it is made again. EINTR after a handler of the caller's without
/// SA_RESTART; with it the kernel makes the call again by itself. A cancellation point.
pub fn long<T: TryFrom<isize>>(call: impl Fn() -> isize) -> Answer<T> {
    answer(long_call(call))
}

/// As `long`, but returns the kernel's result, for a caller that looks at it first.
pub fn long_call(call: impl Fn() -> isize) -> isize {
    again_if_rung(|| runtime::waiting::cancel::block_for(Length::Long, &call))
}

/// As `long`, for a call that is no cancellation point.
pub fn long_uncancelled<T: TryFrom<isize>>(call: impl Fn() -> isize) -> Answer<T> {
    answer(again_if_rung(|| runtime::waiting::cancel::block_at_no_point(Length::Long, &call)))
}

/// As `long_uncancelled`, for a call that may block or not.
pub fn uncancelled<T: TryFrom<isize>>(call: impl Fn() -> isize) -> Answer<T> {
    answer(again_if_rung(|| runtime::waiting::cancel::block_at_no_point(Length::Unknown, &call)))
}

/// Makes a call again while a signal interrupts it for which no handler of the caller's has run: a bell of the library's, or a signal
/// that went to another green thread. Natively that signal would not have come to this thread, so the program must not see EINTR.
fn again_if_rung(block: impl Fn() -> isize) -> isize {
    loop {
        let handled = runtime::current().map(|me| me.handlers());
        let result = block();
        if result != -(EINTR as isize) || runtime::current().map(|me| me.handlers()) != handled {
            runtime::breathe();
            return result;
        }
    }
}
