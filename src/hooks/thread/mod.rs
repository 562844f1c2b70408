//! Threads: their life, and what a thread is asked about itself.

pub mod create;
pub mod schedule;
pub mod tid;
