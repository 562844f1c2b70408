//! Cancellation: a flag and an alert of the library's own, looked at by every wait that is a cancellation point. Acting on it is glibc's
//! own pthread_exit, so cleanup handlers and C++ destructors run as they do natively.
//!
//! pthread_cancel and its thread meet by words that each writes before it reads the other's:
//!
//! 1. `cancel` sets `alert::CANCEL` in the thread's `alerts`, then interrupts its waiter, then reads `in_call`.
//! 2. A thread that parks arms its waiter, then reads `alerts`. A thread that goes into the kernel sets `in_call`, then reads `alerts`.
//! 3. All of these are SeqCst, so one is first: the thread reads the alert and acts, or `cancel` sees the waiter armed or the call begun.
//! 4. A call that was seen is rung out of the kernel by the bell, signal 32, which is glibc's own for that and which no thread blocks.
//!
//! What the bell's handler (`kernel::bell`) does, by where it finds the thread:
//!
//! ```text
//!   where                                              what
//!   the program's code, asynchronous cancellation      acts at once
//!   a system call of `block`, before its effect        changes the frame: the call returns as interrupted, and the thread acts then
//!   a system call of `block` that has had its effect   lets the call return; the next cancellation point acts
//!   a cancellation point inside libc, in the kernel    acts at once
//!   elsewhere in the library's code                    asks the monitor to ring again
//!   (the thread runs on another kernel thread)         asks the monitor to ring again
//! ```
//!
//! Cancellation points inside libc (a stream's write) never call a hook. They look at glibc's own note in the thread's descriptor and act
//! by themselves. So `cancel` writes that note too; of main it does not, for main's kernel thread must not end. A thread that glibc unwinds
//! already is left alone (`ends_already`).

use crate::base::kept::Kept;
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

/// Asks a thread to end: pthread_cancel, on any thread, with no lock held. Fails by ESRCH where the thread is joined, or detached and
/// ended; for a finished thread that was not joined it does nothing.
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

/// Ends the wait of a thread that is to be cancelled, or rings the kernel thread it may be in a call on. The thread is alive: the caller of
/// pthread_cancel answers for that, so its TCB may be read.
fn remind(green: &'static Green) {
    if let Fired::Wake(_) = green.waiter.interrupt() {
        return slots::ready(green);
    }
    if (is_open(green) || may_be_open(green)) && !current().is_some_and(|me| std::ptr::eq(me, green)) {
        install();
        ring(green);
    }
}

/// Reminds a thread of its cancellation once more. Called by the monitor, for threads that `delivery::ring_again` noted. The thread may
/// have ended, and a stack of the program's with its TCB may be gone: so only the bell's handler, on the thread, asks whether it is open.
pub fn remind_again(green: &'static Green) {
    if !is_wanted(green) {
        return;
    }
    match green.waiter.interrupt() {
        Fired::Wake(_) => slots::ready(green),
        _ => ring(green),
    }
}

/// Sends the bell to the kernel thread that ran the thread last. Where that has gone, the monitor rings again later.
fn ring(green: &'static Green) {
    // SAFETY: null before its first resume, when it has asked for nothing yet; workers are never freed.
    if let Some(worker) = unsafe { green.worker.load(SeqCst).as_ref() } {
        if !delivery::ring_for(green, worker.kernel_tid.load(Relaxed), BELL) {
            delivery::ring_again(green); // That kernel thread is gone.
        }
    }
}

/// Is a cancellation pending that a living thread allows? Called on any thread, also on others than `green`: a guess then, for the thread
/// may change its mind or end. Reads nothing of the thread's TCB.
pub fn is_wanted(green: &Green) -> bool {
    green.alerts.load(SeqCst) & alert::CANCEL != 0
        && !green.thread.cancel_disabled.load(SeqCst)
        && green.life.load(SeqCst) & (life::FINISHED | life::GONE) == 0
}

/// Is the thread to be cancelled although it does not park? Reads its TCB, so the thread must be alive.
pub fn is_open(green: &Green) -> bool {
    (green.wait.in_call.load(SeqCst) || is_at_point(green)) && is_due(green)
}

/// May the thread be in a cancellation point inside libc? Only the instruction pointer tells for sure (`kernel::bell`). False for main,
/// whose note in glibc is never written. Reads the thread's TCB, so the thread must be alive.
pub fn may_be_open(green: &Green) -> bool {
    !green.is_main && is_due(green) && glibc::may_be_in_point(green.fs.get())
}

/// May the thread be cancelled right where it is, outside the library's own calls? True for asynchronous cancellation, and at a point
/// inside libc.
pub fn is_at_point(green: &Green) -> bool {
    green.thread.cancel_asynchronous.load(SeqCst) || glibc::is_in_point(green.fs.get()) && !green.is_main
}

