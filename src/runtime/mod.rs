//! The machine: green threads, their vessels, the scheduler, the one wait. It knows no C symbol and no hook; what it needs of
//! glibc it asks `glibc`, what it needs of the kernel `sys`.
//!
//! From the bottom up: `raw_lock`; `green`, `stacks` and `vessel` (what runs); `wait` (how it stops), with its queues `lot`, `timer`,
//! `reactor`; `sched` and `worker` (who runs next, and on what); `call` (what waits in the kernel); `monitor` (who sees to it that
//! nothing hangs); `thread` (the life of a pthread), `cancel`, `pin`; `signal` (which thread gets one), with its parts
//! `disposition`, `pending`, `handler`, `overflow`; `roll` (everybody by tid), `schedule`, `settings`, `kernel_state`, `alone`,
//! `errand`, `thread_timer`, `cpu_timer`, `owner` (what else a thread calls its own), `identity` (what the whole process calls its own);
//! `start`, `filters`; `stats`.

pub mod alone;
pub mod alternate;
pub mod call;
pub mod cancel;
pub mod capture;
pub mod caretaker;
pub mod cpu_timer;
pub mod disposition;
pub mod errand;
pub mod exec_stack;
pub mod filters;
pub mod green;
pub mod handler;
pub mod identity;
pub mod injector;
pub mod inline;
pub mod kernel_state;
pub mod leaks;
pub mod lot;
pub mod monitor;
pub mod overflow;
pub mod own_fds;
pub mod owner;
pub mod peer;
pub mod pending;
pub mod pin;
pub mod process_signal;
pub mod raw_lock;
pub mod reactor;
pub mod record;
pub mod reserve;
pub mod roll;
pub mod runnable;
pub mod sched;
pub mod schedule;
pub mod settings;
pub mod shortage;
pub mod signal;
pub mod stacks;
pub mod start;
pub mod stats;
pub mod thread;
pub mod thread_timer;
pub mod timer;
pub mod verify;
pub mod vessel;
pub mod wait;
pub mod worker;

pub use call::{announce, block, block_for, Habit, Length};
pub use cancel::cancellation_point;
pub use green::current;
pub use pin::{in_libc, pin, spoil, unpin, with_kernel_tid};
pub use process_signal::{sweep, sweep_unwaited};
pub use sched::{breathe, yield_now};
pub use signal::{begin_call, restart};
pub use start::started;
pub use wait::{sleep_until, Deadline, Woken, FALSE_ALARM};
