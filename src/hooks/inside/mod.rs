//! What happens inside libc: its entries lead to the hooks, and functions of its own that are called as they are, or replaced whole.

pub mod entries;
pub mod modules;
pub mod resolver;
pub mod vfork;
