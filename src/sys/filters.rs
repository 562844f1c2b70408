//! What is asked about seccomp filters: whether there are any, and whether a process lives on that makes a call under them.

use crate::sys::call::{call, checked, plain};

/// Asks whether a filter is in force for the running kernel thread, its own or an inherited one.
pub fn is_filtered() -> bool {
    plain(libc::SYS_prctl, [libc::PR_GET_SECCOMP as usize, 0, 0, 0]) > 0
}

/// Forks a child whose end raises no signal: returns 0 in it, its process id here, or a negative error number. Called at the start alone,
/// to try calls under the program's filters: one that kills kills the child, and `has_left` tells.
///
/// # Safety
/// It is a copy with this thread only, in which nothing may be called but the kernel, and which ends by `leave`.
pub unsafe fn fork_unseen() -> isize {
    // SAFETY: without flags and stack the child has a copy of all memory and goes on here; it makes the calls it was made for, and leaves.
    unsafe { call(libc::SYS_clone, 0, 0, 0, 0, 0, 0) }
}

/// Ends the child of `fork_unseen`, with status 0 and without libc's exit handlers.
pub fn leave() -> ! {
    loop {
        plain(libc::SYS_exit_group, [0; 4]);
    }
}

/// Waits for such a child's end: has it left by itself, within the time that a busy machine may need? A filter may make its calls wait
/// for a supervisor: then it is ended here.
pub fn has_left(child: isize) -> bool {
    const LONGEST_NS: u64 = 2_000_000_000;
    let mut status = 0i32;
    let place = &mut status as *mut i32 as usize;
    let wait = |options: i32| {
        let options = (libc::__WALL | options) as usize;
        // SAFETY: the kernel writes the status.
        checked(unsafe { call(libc::SYS_wait4, child as usize, place, options, 0, 0, 0) })
    };
    let end_ns = super::now_ns() + LONGEST_NS;
    while super::now_ns() < end_ns {
        match wait(libc::WNOHANG) {
            Ok(0) => plain(libc::SYS_poll, [0, 0, 1, 0]),
            Err(libc::EINTR) => continue,
            _ => return status == 0,
        };
    }
    plain(libc::SYS_kill, [child as usize, libc::SIGKILL as usize, 0, 0]);
    while let Err(libc::EINTR) = wait(0) {}
    false
}

/// Makes a call with numbers only, for what the filters do to that. Called in the child of `fork_unseen`; the answer does not matter.
pub fn attempt(number: libc::c_long, arguments: [usize; 4]) {
    plain(number, arguments);
}
