//! libc's inside: its entries lead to the hooks, and functions of its own are called as they are, or replaced whole.
//!
//! Of the hooks the files call `sync`, `real` and `answer` only; `entries` is handed the table's rows by the door.

pub mod entries;
pub mod modules;
pub mod resolver;
pub mod vfork;
