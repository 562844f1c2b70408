//! Births that have not begun: while a vessel has been born and has not begun, glibc waits for it in some functions, and lets no thread be
//! made meanwhile.
//!
//! `begin_birth` and `without_unbegun` race for the two words:
//!
//! 1. A birth adds to `UNBEGUN.births`, then reads `UNBEGUN.pauses`; a pause adds to `UNBEGUN.pauses`, then reads `UNBEGUN.births`. All
//!    four are SeqCst.
//! 2. In their total order one of the additions comes first: the birth sees the pause and steps back, or the pause sees the birth and waits
//!    until it has begun.

use crate::runtime::waiting::yielding;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// The births that have not begun, and what waits for them.
pub struct Unbegun {
    /// How many vessels were born and have not begun: counted down as a vessel begins (`serve`), or is not born after all.
    pub births: AtomicUsize,
    /// How many threads are in `without_unbegun`.
    pauses: AtomicUsize,
}

/// The only value of `Unbegun`.
pub static UNBEGUN: Unbegun = Unbegun { births: AtomicUsize::new(0), pauses: AtomicUsize::new(0) };

/// Counts a birth, once there is no pause. Called on a green thread, which yields until then.
pub fn begin_birth() {
    loop {
        UNBEGUN.births.fetch_add(1, SeqCst);
        if UNBEGUN.pauses.load(SeqCst) == 0 {
            return;
        }
        UNBEGUN.births.fetch_sub(1, SeqCst);
        yielding::yield_now();
    }
}

/// Does `work` while every vessel has begun: lets the vessels that have not begun run before it, and keeps others from being born. Called
/// on a thread that may yield.
pub fn without_unbegun<R>(work: impl FnOnce() -> R) -> R {
    UNBEGUN.pauses.fetch_add(1, SeqCst);
    while UNBEGUN.births.load(SeqCst) > 0 {
        yielding::yield_now();
    }
    let result = work();
    UNBEGUN.pauses.fetch_sub(1, SeqCst);
    result
}

/// In a fork child: no vessel is left that has not begun.
pub fn after_fork() {
    let Unbegun { births, pauses } = &UNBEGUN;
    [births, pauses].into_iter().for_each(|count| count.store(0, Relaxed));
}
