//! Kernel threads: workers and how they come, rest and go, and what only a certain kernel thread can do.

#![warn(unsafe_op_in_unsafe_fn)]

pub mod alone;
pub mod asking;
pub mod bell;
pub mod caretaker;
pub mod errand;
pub mod filters;
pub mod gate;
pub mod identity;
pub mod reserve;
pub mod runnable;
pub mod shortage;
pub mod small_stacks;
pub mod supply;
pub mod unbegun;
pub mod worker;

/// In a fork child, before anything else runs: no kernel thread but the calling one is left. (`alone` is told by the hooks of fork, in a
/// native program too; `filters` and `identity` hold what is the child's as well, or is written anew by its start.)
pub fn after_fork() {
    worker::after_fork();
    gate::GATE.after_fork();
    reserve::after_fork();
    small_stacks::after_fork();
    runnable::after_fork();
    caretaker::after_fork();
    unbegun::after_fork();
    shortage::after_fork();
    errand::after_fork();
    asking::after_fork();
}
