//! Signals: which green thread gets one, and how its handler runs there.
//!
//! `entry` says which ways a signal goes and is to be read first; `delivery` puts it into a thread's queue; `handler` and `frames` run the
//! program's handler; `sweep`, `shelf` and `takers` find a thread for what is the process's; `owner`, `thread_timer` and `cpu_timer` know
//! signals that have an addressee; `overflow`, `exec_stack` and `default` know faults and defaults.

#![warn(unsafe_op_in_unsafe_fn)]

use crate::runtime::machine::parts::Green;

pub mod cpu_timer;
pub mod default;
pub mod delivery;
pub mod entry;
pub mod exec_stack;
pub mod frames;
pub mod handler;
pub mod overflow;
pub mod owner;
pub mod shelf;
pub mod sweep;
pub mod takers;
pub mod thread_timer;
pub mod worker_stack;

/// In a fork child, before anything else runs: no signal is on its way, no timer and no descriptor signals. `me`: the green thread that
/// forked, if it was one; its alternate stack is its kernel thread's again.
pub fn after_fork(me: Option<&Green>) {
    thread_timer::after_fork();
    cpu_timer::after_fork();
    owner::after_fork();
    shelf::after_fork();
    sweep::after_fork();
    delivery::after_fork();
    me.inspect(|me| worker_stack::give_back(me));
}
