//! The machine: green threads, their vessels, the scheduler, the one wait. It knows no C symbol and no hook; what it needs of
//! glibc it asks `glibc`, what it needs of the kernel `sys`.
//!
//! From the bottom up: `raw_lock`; `green` and `vessel` (what runs); `wait` (how it stops), with its queues `lot`, `timer`,
//! `reactor`; `sched` and `worker` (who runs next, and on what); `monitor` (who sees to it that nothing hangs); `thread`
//! (the life of a pthread), `signal`; `start`; `stats`.

pub mod green;
pub mod lot;
pub mod monitor;
pub mod raw_lock;
pub mod reactor;
pub mod sched;
pub mod signal;
pub mod start;
pub mod stats;
pub mod thread;
pub mod timer;
pub mod vessel;
pub mod wait;
pub mod worker;

pub use green::current;
pub use sched::{block, breathe, yield_now};
pub use signal::restart;
pub use start::started;
pub use thread::cancellation_point;
pub use wait::{sleep_until, Deadline, Woken};

/// From now on this thread stays on its kernel thread, and its waits happen in the kernel, with its real tid in glibc's
/// descriptor and its robust list registered: what a robust, process-shared or priority mutex needs of its holder.
pub fn pin() {
    let Some(me) = current() else { return };
    me.pinned.set(me.pinned.get() + 1);
    if me.pinned.get() == 1 && !me.is_main {
        let tid = me.worker().kernel_tid.load(std::sync::atomic::Ordering::Relaxed);
        // SAFETY: the running thread's own descriptor.
        unsafe { *crate::glibc::tid_field(me.fs.get()) = tid };
        crate::sys::set_robust_list(me.robust_head.get());
    }
}

/// The opposite, once for each `pin`.
pub fn unpin() {
    let Some(me) = current() else { return };
    me.pinned.set(me.pinned.get() - 1);
    if me.pinned.get() == 0 && !me.is_main {
        crate::sys::set_robust_list(0);
        // SAFETY: as in `pin`.
        unsafe { *crate::glibc::tid_field(me.fs.get()) = me.tid() };
        breathe();
    }
}
