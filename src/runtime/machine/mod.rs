//! What a green thread, a worker and a slot are made of.

pub mod alternate;
pub mod counts;
pub mod death_signal;
pub mod disposition;
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
