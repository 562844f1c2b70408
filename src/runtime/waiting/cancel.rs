//! Cancellation: a flag and an alert of the library's own, looked at by every wait that is a cancellation point. Acting on it is glibc's
//! own pthread_exit, so cleanup handlers and C++ destructors run as they do natively.
//!
//! A thread that does not park is interrupted, where it may be cancelled at any moment (asynchronous), or is in the kernel in a call that
//! is a cancellation point (`block`). The bell is glibc's own signal for that, 32, which no thread blocks. Its handler acts at once in the
//! program's code. A call in the kernel it cuts short: the frame is changed so that the system call, which would begin again, has been
//! interrupted, and the thread acts when it has returned; a call that has had an effect by then is not cut. In the middle of the library's
//! code neither can be, and the monitor rings again.
//!
//! Cancellation points inside libc (a stream's write) never call a hook. They look at glibc's own note in the thread's descriptor and act
//! by themselves; so the note is kept (of all threads but main, whose kernel thread must not end), and a thread that glibc unwinds already
//! is left alone (`ends_already`). In the kernel they say so in the same note, and the bell's handler acts for them.

use crate::runtime::machine::disposition::RESTORER;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::machine::words::{alert, life};
use crate::runtime::news::waiter::Fired;
use crate::runtime::sched::slots;
use crate::runtime::signal::delivery;
use crate::runtime::waiting::call::{self, Length};
use crate::{arch, glibc, sys};
use libc::{c_int, c_void};
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// glibc's SIGCANCEL.
pub const BELL: c_int = 32;

/// Asks a thread to end: pthread_cancel, on any thread. Fails by ESRCH where it is gone.
pub fn cancel(green: &'static Green) -> Result<(), i32> {
    let life = green.life.load(Acquire);
    if life & life::GONE != 0 {
        return Err(libc::ESRCH);
    }
    if life & life::FINISHED == 0 {
        green.alerts.fetch_or(alert::CANCEL, SeqCst);
        if !green.is_main {
            glibc::mark_cancelled(green.fs.get());
        }
        remind(green);
    }
    Ok(())
}

/// Ends the wait of a thread that is to be cancelled, or interrupts it if it may be. The thread is alive: pthread_cancel's caller answers
/// for that.
fn remind(green: &'static Green) {
    if let Fired::Wake(_) = green.waiter.interrupt() {
        return slots::ready(green);
    }
    if (is_open(green) || may_be_open(green)) && !current().is_some_and(|me| std::ptr::eq(me, green)) {
        install();
        ring(green);
    }
}

/// The same, by the monitor and later: the thread may have ended, and a stack of the program's with its TCB may be gone. So only the bell's
/// handler, on the thread, asks whether it is open.
pub fn remind_again(green: &'static Green) {
    if !is_wanted(green) {
        return;
    }
    match green.waiter.interrupt() {
        Fired::Wake(_) => slots::ready(green),
        _ => ring(green),
    }
}

fn ring(green: &'static Green) {
    // SAFETY: null before its first resume, when it has asked for nothing yet; workers are never freed.
    if let Some(worker) = unsafe { green.worker.load(SeqCst).as_ref() } {
        if !delivery::ring_for(green, worker.kernel_tid.load(Relaxed), BELL) {
            delivery::ring_again(green); // That kernel thread is gone.
        }
    }
}

/// Is a cancellation pending that a living thread allows? As far as can be said from elsewhere.
pub fn is_wanted(green: &Green) -> bool {
    green.alerts.load(SeqCst) & alert::CANCEL != 0
        && !green.cancel_disabled.load(SeqCst)
        && green.life.load(SeqCst) & (life::FINISHED | life::GONE) == 0
}

/// Is the thread to be cancelled although it does not park?
pub fn is_open(green: &Green) -> bool {
    (green.in_call.load(SeqCst) || is_at_point(green)) && is_due(green)
}

/// May the thread be in a cancellation point inside libc, of which only its instruction tells? Main's note in glibc says nothing.
pub fn may_be_open(green: &Green) -> bool {
    !green.is_main && is_due(green) && glibc::may_be_in_point(green.fs.get())
}

/// May the thread be cancelled right where it is, outside the library's own calls?
pub fn is_at_point(green: &Green) -> bool {
    green.cancel_asynchronous.load(SeqCst) || glibc::is_in_point(green.fs.get()) && !green.is_main
}

/// Is a cancellation pending and allowed?
#[inline]
pub fn is_due(green: &Green) -> bool {
    green.alerts.load(SeqCst) & alert::CANCEL != 0 && !green.cancel_disabled.load(Relaxed) && !ends_already(green)
}

/// Does a cancellation point inside libc act already? Then nothing else will.
#[cold]
fn ends_already(green: &Green) -> bool {
    let ends = glibc::is_exiting(green.fs.get());
    if ends {
        green.cancel_disabled.store(true, SeqCst);
    }
    ends
}

