//! How the monitor is summoned: whoever leaves it work wakes it, and knows nothing else of it.
//!
//! ```text
//!     TICKING ──monitor sleeps without an end──► ASLEEP ──awake──► CALLED
//!        ▲                                                          │
//!        └───────────────────────monitor looks──────────────────────┘     call: any state ──► CALLED
//! ```

use crate::sys;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::*;

/// What the monitor sleeps on: 0 ticking, 1 sleeping without an end, 2 called.
pub static BELL: AtomicU32 = AtomicU32::new(0);
pub const TICKING: u32 = 0;
pub const ASLEEP: u32 = 1;
pub const CALLED: u32 = 2;

/// There is something for the monitor to do now.
pub fn call() {
    if BELL.swap(CALLED, SeqCst) != CALLED {
        sys::futex_wake(BELL.as_ptr(), 1);
    }
}

/// A slot has woken up: the monitor is not to sleep through it.
#[inline]
pub fn awake() {
    if BELL.load(SeqCst) == ASLEEP {
        call();
    }
}
