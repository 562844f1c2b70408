//! Processes: their children, what they execute, and what the kernel keeps for a task or for the whole process.
//!
//! From the ground up: `task` and `child`; `ring`, `execute`, `command`; `fork`. `identity` stands by itself.

pub mod child;
pub mod command;
pub mod execute;
pub mod fork;
pub mod identity;
pub mod ring;
pub mod task;
