//! Waiting for descriptors.

use crate::sys::call::{checked, now_ns, timespec};
use crate::sys::older::poll_exactly;

/// Blocks in the kernel until `fd` is ready for `events` (poll bits) or the deadline; the error number otherwise.
pub fn poll(fds: &mut [libc::pollfd], deadline_ns: Option<u64>) -> Result<usize, i32> {
    let time = deadline_ns.map(|deadline| timespec(deadline.saturating_sub(now_ns())));
    // SAFETY: the kernel writes into `fds`, which is alive.
    checked(unsafe { poll_exactly(fds.as_mut_ptr() as usize, fds.len(), time.as_ref()) })
}
