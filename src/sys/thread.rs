//! Kernel threads: names, processors, policies, clocks, and what the kernel does at their end.

use crate::sys::call::{call, checked, clock_ns, plain, timespec};
use crate::sys::descriptor::close;
use crate::sys::file::{open, read_first};
use std::sync::atomic::{AtomicU32, AtomicU8};

/// This kernel thread's name, filled up with zeros.
pub fn thread_name() -> [u8; 16] {
    let mut name = [0u8; 16];
    // SAFETY: the kernel writes 16 bytes.
    unsafe { call(libc::SYS_prctl, libc::PR_GET_NAME as usize, name.as_mut_ptr() as usize, 0, 0, 0, 0) };
    name
}

/// Names the running kernel thread, for tools that look at it from outside; the sixteenth byte is 0. Never fails.
pub fn set_thread_name(name: &[u8; 16]) {
    plain(libc::SYS_prctl, [libc::PR_SET_NAME as usize, name.as_ptr() as usize, 0, 0]);
}

/// A set of processors, a bit each.
pub type Processors = [u64; 16];

/// The processors on which a kernel thread may run (0: this one).
pub fn processors_of(tid: i32) -> Processors {
    let mut set = [0; 16];
    // SAFETY: the kernel writes at most the given size into `set`.
    unsafe {
        call(libc::SYS_sched_getaffinity, tid as usize, size_of::<Processors>(), set.as_mut_ptr() as usize, 0, 0, 0)
    };
    set
}

/// Confines the running kernel thread to a set of processors that `processors_of` has told. A set of which none is left (hot-plug,
/// cpuset) is refused, and the thread keeps its own.
pub fn set_processors(set: &Processors) {
    try_processors(size_of::<Processors>(), set.as_ptr() as usize).ok();
}

/// Confines this kernel thread to the set of `size` bytes at the address `set`, which the kernel checks.
pub fn try_processors(size: usize, set: usize) -> Result<(), i32> {
    checked(plain(libc::SYS_sched_setaffinity, [0, size, set, 0])).map(|_| ())
}

/// A kernel thread's CPU time (its clock's number: the kernel's posix-timers.h), 0 when it is gone.
pub fn cpu_ns_of(tid: i32) -> u64 {
    clock_ns(!tid << 3 | 6).unwrap_or(0)
}

/// This kernel thread's CPU time, in nanoseconds.
pub fn own_cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0)
}

/// How long this kernel thread was ready and had no processor, in nanoseconds; 0 where the kernel does not tell (/proc/PID/schedstat's
/// second number; Documentation/scheduler/sched-stats.rst).
pub fn own_run_delay_ns() -> u64 {
    let Ok(fd) = open(c"/proc/thread-self/schedstat", libc::O_RDONLY) else { return 0 };
    let mut room = [0u8; 64];
    let count = read_first(fd, &mut room);
    close(fd);
    run_delay_ns(&room[..count])
}

