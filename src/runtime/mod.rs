//! The machine: green threads, their vessels, the scheduler, the one wait. It knows no C symbol and no hook; what it needs of
//! glibc it asks `glibc`, what it needs of the kernel `sys`.
//!
//! From the bottom up: `raw_lock`; `green`, `stacks` and `vessel` (what runs); `wait` (how it stops), with its queues `lot`, `timer`,
//! `reactor`; `sched` and `worker` (who runs next, and on what); `call` (what waits in the kernel); `monitor` (who sees to it that
//! nothing hangs); `thread` (the life of a pthread), `cancel`, `pin`; `signal` (which thread gets one), with its parts
//! `disposition`, `pending`, `handler`, `overflow`; `roll` (everybody by tid), `schedule`, `settings`, `kernel_state`, `alone`,
//! `errand`, `thread_timer`, `cpu_timer`, `owner` (what else a thread calls its own), `identity` (what the whole process calls its own);
//! `start`, `filters`; `stats`; `table`, `dump` (how others see all of it).

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
pub use crate::runtime::waiting::wait::{sleep_until, Deadline, Woken};
pub use crate::runtime::waiting::yielding::{breathe, yield_now};
