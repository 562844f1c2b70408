//! What the process is, and what it may have.

use crate::sys::call::{call, checked, plain};

/// Returns this process's id, by a call to the kernel each time: a fork child must not see its parent's. Never fails.
pub fn process_id() -> i32 {
    plain(libc::SYS_getpid, [0; 4]) as i32
}

/// The parent's process id.
pub fn parent_id() -> i32 {
    plain(libc::SYS_getppid, [0; 4]) as i32
}

/// Returns the running kernel thread's tid. A green thread's own tid, as the program sees it, is another number (`Green`). Never fails.
pub fn kernel_thread_id() -> i32 {
    plain(libc::SYS_gettid, [0; 4]) as i32
}

/// Returns how many processors the running kernel thread may use, at least 1, which is also what a refusal leaves.
pub fn processors() -> usize {
    let mut set = [0u64; 128];
    // SAFETY: the kernel writes at most the given size into `set`.
    let result = unsafe {
        call(libc::SYS_sched_getaffinity, 0, std::mem::size_of_val(&set), set.as_mut_ptr() as usize, 0, 0, 0)
    };
    let count: u32 = set.iter().map(|word| word.count_ones()).sum();
    if result > 0 && count > 0 {
        count as usize
    } else {
        1
    }
}

/// Returns a soft limit of this process; RLIM_INFINITY is u64's greatest number, and 0 is what a refusal leaves.
pub fn limit(resource: libc::__rlimit_resource_t) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes into `limit`.
    unsafe { call(libc::SYS_prlimit64, 0, resource as usize, 0, &mut limit as *mut _ as usize, 0, 0) };
    limit.rlim_cur
}

/// linux/capability.h.
pub const CAP_SYS_NICE: u32 = 23;

/// Has this kernel thread the capability (of the first 32) in effect?
pub fn has_capability(capability: u32) -> bool {
    const VERSION: u32 = 0x2008_0522;
    let header = [VERSION, 0];
    let mut sets = [0u32; 6];
    // SAFETY: the kernel reads two words and writes twice {effective, permitted, inheritable}.
    let result = unsafe { call(libc::SYS_capget, header.as_ptr() as usize, sets.as_mut_ptr() as usize, 0, 0, 0, 0) };
    result == 0 && sets[0] >> capability & 1 != 0
}

/// Has this kernel thread itself a child, alive or not yet waited for?
pub fn has_children() -> bool {
    const WNOTHREAD: i32 = 0x2000_0000;
    let options = (libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL | WNOTHREAD) as usize;
    plain(libc::SYS_waitid, [libc::P_ALL as usize, 0, 0, options]) == 0
}

/// A descriptor that is readable when the process has ended; closed on exec.
pub fn process_fd(pid: i32) -> Result<i32, i32> {
    checked(plain(libc::SYS_pidfd_open, [pid as usize, 0, 0, 0])).map(|fd| fd as i32)
}

/// The job of a shell that this process belongs to.
pub fn process_group() -> i32 {
    plain(libc::SYS_getpgid, [0; 4]) as i32
}

/// Returns the real user's id, which a signal's siginfo names as its sender's. Never fails.
pub fn user_id() -> u32 {
    plain(libc::SYS_getuid, [0; 4]) as u32
}

/// Registers this kernel thread's rseq area, or unregisters it (glibc's signature, RSEQ_FLAG_UNREGISTER = 1).
pub fn rseq(area: usize, bytes: usize, register: bool) -> bool {
    const SIGNATURE: usize = 0x53053053;
    plain(libc::SYS_rseq, [area, bytes, !register as usize, SIGNATURE]) == 0
}

/// This process's working directory, unless it has none that can be named.
pub fn working_directory(room: &mut [u8]) -> Option<&[u8]> {
    // SAFETY: the kernel writes at most the given size, and counts the final NUL.
    let result = unsafe { call(libc::SYS_getcwd, room.as_mut_ptr() as usize, room.len(), 0, 0, 0, 0) };
    let length = checked(result).ok().filter(|&length| length > 1 && room[0] == b'/')?;
    Some(&room[..length - 1])
}
