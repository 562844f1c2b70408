//! Births that have not begun: glibc waits for such threads, and lets nobody make a thread meanwhile.

use crate::runtime::waiting::yielding;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// Vessels that were born and have not begun, and how many want that there is none.
pub static UNBEGUN: AtomicUsize = AtomicUsize::new(0);
pub static PAUSES: AtomicUsize = AtomicUsize::new(0);

/// One more, unless somebody wants that there is none.
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

/// While it runs every vessel has begun: glibc waits for those that have not, and lets nobody make a thread meanwhile.
pub fn without_unbegun<R>(work: impl FnOnce() -> R) -> R {
    PAUSES.fetch_add(1, SeqCst);
    while UNBEGUN.load(SeqCst) > 0 {
        yielding::yield_now();
    }
    let result = work();
    PAUSES.fetch_sub(1, SeqCst);
    result
}
