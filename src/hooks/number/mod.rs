//! System calls by their number: the function `syscall`, and caught instructions.

pub mod by_tid;
pub mod syscall;
