//! The start's outcome: whether the runtime has started, or will not, and why.
//!
//! Written by the start and by hooks that refuse it; read by every hook.

use crate::base::kept::Kept;
use once_cell::race::OnceBox;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// What every hook asks at each call: a cache line that nothing writes meanwhile.
#[repr(align(64))]
pub struct Started {
    /// The runtime has started. Set by the start, as its last step.
    pub has_started: AtomicBool,
}

/// The only value of `Started`.
pub static STARTED: Started = Started { has_started: AtomicBool::new(false) };
/// The runtime cannot start in this process.
pub static REFUSED: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
/// Why it cannot, for the statistics: the first reason.
pub static WHY: Kept<OnceBox<&str>> = Kept::new(OnceBox::new());

/// Has the runtime started? Asked by each hook on each call: one load.
#[inline(always)]
pub fn started() -> bool {
    STARTED.has_started.load(Relaxed)
}

/// Keeps the program native from here on.
pub fn refuse(why: &'static str) {
    WHY.set(Box::new(why)).ok();
    REFUSED.store(true, Relaxed);
}

/// Is the program to stay native?
pub fn is_refused() -> bool {
    REFUSED.load(Relaxed) || OWN.load(Relaxed)
}

/// The program has set a filter, before it was green, under which the runtime cannot run; nor can it in a fork child, which has it too.
pub static OWN: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// Says in a fork child that the runtime has not started: it runs natively.
pub fn after_fork() {
    let Started { has_started } = &STARTED;
    has_started.store(false, Relaxed);
}
