//! The library's own descriptors: the slots' epolls and wake-ups, private duplicates, and what stands for signals and for children. They
//! are high numbers, closed on exec, and the program's close, dup2 and close_range pass over them.

use crate::base::lock::{Rank, RawLock};
use crate::sys;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicI32, Ordering::*};

/// Our own descriptors, which the program does not know and must not close.
struct Own {
    lock: RawLock,
    fds: UnsafeCell<Vec<i32>>,
    /// No number below is one of them: what is asked at every close needs no lock.
    lowest: AtomicI32,
}

// SAFETY: the list is only touched under the lock.
unsafe impl Sync for Own {}

static OWN: Own =
    Own { lock: RawLock::new(Rank::Descriptors), fds: UnsafeCell::new(Vec::new()), lowest: AtomicI32::new(i32::MAX) };

impl Own {
    fn insert(&self, fd: i32) {
        // SAFETY: under the lock.
        self.lock.with(|| unsafe { (*self.fds.get()).push(fd) });
        self.lowest.fetch_min(fd, SeqCst);
    }

    fn remove(&self, fd: i32) {
        // SAFETY: under the lock.
        self.lock.with(|| unsafe { (*self.fds.get()).retain(|&own| own != fd) });
    }

    fn contains(&self, fd: i32) -> bool {
        // SAFETY: under the lock.
        self.lock.with(|| unsafe { (*self.fds.get()).contains(&fd) })
    }
}

/// Our descriptors are at this number or above, where few programs look; not farther up, however many the process may have: the kernel's
/// table reaches to the highest number in use, and a fork copies it.
pub fn own_lowest() -> i32 {
    const WANTED: u64 = 800;
    let limit = sys::descriptor_limit();
    limit.saturating_sub(limit / 8).min(WANTED) as i32
}

/// Moves one of our new descriptors out of the program's way, if there is room.
pub fn keep(fd: i32) -> i32 {
    keep_high(fd).unwrap_or_else(|| {
        OWN.insert(fd);
        fd
    })
}

/// The same for one that can be done without: `None`, and it is the caller's still.
pub fn keep_high(fd: i32) -> Option<i32> {
    let high = sys::duplicate_high(fd, own_lowest()).ok()?;
    OWN.insert(high);
    sys::close(fd);
    Some(high)
}

#[inline]
pub fn is_own(fd: i32) -> bool {
    fd >= OWN.lowest.load(Relaxed) && OWN.contains(fd)
}

/// The lowest of our own descriptors from `first` on.
pub fn next_own(first: u32) -> Option<u32> {
    // SAFETY: under the lock.
    OWN.lock.with(|| unsafe { (*OWN.fds.get()).iter().map(|&fd| fd as u32).filter(|&fd| fd >= first).min() })
}

/// Takes a descriptor into the list.
pub fn insert(fd: i32) {
    OWN.insert(fd);
}

/// Takes a descriptor from the list: it is about to be closed.
pub fn remove(fd: i32) {
    OWN.remove(fd);
}

/// In a fork child: the parent's are not ours.
pub fn after_fork() {
    OWN.lock.after_fork();
    close_all();
}

/// All of them are given back: a start has failed, or this is a fork child.
pub fn close_all() {
    // SAFETY: under the lock.
    for fd in OWN.lock.with(|| std::mem::take(unsafe { &mut *OWN.fds.get() })) {
        sys::close(fd);
    }
    OWN.lowest.store(i32::MAX, Relaxed);
}
