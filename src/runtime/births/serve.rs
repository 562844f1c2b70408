//! The function that runs on a vessel: glibc starts it, and it serves one thread after the other.

use crate::base::guard;
use crate::base::kept::Kept;
use crate::runtime::births::end;
use crate::runtime::kernel::asking;
use crate::runtime::kernel::gate::GATE;
use crate::runtime::kernel::unbegun::UNBEGUN;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::machine::roll;
use crate::runtime::machine::words::Start;
use crate::runtime::sched::{mask, slots};
use crate::runtime::signal::{delivery, frames, shelf};
use crate::runtime::waiting::cancel::CANCELED;
use crate::runtime::waiting::pin;
use crate::{arch, glibc, sys};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering::*};

/// 1 once the newest vessel's context is saved and its kernel thread is off its stack; 0 before. A futex. Stored by `arch::retire` on the
/// newborn, awaited by its creator (`vessel::uncaught_birth`), which stores 0 before each birth.
pub static PUBLISHED: Kept<AtomicU32> = Kept::new(AtomicU32::new(0));

/// Runs on a vessel from its birth to its death: the function that glibc starts. What it does, by how it comes here:
///
/// ```text
///   resumed how                                       what
///   by glibc, on the kernel thread it was born with   gives that kernel thread up (`retire`): the context is saved here
///   for the first time, by a worker                   begins to serve the thread that `create` has put here
///   after `slots::end`, by a worker                   serves the next thread
///   after `slots::end`, by `yard::bury`               `dying` is set: returns, into glibc's epilogue
///   as the leader's own (no start routine)            runs the leader's loop (`start`)
///   in a fork child, inside the program's function    ends as glibc's only thread does
/// ```
///
/// The guard is up but while the program's function and its destructors run.
pub extern "C" fn vessel_main(argument: *mut c_void) -> *mut c_void {
    // SAFETY: `birth` passes a green thread, which is never freed.
    let me: &'static Green = unsafe { &*(argument as *const Green) };
    if me.vessel.caught.get() {
        UNBEGUN.births.fetch_sub(1, SeqCst);
        // A worker's kernel thread: glibc has just given it this thread's robust list and a mask of all signals.
        me.vessel.robust_head.set(sys::take_robust_list());
        me.worker().mask.store(u64::MAX, Relaxed);
    } else {
        me.fs.set(arch::tcb());
        guard::enter_runtime();
        asking::begin_unasked();
        // No handler may run on a stack that another kernel thread may already use.
        sys::set_signal_mask(u64::MAX);
        // SAFETY: this thread's own descriptor, which is the vessel's.
        unsafe { *glibc::tid_field(arch::tcb()) = roll::NO_THREAD };
        me.vessel.robust_head.set(sys::loosen(&GATE.vessel_alive));
        asking::end_unasked();
        // SAFETY: every signal is blocked, and `loosen` cut what tied the kernel thread to this TCB.
        unsafe { arch::retire(me.sp.get(), PUBLISHED.as_ptr()) };
    }
    if me.thread.start.get().is_none() {
        return serve_as_leader(me);
    }
    if !me.vessel.dying.get() {
        arch::set_self_word(me as *const Green as usize);
        slots::arrived(me);
        mask::apply_mask(me.worker(), me);
    }
    while !me.vessel.dying.get() {
        serve(me);
        if !still(me) {
            // In a fork child this is the only thread: it ends glibc's own way, and the process with it.
            if let Some(main) = current() {
                crate::runtime::births::end::leave_main(main);
            }
            return me.thread.result.get();
        }
        glibc::run_destructors();
        frames::forget_all(me);
        crate::runtime::waiting::readiness::release_private(me);
        pin::abandon(me);
        // The guard goes up: from here on nothing of the program's runs, no handler either.
        guard::enter_runtime();
        glibc::restore_thread_locals();
        slots::end(me, end::ended);
        if !me.vessel.dying.get() {
            guard::leave_runtime();
        }
    }
    arch::set_self_word(0);
    std::ptr::null_mut()
}

/// Runs the leader's loop on the stack and TCB that were made for it, while main is switched away (`start`). Called once, by `vessel_main`,
/// on the leader's kernel thread. Returns when the leader retires.
pub fn serve_as_leader(me: &'static Green) -> *mut c_void {
    crate::runtime::kernel::worker::settle(me.worker());
    crate::runtime::kernel::worker::run(me.worker());
    std::ptr::null_mut()
}

/// Is `me` still the running thread? Called after the program's code has run: it may have forked, and a child has main here, or no green
/// thread at all.
pub fn still(me: &'static Green) -> bool {
    current().is_some_and(|now| std::ptr::eq(now, me))
}

/// Runs the program's function and notes its result. Called by `vessel_main`, on the vessel; returns whether the function returned, called
/// pthread_exit or was cancelled, and in a fork child.
pub fn serve(me: &'static Green) {
    glibc::guarded(call_program, me as *const Green as usize);
    if still(me) {
        if glibc::is_exiting(me.fs.get()) && !me.thread.unwinding.replace(false) {
            // A cancellation point inside libc has acted.
            me.thread.result.set(CANCELED);
        }
        glibc::note_exit();
        if me.thread.cancel_disabled.swap(true, SeqCst) {
            glibc::set_cancel_state(0);
            glibc::note_exit();
        }
    }
}

/// Calls the program's function, within glibc's frame that a thread's unwinding ends in; `me`: the running green thread's address.
pub extern "C" fn call_program(me: usize) {
    // SAFETY: `serve` passes the running green thread.
    let me: &'static Green = unsafe { &*(me as *const Green) };
    // The thread's mask, which its creator could not take into account: process signals that the creator blocks may be accepted here.
    shelf::accept(me, me.mask.get());
    delivery::look(me);
    arch::set_control_words(&me.thread.control.get());
    let argument = me.thread.argument.get();
    let result = match me.thread.start.get() {
        Some(Start::Posix(function)) => function(argument),
        Some(Start::C11(function)) => function(argument) as isize as *mut c_void,
        None => std::ptr::null_mut(),
    };
    me.thread.result.set(result);
}
