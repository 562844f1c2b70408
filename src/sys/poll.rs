//! Waiting for descriptors.

use crate::sys::call::{checked, now_ns, timespec};
use crate::sys::older::poll_exactly;

/// Blocks the kernel thread until a descriptor of `fds` is ready for its `events` (poll bits) or `deadline_ns` (CLOCK_MONOTONIC;
/// `None`: never) has come. Returns how many are ready, with `revents` filled, and 0 at the deadline; the error EINTR where a signal came
/// first.
pub fn poll(fds: &mut [libc::pollfd], deadline_ns: Option<u64>) -> Result<usize, i32> {
    let time = deadline_ns.map(|deadline| timespec(deadline.saturating_sub(now_ns())));
    // SAFETY: the kernel writes into `fds`, which is alive.
    checked(unsafe { poll_exactly(fds.as_mut_ptr() as usize, fds.len(), time.as_ref()) })
}
