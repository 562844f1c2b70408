//! The dump's signal: a signal of the user's choice has the green threads listed (the option `dump`). src/dumper.rs knows what the list
//! says and where it goes; this file is how the signal comes to it.
//!
//! The signal's handler only rings a bell (`LISTING.bell`: 0 → 1 by the handler, 1 → 0 by the kernel thread, before it writes, so that a
//! signal which comes meanwhile makes one more list). A kernel thread made for it, when the runtime starts and only if the option is set,
//! writes the list. That kernel thread holds no lock while it does, and may wait for a slow reader. It also takes the signal where all
//! other threads block it. The program's own handler of that signal runs as well; its default action does not.

use crate::base::guard;
use crate::base::kept::Kept;
use crate::base::signal_set;
use crate::runtime::kernel::gate::GATE;
use crate::runtime::machine::{counts, disposition, siginfo};
use crate::runtime::signal::{entry, shelf};
use crate::{glibc, sys};
use libc::{c_int, c_void, siginfo_t};
use once_cell::race::OnceBox;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::*};

/// The functions that are called when the signal comes.
pub struct Duty {
    /// The signal's number.
    pub signal: c_int,
    /// Writes the list. Called on the kernel thread that is made for it.
    pub write: fn(),
    /// Says that there are no green threads, for the runtime does not run. Called inside the signal's handler, so it allocates nothing.
    pub say_native: fn(),
}

/// The option's signal and what it does; not set: the option is not. Set once, at load.
static DUTY: Kept<OnceBox<Duty>> = Kept::new(OnceBox::new());
/// The kernel thread that writes lists, and what it is called by.
struct Listing {
    /// 1: the signal has come.
    bell: AtomicU32,
    /// The kernel thread that waits for the bell, or 0.
    kernel_tid: AtomicI32,
}

static LISTING: Listing = Listing { bell: AtomicU32::new(0), kernel_tid: AtomicI32::new(0) };

/// Takes the duty on. Called at load, while the process has one thread. The kernel is told of the handler at once: before the runtime
/// starts the signal is not to end the program either.
pub fn prepare(duty: Duty) {
    let signal = duty.signal;
    DUTY.set(Box::new(duty)).ok();
    stand_before_default(signal);
}

/// The tid of the kernel thread that writes lists; 0: there is none. Asked on any thread.
pub fn kernel_tid() -> i32 {
    LISTING.kernel_tid.load(Relaxed)
}

/// Is this the dump's signal? Asked by the hooks of sigaction, on any thread. False without the option.
pub fn is_signal(number: c_int) -> bool {
    DUTY.get().is_some_and(|duty| duty.signal == number)
}

/// The address of the handler that the kernel is told for the dump's signal. Told to the kernel by the hooks of sigaction too, whatever the
/// program sets for that signal.
pub fn handler() -> usize {
    rang as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize
}

/// Installs the handler where the program has the default action. Called at load, by the hooks of sigaction while the runtime does not run,
/// and after a handler that was to run once.
pub fn stand_before_default(signal: c_int) {
    if disposition::in_kernel(signal).is_some_and(|now| now.handler == libc::SIG_DFL) {
        let flags = libc::SA_SIGINFO as usize | libc::SA_RESTART as usize | libc::SA_ONSTACK as usize;
        let action = disposition::Action { handler: handler(), flags, mask: signal_set::CLOSED };
        // SAFETY: `rang` may run on any thread, anywhere.
        unsafe { disposition::tell_kernel(signal, action) };
    }
}

/// The kernel's handler for the signal. It interrupts anything, on any thread: it makes system calls, and goes on to the program's handler.
extern "C" fn rang(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(duty) = DUTY.get() else { return };
    // SAFETY: the kernel passes a valid siginfo_t.
    let is_own = siginfo::is_own(unsafe { &*info });
    let kernel_tid = LISTING.kernel_tid.load(Acquire);
    if !is_own && kernel_tid != 0 {
        LISTING.bell.store(1, SeqCst);
        sys::futex_wake(LISTING.bell.as_ptr(), 1);
    } else if !is_own {
        (duty.say_native)();
    }
    if !super::started() || !disposition::of(number).is_handler() {
        return;
    }
    if sys::kernel_thread_id() == kernel_tid {
        // SAFETY: as above. (No lock is held here: the mask is open while nothing is done.)
        return shelf::shelve(unsafe { &*info });
    }
    // SAFETY: the entry is such a function (`entry::entry_address`), and this is the kernel's call of it.
    let entry: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
        unsafe { std::mem::transmute(entry::entry_address()) };
    entry(number, info, context);
    if !disposition::of(number).is_handler() {
        stand_before_default(number); // The program's handler had SA_RESETHAND.
    }
}

/// Makes the kernel thread that writes lists, if the option is set. Called right after the start, on main. Where none is to be had, each
/// signal says that there are no green threads, as before the start. That kernel thread is none of the workers, and is counted among the
/// process's (`counts`).
pub fn after_start() {
    if DUTY.get().is_none() {
        return;
    }
    GATE.enter();
    counts::kernel_thread_born();
    let old_mask = sys::set_signal_mask(signal_set::CLOSED);
    let born = glibc::create_thread(thread_main, std::ptr::null_mut(), None);
    sys::set_signal_mask(old_mask);
    if born.is_err() {
        counts::kernel_thread_gone();
    }
    GATE.leave();
}

/// Runs on the kernel thread that writes lists, for ever: the dump's signal is open while it waits, and all are blocked while it writes.
extern "C" fn thread_main(_: *mut c_void) -> *mut c_void {
    guard::enter_runtime();
    LISTING.kernel_tid.store(sys::kernel_thread_id(), Release);
    let Some(duty) = DUTY.get() else { return std::ptr::null_mut() };
    loop {
        sys::set_signal_mask(signal_set::CLOSED & !signal_set::bit(duty.signal));
        while LISTING.bell.load(SeqCst) == 0 {
            sys::futex_wait(&LISTING.bell, 0, None).ok();
        }
        sys::set_signal_mask(signal_set::CLOSED);
        LISTING.bell.store(0, SeqCst);
        (duty.write)();
    }
}

/// In a fork child: the kernel thread is not here.
pub fn after_fork() {
    let Listing { bell, kernel_tid } = &LISTING;
    kernel_tid.store(0, Relaxed);
    bell.store(0, Relaxed);
}
