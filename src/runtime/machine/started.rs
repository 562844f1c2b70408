//! The start's outcome: whether the runtime has started, or will not, and why.
//!
//! Written by the start and by hooks that refuse it; read by every hook.

use crate::base::kept::Kept;
use crate::runtime::machine::started;
use once_cell::race::OnceBox;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// The runtime has started. Set by the start, as its last step.
pub static STARTED: AtomicBool = AtomicBool::new(false);
/// The runtime cannot start in this process.
pub static REFUSED: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
/// Why it cannot, for the statistics: the first reason.
pub static WHY: Kept<OnceBox<&str>> = Kept::new(OnceBox::new());

/// Has the runtime started? Asked by each hook on each call: one load.
#[inline(always)]
pub fn started() -> bool {
    STARTED.load(Relaxed)
}

/// Keeps the program native from here on.
pub fn refuse(why: &'static str) {
    WHY.set(Box::new(why)).ok();
    REFUSED.store(true, Relaxed);
}

/// Is the program to stay native?
pub fn is_refused() -> bool {
    REFUSED.load(Relaxed) || started::OWN.load(Relaxed)
}

/// The program has set a filter, before it was green, under which the runtime cannot run; nor can it in a fork child, which has it too.
pub static OWN: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
