//! Workers at rest: the stacks and TCBs that glibc has made for them wait without a kernel thread, and a raw clone gives them one when they
//! are hired. glibc's pthread_create calls the program's calloc and takes locks of libc's own, which a parked thread may hold: so a hire
//! that progress depends on, the monitor's above all, must not need it.
//!
//! Workers are made in advance, by threads that make threads: as many as there are threads, up to `MADE`. A worker that retires comes to
//! rest as well, if there are not `KEPT` yet. Once some have been hired the caretaker makes up for them: the last one is its own, unless no
//! more can be made.
//!
//! ```text
//!   make: real pthread_create ─► worker_main ─► rest ──► (no kernel thread) ──► wake: raw clone ─► run ─► rest …
//! ```
//!
//! The words of `Reserve` beside its list, and what changes them:
//!
//! ```text
//!   word        rises or is set                          falls or is cleared
//!   making      before a worker is made (supply)         is_made: it has its place in the list, or cannot be made
//!   wanted      a thread that makes threads (supply)     never, but in a fork child
//!   is_used     wake finds none for a slot               refill has filled the list up (supply)
//!   is_refused  no kernel thread or memory was to be had  the next one is made; ask_again, once a second
//!   is_limited  look_at_limit: RLIMIT_AS is set          look_at_limit: it is not
//! ```

use crate::base::kept::Kept;
use crate::base::lock::{Locked, Rank};
use crate::base::{pages, signal_set};
use crate::runtime::kernel::{asking, caretaker};
use crate::runtime::machine::parts::{Slot, Worker};
use crate::runtime::machine::{counts, roll};
use crate::{arch, glibc, sys};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering::*};

/// How many workers rest at the most.
pub const KEPT: usize = 16;

/// The workers at rest, and what is known of the demand for them.
pub struct Reserve {
    resting: Locked<Vec<&'static Worker>>,
    /// How many there are in the list; written under its lock, read without.
    pub count: AtomicUsize,
    /// How many workers are being made, and have not come to rest. A futex: `is_made` wakes.
    pub making: AtomicU32,
    /// The most that were wanted by threads that make threads.
    pub wanted: AtomicUsize,
    /// True: a slot has asked for a worker and got none since the list was last full.
    pub is_used: AtomicBool,
    /// The kernel makes no kernel thread, or there is no memory: it is asked again after a while.
    pub is_refused: AtomicBool,
    /// The program's address space was limited when it was asked for last.
    pub is_limited: AtomicBool,
    /// The kernel thread of the worker that was made last, until that comes to rest.
    pub newest: AtomicI32,
}

/// The process's reserve.
pub static RESERVE: Reserve = Reserve {
    resting: Locked::new(Rank::Pool, Vec::new()),
    count: AtomicUsize::new(0),
    making: AtomicU32::new(0),
    wanted: AtomicUsize::new(0),
    is_used: AtomicBool::new(false),
    is_refused: AtomicBool::new(false),
    is_limited: AtomicBool::new(false),
    newest: AtomicI32::new(0),
};

/// How many are to rest at the least: the caretaker, and one for the next slot.
pub const LEAST: usize = 2;

