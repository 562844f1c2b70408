//! Alone: a green thread whose kernel thread has come to differ from the others (its own folder or namespaces, capabilities, a
//! filter of system calls, …) stays on it for the rest of its life, without a slot, and nobody else ever runs there: the kernel
//! thread ends with it. What it waits for it waits for in the kernel; threads that it makes are kernel threads, for they inherit
//! what it has.

use super::green::current;
use super::sched;

/// The running thread's kernel thread is not like the others any more.
pub fn stay() {
    let Some(me) = current().filter(|me| !me.alone.replace(true)) else { return };
    me.pinned.set(me.pinned.get() + 1);
    me.worker().spoilt.set(true);
    sched::resign(me.worker());
}

/// Does the running thread stay alone?
pub fn stays() -> bool {
    current().is_some_and(|me| me.alone.get())
}
