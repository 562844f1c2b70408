//! The lock between glibc's asking all threads (setuid and its like) and the ends of kernel threads that glibc does not see: a kernel
//! thread that ended meanwhile would leave glibc waiting for its answer.

use crate::base::lock::{Rank, RawLock};
use std::sync::atomic::{AtomicBool, Ordering::*};

/// What keeps glibc's asking and the ends of kernel threads apart.
pub struct Asking {
    /// Held while glibc asks all threads, and by a kernel thread that ends until glibc no longer finds it. A kernel thread that waits for
    /// it answers meanwhile: the wait is in the kernel, with glibc's signal open.
    pub lock: RawLock,
    /// Is glibc asking all threads just now? Written under the lock, read without.
    pub is_asking: AtomicBool,
}

/// The only value of `Asking`.
pub static ASKING: Asking = Asking { lock: RawLock::new(Rank::Process), is_asking: AtomicBool::new(false) };

/// Would a kernel thread that ends now wait for long? Asked by spares, which then serve on instead. Takes no lock.
pub fn is_asking() -> bool {
    ASKING.is_asking.load(Relaxed)
}

/// Keeps glibc from asking until `end_unasked`: the calling kernel thread is about to end without glibc. The wait may be long: no other
/// thread may wait for that end before this has returned.
pub fn begin_unasked() {
    ASKING.lock.lock();
}

/// Releases what `begin_unasked` took: glibc no longer finds the calling kernel thread, for its descriptor has no tid, and every signal is
/// blocked.
pub fn end_unasked() {
    ASKING.lock.unlock();
}

/// In a fork child no thread is asked.
pub fn after_fork() {
    let Asking { lock, is_asking } = &ASKING;
    lock.after_fork();
    is_asking.store(false, Relaxed);
}