impl Reserve {
    /// Does `work` with the list under its lock, and notes how many rest afterwards.
    pub fn with<R>(&self, work: impl FnOnce(&mut Vec<&'static Worker>) -> R) -> R {
        self.resting.with(|resting| {
            let result = work(resting);
            self.count.store(resting.len(), Relaxed);
            result
        })
    }
}

/// Is the caretaker to make workers? Asked by the monitor at each tick, and by the caretaker; takes no lock.
pub fn is_low() -> bool {
    let (wanted, count) = (RESERVE.wanted.load(Acquire), RESERVE.count.load(Relaxed));
    let is_low = if RESERVE.is_limited.load(Relaxed) {
        count + (RESERVE.making.load(Relaxed) as usize) < LEAST
    } else {
        count < wanted.max(LEAST)
    };
    // While `is_used` is false the first ones are about to be made, by the thread that has started the runtime.
    RESERVE.is_used.load(Relaxed) && wanted > 0 && !is_refused() && is_low
}

/// Has the kernel refused a kernel thread, or was there no memory, since `ask_again`? Any thread asks.
pub fn is_refused() -> bool {
    RESERVE.is_refused.load(Relaxed)
}

/// Notes that the kernel has just refused a kernel thread.
pub fn refuse() {
    RESERVE.is_refused.store(true, Relaxed);
}

/// Lets the kernel be asked again: called by the monitor once a second.
pub fn ask_again() {
    RESERVE.is_refused.store(false, Relaxed);
}

/// Is a worker being made that has not come to rest?
pub fn is_making() -> bool {
    RESERVE.making.load(Acquire) > 0
}

/// Gives a worker its place among those at rest, which it takes at once (`rest`). False: there are enough of them. Called on the worker's
/// own kernel thread, which has nothing more to wait for once it is in the list: the monitor waits for its end (`wake`). True leaves
/// `asking` held, for `rest` to release.
pub fn keep(worker: &'static Worker, is_caretaker: bool) -> bool {
    asking::begin_unasked();
    let kept = RESERVE.with(|resting| {
        // Workers that are being hired may come back: there must be room for those, too.
        let keep = resting.len() < KEPT && pages::reserve(resting, 2 * KEPT);
        if keep {
            worker.kernel_thread_alive.store(1, Relaxed);
            put(resting, worker, is_caretaker);
        }
        keep
    });
    if !kept {
        asking::end_unasked();
    }
    kept
}

/// Puts a worker into the list: the caretaker first, for it is to be the same one as long as possible: glibc makes a heap of its own, of 64
/// MiB of address space, for each thread that allocates or frees.
fn put(resting: &mut Vec<&'static Worker>, worker: &'static Worker, is_caretaker: bool) {
    resting.insert(if is_caretaker { 0 } else { resting.len() }, worker);
}

/// Notes the kernel thread of the worker that was made last: what `await_made` waits for.
pub fn note_newest(tid: i32) {
    RESERVE.newest.store(tid, Relaxed);
}

/// Counts down `making`: a worker has its place, or could not be made. Wakes the threads that wait for that (`supply::await_made`).
pub fn is_made() {
    RESERVE.making.fetch_sub(1, Release);
    sys::futex_wake(RESERVE.making.as_ptr(), i32::MAX as u32);
}

/// Ends the kernel thread here; another goes on from here when the worker is hired. Called on the worker's own stack, after `keep` was
/// true. Every signal is blocked when it returns, and the guard is down.
pub fn rest(worker: &'static Worker) {
    static RESTED: Kept<AtomicU32> = Kept::new(AtomicU32::new(0));
    sys::set_signal_mask(u64::MAX);
    worker.thread.set(arch::tcb());
    worker.fs.set(arch::tcb());
    // SAFETY: the running thread's own descriptor: no kernel thread has this tid.
    unsafe { *glibc::tid_field(arch::tcb()) = roll::NO_THREAD };
    let robust_list = sys::loosen(&worker.kernel_thread_alive);
    asking::end_unasked();
    arch::set_guard_word(0);
    // SAFETY: nothing of the kernel's points to this stack any more.
    unsafe { arch::retire(worker.sp.get(), RESTED.as_ptr()) };
    sys::set_robust_list(robust_list);
}

/// The outcome of a hire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// A worker has its kernel thread.
    Yes,
    /// None is at rest, or the last one, which is the caretaker's.
    NoneRests,
    /// No kernel thread is to be had.
    Refused,
}

/// Hires a worker at rest for the slot, or as the caretaker (`None`). Called on any kernel thread, with no lock held: it may wait in the
/// kernel until the worker's former kernel thread has gone.
pub fn wake(slot: Option<&'static Slot>) -> Woken {
    let last_is_free = slot.is_none() || is_refused() || caretaker::is_at_work();
    let next = |resting: &mut Vec<&'static Worker>| match slot {
        None => (!resting.is_empty()).then(|| resting.remove(0)),
        Some(_) if resting.len() > 1 || last_is_free => resting.pop(),
        Some(_) => None,
    };
    let Some(worker) = RESERVE.with(next) else {
        // Only from now on does the caretaker make some: it may need a heap of its own for that (`put`).
        RESERVE.is_used.fetch_or(slot.is_some(), Relaxed);
        return Woken::NoneRests;
    };
    while worker.kernel_thread_alive.load(Acquire) != 0 {
        sys::futex_wait_shared(&worker.kernel_thread_alive, 1);
    }
    worker.bond.begin_anew();
    match slot {
        Some(slot) => worker.take_up(slot),
        None => worker.slot.set(std::ptr::null()),
    }
    worker.mask.store(signal_set::CLOSED, Relaxed);
    let fs = worker.fs.get();
    let (tid, end) = (glibc::tid_field(fs), glibc::version::end_word(fs));
    counts::kernel_thread_born();
    let old_mask = sys::set_signal_mask(signal_set::CLOSED);
    // SAFETY: the worker's context is saved, and it is out of the list: this is its only resume.
    let born = unsafe { arch::revive(REVIVED as usize, *worker.sp.get(), tid, end, fs) };
    sys::set_signal_mask(old_mask);
    if born <= 0 {
        counts::kernel_thread_gone();
        worker.slot.set(std::ptr::null());
        RESERVE.with(|resting| put(resting, worker, slot.is_none()));
        refuse();
        return Woken::Refused;
    }
    Woken::Yes
}

/// In a fork child: glibc has forgotten the stacks of those at rest, and they are in no list of the child's counts.
pub fn after_fork() {
    // (The child's limit is its parent's: `is_limited` holds.)
    let Reserve { resting, count, making, wanted, is_used, is_refused, is_limited: _, newest } = &RESERVE;
    resting.after_fork(Vec::clear);
    [count, wanted].into_iter().for_each(|count| count.store(0, Relaxed));
    making.store(0, Relaxed);
    [is_used, is_refused].into_iter().for_each(|flag| flag.store(false, Relaxed));
    newest.store(0, Relaxed);
}

/// The clone of a kernel thread onto a TCB that is there.
pub const REVIVED: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID;
