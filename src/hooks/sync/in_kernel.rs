//! Waits for objects that other processes share: the real call under a hand-over.
//!
//! The real call would act on a cancellation inside the kernel wait and unwind through our hand-over; a green thread's cancellation
//! is our own. So a call that is a cancellation point waits in slices and looks up between them. To the program a slice
//! is nothing: it ends in ETIMEDOUT and so has consumed nothing.

use crate::hooks::answer::{code, errno, Answer};
use crate::hooks::moment::SLICE_NS;
use crate::runtime::{self, Deadline, Length};
use crate::sys;
use crate::why::Why;
use libc::{c_int, timespec};

/// Calls `attempt` with moments of CLOCK_MONOTONIC, SLICE_NS ahead at most, until it answers something other than ETIMEDOUT, or
/// until the deadline. Between the slices a cancellation acts. The kernel waits, with the slot offered. Returns what `attempt` did,
/// an error number.
#[cold]
pub fn wait(why: Why, deadline: Deadline, mut attempt: impl FnMut(*const timespec) -> c_int) -> Answer<c_int> {
    loop {
        let slice = sys::now_ns() + SLICE_NS;
        let until = sys::timespec(deadline.map_or(slice, |deadline| deadline.min(slice)));
        runtime::announce(why);
        let result = runtime::block_for(Length::Long, || attempt(&until));
        if result != libc::ETIMEDOUT {
            return code(result);
        }
        if deadline.is_some_and(|deadline| sys::now_ns() >= deadline) {
            return errno(libc::ETIMEDOUT);
        }
        runtime::cancellation_point();
    }
}
