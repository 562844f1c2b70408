//! Births that have not begun: while a vessel has been born and has not begun, glibc waits for it in some functions, and lets no thread be
//! made meanwhile.
//!
//! `begin_birth` and `without_unbegun` race for the two words:
//!
//! 1. A birth adds to `UNBEGUN`, then reads `PAUSES`; a pause adds to `PAUSES`, then reads `UNBEGUN`. All four are SeqCst.
//! 2. In their total order one of the additions comes first: the birth sees the pause and steps back, or the pause sees the birth and waits
//!    until it has begun.

use crate::runtime::waiting::yielding;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// How many vessels were born and have not begun: counted down as a vessel begins (`serve`), or is not born after all.
pub static UNBEGUN: AtomicUsize = AtomicUsize::new(0);
/// How many threads are in `without_unbegun`.
static PAUSES: AtomicUsize = AtomicUsize::new(0);

/// Counts a birth, once there is no pause. Called on a green thread, which yields until then.
pub fn begin_birth() {
    loop {
        UNBEGUN.fetch_add(1, SeqCst);
        if PAUSES.load(SeqCst) == 0 {
            return;
        }
        UNBEGUN.fetch_sub(1, SeqCst);
        yielding::yield_now();
    }
}

/// Does `work` while every vessel has begun: lets the vessels that have not begun run before it, and keeps others from being born. Called
/// on a thread that may yield.
pub fn without_unbegun<R>(work: impl FnOnce() -> R) -> R {
    PAUSES.fetch_add(1, SeqCst);
    while UNBEGUN.load(SeqCst) > 0 {
        yielding::yield_now();
    }
    let result = work();
    PAUSES.fetch_sub(1, SeqCst);
    result
}

/// In a fork child: no vessel is left that has not begun.
pub fn after_fork() {
    [&UNBEGUN, &PAUSES].into_iter().for_each(|count| count.store(0, Relaxed));
}
