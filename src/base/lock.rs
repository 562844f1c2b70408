//! The runtime's only lock: a word and the futex. It may be taken on green threads, workers and foreign threads alike, is held for
//! some dozen instructions, and never across a switch. The lock of `identity` is held for longer, by a kernel thread that runs nothing
//! else.
//!
//! While it is held the guard is up: no handler of the program's runs then, which might wait for a lock that its own thread
//! holds. States: 0 free, 1 held, 2 held and somebody sleeps.

use crate::runtime::signal::delivery;
use crate::{arch, sys};
use std::sync::atomic::{AtomicU32, Ordering};

pub struct RawLock(AtomicU32);

/// How often a taken lock is looked at before its waiter sleeps.
const SPINS: u32 = 100;

impl RawLock {
    pub const fn new() -> RawLock {
        RawLock(AtomicU32::new(0))
    }

    #[inline]
    pub fn lock(&self) {
        arch::guard_up();
        if self.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.wait();
        }
    }

    #[inline]
    pub fn unlock(&self) {
        if self.0.swap(0, Ordering::Release) == 2 {
            sys::futex_wake(self.0.as_ptr(), 1);
        }
        delivery::leave_runtime();
    }

    #[inline]
    pub fn with<R>(&self, work: impl FnOnce() -> R) -> R {
        self.lock();
        let result = work();
        self.unlock();
        result
    }

    #[cold]
    fn wait(&self) {
        for _ in 0..SPINS {
            std::hint::spin_loop();
            if self.0.load(Ordering::Relaxed) == 0
                && self.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return;
            }
        }
        while self.0.swap(2, Ordering::Acquire) != 0 {
            sys::futex_wait(&self.0, 2, None).ok();
        }
    }

    /// In a fork child: whoever held it is not here.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
