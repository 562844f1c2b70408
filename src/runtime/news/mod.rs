//! The news wing: waiters, and what brings them news: the lot, deadlines, descriptors' records, the pollers. Knows no green thread and no
//! slot.
//!
//! What ends a wait is fired into a `Batch`, whose waiters the caller makes ready once the queue's lock is released.

#![warn(unsafe_op_in_unsafe_fn)]

pub mod lent;
pub mod lot;
pub mod peer;
pub mod poller;
pub mod ranges;
pub mod reactor;
pub mod ready;
pub mod record;
pub mod timer;
pub mod verify;
pub mod waiter;

/// In a fork child, before anything else runs: nothing waits for an address or a descriptor.
pub fn after_fork() {
    lot::after_fork();
    record::after_fork();
}
