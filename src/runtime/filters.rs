//! Seccomp filters: may the runtime make its own calls here?
//!
//! A filter that the program has set for itself before its first thread knows the calls that this program makes natively, and mostly kills
//! for others. It cannot be asked, so such a program stays native. A filter that was there from the beginning (a container's, a
//! sandbox's) mostly allows whatever a program may do: a child that makes the runtime's calls shows whether it kills for one. What such a
//! filter refuses with an error is no matter here: each call has something to fall back to, or the start fails.

use super::start;
use crate::sys::{self, filters};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

pub const OWN_SET: &str = "the program has set a seccomp filter before its first thread, made for its own calls only";

/// The program has set a filter, before it was green; in a fork child the runtime stays away as well.
pub static OWN: AtomicBool = AtomicBool::new(false);

static LOOKED: AtomicBool = AtomicBool::new(false);

/// Before the start makes any call of the runtime's own: are there filters that kill for those? Looked for once.
pub fn look() {
    if !LOOKED.swap(true, Relaxed) && !start::is_refused() && filters::is_filtered() && !is_survived() {
        start::refuse("a seccomp filter kills for calls that the library needs");
    }
}

/// No descriptor, no process, no address.
const NONE: usize = usize::MAX;

/// The calls that the runtime makes and a program perhaps does not, so that each fails, or asks, or does nothing.
const CALLS: &[(libc::c_long, [usize; 4])] = &[
    (libc::SYS_gettid, [0; 4]),
    (libc::SYS_getpid, [0; 4]),
    (libc::SYS_prctl, [PR_SET_SYSCALL_USER_DISPATCH, NONE, 0, 0]),
    (libc::SYS_prctl, [libc::PR_GET_NAME as usize, 0, 0, 0]),
    (libc::SYS_prctl, [libc::PR_SET_NAME as usize, 0, 0, 0]),
    (libc::SYS_epoll_create1, [NONE, 0, 0, 0]),
    (libc::SYS_epoll_ctl, [NONE, 0, 0, 0]),
    (libc::SYS_epoll_pwait, [NONE, 0, 0, 0]),
    (libc::SYS_eventfd2, [0, NONE, 0, 0]),
    (libc::SYS_fcntl, [NONE, 0, 0, 0]),
    (libc::SYS_close, [NONE, 0, 0, 0]),
    (libc::SYS_poll, [0, 0, 0, 0]),
    (libc::SYS_futex, [0, libc::FUTEX_WAKE as usize, 0, 0]),
    (libc::SYS_mmap, [0, 0, 0, 0]),
    (libc::SYS_mprotect, [1, 0, 0, 0]),
    (libc::SYS_madvise, [1, 0, 0, 0]),
    (libc::SYS_munmap, [1, 0, 0, 0]),
    (libc::SYS_sigaltstack, [0, 0, 0, 0]),
    (libc::SYS_rt_sigaction, [0, 0, 0, 0]),
    (libc::SYS_rt_sigprocmask, [0, 0, 0, 0]),
    (libc::SYS_rt_sigpending, [0, 0, 0, 0]),
    (libc::SYS_rt_sigtimedwait, [0, 0, 0, 0]),
    (libc::SYS_get_robust_list, [NONE, 0, 0, 0]),
    (libc::SYS_set_robust_list, [0, 0, 0, 0]),
    (libc::SYS_set_tid_address, [0, 0, 0, 0]),
    (libc::SYS_rseq, [0, 0, 0, 0]),
    (libc::SYS_sched_yield, [0; 4]),
    (libc::SYS_sched_getaffinity, [0, 0, 0, 0]),
    (libc::SYS_sched_setaffinity, [NONE, 0, 0, 0]),
    (libc::SYS_prlimit64, [0, NONE, 0, 0]),
    (libc::SYS_tgkill, [NONE, NONE, 0, 0]),
];

const PR_SET_SYSCALL_USER_DISPATCH: usize = 59;

/// Does a process that makes these calls live on? (It is taken to do so where there can be none.) No handler of the program's runs in it.
fn is_survived() -> bool {
    let mask = sys::set_signal_mask(u64::MAX);
    // SAFETY: it makes system calls only, and leaves.
    let child = unsafe { filters::fork_unseen() };
    if child == 0 {
        CALLS.iter().for_each(|&(number, arguments)| filters::attempt(number, arguments));
        filters::leave();
    }
    let survived = child < 0 || filters::has_left(child);
    sys::set_signal_mask(mask);
    survived
}
