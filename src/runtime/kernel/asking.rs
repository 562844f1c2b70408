//! The lock between glibc's asking all threads (setuid and its like) and the ends of kernel threads that glibc does not see: a kernel
//! thread that ended meanwhile would leave glibc waiting for its answer.

use crate::base::lock::{Rank, RawLock};
use std::sync::atomic::{AtomicBool, Ordering::*};

/// Held while glibc asks all threads, and by a kernel thread that ends until glibc no longer finds it. A kernel thread that waits for it
/// answers meanwhile: the wait is in the kernel, with glibc's signal open.
pub static ASKING: RawLock = RawLock::new(Rank::Process);

/// Is glibc asking all threads just now? Written under the lock, read without.
pub static IS_ASKING: AtomicBool = AtomicBool::new(false);

/// Would a kernel thread that ends now wait for long? Asked by spares, which then serve on instead. Takes no lock.
pub fn is_asking() -> bool {
    IS_ASKING.load(Relaxed)
}

/// Keeps glibc from asking until `end_unasked`: the calling kernel thread is about to end without glibc. The wait may be long: no other
/// thread may wait for that end before this has returned.
pub fn begin_unasked() {
    ASKING.lock();
}

/// Releases what `begin_unasked` took: glibc no longer finds the calling kernel thread, for its descriptor has no tid, and every signal is
/// blocked.
pub fn end_unasked() {
    ASKING.unlock();
}

/// In a fork child no thread is asked.
pub fn after_fork() {
    ASKING.after_fork();
    IS_ASKING.store(false, Relaxed);
}
