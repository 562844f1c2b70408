//! What the program calls of libc, and what becomes of it: a row of `table.rs` a symbol, the door that exports it, a room a family of
//! handlers.
//!
//! Arrows run down only. From the top: `door`; `number`; `process`; `io`; `proc`; `thread`; `time`, `signal`, `inside`; `sync`;
//! `real` and `answer`.
//!
//! A handler's Safety is that of the C function of its row's name, so none says it again.
#![allow(clippy::missing_safety_doc)]

pub mod answer;
pub mod door;
pub mod inside;
pub mod io;
pub mod memory;
pub mod moment;
pub mod named;
pub mod number;
pub mod proc;
pub mod process;
pub mod real;
pub mod signal;
pub mod sync;
pub mod thread;
pub mod time;
