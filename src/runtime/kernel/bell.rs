//! The handler of signal 32, the bell of kernel threads that stand in calls: a cancellation is due there, or a thread is to step aside.
//!
//! ```text
//!   the bell names     and finds                                             so `rang`
//!   nothing (glibc's)  any code                                              passes it on to glibc's handler
//!   `THREAD_HERE`      the program's or libc's code                          has the thread step aside (`shortage`)
//!   a green thread     another thread, or none, on this kernel thread        has it rung again, if a cancellation is wanted
//!   the running one    no cancellation that may be acted on                  returns
//!   the running one    a cancellation point, outside this library            ends the thread here (`cancel::act`)
//!   the running one    this library's own call in the kernel                 makes that call end (`cut`)
//!   the running one    any other code                                        has it rung again with the next tick
//! ```

use crate::runtime::kernel::shortage;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::machine::siginfo;
use crate::runtime::signal::delivery;
use crate::runtime::waiting::call;
use crate::runtime::waiting::cancel::{act, is_at_point, is_open, is_wanted, may_be_open, BEFORE, TEXT};
use crate::{arch, glibc, sys};
use libc::{c_int, c_void, siginfo_t};
use std::sync::atomic::Ordering::*;

/// Handles signal 32: called by the kernel on any kernel thread, at any instruction. A bell of the library's names a green thread, or
/// `shortage::THREAD_HERE`; everything else is glibc's. What it does for a cancellation, by where it finds the thread, stands in
/// `waiting::cancel`. Takes no lock and allocates nothing; does not return where it ends the thread.
pub extern "C" fn rang(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid siginfo_t.
    let Some(whose) = siginfo::whose_bell(unsafe { &*info }) else { return pass_on(signal, info, context) };
    // SAFETY: the kernel's frame.
    let registers = unsafe { arch::registers::Registers::of(context) };
    let ours = (TEXT[0].load(Relaxed)..TEXT[1].load(Relaxed)).contains(&registers.instruction());
    if whose == shortage::THREAD_HERE {
        if !ours {
            // SAFETY: the program's or libc's instructions.
            unsafe { shortage::step_aside(&registers) };
        }
        return;
    }
    // SAFETY: a bell of the library's names a green thread, which is never freed.
    let me = unsafe { &*(whose as *const Green) };
    if !current().is_some_and(|here| std::ptr::eq(here, me)) {
        if is_wanted(me) {
            delivery::ring_again(me); // The thread goes on elsewhere, or will.
        }
        return;
    }
    // SAFETY: the kernel's frame.
    let registers = unsafe { arch::registers::Registers::of(context) };
    // `at_point`: in the system call of a point inside libc. Elsewhere in libc the thread looks at its note before the call.
    let at_point = may_be_open(me) && glibc::is_at_point(registers.instruction(), registers.result());
    if !is_open(me) && !at_point {
        return;
    }
    let ours = (TEXT[0].load(Relaxed)..TEXT[1].load(Relaxed)).contains(&registers.instruction());
    let in_call = me.wait.in_call.load(Relaxed);
    if arch::guard_word() == 0 && arch::capture_word() == 0 && !ours && !in_call && (at_point || is_at_point(me)) {
        call::leave(me);
        sys::set_signal_mask(me.worker().mask.load(Relaxed)); // As the frame's end would, which does not come.
        act(me);
    }
    // SAFETY: this library's instructions can be read.
    if arch::guard_word() == 0 && ours && in_call && unsafe { registers.interrupt_call() } {
        return me.wait.cut.set(true);
    }
    delivery::ring_again(me);
}

/// Calls glibc's handler, if there was one before this one: natively a cancellation of a thread that is not green comes by it.
pub fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let before = BEFORE.load(Relaxed);
    if before > libc::SIG_IGN {
        // SAFETY: glibc's handler takes three arguments.
        unsafe {
            std::mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(before)(
                signal, info, context,
            )
        }
    }
}

/// The handler's address, for `cancel::act_by`.
pub fn handler() -> usize {
    rang as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize
}
