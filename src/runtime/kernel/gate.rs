//! The gate: one birth or burial of a kernel thread at a time.

use crate::base::lock::{Rank, RawLock};
use crate::base::{guard, pages, summon};
use crate::runtime::kernel::{caretaker, small_stacks};
use crate::runtime::machine::counts;
use crate::runtime::machine::parts::Worker;
use crate::{glibc, sys};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering::*};

/// One birth at a time; and the one that died last is gone before the next is born.
pub struct Gate {
    lock: RawLock,
    dead: UnsafeCell<Vec<&'static Worker>>,
    /// What is left of the buried, for the next ones born.
    free: UnsafeCell<Vec<&'static Worker>>,
    /// A vessel's kernel thread: 1 from its birth until the kernel has let it go.
    pub vessel_alive: AtomicU32,
}

// SAFETY: the list is only touched under the lock.
unsafe impl Sync for Gate {}

pub static GATE: Gate = Gate {
    lock: RawLock::new(Rank::Pool),
    dead: UnsafeCell::new(Vec::new()),
    free: UnsafeCell::new(Vec::new()),
    vessel_alive: AtomicU32::new(0),
};

/// Serialises births beyond the short `lock`: it is held while a kernel thread is made, and is the tid of who has it.
pub static BIRTH: BirthLock = BirthLock(AtomicU32::new(0));

pub struct BirthLock(AtomicU32);

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
    /// Waits for its turn, and until nobody is dying. Inside, the guard is up: others wait here in the kernel, so who is inside may wait
    /// in the kernel only, also for a lock of libc's.
    pub fn enter(&self) {
        guard::enter_runtime();
        BIRTH.lock();
        self.bury();
        self.await_vessel();
    }

    pub fn leave(&self) {
        BIRTH.unlock();
        guard::leave_runtime();
    }

    /// Does the caller have it closed already (in a handler that has interrupted it)?
    pub fn is_mine(&self) -> bool {
        BIRTH.is_mine()
    }

    /// A fork that libc knows nothing of: its child finds libc's locks as they are, so nobody of ours makes or buries a kernel thread
    /// meanwhile. (But for the one who forks: in a handler that has interrupted it.)
    pub fn while_closed<R>(&self, fork: impl FnOnce() -> R) -> R {
        if BIRTH.is_mine() {
            return fork();
        }
        self.enter();
        let result = fork();
        self.leave();
        result
    }

    /// The kernel thread of the last vessel has gone for good.
    fn await_vessel(&self) {
        while self.vessel_alive.load(Acquire) != 0 {
            sys::futex_wait_shared(&self.vessel_alive, 1);
        }
    }

    /// Takes leave of the dead, and waits until they are gone.
    pub fn bury(&self) {
        // SAFETY: under the lock.
        let next = || unsafe { (*self.dead.get()).pop() };
        while let Some(worker) = self.lock.with(next) {
            glibc::join_thread_by(worker.thread.get() as libc::pthread_t, caretaker::while_it_waits);
            small_stacks::return_small_stack(worker.thread.get());
            counts::kernel_thread_gone();
            self.add_free(worker);
        }
    }

    /// Have the lists room for so many workers?
    pub fn has_room(&self, workers: usize) -> bool {
        // SAFETY: under the lock.
        self.lock
            .with(|| unsafe { [&self.dead, &self.free].iter().all(|list| pages::reserve(&mut *list.get(), workers)) })
    }

    pub fn take_free(&self) -> Option<&'static Worker> {
        // SAFETY: under the lock.
        self.lock.with(|| unsafe { (*self.free.get()).pop() })
    }

    /// A worker without a kernel thread waits for its next one.
    pub fn add_free(&self, worker: &'static Worker) {
        // SAFETY: under the lock.
        self.lock.with(|| unsafe { (*self.free.get()).push(worker) });
    }

    pub fn bury_later(&self, worker: &'static Worker) {
        // SAFETY: under the lock.
        self.lock.with(|| unsafe { (*self.dead.get()).push(worker) });
        summon::call();
    }

    pub fn has_dead(&self) -> bool {
        // SAFETY: under the lock.
        self.lock.with(|| unsafe { !(*self.dead.get()).is_empty() })
    }

    pub fn after_fork(&self) {
        self.lock.after_fork();
        BIRTH.0.store(0, Relaxed);
        self.vessel_alive.store(0, Relaxed);
        // SAFETY: the child has one thread.
        unsafe {
            (*self.dead.get()).clear();
            // They are in no list of the child's statistics, by which time, rights and signals find their workers.
            (*self.free.get()).clear();
        }
    }
}
