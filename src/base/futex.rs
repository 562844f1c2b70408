//! The low half of a 64-bit word as a futex: what a kernel thread sleeps on where it waits without a green thread.

use crate::sys;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// Sleeps while the low half of `word` is `expected`, at most until `deadline_ns` (CLOCK_MONOTONIC; `None`: without an end).
/// Returns true when that time has come. Returns early for any signal and any wake: callers look at the word again.
pub fn wait_low(word: &AtomicU64, expected: u32, deadline_ns: Option<u64>) -> bool {
    // SAFETY: the low half of the word (little-endian), which lives as long as the borrow.
    let low = unsafe { AtomicU32::from_ptr(word.as_ptr() as *mut u32) };
    sys::futex_wait(low, expected, deadline_ns) == Err(libc::ETIMEDOUT)
}

/// Wakes the thread that sleeps in `wait_low` on `word`, if any.
pub fn wake_low(word: &AtomicU64) {
    sys::futex_wake(word.as_ptr() as *const u32, 1);
}

/// The low half of `word`.
#[inline]
pub fn low(word: &AtomicU64) -> u32 {
    word.load(Acquire) as u32
}
