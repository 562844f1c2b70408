//! Processes: their children, what they execute, and what the kernel keeps for a task or for the whole process.

pub mod child;
pub mod command;
pub mod execute;
pub mod fork;
pub mod identity;
pub mod ring;
pub mod task;
