//! Calls that another thread makes while the context that asks for them is left: what blocks in the kernel, and what keeps state for each
//! thread. The thread is a green one of the library's own, on which no signal of the program's comes.
//!
//! ```text
//!   the context                                      the thread
//!   1. makes the job, on the heap, and the thread
//!   2. is left, for the address of `done`            makes the call, writes its result
//!   3. (the loop ends the wait: cancels the thread)  the call is cut short, unless it has had its effect
//!                                                    stores `done`, and wakes by the address
//!   4. takes the result, frees the job
//! ```
//!
//! A job holds its arguments by value: the context's stack may be copied away meanwhile. The thread does not touch the job after `done`.

use crate::base::signal_set::CLOSED;
use crate::runtime::births::thread::{self, Wish, WishedStack};
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::words::Start;
use crate::runtime::waiting::call::Length;
use crate::runtime::waiting::wait::Woken;
use crate::runtime::waiting::{cancel, lending, park, pin};
use crate::why::Why;
use std::cell::Cell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering::*};

/// How a job's call is made, and may be ended.
enum Way<R> {
    /// One system call: on the kernel thread, whose slot is offered. Cut short, the job has this result.
    Kernel(R),
    /// As a green thread makes it.
    Green,
    /// On the kernel thread, whose slot is offered, with all that it calls.
    Native,
}

/// A call that another thread makes.
struct Job<F, R> {
    /// 1: the result is there, and the thread is through with the job.
    done: AtomicU32,
    way: Cell<Option<Way<R>>>,
    call: Cell<Option<F>>,
    result: Cell<Option<R>>,
}

impl<F, R> Job<F, R>
where
    F: FnOnce() -> R,
{
    /// Notes the result, and wakes the context. The job is not touched after that.
    fn finish(&self, result: R) {
        let address = self.done.as_ptr() as usize;
        self.result.set(Some(result));
        self.done.store(1, SeqCst);
        park::wake_all(address);
    }

    /// Does the job: the thread's function.
    extern "C" fn work(job: *mut c_void) -> *mut c_void {
        // SAFETY: `elsewhere` keeps the job until it is done.
        let job = unsafe { &*(job as *const Job<F, R>) };
        if let (Some(way), Some(call)) = (job.way.take(), job.call.take()) {
            match way {
                Way::Kernel(cut) => job.finish(cancel::block_or(Length::Long, call, || job.finish(cut))),
                Way::Green => job.finish(call()),
                Way::Native => job.finish(pin::in_libc(call)),
            }
        }
        std::ptr::null_mut()
    }

    /// Makes a thread for the job.
    fn thread(&self) -> Option<&'static Green> {
        const BYTES: usize = 1 << 20;
        const GUARD: usize = 4096;
        let wish = Wish {
            start: Start::Posix(Self::work),
            argument: self as *const Self as *mut c_void,
            detached: false,
            stack: WishedStack::Ours(BYTES, GUARD),
            processors: None,
            schedule: None,
            mask: Some(CLOSED),
        };
        let mut thread = None;
        thread::create(wish, |pthread| thread = Green::of(pthread)).ok()?;
        thread
    }
}

/// Makes a system call on another thread, while the context that runs here is left: its result. `None`: no context may be left, or no
/// thread is to be had, and the call was not made. `call` has its arguments by value, and answers a negated error number; EINTR where the
/// loop has ended the wait. Called by hooks, on any thread, with no lock held.
#[inline]
pub fn in_kernel(why: Why, call: impl FnOnce() -> isize + 'static) -> Option<isize> {
    if !lending::lends() {
        return None;
    }
    elsewhere(why, Way::Kernel(-(libc::EINTR as isize)), call)
}

/// Does `call` on another green thread, as `kernel` does; what it waits for parks that thread. The loop's end of the wait is not heard.
#[inline]
pub fn green<R: 'static>(why: Why, call: impl FnOnce() -> R + 'static) -> Option<R> {
    if !lending::lends() {
        return None;
    }
    elsewhere(why, Way::Green, call)
}

/// Does `call` on another kernel thread, as `green` does; it keeps its kernel thread to the end, and no slot.
pub fn native<R: 'static>(why: Why, call: impl FnOnce() -> R + 'static) -> Option<R> {
    if !lending::lends() {
        return None;
    }
    elsewhere(why, Way::Native, call)
}

/// Does a job as the top of this file says.
#[cold]
fn elsewhere<F: FnOnce() -> R + 'static, R: 'static>(why: Why, way: Way<R>, call: F) -> Option<R> {
    let context = lending::context(why)?;
    let may_be_cut = matches!(way, Way::Kernel(_));
    let job = Box::new(Job {
        done: AtomicU32::new(0),
        way: Cell::new(Some(way)),
        call: Cell::new(Some(call)),
        result: Cell::new(None),
    });
    let Some(thread) = job.thread() else {
        context.give_up();
        return None;
    };
    context.count_offload();
    let address = job.done.as_ptr() as usize;
    let must_wait = || job.done.load(SeqCst) == 0;
    let mut woken = park::park_context(context, address, 0, None, must_wait);
    while must_wait() {
        if may_be_cut && matches!(woken, Woken::Ended(_)) {
            cancel::cancel(thread).ok();
        }
        woken = park::park_for_lock(why, address, 0, None, must_wait);
    }
    thread::detach(thread).ok();
    job.result.take()
}
