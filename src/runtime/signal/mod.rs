//! Which green thread gets a signal, and how its handler runs there.

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
