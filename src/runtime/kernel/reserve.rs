//! Workers at rest: the stacks and TCBs that glibc has made for them wait without a kernel thread, and a raw clone gives them one when they
//! are hired. glibc's pthread_create calls the program's calloc and takes locks of libc's own, which a parked thread may hold: so whoever
//! hires for the sake of progress, the monitor above all, must not need it.
//!
//! They are made in advance, by threads that make threads: as many as there are threads, up to `MADE`. A worker that retires comes
//! to rest as well, if there are not `KEPT` yet. Once some have been hired the caretaker makes up for them: the last one is its own,
//! unless no more can be made.
//!
//! ```text
//!   make: real pthread_create ─► worker_main ─► rest ──► (no kernel thread) ──► wake: raw clone ─► run ─► rest …
//! ```

use crate::base::lock::{Rank, RawLock};
use crate::base::{pages, signal_set};
use crate::runtime::kernel::{asking, caretaker, reserve};
use crate::runtime::machine::parts::{Slot, Worker};
use crate::runtime::machine::{counts, roll};
use crate::{arch, glibc, sys};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering::*};
/// How many are kept.
pub const KEPT: usize = 16;

pub struct Reserve {
    lock: RawLock,
    resting: UnsafeCell<Vec<&'static Worker>>,
    /// How many; written under the lock.
    pub count: AtomicUsize,
    /// Those that are being made, and have not come to rest.
    pub making: AtomicU32,
    /// The most that were wanted by those who make threads.
    pub wanted: AtomicUsize,
    /// A slot has asked for one in vain since it was last full.
    pub is_used: AtomicBool,
    /// The kernel makes no kernel thread, or there is no memory: it is asked again after a while.
    pub is_refused: AtomicBool,
    /// The program's address space was limited when it was asked for last.
    pub is_limited: AtomicBool,
}

// SAFETY: the list is only touched under the lock.
unsafe impl Sync for Reserve {}

pub static RESERVE: Reserve = Reserve {
    lock: RawLock::new(Rank::Pool),
    resting: UnsafeCell::new(Vec::new()),
    count: AtomicUsize::new(0),
    making: AtomicU32::new(0),
    wanted: AtomicUsize::new(0),
    is_used: AtomicBool::new(false),
    is_refused: AtomicBool::new(false),
    is_limited: AtomicBool::new(false),
};

/// The caretaker, and one for the next slot.
pub const LEAST: usize = 2;

impl Reserve {
    pub fn with<R>(&self, work: impl FnOnce(&mut Vec<&'static Worker>) -> R) -> R {
        self.lock.with(|| {
            // SAFETY: under the lock.
            let resting = unsafe { &mut *self.resting.get() };
            let result = work(resting);
            self.count.store(resting.len(), Relaxed);
            result
        })
    }
}

/// Is the caretaker to make some?
pub fn is_low() -> bool {
    let (wanted, count) = (RESERVE.wanted.load(Acquire), RESERVE.count.load(Relaxed));
    let is_low = if RESERVE.is_limited.load(Relaxed) {
        count + (RESERVE.making.load(Relaxed) as usize) < LEAST
    } else {
        count < wanted.max(LEAST)
    };
    // The first ones are about to be made by who has started the runtime.
    RESERVE.is_used.load(Relaxed) && wanted > 0 && !is_refused() && is_low
}

pub fn is_refused() -> bool {
    RESERVE.is_refused.load(Relaxed)
}

/// The kernel has just said no.
pub fn refuse() {
    RESERVE.is_refused.store(true, Relaxed);
}

/// After a while the kernel may have changed its mind.
pub fn ask_again() {
    RESERVE.is_refused.store(false, Relaxed);
}

/// Has one been made that has not come to rest?
pub fn is_making() -> bool {
    RESERVE.making.load(Acquire) > 0
}

/// A worker's place among those at rest, which it takes at once (`rest`); false: there are enough of them. Who is in the list has nothing
/// more to wait for: the monitor waits for its kernel thread's end.
pub fn keep(worker: &'static Worker, is_caretaker: bool) -> bool {
    asking::begin_unasked();
    let kept = RESERVE.with(|resting| {
        // (Who is being hired may come back.)
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

/// The caretaker is the first, and always the same while it can be: glibc makes a heap of its own, of 64 MiB of address space, for each
/// thread that allocates or frees.
fn put(resting: &mut Vec<&'static Worker>, worker: &'static Worker, is_caretaker: bool) {
    resting.insert(if is_caretaker { 0 } else { resting.len() }, worker);
}

/// The kernel thread of the worker that was made last, until that comes to rest.
pub static NEWEST: AtomicI32 = AtomicI32::new(0);

pub fn note_newest(tid: i32) {
    NEWEST.store(tid, Relaxed);
}

/// One that was made for this has its place, or is not to be had.
pub fn is_made() {
    RESERVE.making.fetch_sub(1, Release);
    sys::futex_wake(RESERVE.making.as_ptr(), i32::MAX as u32);
}

/// The kernel thread ends here; another goes on from here when the worker is hired. Every signal is blocked then, too.
pub fn rest(worker: &'static Worker) {
    static RESTED: AtomicU32 = AtomicU32::new(0);
    sys::set_signal_mask(u64::MAX);
    worker.thread.set(arch::tcb());
    worker.fs.set(arch::tcb());
    // SAFETY: the running thread's own descriptor: no kernel thread has this tid.
    unsafe { *glibc::tid_field(arch::tcb()) = roll::NOBODY };
    let robust_list = sys::loosen(&worker.kernel_thread_alive);
    asking::end_unasked();
    arch::set_guard_word(0);
    // SAFETY: nothing of the kernel's points to this stack any more.
    unsafe { arch::retire(worker.sp.get(), RESTED.as_ptr()) };
    sys::set_robust_list(robust_list);
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    Yes,
    /// None is at rest, or the last one, which is the caretaker's.
    NoneRests,
    /// There is no kernel thread to be had.
    Refused,
}

/// Hires one for the slot, or as the caretaker.
pub fn wake(slot: Option<&'static Slot>) -> Woken {
    let last_is_free = slot.is_none() || is_refused() || caretaker::is_at_work();
    let next = |resting: &mut Vec<&'static Worker>| match slot {
        None => (!resting.is_empty()).then(|| resting.remove(0)),
        Some(_) if resting.len() > 1 || last_is_free => resting.pop(),
        Some(_) => None,
    };
    let Some(worker) = RESERVE.with(next) else {
        // The caretaker makes none before: it may need that heap for it.
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
    let born = unsafe { arch::revive(reserve::REVIVED as usize, *worker.sp.get(), tid, end, fs) };
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

/// In a fork child: glibc has forgotten their stacks, and they are in no list of the child's statistics.
pub fn after_fork() {
    RESERVE.lock.after_fork();
    // SAFETY: the child has one thread.
    unsafe { (*RESERVE.resting.get()).clear() };
    RESERVE.count.store(0, Relaxed);
    RESERVE.making.store(0, Relaxed);
    RESERVE.wanted.store(0, Relaxed);
    RESERVE.is_used.store(false, Relaxed);
    RESERVE.is_refused.store(false, Relaxed);
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
