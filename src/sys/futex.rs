//! Sleeping on a word, and waking the kernel threads that sleep there.

use crate::sys::call::{call, checked, plain, timespec};
use std::sync::atomic::AtomicU32;

/// Sleeps while `word` is `value`, until woken, interrupted or `deadline_ns` (CLOCK_MONOTONIC) has passed. The whole kernel thread sleeps:
/// called by workers without work, by threads that are not green, and in locks of the library's own.
///
/// Ok: woken, by `futex_wake` or for no reason; the caller looks at the word again. Errors: EAGAIN (the word is another value already),
/// EINTR (a signal), ETIMEDOUT (the deadline).
///
/// | waker | sleeper | what comes of it |
/// |---|---|---|
/// | stores the word, then `futex_wake` | asks the kernel afterwards | EAGAIN: the kernel compares under the lock of its own queue |
/// | stores the word | sleeps already | `futex_wake` finds it there |
pub fn futex_wait(word: &AtomicU32, value: u32, deadline_ns: Option<u64>) -> Result<(), i32> {
    let time = deadline_ns.map(timespec);
    let pointer = time.as_ref().map_or(0, |t| t as *const _ as usize);
    let operation = (libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG) as usize;
    // SAFETY: the kernel reads `word` and `time`, both alive here.
    let result = unsafe {
        call(libc::SYS_futex, word.as_ptr() as usize, operation, value as usize, pointer, 0, u32::MAX as usize)
    };
    checked(result).map(|_| ())
}

/// Sleeps as `futex_wait`, without a deadline, on a word that the kernel wakes without the private flag (clear_child_tid).
pub fn futex_wait_shared(word: &AtomicU32, value: u32) {
    // SAFETY: the kernel reads `word`, alive here.
    unsafe { call(libc::SYS_futex, word.as_ptr() as usize, libc::FUTEX_WAIT as usize, value as usize, 0, 0, 0) };
}

/// Wakes up to `count` sleepers on `word`. Called after the word was stored, under any lock or none, in signal handlers too. The address is
/// a key only and is not read, so a word whose frame has ended by now is harmless: at the worst a sleeper on its successor looks once.
pub fn futex_wake(word: *const u32, count: u32) {
    let operation = (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG) as usize;
    plain(libc::SYS_futex, [word as usize, operation, count as usize, 0]);
}

/// Wakes as `futex_wake`, sleepers of any process.
pub fn futex_wake_shared(word: *const u32, count: u32) {
    plain(libc::SYS_futex, [word as usize, libc::FUTEX_WAKE as usize, count as usize, 0]);
}
