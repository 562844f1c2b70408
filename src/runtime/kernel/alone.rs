//! Threads that are bound to their kernel thread for ever, in two degrees. What makes a thread so stands in hooks/process/task.rs, a row a
//! call.
//!
//! - *Bound*: the kernel thread has something that belongs to this green thread, and that threads made by it do not get: a ring that it
//!   alone may enter, a tracer. The green thread stays there for the rest of its life, without a slot, and waits in the kernel. No other
//!   green thread ever runs there, and the kernel thread ends with this one.
//! - *Alone*: bound, and the kernel thread has come to differ in what new threads inherit (folder or namespaces, capabilities, a filter
//!   of system calls, …): the threads that it makes are kernel threads.

use crate::runtime::kernel::worker;
use crate::runtime::machine::parts::current;
use crate::runtime::machine::{death_signal, started};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What binds main before it is green.
struct Early {
    /// True: the only thread of a program that still runs natively is to be bound.
    is_bound: AtomicBool,
}

static EARLY: Early = Early { is_bound: AtomicBool::new(false) };

/// Binds the running thread: its kernel thread has something of its own. Called by hooks, after the call that made it so.
pub fn bind() {
    let Some(me) = current() else {
        if !started::started() {
            EARLY.is_bound.store(true, Relaxed);
        }
        return;
    };
    if me.thread.bound.replace(true) {
        return;
    }
    death_signal::leave_shared(me);
    me.thread.settings.apply();
    me.thread.pinned.set(me.thread.pinned.get() + 1);
    me.worker().bond.tie();
    worker::resign(me.worker());
}

/// Binds the running thread and makes it alone: its kernel thread is not like the others any more.
pub fn stay() {
    if current().is_some_and(|me| !me.thread.alone.replace(true)) {
        bind();
    }
}

/// Does the running thread stay alone?
pub fn stays() -> bool {
    current().is_some_and(|me| me.thread.alone.get())
}

/// Is the running thread's kernel thread its own, with its settings and no other thread's?
pub fn is_bound() -> bool {
    current().is_some_and(|me| me.thread.bound.get())
}

/// Binds main where it was to be bound before the start. Called right after the start.
pub fn begin() {
    if EARLY.is_bound.swap(false, Relaxed) {
        bind();
    }
}

/// In a fork child: what binds a thread is not inherited, and the child's kernel thread has the rest. Called by the hooks of fork.
pub fn after_fork() {
    let Early { is_bound } = &EARLY;
    is_bound.store(false, Relaxed);
}
