//! The scheduler's wing: slots and their queues, the injector, spare workers, and the signal mask that a switch brings along.
//!
//! `slots` says which green thread runs next and switches to it. It knows what a green thread is made of (`machine`), not what it waits
//! for. The worker's own loop, and whatever makes workers, lie above (`kernel`).

#![warn(unsafe_op_in_unsafe_fn)]

pub mod injector;
pub mod mask;
pub mod slots;
pub mod spares;

/// In a fork child, before anything else runs: nothing is ready, no worker is spare, and nothing is taken from the kernel.
pub fn after_fork() {
    injector::INJECTOR.after_fork();
    spares::SPARES.after_fork();
    mask::after_fork();
    slots::after_fork();
}
