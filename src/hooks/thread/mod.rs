//! Threads: their life, and what a thread is asked about itself.

pub mod attributes;
pub mod clock;
pub mod create;
pub mod life;
pub mod name;
pub mod schedule;
pub mod tid;
pub mod written_names;