/// Acts on a cancellation of a thread that may be cancelled at any moment. Called before the program's code goes on: where that comes back
/// soon, no bell ever finds it there.
#[inline]
pub fn asynchronous_point() {
    if current().is_some_and(|me| me.cancel_asynchronous.load(Relaxed)) {
        cancellation_point();
    }
}

/// Acts on a cancellation that is pending and allowed: never returns then.
#[inline]
pub fn cancellation_point() {
    let Some(me) = current() else { return };
    if is_due(me) {
        act(me);
    }
}

/// Ends the running thread as cancelled. Called where nothing with a destructor of the library's is on the stack, with no lock held.
#[cold]
pub fn act(me: &'static Green) -> ! {
    me.alerts.fetch_and(!alert::CANCEL, SeqCst);
    // SAFETY: `EXIT` holds a function of this type since the start. Callers are hooks and waits, which keep nothing with a destructor on
    // the stack (the door's rule), and the program's code, which asked for it.
    unsafe { std::mem::transmute::<*mut (), Exit>(EXIT.load(Relaxed))(me, CANCELED) }
}

/// Does `call`, which is no cancellation point though functions that are may make it: only a thread that may be cancelled at any moment
/// ends in it.
pub fn without_points<R>(call: impl FnOnce() -> R) -> R {
    let Some(me) = current().filter(|me| !me.cancel_asynchronous.load(Relaxed)) else { return call() };
    let before = me.cancel_disabled.swap(true, SeqCst);
    let result = call();
    me.cancel_disabled.store(before, SeqCst);
    result
}

/// Does `call`, which may block in the kernel and is a cancellation point: does not return where the thread is cancelled.
#[inline]
pub fn block<R>(call: impl FnOnce() -> R) -> R {
    block_for(Length::Unknown, call)
}

/// The same for a call that blocks for so long.
#[inline]
pub fn block_for<R>(length: Length, call: impl FnOnce() -> R) -> R {
    block_or(length, call, || ())
}

/// The same for a call that is no cancellation point: only a thread that may be cancelled at any moment ends in it.
pub fn block_at_no_point<R>(length: Length, call: impl FnOnce() -> R) -> R {
    if current().is_some_and(|me| me.cancel_asynchronous.load(Relaxed)) {
        block_for(length, call)
    } else {
        call::block_for(length, call)
    }
}

/// The same as `block_for`; a call that was cut short is undone before the thread ends.
#[inline]
pub fn block_or<R>(length: Length, call: impl FnOnce() -> R, undo: impl FnOnce()) -> R {
    let Some(me) = current() else { return call() };
    let outer = me.in_call.swap(true, SeqCst);
    if is_due(me) {
        me.cut.set(true);
    }
    let result = if me.cut.get() { None } else { Some(call::block_for(length, call)) };
    me.in_call.store(outer, Relaxed);
    match result {
        Some(result) if !me.cut.get() => result,
        _ => {
            me.cut.set(false);
            undo();
            act(me)
        }
    }
}

/// The handler of signal 32 before the library's: glibc's, if it had one; else 0.
pub static BEFORE: AtomicUsize = AtomicUsize::new(0);
/// Where this library's instructions are: begin and end. Written by `install`.
pub static TEXT: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

/// The handler of signal 32 (`kernel::bell`), and what ends the running thread (`births::end`): set by the start, before either can be
/// wanted.
static HANDLER: AtomicUsize = AtomicUsize::new(0);
static EXIT: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Ends the running thread with a result, unwinding its stack.
pub type Exit = unsafe fn(&'static Green, *mut c_void) -> !;

/// Sets the handler and the exit. Called by the start, while there is one thread.
pub fn act_by(handler: usize, exit: Exit) {
    HANDLER.store(handler, Relaxed);
    EXIT.store(exit as *mut (), Relaxed);
}

/// Takes signal 32, again before each bell: glibc may have taken it meanwhile, for a thread that is not green.
pub fn install() {
    let flags = libc::SA_SIGINFO as usize | libc::SA_RESTART as usize | RESTORER;
    let own = HANDLER.load(Relaxed);
    debug_assert!(own != 0);
    let mut before = [0; 4];
    if let Some((start, bytes)) = glibc::own_text() {
        TEXT[0].store(start, Relaxed);
        TEXT[1].store(start + bytes, Relaxed);
    }
    // SAFETY: the handler is fit for any thread, and passes on to glibc's what is no bell.
    unsafe { sys::signal_action(BELL, &[own, flags, arch::signal_return(), 0], &mut before) };
    if before[0] != own {
        BEFORE.store(before[0], Relaxed);
    }
}

/// pthread.h: PTHREAD_CANCELED.
pub const CANCELED: *mut c_void = usize::MAX as *mut c_void;
