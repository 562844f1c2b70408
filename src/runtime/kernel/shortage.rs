//! There is no kernel thread to be had (a limit of processes, a cgroup's). A slot that was in use may be vacant then, with descriptors and
//! deadlines that are waited for: the workers that find nothing to do in theirs go round (`share_workers`), and the monitor takes in what
//! has come there.
//!
//! And those that there are may stand in the kernel, in calls that nobody catches. Natively each of these threads has its own. Here
//! they must share: the monitor rings the kernel threads whose slots were taken, and a thread that is found in a system call steps
//! aside there: it is ready, others run on its kernel thread, and when its turn comes the call is made once more, or says EINTR, as the
//! kernel has it. Who sleeps for a time is left alone: that ends by itself, and would say EINTR always. So is
//! who closes a socket that lingers: that is not made again, and what it promises would be lost.
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

/// The bell's value: it is for whoever runs there.
pub const WHOEVER: usize = 1;

/// Held while the bells are rung, and while it is noted that a program is going to be executed.
static RINGING: RawLock = RawLock::new(Rank::Process);
/// How many threads execute another program. The kernel makes no thread meanwhile, as in a shortage.
static EXECUTING: AtomicUsize = AtomicUsize::new(0);

/// Executes another program. No bell may be on its way then: it would wait for the new program, and end it, which has no handler.
pub fn unrung<R>(execute: impl FnOnce() -> R) -> R {
    RINGING.with(|| EXECUTING.fetch_add(1, Relaxed));
    sys::kernel_thread_id(); // A bell that has rung is heard on the way back from a call.
    let failed = execute();
    EXECUTING.fetch_sub(1, Relaxed);
    failed
}

/// In a fork child: whoever executes is not here.
pub fn after_fork() {
    RINGING.after_fork();
    EXECUTING.store(0, Relaxed);
    SHARED.store(false, Relaxed);
}

/// No worker can be had for now.
pub fn is_here() -> bool {
    reserve::is_refused() || caretaker::is_stuck()
}

/// Workers are to leave their slots when they find nothing to do there.
static SHARED: AtomicBool = AtomicBool::new(false);

#[inline]
pub fn is_shared() -> bool {
    SHARED.load(Relaxed)
}

/// The monitor's, at every tick: is a slot vacant that was in use? One that sleeps in another comes for it, if there is nobody else.
pub fn share_workers() -> bool {
    let some_are_left = slots::slots().iter().any(|slot| slot.is_left());
    let shared = some_are_left && is_here();
    if shared || is_shared() {
        SHARED.store(shared, Relaxed);
    }
    if shared {
        slots::slots().iter().for_each(|slot| _ = slots::rouse(slot));
    }
    some_are_left
}

/// The monitor's: a slot is vacant, and no kernel thread can be made for it.
#[cold]
pub fn ring_those_without_slot() {
    RINGING.with(|| {
        if EXECUTING.load(Relaxed) == 0 {
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
            delivery::ring_at(kernel_tid, cancel::BELL, WHOEVER);
        }
    });
}

called_inline!(way, stepped_aside);

/// The thread's own stack, outside of any handler.
extern "C" fn stepped_aside(call: &Call) -> isize {
    let errno = glibc::errno();
    yielding::yield_now();
    glibc::set_errno(errno);
    call.number as isize
}

/// The bell has rung for whoever runs here.
///
/// # Safety
/// `registers` are those of the interrupted code, which can be read; it is none of ours.
pub unsafe fn step_aside(registers: &registers::Registers) {
    let Some(me) = current().filter(|_| arch::guard_word() == 0 && arch::capture_word() == 0 && possible()) else {
        return;
    };
    if !frames::is_bound(me) && !me.in_call.load(Relaxed) && registers.is_at_call() {
        registers.go_on_below(way as *const () as usize, inline::top_for(me, registers.stack_pointer()));
    }
}