/// Is a cancellation pending and allowed? Called on the thread itself, or by `cancel` while the thread is alive.
#[inline]
pub fn is_due(green: &Green) -> bool {
    green.alerts.load(SeqCst) & alert::CANCEL != 0
        && !green.thread.cancel_disabled.load(Relaxed)
        && !ends_already(green)
}

/// Does a cancellation point inside libc act already? Then cancellation is disabled here: a second unwinding must not begin.
#[cold]
fn ends_already(green: &Green) -> bool {
    let ends = glibc::is_exiting(green.fs.get());
    if ends {
        green.thread.cancel_disabled.store(true, SeqCst);
    }
    ends
}

/// Acts on a cancellation of a thread that may be cancelled at any moment. Called by hooks before the program's code goes on: a thread
/// whose code calls the next hook soon may never be found in its own code by a bell.
#[inline]
pub fn asynchronous_point() {
    if current().is_some_and(|me| me.thread.cancel_asynchronous.load(Relaxed)) {
        cancellation_point();
    }
}

/// Acts on a cancellation that is pending and allowed: never returns then. Called as `act` is.
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

/// Does `call` with cancellation disabled: the call is no cancellation point, although functions that are one may be called in it. A thread
/// with asynchronous cancellation is left open.
pub fn without_points<R>(call: impl FnOnce() -> R) -> R {
    let Some(me) = current().filter(|me| !me.thread.cancel_asynchronous.load(Relaxed)) else { return call() };
    let before = me.thread.cancel_disabled.swap(true, SeqCst);
    let result = call();
    me.thread.cancel_disabled.store(before, SeqCst);
    result
}

/// Does `call`, which may block in the kernel and is a cancellation point: does not return where the thread is cancelled. Called as
/// `block_or` is.
#[inline]
pub fn block<R>(call: impl FnOnce() -> R) -> R {
    block_for(Length::Unknown, call)
}

/// Does `call`, a cancellation point that blocks in the kernel for as long as `length` says. Called as `block_or` is.
#[inline]
pub fn block_for<R>(length: Length, call: impl FnOnce() -> R) -> R {
    block_or(length, call, || ())
}

/// Does `call`, which blocks in the kernel and is no cancellation point: only a thread with asynchronous cancellation ends in it.
pub fn block_at_no_point<R>(length: Length, call: impl FnOnce() -> R) -> R {
    if current().is_some_and(|me| me.thread.cancel_asynchronous.load(Relaxed)) {
        block_for(length, call)
    } else {
        call::block_for(length, call)
    }
}

/// Does `call`, a cancellation point that may block in the kernel, and returns its result. Where the thread is cancelled it calls `undo`,
/// ends the thread and does not return.
///
/// Called on any thread, with no lock held and nothing with a destructor on the stack. Steps, against `cancel` on another thread:
///
/// 1. `in_call` is set before the alert is read (both SeqCst): a cancellation that comes later sees the call, and rings.
/// 2. A cancellation that came before is `cut` here, without a call.
/// 3. The bell's handler sets `cut` only if it could interrupt the system call before its effect. A call that had its effect returns.
#[inline]
pub fn block_or<R>(length: Length, call: impl FnOnce() -> R, undo: impl FnOnce()) -> R {
    let Some(me) = current() else { return call() };
    let outer = me.wait.in_call.swap(true, SeqCst);
    if is_due(me) {
        me.wait.cut.set(true);
    }
    let result = if me.wait.cut.get() { None } else { Some(call::block_for(length, call)) };
    me.wait.in_call.store(outer, Relaxed);
    match result {
        Some(result) if !me.wait.cut.get() => result,
        _ => {
            me.wait.cut.set(false);
            undo();
            act(me)
        }
    }
}

/// The handler of signal 32 before the library's: glibc's, if it had one; else 0.
pub static BEFORE: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));
/// The addresses of this library's instructions: begin and end. Written by `install`.
pub static TEXT: Kept<[AtomicUsize; 2]> = Kept::new([const { AtomicUsize::new(0) }; 2]);

/// The address of signal 32's handler (`kernel::bell`). Set by the start, before the first bell.
static HANDLER: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));
/// The function that ends the running thread (`births::end`), an `Exit`. Set by the start, before the first cancellation.
static EXIT: Kept<AtomicPtr<()>> = Kept::new(AtomicPtr::new(std::ptr::null_mut()));

/// Ends the running thread with a result, unwinding its stack.
pub type Exit = unsafe fn(&'static Green, *mut c_void) -> !;

/// Sets the handler and the exit. Called by the start, while there is one thread.
pub fn act_by(handler: usize, exit: Exit) {
    HANDLER.store(handler, Relaxed);
    EXIT.store(exit as *mut (), Relaxed);
}

/// Takes signal 32, and notes whose it was. Called before each bell, on any thread: glibc may have taken the signal back meanwhile, for a
/// pthread_cancel of a thread that is not green.
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
