//! Calls that an old kernel does not know, or that a filter does not allow, and the older ones that stand for them.

use super::{call, timespec};
use std::sync::atomic::{AtomicBool, Ordering};

/// Is this what a kernel answers to a call that it does not know, or a filter to one that it does not allow? (Or to a call that is
/// wrong in itself.)
pub fn is_refusal(result: isize) -> bool {
    const REFUSALS: [i32; 5] = [libc::ENOSYS, libc::EPERM, libc::EINVAL, libc::EACCES, libc::EOPNOTSUPP];
    (-4095..0).contains(&result) && REFUSALS.contains(&(-result as i32))
}

/// epoll_pwait2, which not every kernel has (Linux 5.11) and not every filter allows.
///
/// # Safety
/// `events` is where the kernel may write so many, `mask_at` the address of a mask.
pub unsafe fn epoll_wait_for(left_ns: u64, epoll: i32, events: (usize, usize), mask_at: usize) -> isize {
    static REFUSED: AtomicBool = AtomicBool::new(false);
    let (epoll, (at, count)) = (epoll as usize, events);
    if !REFUSED.load(Ordering::Relaxed) {
        let time = timespec(left_ns);
        let result = call(libc::SYS_epoll_pwait2, epoll, at, count, &time as *const _ as usize, mask_at, 8);
        if !is_refusal(result) {
            return result;
        }
        REFUSED.store(true, Ordering::Relaxed);
    }
    // Whole milliseconds, rounded up so that nothing ends early.
    let ms = left_ns.div_ceil(1_000_000).min(i32::MAX as u64) as usize;
    call(libc::SYS_epoll_pwait, epoll, at, count, ms, mask_at, 8)
}

/// Does the kernel, or a filter, refuse transfers that do not wait (`number` is preadv2's or pwritev2's)? What is asked for is an
/// impossible transfer, of which a kernel that knows the call says that there is no such descriptor.
#[cold]
pub fn refuses_transfer(number: libc::c_long) -> bool {
    let none = usize::MAX;
    // SAFETY: no descriptor and no vector: nothing is read or written.
    let result = unsafe { call(number, none, 0, 0, none, none, libc::RWF_NOWAIT as usize) };
    result != -libc::EBADF as isize
}
