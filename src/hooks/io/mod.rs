//! Descriptors: what is known of a number, the one shape of a wait for it, and the families of calls on it.
//!
//! From the ground up: `descriptor`, `kernel`; `attempt`; `vector`, `limit`, `owner`; `net`, `connection`, `poll`, `fd`; `many`, `select`,
//! `file`, `ipc`; `copy`, `transfer`. A file names files to its left only.

pub mod attempt;
pub mod connection;
pub mod copy;
pub mod descriptor;
pub mod fd;
pub mod file;
pub mod ipc;
pub mod kernel;
pub mod limit;
pub mod many;
pub mod net;
pub mod owner;
pub mod poll;
pub mod select;
pub mod transfer;
pub mod vector;
