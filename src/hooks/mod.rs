//! The hooks: functions of libc's that the library exports in libc's place. Each symbol has a row in `table.rs`; the door exports it
//! and asks who calls; a room, which is a file or a few, has the handlers of one family.
//!
//! Arrows run down only. From the top: `door`; `number`; `process`; `io`; `proc`; `thread`; `time`, `signal`, `inside`; `sync`;
//! `real` and `answer`.
//!
//! A handler's Safety is that of the C function of its row's name, so none says it again.
#![allow(clippy::missing_safety_doc)]

pub mod answer;
pub mod audited;
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
