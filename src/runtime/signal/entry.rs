//! The entry of signals: the one handler that the kernel knows, which stands before every handler of the program's.
//!
//! A handler runs on the green thread that it is for, with its stack, TLS, mask and a real signal frame, never on a worker's own stack and
//! never in the middle of the runtime. The kernel delivers to kernel threads, so `entry` decides where a signal goes. Five facts carry the
//! rest:
//!
//! - *A thread's mask is the truth* (`Green::mask`), in handlers too; its kernel thread has the same one while it runs.
//! - *A thread's queue is the truth* (`Green::pending`). A signal that the library sends to a kernel thread is a bell: it says only
//!   "look into your queue", and rings in vain where another thread runs by then. It is the signal itself, so that the
//!   kernel makes the frame, applies the handler's mask and restarts system calls as natively.
//! - *A thread that goes on looks* (`look`): after every wait, every yield, and when it begins.
//! - *A worker that sleeps takes no signals, but is told of them.* It blocks everything; its slot's reactor has a descriptor that is
//!   readable when a signal with a handler waits (`shelf::watch`). The sleeping monitor takes what no other kernel thread would
//!   (`sweep::listen`), and what main would die of.
//! - *What came first is seen first* (`sweep`): before news from outside, of a descriptor or of a call that is over, reach a thread, the
//!   signals that came before them are handed out. Natively the kernel sees to that on the way out of the call.
//!
//! So a signal goes one of these ways:
//!
//! ```text
//!   to a thread (pthread_kill, tgkill, raise)    → its queue → it is parked: its wait ends, it looks; it runs: a bell
//!   to the process, at a running thread          → main takes it, if it may: main's queue; else the handler runs here
//!   to the process, at the monitor, or swept     → main, or any thread that does not block it: its queue
//!   to the process, and every thread blocks it   → back to the kernel, where it waits until a thread unblocks it
//!   inside the runtime (the guard is up)         → a knock, and what is no bell onto the shelf: seen to when the guard goes down
//!   a fault                                      → the handler runs here
//! ```
//!
//! How a handler runs stands in `handler`.

use crate::base::guard::{self, knock, leave_runtime};
use crate::base::signal_set::bit;
use crate::runtime::machine::disposition;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::machine::put_back::unwrapped;
use crate::runtime::machine::siginfo::SI_TKILL;
use crate::runtime::signal::default::act_by_default;
use crate::runtime::signal::delivery::{is_fault, pass_to};
use crate::runtime::signal::handler::run;
use crate::runtime::signal::takers::{addressee, main_takes, takes};
use crate::runtime::signal::{shelf, sweep};
use crate::{arch, sys};
use libc::{c_int, c_void, siginfo_t};

/// The address of the handler that stands before the program's.
pub fn entry_address() -> usize {
    entry as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize
}

/// The kernel's handler for each signal of the program's while the runtime runs: called on any kernel thread, at any instruction, with what
/// `disposition` asked the kernel to block. Takes no lock while the guard is up.
pub extern "C" fn entry(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid siginfo_t, on this stack.
    let came = unsafe { &mut *info };
    // A SIGABRT of libc's own cannot wait: libc aborts on a worker's own stack when another thread's setuid has failed in part.
    let aborts = signal == libc::SIGABRT && came.si_code == SI_TKILL;
    let (me, inside) = (current(), arch::guard_word() != 0 && !aborts);
    // SAFETY: the kernel's frame.
    if is_fault(came) && unsafe { arch::registers::Registers::of(context) }.mend_load() {
        return;
    }
    if is_fault(came) || is_trap(came) {
        guard::enter_runtime();
        return run(signal, info, context);
    }
    let Some(first) = unwrapped(came) else {
        return answer_bell(signal, info, context);
    };
    *came = first;
    if inside {
        return shelf::shelve_until_left(came);
    }
    if let Some(whose) = addressee(came) {
        return pass_to(whose, came);
    }
    let directed = came.si_code == SI_TKILL || is_own_doing(came);
    guard::enter_runtime();
    if !directed && shelf::comes_after_shelved(signal) {
        shelf::shelve_until_left(came);
        return leave_runtime();
    }
    let mine = match me {
        Some(me) => directed || takes(me, signal) && (me.is_main || !main_takes(signal)),
        None => directed,
    };
    if mine {
        me.inspect(|me| put_in_line(me, came, directed));
        return run(signal, info, context);
    }
    sweep::hand(came, context);
    leave_runtime();
}

/// Puts a signal in line behind another of its kind that waits in the thread's queue: that one is in `came` afterwards.
pub fn put_in_line(me: &Green, came: &mut siginfo_t, directed: bool) {
    if me.signals.pending.bits() & bit(came.si_signo) != 0 {
        me.signals.pending.add(came, directed);
        if let Some(first) = me.signals.pending.take(bit(came.si_signo)) {
            *came = first;
        }
    }
}

/// Passes on a signal that arrived at another handler of the library's but is the program's.
pub fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    if disposition::of(signal).is_handler() {
        entry(signal, info, context);
    // SAFETY: the kernel passes a valid siginfo_t.
    } else if disposition::of(signal).handler == libc::SIG_DFL || is_trap(unsafe { &*info }) {
        act_by_default(signal);
    }
}

/// Is this the trap of a system call that this kernel thread was about to make, by a filter of the program's (seccomp)?
pub fn is_trap(info: &siginfo_t) -> bool {
    info.si_signo == libc::SIGSYS && info.si_code > 0
}

/// Did the call that runs right now cause this signal (SIGPIPE, SIGXFSZ)? The kernel marks such a signal like a kill by this process.
pub fn is_own_doing(info: &siginfo_t) -> bool {
    // SAFETY: SI_USER has a pid field.
    matches!(info.si_signo, libc::SIGPIPE | libc::SIGXFSZ)
        && info.si_code == libc::SI_USER
        && unsafe { info.si_pid() } == sys::process_id()
}

/// Answers a bell: runs the handler of what waits in the running thread's queue. Called in the signal's handler, with the guard down.
///
/// 1. The bell was sent to a kernel thread. Its green thread may have left that one, and looks at its queue when it goes on.
/// 2. Standard signals do not queue: the kernel may have dropped a bell for the present thread while the other one's waited.
/// 3. Therefore the present thread's queue is looked at, whichever thread the bell names.
pub fn answer_bell(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(me) = current() else { return };
    if arch::guard_word() != 0 {
        return knock();
    }
    if me.mask.get() & bit(signal) != 0 {
        return;
    }
    guard::enter_runtime();
    match me.signals.pending.take(bit(signal)) {
        Some(kept) => {
            // SAFETY: the frame's siginfo is ours to change before the handler sees it.
            unsafe { *info = kept };
            run(signal, info, context);
        }
        None => leave_runtime(),
    }
}
