//! The life of a pthread: its vessel, its start, its end.

#![warn(unsafe_op_in_unsafe_fn)]

pub mod duties;
pub mod end;
pub mod leaks;
pub mod serve;
pub mod stacks;
pub mod thread;
pub mod vessel;
pub mod yard;

/// In a fork child, before anything else runs: no thread but the calling one is left, and no vessel waits. (`stacks` and `serve` hold what
/// is the child's as well, or is written anew by each birth.)
pub fn after_fork() {
    duties::after_fork();
    yard::after_fork();
    end::after_fork();
}
