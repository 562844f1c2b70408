//! What a green thread, a worker and a slot are made of.

pub mod alternate;
pub mod counts;
pub mod disposition;
pub mod green;
pub mod kernel_state;
pub mod pending;
pub mod roll;
pub mod schedule;
pub mod settings;
