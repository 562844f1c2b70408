//! Which green thread gets a signal, and how its handler runs there.

pub mod cpu_timer;
pub mod delivery;
pub mod exec_stack;
pub mod handler;
pub mod overflow;
pub mod owner;
pub mod sweep;
pub mod thread_timer;
