//! The life of a pthread: its vessel, its start, its end.

pub mod leaks;
pub mod stacks;
pub mod thread;
pub mod vessel;
