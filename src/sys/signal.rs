//! Signals: masks, actions, queues, alternate stacks.

use crate::sys::call::{call, checked, plain, timespec};
use crate::sys::descriptor::close;
use crate::sys::process::process_id;
use std::sync::atomic::{AtomicU64, Ordering};

/// What masks leave open.
pub struct Open {
    /// Signals that no kernel thread may block.
    pub kept: AtomicU64,
}

/// The only value of `Open`.
pub static OPEN: Open = Open { kept: AtomicU64::new(0) };

/// Keeps these signals out of every mask that this library sets from now on.
pub fn keep_open(signals: u64) {
    OPEN.kept.store(signals, Ordering::Relaxed);
}

/// Returns the mask without what must stay open: what the kernel is to get. The program sees the mask as it has set it.
#[inline]
pub fn without_kept_open(mask: u64) -> u64 {
    mask & !OPEN.kept.load(Ordering::Relaxed)
}

/// Sets this kernel thread's signal mask, and returns the mask before.
pub fn set_signal_mask(mask: u64) -> u64 {
    let (mask, mut old) = (without_kept_open(mask), 0u64);
    let (new, old_at) = (&mask as *const _ as usize, &mut old as *mut _ as usize);
    // SAFETY: the kernel reads `mask` and writes `old`, 8 bytes each.
    unsafe { call(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK as usize, new, old_at, 8, 0, 0) };
    old
}

/// Returns the running kernel thread's signal mask: the kernel's own, which of a green thread's may differ while the runtime is at work.
pub fn signal_mask() -> u64 {
    let mut old = 0u64;
    // SAFETY: the kernel writes 8 bytes into `old`.
    unsafe { call(libc::SYS_rt_sigprocmask, 0, 0, &mut old as *mut _ as usize, 8, 0, 0) };
    old
}

/// Sends a signal to a kernel thread of this process. ESRCH: it has ended. EAGAIN: the queue of real-time signals is full. May be called in
/// signal handlers too. The caller sees to it that the tid is not another thread's by now.
pub fn signal_thread(tid: i32, signal: i32) -> Result<(), i32> {
    checked(plain(libc::SYS_tgkill, [process_id() as usize, tid as usize, signal as usize, 0])).map(|_| ())
}

/// Sends a signal to a process. A refusal (EPERM, ESRCH) is not told.
pub fn kill_process(pid: i32, signal: i32) {
    plain(libc::SYS_kill, [pid as usize, signal as usize, 0, 0]);
}

/// Queues a signal with its information, whose code is a negative one (the library's own), to this process. Fails by EAGAIN where the
/// kernel keeps no more signals.
pub fn queue_signal_to_process(signal: i32, info: &libc::siginfo_t) -> Result<(), i32> {
    let arguments = (process_id() as usize, signal as usize, info as *const _ as usize);
    // SAFETY: the kernel reads `info`.
    checked(unsafe { call(libc::SYS_rt_sigqueueinfo, arguments.0, arguments.1, arguments.2, 0, 0, 0) }).map(|_| ())
}

/// Takes a signal of `set` that is blocked and pending for this kernel thread or the process; EAGAIN when there is none.
pub fn take_signal(set: u64) -> Result<libc::siginfo_t, i32> {
    let now = timespec(0);
    // SAFETY: all-zero is a value of siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let (set_at, info_at, now_at) =
        (&set as *const u64 as usize, &mut info as *mut _ as usize, &now as *const _ as usize);
    // SAFETY: the kernel reads `set` and `now`, and writes `info`.
    checked(unsafe { call(libc::SYS_rt_sigtimedwait, set_at, info_at, now_at, 8, 0, 0) }).map(|_| info)
}

/// The blocked signals that are pending for this kernel thread or the process.
pub fn pending_signals() -> u64 {
    let mut set = 0u64;
    // SAFETY: the kernel writes 8 bytes into `set`.
    unsafe { call(libc::SYS_rt_sigpending, &mut set as *mut u64 as usize, 8, 0, 0, 0, 0) };
    set
}

/// The signals that are pending for the process, not for one of its kernel threads. `None`: /proc does not tell.
pub fn pending_for_process() -> Option<u64> {
    const LINE: &[u8] = b"\nShdPnd:\t";
    const DIGITS: usize = 16;
    let mut text = [0u8; 4096];
    let path = c"/proc/self/status".as_ptr() as usize;
    // SAFETY: the kernel reads the path, and writes into `text` what fits.
    let bytes = unsafe {
        let fd =
            checked(call(libc::SYS_openat, libc::AT_FDCWD as usize, path, libc::O_CLOEXEC as usize, 0, 0, 0)).ok()?;
        let bytes = call(libc::SYS_read, fd, text.as_mut_ptr() as usize, text.len(), 0, 0, 0);
        close(fd as i32);
        checked(bytes).ok()?
    };
    let at = text[..bytes].windows(LINE.len()).position(|window| window == LINE)? + LINE.len();
    let digits = std::str::from_utf8(text[..bytes].get(at..at + DIGITS)?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

/// Sets an alternate signal stack for the running kernel thread, and tells the one before; a null pointer leaves either out. Returns the
/// kernel's answer: EPERM while the thread runs on the one it has.
pub fn alternate_stack(new: *const libc::stack_t, old: *mut libc::stack_t) -> isize {
    // SAFETY: the kernel checks both pointers.
    unsafe { call(libc::SYS_sigaltstack, new as usize, old as usize, 0, 0, 0, 0) }
}

/// The kernel's own sigaction (it needs the restorer that libc gives); handlers are addresses.
///
/// # Safety
/// The handler must be fit to run on any thread of the process.
pub unsafe fn signal_action(signal: i32, new: *const [usize; 4], old: *mut [usize; 4]) -> isize {
    // SAFETY: the kernel checks both pointers, reads four words and writes four; the handler it is given may run on any thread, by this
    // function's contract.
    unsafe { call(libc::SYS_rt_sigaction, signal as usize, new as usize, old as usize, 8, 0, 0) }
}

/// In a fork child, which runs natively: masks reach the kernel as they are.
pub fn after_fork() {
    let Open { kept } = &OPEN;
    kept.store(0, Ordering::Relaxed);
}
