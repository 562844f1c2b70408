//! The runtime: green threads, what runs them, and the one wait. It knows no C symbol and no hook; what it needs of glibc it asks `glibc`,
//! what it needs of the kernel `sys`.
//!
//! Its wings from the ground up, each of which may know those before it (tests/layers):
//!
//! ```text
//!   news      waiters, the queues that they stand in, and what brings them news: wakes, deadlines, events of descriptors
//!   machine   green threads, workers and slots, and what the process and each thread has
//!   sched     which green thread runs next, and where
//!   signal    which green thread gets a signal, and how its handler runs there
//!   waiting   how a green thread stops
//!   trap      system calls that are caught by a SIGSYS
//!   kernel    kernel threads: how they come, rest and go
//!   births    the life of a pthread
//!   monitor   the kernel thread that watches the slots
//!   table     where a debugger finds green threads; dump, the list that the program asks for
//!   start     how all of it begins, and what a fork child keeps
//! ```

pub mod births;
pub mod dump;
pub mod kernel;
pub mod machine;
pub mod monitor;
pub mod news;
pub mod sched;
pub mod signal;
pub mod start;
pub mod table;
pub mod trap;
pub mod waiting;

pub use crate::runtime::machine::parts::current;
pub use crate::runtime::machine::started::started;
pub use crate::runtime::signal::delivery::{begin_call, restart};
pub use crate::runtime::signal::sweep::{sweep, sweep_unwaited};
pub use crate::runtime::waiting::call::{announce, block, block_for, Habit, Length};
pub use crate::runtime::waiting::cancel::cancellation_point;
pub use crate::runtime::waiting::pin::{in_libc, spoil, unpin, with_kernel_tid};
pub use crate::runtime::waiting::sleep::sleep_until;
pub use crate::runtime::waiting::wait::{Deadline, Woken};
pub use crate::runtime::waiting::yielding::{breathe, yield_now};
