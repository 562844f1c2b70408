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

/// Puts the ground right in a fork child: locks are free, the parent's descriptors are closed. Called while there is one thread.
pub fn after_fork() {
    pages::after_fork();
    own_fds::after_fork();
    summon::after_fork();
}
