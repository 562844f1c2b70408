//! Kernel threads: workers and how they come, rest and go.

pub mod alone;
pub mod asking;
pub mod bell;
pub mod caretaker;
pub mod errand;
pub mod filters;
pub mod gate;
pub mod identity;
pub mod reserve;
pub mod runnable;
pub mod shortage;
pub mod small_stacks;
pub mod supply;
pub mod unbegun;
pub mod worker;