/// Reads the second number of a schedstat; 0: there is none.
pub fn run_delay_ns(schedstat: &[u8]) -> u64 {
    let second = schedstat.split(|byte| *byte == b' ').nth(1).unwrap_or(&[]);
    second
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .fold(0, |number: u64, byte| number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')))
}

/// Arms a timer for once, so many nanoseconds from now; 0 disarms it.
pub fn arm_timer(number: i32, ns: i64) {
    let times = [0i64, 0, 0, ns];
    plain(libc::SYS_timer_settime, [number as usize, 0, times.as_ptr() as usize, 0]);
}

/// A kernel thread's scheduling policy, with its flag.
pub fn policy_of(tid: i32) -> i32 {
    plain(libc::SYS_sched_getscheduler, [tid as usize, 0, 0, 0]) as i32
}

/// A kernel thread's real-time priority.
pub fn priority_of(tid: i32) -> i32 {
    let mut priority = 0i32;
    // SAFETY: the kernel writes one number.
    unsafe { call(libc::SYS_sched_getparam, tid as usize, &mut priority as *mut i32 as usize, 0, 0, 0, 0) };
    priority
}

/// A kernel thread's nice value (the kernel's answer is 20 less it).
pub fn nice_of(tid: i32) -> i32 {
    20 - plain(libc::SYS_getpriority, [libc::PRIO_PROCESS as usize, tid as usize, 0, 0]) as i32
}

/// Gives this kernel thread a policy, with its flag, and a real-time priority.
pub fn set_policy(policy: i32, priority: i32) {
    plain(libc::SYS_sched_setscheduler, [0, policy as usize, &priority as *const i32 as usize, 0]);
}

/// Gives the running kernel thread a nice value, -20 to 19. The caller has checked that the kernel allows it; a refusal leaves the old one.
pub fn set_nice(nice: i32) {
    plain(libc::SYS_setpriority, [libc::PRIO_PROCESS as usize, 0, nice as usize, 0]);
}

/// Sleeps until a moment of CLOCK_MONOTONIC, or a signal.
pub fn sleep_until(ns: u64) {
    let time = timespec(ns);
    let clock = libc::CLOCK_MONOTONIC as usize;
    plain(libc::SYS_clock_nanosleep, [clock, libc::TIMER_ABSTIME as usize, &time as *const _ as usize, 0]);
}

/// Lets another kernel thread run.
pub fn yield_processor() {
    plain(libc::SYS_sched_yield, [0; 4]);
}

/// Cuts every thread of the kernel's that ties this kernel thread to its TCB: rseq area, robust list; its end zeroes `gone`.
///
/// Returns the robust list's head that glibc had registered.
pub fn loosen(gone: &AtomicU32) -> usize {
    let head = take_robust_list();
    watch_end(gone);
    head
}

/// The word that the kernel clears when this kernel thread ends, where it can say so.
pub fn tid_address() -> Option<usize> {
    const PR_GET_TID_ADDRESS: usize = 40;
    let mut address = 0usize;
    let answer = plain(libc::SYS_prctl, [PR_GET_TID_ADDRESS, &mut address as *mut usize as usize, 0, 0]);
    (answer == 0 && address != 0).then_some(address)
}

/// The head of this kernel thread's robust list.
pub fn robust_list() -> usize {
    let (mut head, mut length) = (0usize, 0usize);
    // SAFETY: the kernel writes one word into each.
    unsafe {
        call(libc::SYS_get_robust_list, 0, &mut head as *mut _ as usize, &mut length as *mut _ as usize, 0, 0, 0)
    };
    head
}

/// Registers the head of a robust list for the running kernel thread, or none (0). The kernel walks it when the kernel thread ends, so
/// the head must be there until another one is registered. The size is that of `struct robust_list_head`.
pub fn set_robust_list(head: usize) {
    plain(libc::SYS_set_robust_list, [head, 24, 0, 0]);
}

/// Has the kernel zero `alive`, and wake its waiter, when this kernel thread has ended.
pub fn watch_end(alive: &AtomicU32) {
    plain(libc::SYS_set_tid_address, [alive.as_ptr() as usize, 0, 0, 0]);
}

/// prctl's option (linux/prctl.h, since Linux 5.11): system calls of the running kernel thread raise SIGSYS.
pub const PR_SET_SYSCALL_USER_DISPATCH: usize = 59;

/// Whose system calls are dispatched (source: linux/prctl.h; the second is known from Linux 6.17 on).
#[derive(Clone, Copy)]
pub enum Dispatch {
    From = 2,
    NotFrom = 1,
}

/// From here on this kernel thread's system calls from (or not from) `start..start + bytes` raise SIGSYS while `selector` is 1.
pub fn dispatch_calls(whose: Dispatch, start: usize, bytes: usize, selector: &'static AtomicU8) -> bool {
    let selector = selector.as_ptr() as usize;
    // SAFETY: the kernel reads the selector, which is static.
    unsafe { call(libc::SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, whose as usize, start, bytes, selector, 0) == 0 }
}

/// Ends the dispatch of the running kernel thread's system calls. Never fails where there was none.
pub fn dispatch_off() {
    plain(libc::SYS_prctl, [PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0]);
}

/// Takes the robust list that glibc registered for a thread from this kernel thread, and returns its head.
pub fn take_robust_list() -> usize {
    let head = robust_list();
    set_robust_list(0);
    head
}
