//! Waits for objects that other processes share: the real call, in the kernel, with the slot offered.
//!
//! The real call would act on a cancellation inside the kernel's wait, and unwind through the library's frames; a green thread's
//! cancellation is the library's own. So a call that is a cancellation point waits in slices, and a cancellation acts between them. A
//! slice that ends in ETIMEDOUT has consumed nothing, so the program does not see that there are slices.

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
