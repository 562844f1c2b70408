//! The summons of the monitor: a word that it sleeps on, so that what leaves it work can wake it and need know nothing else of it.
//!
//! ```text
//!     TICKING ──monitor sleeps without an end──► ASLEEP ──awake──► CALLED
//!        ▲                                                          │
//!        └───────────────────────monitor looks──────────────────────┘     call: any state ──► CALLED
//! ```
//!
//! The race between the monitor that is about to sleep and work that comes:
//!
//! 1. The monitor exchanges TICKING → ASLEEP, then looks for work once more, then sleeps on the word while it is ASLEEP.
//! 2. A caller makes its work visible, then exchanges the word → CALLED, and wakes the sleeper if it was anything else.
//! 3. All are sequentially consistent: the monitor sees the work, or its sleep finds CALLED and ends.

use crate::sys;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::*;

/// What the monitor is called by.
pub struct Summons {
    /// The word that the monitor sleeps on: TICKING, ASLEEP or CALLED.
    pub bell: AtomicU32,
}

/// The only value of `Summons`.
pub static SUMMONS: Summons = Summons { bell: AtomicU32::new(0) };
/// The monitor looks at the slots at every tick.
pub const TICKING: u32 = 0;
/// The monitor sleeps until it is called, for no slot is in use.
pub const ASLEEP: u32 = 1;
/// The monitor has been called and has not looked yet.
pub const CALLED: u32 = 2;

/// Calls the monitor: it looks for work at once. Called on any thread, after the work is visible; wakes it at most once a call.
pub fn call() {
    if SUMMONS.bell.swap(CALLED, SeqCst) != CALLED {
        sys::futex_wake(SUMMONS.bell.as_ptr(), 1);
    }
}

/// Calls the monitor if it sleeps without an end: a slot has woken up, and what runs there is to be watched.
#[inline]
pub fn awake() {
    if SUMMONS.bell.load(SeqCst) == ASLEEP {
        call();
    }
}

/// In a fork child: the monitor has not been called, for there is none until the runtime starts again.
pub fn after_fork() {
    let Summons { bell } = &SUMMONS;
    bell.store(TICKING, Relaxed);
}
