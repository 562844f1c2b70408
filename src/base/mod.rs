//! The ground of the library: locks, memory of its own, descriptors of its own. Knows no thread and no wait.

#![warn(unsafe_op_in_unsafe_fn)]

pub mod atomic;
pub mod clock;
pub mod futex;
pub mod guard;
pub mod kept;
pub mod lock;
pub mod own_fds;
pub mod pages;
pub mod signal_set;
pub mod summon;
