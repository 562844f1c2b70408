//! While glibc asks all threads (setuid and its like), no kernel thread ends without glibc, which would wait for its answer.

use crate::base::lock::{Rank, RawLock};
use std::sync::atomic::{AtomicBool, Ordering::*};

/// Held while glibc asks all threads, and by a kernel thread until glibc no longer finds it. Whoever waits for it answers meanwhile.
pub static ASKING: RawLock = RawLock::new(Rank::Process);

/// glibc asks all threads just now.
pub static IS_ASKING: AtomicBool = AtomicBool::new(false);

/// Is a kernel thread that ends now to wait for long? Whoever can do something else does.
pub fn is_asking() -> bool {
    IS_ASKING.load(Relaxed)
}

/// From here to `end_unasked` no thread is asked: the calling kernel thread is about to end without glibc. The wait may be long: nobody
/// is to wait for that end before this has returned.
pub fn begin_unasked() {
    ASKING.lock();
}

/// Glibc no longer finds the calling kernel thread: its descriptor has no tid, and every signal is blocked.
pub fn end_unasked() {
    ASKING.unlock();
}

/// In a fork child nobody is asked.
pub fn after_fork() {
    ASKING.after_fork();
    IS_ASKING.store(false, Relaxed);
}
