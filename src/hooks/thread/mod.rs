//! Threads: their life, and what a thread is asked about itself.
//!
//! A thread is named by its pthread_t in the pthread functions, by its tid in the kernel's, and by a clock in those of time
//! (`hooks/named.rs`). From the ground up: `written_names`, `name`; `attributes`, `schedule`, `clock`, `tid`; `create`, `life`.

pub mod attributes;
pub mod clock;
pub mod create;
pub mod life;
pub mod name;
pub mod schedule;
pub mod tid;
pub mod written_names;
