//! System calls by their number: the function `syscall`, and caught instructions.
//!
//! A number's way: `syscall::syscall` takes it, from the function or from a caught instruction, and asks list after list whether
//! there is a row. What has a row goes to a hook of another folder, what has none to the kernel.

pub mod by_tid;
pub mod syscall;
