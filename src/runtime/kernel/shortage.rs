//! The shortage: there is no kernel thread to be had (a limit of processes, a cgroup's). A slot that was in use may be vacant then, with
//! descriptors and deadlines that are waited for: the workers that find nothing to do in their slots serve the others in turn
//! (`share_workers`), and the monitor takes in what has come there.
//!
//! All kernel threads may sleep in the kernel, in calls that have no hook, while natively each thread has its own. Then threads share them:
//!
//! 1. The monitor rings the kernel threads whose slots were taken (`ring_those_without_slot`).
//! 2. A thread that is found in a system call steps aside: it is made ready, and others run on its kernel thread.
//! 3. When its turn comes the call is made once more, or fails by EINTR, as the kernel decides for a call that a signal interrupted.
//!
//! A sleep for a time is left alone: it ends by itself, and would always fail by EINTR. The close of a socket that lingers is left alone as
//! well: it is not made again, and what it promises would be lost.
//!
//! The bell's handler changes the frame, so that the thread goes on in an ordinary call of a function of ours, on its own stack (as for a
//! trapped call: arch/inline.rs). A system call is where that can be done: it loses two registers anyway.

use crate::arch::inline::{called_inline, possible, Call};
use crate::arch::{self, registers};
use crate::base::lock::{Rank, RawLock};
use crate::runtime::kernel::{caretaker, reserve};
use crate::runtime::machine::counts;
use crate::runtime::machine::parts::current;
use crate::runtime::sched::slots;
use crate::runtime::signal::{delivery, frames};
use crate::runtime::trap::inline;
use crate::runtime::waiting::{cancel, yielding};
use crate::{glibc, sys};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

/// The bell's value where it is for the thread that runs on the kernel thread, whichever that is by then. No address of a green thread.
pub const THREAD_HERE: usize = 1;

/// What is done against a shortage now.
struct Shortage {
    /// Held while the bells are rung, and while it is noted that a program is going to be executed.
    ringing: RawLock,
    /// How many threads execute another program. The kernel makes no thread meanwhile, as in a shortage.
    executing: AtomicUsize,
    /// True: workers are to leave their slots when they find nothing to do there. Written by the monitor.
    is_shared: AtomicBool,
}

static SHORTAGE: Shortage = Shortage {
    ringing: RawLock::new(Rank::Process),
    executing: AtomicUsize::new(0),
    is_shared: AtomicBool::new(false),
};

/// Does `execute`, which executes another program, with no bell on its way: that would wait for the new program, which has no handler, and
/// end it. Returns what a failed `execute` returned.
pub fn unrung<R>(execute: impl FnOnce() -> R) -> R {
    SHORTAGE.ringing.with(|| SHORTAGE.executing.fetch_add(1, Relaxed));
    sys::kernel_thread_id(); // A bell that has rung is heard on the way back from a call.
    let failed = execute();
    SHORTAGE.executing.fetch_sub(1, Relaxed);
    failed
}

/// In a fork child: no thread that executes is here.
pub fn after_fork() {
    let Shortage { ringing, executing, is_shared } = &SHORTAGE;
    ringing.after_fork();
    executing.store(0, Relaxed);
    is_shared.store(false, Relaxed);
}

/// Can no worker be had for now? Asked by the monitor.
pub fn is_here() -> bool {
    reserve::is_refused() || caretaker::is_stuck()
}

/// Is a worker to leave its slot when it finds nothing to do there? Asked by each before it sleeps on.
#[inline]
pub fn is_shared() -> bool {
    SHORTAGE.is_shared.load(Relaxed)
}

/// Looks whether a slot is vacant that was in use, and in a shortage wakes the workers that sleep in others. The monitor's duty, at each
/// tick. True: there is such a slot.
pub fn share_workers() -> bool {
    let some_are_left = slots::slots().iter().any(|slot| slot.is_left());
    let shared = some_are_left && is_here();
    if shared || is_shared() {
        SHORTAGE.is_shared.store(shared, Relaxed);
    }
    if shared {
        slots::slots().iter().for_each(|slot| _ = slots::rouse(slot));
    }
    some_are_left
}

/// Rings the workers that sleep in the kernel without a slot, so that their threads step aside. Called by the monitor where a slot stays
/// vacant and no kernel thread can be made for it.
#[cold]
pub fn ring_those_without_slot() {
    SHORTAGE.ringing.with(|| {
        if SHORTAGE.executing.load(Relaxed) == 0 {
            ring_all_without_slot();
        }
    });
}

fn ring_all_without_slot() {
    cancel::install();
    counts::for_each_worker(|worker| {
        let lost = worker.slot().is_some_and(|slot| slot.owner.glance().worker() != worker.id());
        let kernel_tid = worker.kernel_tid.load(Relaxed);
        if lost && sys::task::stands(kernel_tid) {
            delivery::ring_at(kernel_tid, cancel::BELL, THREAD_HERE);
        }
    });
}

called_inline!(way, stepped_aside);

/// Yields, and has the call made once more. Called on the thread's own stack, outside of any handler.
extern "C" fn stepped_aside(call: &Call) -> isize {
    let errno = glibc::errno();
    yielding::yield_now();
    glibc::set_errno(errno);
    call.number as isize
}

/// Has the running thread step aside where it is in a system call: the bell has rung for whichever thread runs here. Called in the bell's
/// handler.
///
/// # Safety
/// `registers` are those of the interrupted code, which can be read; it is none of ours.
pub unsafe fn step_aside(registers: &registers::Registers) {
    let Some(me) = current().filter(|_| arch::guard_word() == 0 && arch::capture_word() == 0 && possible()) else {
        return;
    };
    // SAFETY: the caller's registers, of code that can be read.
    let is_at_call = || unsafe { registers.is_at_call() };
    if !frames::is_bound(me) && !me.wait.in_call.load(Relaxed) && is_at_call() {
        registers.go_on_below(way as *const () as usize, inline::top_for(me, registers.stack_pointer()));
    }
}
