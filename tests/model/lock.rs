//! loom's mutex in place of base/lock.rs: its holders are ordered one after another, and nothing else is ordered by it.

use crate::base::atomic::{is_weak, Weakness};
use loom::cell::UnsafeCell;
use loom::sync::Mutex;

/// What the models' files name.
#[derive(Clone, Copy)]
pub enum Rank {
    Bucket,
    Timers,
}

/// A lock with the data that only its holder may touch: another's touch fails the model.
pub struct Locked<T> {
    mutex: Mutex<()>,
    data: UnsafeCell<T>,
}

// SAFETY: loom sees to it that the data is touched by one thread at a time; what is kept in it are addresses of shared objects.
unsafe impl<T> Sync for Locked<T> {}
// SAFETY: as above.
unsafe impl<T> Send for Locked<T> {}

impl<T> Locked<T> {
    pub fn new(_: Rank, data: T) -> Locked<T> {
        Locked { mutex: Mutex::new(()), data: UnsafeCell::new(data) }
    }

    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let _held = (!is_weak(Weakness::NoLock)).then(|| self.mutex.lock().expect("nobody panics under it"));
        // SAFETY: loom fails the model where this is not exclusive.
        self.data.with_mut(|data| work(unsafe { &mut *data }))
    }

    pub fn after_fork(&self, work: impl FnOnce(&mut T)) {
        self.with(work);
    }
}

/// A lock without data of its own.
pub struct RawLock(Locked<()>);

impl RawLock {
    pub fn new(rank: Rank) -> RawLock {
        RawLock(Locked::new(rank, ()))
    }

    pub fn with<R>(&self, work: impl FnOnce() -> R) -> R {
        self.0.with(|()| work())
    }
}
