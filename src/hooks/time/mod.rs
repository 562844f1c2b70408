//! Sleeps and timers.

pub mod sleep;
pub mod timer;
