//! The gate: one birth or burial of a kernel thread at a time, and the lists of workers that are to be buried or serve again.
//!
//! A worker's way through it, and what moves it on:
//!
//! ```text
//!   from      to        by
//!   (serves)  dead      bury_later, at the end of `worker_main`: its kernel thread is about to end
//!   dead      free      bury: glibc has joined its thread, and its stack is kept or unmapped
//!   free      (born)    take_free, for the next worker that is made
//!   (born)    free      add_free: no kernel thread was to be had for it
//! ```

use crate::base::lock::{Locked, Rank};
use crate::base::{guard, pages, summon};
use crate::runtime::kernel::{caretaker, small_stacks};
use crate::runtime::machine::counts;
use crate::runtime::machine::parts::Worker;
use crate::{glibc, sys};
use std::sync::atomic::{AtomicU32, Ordering::*};

/// The gate: it serialises births and burials, so that the kernel thread that died last is gone before the next one is born.
pub struct Gate {
    lists: Locked<Lists>,
    birth: BirthLock,
    /// A vessel's kernel thread: 1 from its birth until the kernel has let it go.
    pub vessel_alive: AtomicU32,
}

/// Workers without a kernel thread that serves. Both lists have room beforehand (`has_room`): adding to one allocates nothing.
struct Lists {
    /// Workers whose glibc thread has not been joined.
    dead: Vec<&'static Worker>,
    /// Workers that have been buried, for the next ones born.
    free: Vec<&'static Worker>,
}

/// The process's gate.
pub static GATE: Gate = Gate {
    lists: Locked::new(Rank::Pool, Lists { dead: Vec::new(), free: Vec::new() }),
    birth: BirthLock(AtomicU32::new(0)),
    vessel_alive: AtomicU32::new(0),
};

/// Serialises births for longer than a `RawLock` is held: until a kernel thread is made, or has gone. The word is the tid of the kernel
/// thread that holds it; 0: none does.
struct BirthLock(AtomicU32);

impl BirthLock {
    fn lock(&self) {
        let me = sys::kernel_thread_id() as u32;
        while let Err(owner) = self.0.compare_exchange(0, me, Acquire, Relaxed) {
            sys::futex_wait(&self.0, owner, Some(sys::now_ns() + 1_000_000)).ok();
        }
    }

    fn is_mine(&self) -> bool {
        self.0.load(Relaxed) == sys::kernel_thread_id() as u32
    }

    fn unlock(&self) {
        self.0.store(0, Release);
        sys::futex_wake(self.0.as_ptr(), 1);
    }
}

impl Gate {
    /// Closes the gate: waits for its turn, buries the dead, and waits until the last vessel's kernel thread has gone. Called on any
    /// kernel thread that does not hold the gate. Until `leave` the guard is up: others wait for the gate in the kernel, so its holder may
    /// wait in the kernel only, also for a lock of libc's.
    pub fn enter(&self) {
        guard::enter_runtime();
        self.birth.lock();
        self.bury();
        self.await_vessel();
    }

    /// Opens the gate. Called by its holder, on the kernel thread that entered.
    pub fn leave(&self) {
        self.birth.unlock();
        guard::leave_runtime();
    }

    /// Does this kernel thread hold the gate already? (A signal handler may have interrupted its holder.)
    pub fn is_mine(&self) -> bool {
        self.birth.is_mine()
    }

    /// Makes a fork that libc knows nothing of with the gate closed: its child finds libc's locks as they are, so no kernel thread of the
    /// library's is made or buried meanwhile. A handler that has interrupted the gate's holder forks at once.
    pub fn while_closed<R>(&self, fork: impl FnOnce() -> R) -> R {
        if self.birth.is_mine() {
            return fork();
        }
        self.enter();
        let result = fork();
        self.leave();
        result
    }

    /// Waits until the kernel thread of the last vessel has gone for good: the kernel clears the word and wakes (a robust list's entry).
    fn await_vessel(&self) {
        while self.vessel_alive.load(Acquire) != 0 {
            sys::futex_wait_shared(&self.vessel_alive, 1);
        }
    }

    /// Joins every dead worker's thread and waits for its end. Called by the gate's holder, and by the caretaker without it.
    pub fn bury(&self) {
        while let Some(worker) = self.lists.with(|lists| lists.dead.pop()) {
            glibc::join_thread_by(worker.thread.get() as libc::pthread_t, caretaker::while_it_waits);
            small_stacks::return_small_stack(worker.thread.get());
            counts::kernel_thread_gone();
            self.add_free(worker);
        }
    }

    /// Makes room for `workers` in both lists. False: there is no memory for it.
    pub fn has_room(&self, workers: usize) -> bool {
        self.lists.with(|Lists { dead, free }| [dead, free].into_iter().all(|list| pages::reserve(list, workers)))
    }

    /// Takes a buried worker to be born again; `None`: there is none.
    pub fn take_free(&self) -> Option<&'static Worker> {
        self.lists.with(|lists| lists.free.pop())
    }

    /// Keeps a worker without a kernel thread for a later birth.
    pub fn add_free(&self, worker: &'static Worker) {
        self.lists.with(|lists| lists.free.push(worker));
    }

    /// Leaves a worker to be buried, and calls the monitor for it. Called on the worker's own kernel thread, right before that ends.
    pub fn bury_later(&self, worker: &'static Worker) {
        self.lists.with(|lists| lists.dead.push(worker));
        summon::call();
    }

    /// Is there a worker to bury? Asked by the monitor.
    pub fn has_dead(&self) -> bool {
        self.lists.with(|lists| !lists.dead.is_empty())
    }

    /// Empties the lists in a fork child. The parent's workers are not in the child's roster (`counts`), by which CPU times, rights and
    /// signals find workers: so none of them serves again.
    pub fn after_fork(&self) {
        let Gate { lists, birth, vessel_alive } = self;
        lists.after_fork(|Lists { dead, free }| {
            dead.clear();
            free.clear();
        });
        birth.0.store(0, Relaxed);
        vessel_alive.store(0, Relaxed);
    }
}
