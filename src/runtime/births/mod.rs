//! The life of a pthread: its vessel, its start, its end.

pub mod duties;
pub mod end;
pub mod leaks;
pub mod serve;
pub mod stacks;
pub mod thread;
pub mod vessel;
pub mod yard;
