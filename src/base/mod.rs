//! What every room of the library stands on: locks, memory of its own, descriptors of its own.

pub mod atomic;
pub mod clock;
pub mod futex;
pub mod guard;
pub mod lock;
pub mod own_fds;
pub mod pages;
pub mod signal_set;
pub mod summon;
