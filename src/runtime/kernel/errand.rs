//! Errands: system calls that only a certain kernel thread may make, whichever thread runs there. An errand, step by step:
//!
//! 1. The asking thread takes `ERRAND.taken`, for there is one errand at a time, and puts the guard up: a handler of the program's that ran
//!    meanwhile might ask as well, and would wait for ever.
//! 2. It writes the call, stores ASKED, and sends the kernel thread glibc's own signal for user ids, which no thread blocks, with a code
//!    that glibc's handler ignores.
//! 3. The signal's handler (`identity`) makes the call there (`look`), stores DONE and wakes.
//! 4. The asking thread, which has waited in the kernel, reads the result. A kernel thread that has ended never answers, so it looks every
//!    `LOOKS_AGAIN_AFTER_NS` whether that is still there.

use crate::base::guard;
use crate::runtime::waiting::call::{block_for, Length};
use crate::sys::{self, older};
use std::sync::atomic::{AtomicI32, AtomicIsize, AtomicU32, Ordering::*};

/// glibc's SIGSETXID.
pub const SIGNAL: i32 = 33;

/// The one errand. Its state:
///
/// ```text
///   from            to     by
///   FREE or DONE    ASKED  ask, once all other words are written (Release)
///   ASKED           DONE   look, on the kernel thread `tid` (Release; wakes)
///   any             FREE   a fork child
/// ```
struct Errand {
    /// 0: the errand is free; 2: a thread has it, and others may wait for it. A futex.
    taken: AtomicU32,
    state: AtomicU32,
    /// The kernel thread that is to make the call.
    tid: AtomicI32,
    number: AtomicIsize,
    arguments: [AtomicIsize; 4],
    result: AtomicIsize,
}

/// How often the thread that waits looks whether the kernel thread is still there, in nanoseconds.
const LOOKS_AGAIN_AFTER_NS: u64 = 10_000_000;

const FREE: u32 = 0;
const ASKED: u32 = 1;
const DONE: u32 = 2;

static ERRAND: Errand = Errand {
    taken: AtomicU32::new(0),
    state: AtomicU32::new(FREE),
    tid: AtomicI32::new(0),
    number: AtomicIsize::new(0),
    arguments: [const { AtomicIsize::new(0) }; 4],
    result: AtomicIsize::new(0),
};

/// Has the kernel thread `tid` make a system call, and returns the kernel's answer; `None`: there is no such kernel thread of this process.
/// Called on a green thread, which keeps its kernel thread meanwhile.
///
/// # Safety
/// That of the system call.
pub unsafe fn run(tid: i32, number: libc::c_long, arguments: [usize; 4]) -> Option<isize> {
    block_for(Length::Unknown, || {
        guard::enter_runtime();
        take();
        let result = ask(tid, number, arguments);
        give_back();
        guard::leave_runtime();
        result
    })
}

fn take() {
    while ERRAND.taken.swap(2, Acquire) != 0 {
        sys::futex_wait(&ERRAND.taken, 2, None).ok();
    }
}

fn give_back() {
    ERRAND.taken.store(0, Release);
    sys::futex_wake(ERRAND.taken.as_ptr(), 1);
}

fn ask(tid: i32, number: libc::c_long, arguments: [usize; 4]) -> Option<isize> {
    ERRAND.tid.store(tid, Relaxed);
    ERRAND.number.store(number as isize, Relaxed);
    ERRAND.arguments.iter().zip(arguments).for_each(|(place, argument)| place.store(argument as isize, Relaxed));
    ERRAND.state.store(ASKED, Release);
    // SAFETY: all-zero is a value of siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    (info.si_signo, info.si_code) = (SIGNAL, libc::SI_QUEUE);
    older::queue_signal(tid, SIGNAL, &info).ok()?;
    while ERRAND.state.load(Acquire) != DONE {
        let looks_again_ns = sys::now_ns() + LOOKS_AGAIN_AFTER_NS;
        let timed_out = sys::futex_wait(&ERRAND.state, ASKED, Some(looks_again_ns)) == Err(libc::ETIMEDOUT);
        // The kernel thread may have ended, and taken the signal with it.
        if timed_out && sys::signal_thread(tid, 0).is_err() && ERRAND.state.load(Acquire) != DONE {
            return None;
        }
    }
    Some(ERRAND.result.load(Relaxed))
}

/// Makes the call that was asked of this kernel thread, if any. Called in the handler of `SIGNAL`, where that came with a code that is not
/// glibc's.
pub fn look() {
    let mine = ERRAND.state.load(Acquire) == ASKED && ERRAND.tid.load(Relaxed) == sys::kernel_thread_id();
    if !mine {
        return;
    }
    let [a, b, c, d] = [0, 1, 2, 3].map(|at| ERRAND.arguments[at].load(Relaxed) as usize);
    // SAFETY: the caller of `run` answers for the call, and waits.
    let result = unsafe { sys::call(ERRAND.number.load(Relaxed) as libc::c_long, a, b, c, d, 0, 0) };
    ERRAND.result.store(result, Relaxed);
    ERRAND.state.store(DONE, Release);
    sys::futex_wake(ERRAND.state.as_ptr(), 1);
}

/// In a fork child: no errand is under way.
pub fn after_fork() {
    // The other words are written before each errand.
    let Errand { taken, state, tid: _, number: _, arguments: _, result: _ } = &ERRAND;
    state.store(FREE, Relaxed);
    taken.store(0, Relaxed);
}
