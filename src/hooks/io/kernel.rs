//! Calls that the kernel answers, and may take its time for: the slot is offered meanwhile, and the result becomes an answer.
//!
//! | function | how long | a cancellation point | goes on after a signal of no handler |
//! |---|---|---|---|
//! | `plain`, `plain_for` | unknown, or as given | yes | no: the program's signal interrupts natively, too |
//! | `long`, `long_call` | long | yes | yes |
//! | `long_uncancelled`, `uncancelled` | long, unknown | no | yes |

use crate::hooks::answer::{answer, Answer};
use crate::runtime::{self, Length};
use libc::{EAGAIN, EINTR};

/// The kernel's "would block".
pub const WOULD_BLOCK: isize = -(EAGAIN as isize);

/// Makes the program's call as it is: the kernel answers, and may take its time. A cancellation point.
#[inline]
pub fn plain<T: TryFrom<isize>>(call: impl FnOnce() -> isize) -> Answer<T> {
    plain_for(Length::Unknown, call)
}

/// As `plain`, with what is known of the time that the call takes.
#[inline]
pub fn plain_for<T: TryFrom<isize>>(length: Length, call: impl FnOnce() -> isize) -> Answer<T> {
    let result = runtime::waiting::cancel::block_for(length, call);
    runtime::breathe();
    answer(result)
}

/// Makes a call that is known to block. If a signal has interrupted it and no handler of the caller's has run (the signal was another
/// thread's), it is made again. A cancellation point.
pub fn long<T: TryFrom<isize>>(call: impl Fn() -> isize) -> Answer<T> {
    answer(long_call(call))
}

/// As `long`; returns the kernel's result.
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

/// Makes a call again while a signal interrupts it for which no handler of the caller's has run.
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
