//! What the program calls of libc, and what becomes of it: a row of `table.rs` a symbol, the door that exports it, a room a family of
//! handlers.
//!
//! A handler's Safety is that of the C function of its row's name, so none says it again.
#![allow(clippy::missing_safety_doc)]

pub mod answer;
mod attempt;
pub mod child;
pub mod command;
mod descriptor;
pub mod door;
pub mod entries;
pub mod fd;
pub mod file;
pub mod identity;
pub mod io;
pub mod ipc;
pub mod modules;
pub mod net;
mod owner;
pub mod path;
pub mod poll;
pub mod process;
pub mod real;
pub mod resolver;
pub mod ring;
pub mod schedule;
pub mod signal;
pub mod sync;
pub mod syscall;
pub mod task;
mod task_file;
pub mod task_list;
pub mod thread;
pub mod tid;
pub mod time;
pub mod timer;
