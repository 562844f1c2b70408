//! A sleeper that is woken once in place of base/futex.rs. Like the kernel's it may wake for nothing.

use crate::base::atomic::{is_weak, AtomicU64, Ordering::*, Weakness};

/// Sleeps while the low half of `word` is `expected`; there are no deadlines here.
pub fn wait_low(word: &AtomicU64, expected: u32, deadline_ns: Option<u64>) -> bool {
    assert!(deadline_ns.is_none());
    if low(word) == expected {
        word.sleeper.wait();
    }
    false
}

/// Wakes the sleeper. The kernel looks at the word's address, so this touches the word.
pub fn wake_low(word: &AtomicU64) {
    word.load(Relaxed);
    if !is_weak(Weakness::NoWake) {
        word.sleeper.notify();
    }
}

/// The low half of `word`.
pub fn low(word: &AtomicU64) -> u32 {
    word.load(Acquire) as u32
}
