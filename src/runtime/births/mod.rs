//! The life of a pthread: its vessel, its start, its end.

#![warn(unsafe_op_in_unsafe_fn)]

pub mod duties;
pub mod end;
pub mod leaks;
pub mod offload;
pub mod serve;
pub mod stacks;
pub mod thread;
pub mod vessel;
pub mod yard;

/// In a fork child, before anything else runs: no thread but the calling one is left, and no vessel waits.
pub fn after_fork() {
    stacks::after_fork();
    duties::after_fork();
    yard::after_fork();
    end::after_fork();
}
