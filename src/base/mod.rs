//! What every room of the library stands on: locks, memory of its own, descriptors of its own.

pub mod lock;
pub mod own_fds;
pub mod pages;
