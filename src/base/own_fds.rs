//! The library's own descriptors: the slots' epolls and wake-ups, private duplicates, and what stands for signals and for children.
//!
//! They are high numbers, closed on exec, and the program's close, dup2 and close_range pass over them (`is_own`, `next_own`). A number is
//! in the list before any other thread can learn of it, and leaves the list just before it is closed.

use crate::base::lock::{Locked, Rank};
use crate::sys;
use std::sync::atomic::{AtomicI32, Ordering::*};

/// Descriptors that the program does not know and must not close.
struct Own {
    fds: Locked<Vec<i32>>,
    /// No number below is in the list: so most answers of `is_own`, which each close asks, need no lock.
    lowest: AtomicI32,
}

static OWN: Own = Own { fds: Locked::new(Rank::Descriptors, Vec::new()), lowest: AtomicI32::new(i32::MAX) };

/// The number from which the library's descriptors lie, where few programs look. Not farther up, however many descriptors the process may
/// have: the kernel's table reaches to the highest number in use, and a fork copies it.
pub fn own_lowest() -> i32 {
    const WANTED: u64 = 800;
    let limit = sys::descriptor_limit();
    limit.saturating_sub(limit / 8).min(WANTED) as i32
}

/// Takes a new descriptor of the library's into the list, and moves it out of the program's way. Returns its number: the same where there
/// is no room above `own_lowest`.
pub fn keep(fd: i32) -> i32 {
    keep_high(fd).unwrap_or_else(|| {
        insert(fd);
        fd
    })
}

/// Does as `keep` for a descriptor that can be done without. `None`: there is no room, and `fd` is still open and the caller's.
pub fn keep_high(fd: i32) -> Option<i32> {
    let high = sys::duplicate_high(fd, own_lowest()).ok()?;
    insert(high);
    sys::close(fd);
    Some(high)
}

/// Is this descriptor the library's? Called by every hook that closes or replaces a number, on any thread.
#[inline]
pub fn is_own(fd: i32) -> bool {
    fd >= OWN.lowest.load(Relaxed) && OWN.fds.with(|fds| fds.contains(&fd))
}

/// The lowest of the library's descriptors from `first` on.
pub fn next_own(first: u32) -> Option<u32> {
    OWN.fds.with(|fds| fds.iter().map(|&fd| fd as u32).filter(|&fd| fd >= first).min())
}

/// Takes a descriptor into the list.
pub fn insert(fd: i32) {
    OWN.fds.with(|fds| fds.push(fd));
    OWN.lowest.fetch_min(fd, SeqCst);
}

/// Takes a descriptor from the list: its caller is about to close it.
pub fn remove(fd: i32) {
    OWN.fds.with(|fds| fds.retain(|&own| own != fd));
}

/// Closes, in a fork child, the copies of the parent's.
pub fn after_fork() {
    let Own { fds, lowest: _ } = &OWN; // (`close_all` puts `lowest` back.)
    fds.after_fork(|_| {});
    close_all();
}

/// Closes all of them: a start has failed, or this is a fork child. Called while no other thread uses any.
pub fn close_all() {
    for fd in OWN.fds.with(std::mem::take) {
        sys::close(fd);
    }
    OWN.lowest.store(i32::MAX, Relaxed);
}
