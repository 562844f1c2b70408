//! Kernel threads: workers and how they come, rest and go.

pub mod alone;
pub mod caretaker;
pub mod errand;
pub mod filters;
pub mod identity;
pub mod reserve;
pub mod runnable;
pub mod shortage;
pub mod worker;
