//! Whether the runtime has started, or will not, and why.

use crate::runtime::machine::started;
use once_cell::race::OnceBox;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

pub static STARTED: AtomicBool = AtomicBool::new(false);
/// Cannot start, once and for all.
pub static REFUSED: AtomicBool = AtomicBool::new(false);
/// Why, for the statistics.
pub static WHY: OnceBox<&str> = OnceBox::new();

#[inline(always)]
pub fn started() -> bool {
    STARTED.load(Relaxed)
}

/// The program stays native, whatever it does.
pub fn refuse(why: &'static str) {
    WHY.set(Box::new(why)).ok();
    REFUSED.store(true, Relaxed);
}

pub fn is_refused() -> bool {
    REFUSED.load(Relaxed) || started::OWN.load(Relaxed)
}

/// The program has set a filter, before it was green, under which the runtime cannot be; in a fork child it stays away as well.
pub static OWN: AtomicBool = AtomicBool::new(false);
