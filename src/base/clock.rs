//! The coarse clock: CLOCK_MONOTONIC in milliseconds as of the monitor's last tick.

use crate::base::kept::Kept;
use crate::sys;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::*;

/// The clock's last reading. Written by `set_now` alone.
pub static NOW_MS: Kept<AtomicU64> = Kept::new(AtomicU64::new(0));

/// CLOCK_MONOTONIC in milliseconds, as of the last tick or the last slot that went to sleep: costs nothing to read.
#[inline]
pub fn now_ms() -> u64 {
    NOW_MS.load(Relaxed)
}

/// Brings `now_ms` up to date and returns it: one system call. Called by the monitor at its ticks, and by a slot before it sleeps.
pub fn set_now() -> u64 {
    let now = sys::now_ns() / 1_000_000;
    NOW_MS.store(now, Relaxed);
    now
}
