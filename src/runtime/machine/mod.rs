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
