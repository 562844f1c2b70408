//! Seccomp filters: whether the runtime may make its own calls here.
//!
//! A filter that the program sets for itself before its first thread knows the calls that this program makes natively, and may kill for
//! others. A child that sets the same filter first, and makes the runtime's calls, shows whether it does (`try_own`): where it kills, or
//! makes the call wait for a supervisor, the program stays native. A filter that was there from the beginning (a container's, a
//! sandbox's) is tried in the same way when the first thread is made (`look`). What a filter refuses with an error is no matter here:
//! each call has something to fall back to, or the start fails.

use crate::base::kept::Kept;
use crate::runtime::machine::started::{self, OWN};
use crate::sys::thread::PR_SET_SYSCALL_USER_DISPATCH;
use crate::sys::{self, filters};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Why a program stays native whose own filter kills for the runtime's calls.
pub const OWN_SET: &str =
    "a seccomp filter that the program has set before its first thread kills for calls that the library needs";

/// Has `look` or `try_own` tried the filters there are? A fork child is under the same.
static LOOKED: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// Looks, once, whether there are filters that kill for the runtime's own calls, and refuses the start then. Called before the start makes
/// any such call.
pub fn look() {
    if !LOOKED.swap(true, Relaxed) && !started::is_refused() && filters::is_filtered() && !is_survived(|| {}) {
        started::refuse("a seccomp filter kills for calls that the library needs");
    }
}

/// Tries the filter that the program is about to set by `set`, and notes in `OWN` where the runtime would not live under it: false. Called
/// by the hooks, before the start.
pub fn try_own(set: impl Fn()) -> bool {
    let survived = is_survived(set);
    if survived {
        // Tried here, where a fork is no risk: the filter may kill for that as well.
        LOOKED.store(true, Relaxed);
    } else {
        OWN.store(true, Relaxed);
    }
    survived
}

/// An argument that names no descriptor, no process and no address.
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
    (libc::SYS_rt_tgsigqueueinfo, [NONE, NONE, 0, 0]),
    (libc::SYS_epoll_pwait2, [NONE, 0, 0, 0]),
    (libc::SYS_ppoll, [0, 0, NONE, 0]),
    (libc::SYS_recvfrom, [NONE, 0, 0, 0]),
    (libc::SYS_sendto, [NONE, 0, 0, 0]),
    (libc::SYS_preadv2, [NONE, 0, 0, 0]),
    (libc::SYS_pwritev2, [NONE, 0, 0, 0]),
    (libc::SYS_getsockopt, [NONE, 0, 0, 0]),
    (libc::SYS_fstat, [NONE, 0, 0, 0]),
    (libc::SYS_openat, [NONE, 0, 0, 0]),
    (libc::SYS_getrusage, [NONE, 0, 0, 0]),
    (libc::SYS_clock_gettime, [NONE, 0, 0, 0]),
    (libc::SYS_arch_prctl, [NONE, 0, 0, 0]),
    (libc::SYS_clone3, [0, 0, 0, 0]),
    (libc::SYS_wait4, [NONE, 0, libc::WNOHANG as usize, 0]),
];

/// Does a process that does `first` and makes these calls live on? It is taken to do so where there can be none. No handler of the
/// program's runs in it.
fn is_survived(first: impl Fn()) -> bool {
    let mask = sys::set_signal_mask(u64::MAX);
    // SAFETY: it makes system calls only, and leaves.
    let child = unsafe { filters::fork_unseen() };
    if child == 0 {
        first();
        CALLS.iter().for_each(|&(number, arguments)| filters::attempt(number, arguments));
        filters::leave();
    }
    let survived = child < 0 || filters::has_left(child);
    sys::set_signal_mask(mask);
    survived
}
