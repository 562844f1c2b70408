//! The parts of the machine: green threads, workers and slots as data, with what belongs to them: signals, settings, figures, the roll.
//!
//! Whatever is done with them stands in wings above: `sched` switches, `signal` delivers, `kernel` keeps the workers, `births` makes and
//! ends green threads.

#![warn(unsafe_op_in_unsafe_fn)]

pub mod alternate;
pub mod counts;
pub mod death_signal;
pub mod disposition;
pub mod groups;
pub mod kernel_state;
pub mod owner;
pub mod parts;
pub mod pending;
pub mod place;
pub mod put_back;
pub mod roll;
pub mod schedule;
pub mod settings;
pub mod siginfo;
pub mod stack;
pub mod started;
pub mod unusual;
pub mod words;

/// In a fork child, before anything else runs: it has no green thread and no worker, and runs natively.
pub fn after_fork() {
    started::after_fork();
    roll::after_fork();
    death_signal::after_fork();
    pending::after_fork();
    put_back::after_fork();
    counts::after_fork();
    parts::after_fork();
}
