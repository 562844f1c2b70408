//! The caretaker: a worker at rest that the monitor wakes for what ends or makes threads of glibc's, and so may call the program's
//! allocator and wait for locks that a parked thread holds: burials, and workers for the reserve. The monitor itself never needs what
//! the program may hold: while the caretaker waits, the monitor goes on handing slots over, until the lock's owner has run.
//!
//! There is one caretaker at a time. Its words:
//!
//! ```text
//!   word       from → to       by
//!   CARETAKER.since_ms   0 → now         duties::send, before it is woken
//!              now → 0         duties::send, where none could be woken; duties::has_worked
//!   CARETAKER.tid        0 → its tid → 0 duties::work, at its begin and end
//!   CARETAKER.awaited    0 → a tid → 0   while_it_waits
//! ```

use crate::base::clock;
use crate::base::kept::Kept;
use crate::sys;
use once_cell::race::OnceBox;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::*};

/// What the caretaker does now.
pub struct Caretaker {
    /// The time since which the caretaker is at work, in milliseconds (`clock::now_ms`); 0: it is not.
    pub since_ms: AtomicU64,
    /// The caretaker's kernel thread while it works; 0: it does not.
    pub tid: AtomicI32,
    /// The kernel thread that the caretaker waits for; 0: none.
    awaited: AtomicI32,
}

/// The only value of `Caretaker`.
pub static CARETAKER: Caretaker =
    Caretaker { since_ms: AtomicU64::new(0), tid: AtomicI32::new(0), awaited: AtomicI32::new(0) };

/// The time at work, in milliseconds, after which the caretaker may be waiting for a lock.
const STUCK_MS: u64 = 5;

/// Is the caretaker at work? Asked by the monitor, and by hires.
pub fn is_at_work() -> bool {
    CARETAKER.since_ms.load(Acquire) != 0
}

/// Does the caretaker wait for a lock? Asked by the monitor. False where the caretaker, or the kernel thread that it waits for, needs
/// nothing but a processor: that takes its time on a busy machine, and is no shortage.
pub fn is_stuck() -> bool {
    let since_ms = CARETAKER.since_ms.load(Acquire);
    since_ms != 0
        && clock::now_ms() > since_ms + STUCK_MS
        && sys::task::sleeps(CARETAKER.tid.load(Acquire))
        && !sys::task::runs(CARETAKER.awaited.load(Acquire))
}

/// Does `wait`, for the kernel thread `tid` to come to rest or to end, and notes it where the caretaker is what waits. Called on any kernel
/// thread.
pub fn while_it_waits(tid: i32, wait: &dyn Fn()) {
    let is_caretaker = CARETAKER.tid.load(Relaxed) == sys::kernel_thread_id();
    if is_caretaker {
        CARETAKER.awaited.store(tid, Release);
    }
    wait();
    if is_caretaker {
        CARETAKER.awaited.store(0, Release);
    }
}

/// The caretaker's duties: functions of `births::duties`, which know what this file may not.
pub struct Duties {
    /// Called on the caretaker's kernel thread.
    pub work: fn(),
    /// Called there once it has its place among those at rest again, or ends.
    pub has_worked: fn(),
}

static DUTIES: Kept<OnceBox<Duties>> = Kept::new(OnceBox::new());

/// Sets the caretaker's duties, once. Called by the start, while there is one thread.
pub fn set_duties(duties: Duties) {
    DUTIES.set(Box::new(duties)).ok();
}

/// The caretaker's duties; `None` only before the start has set them, when no worker is at rest.
pub fn duties() -> Option<&'static Duties> {
    DUTIES.get()
}

/// In a fork child there is no caretaker.
pub fn after_fork() {
    let Caretaker { since_ms, tid, awaited } = &CARETAKER;
    since_ms.store(0, Relaxed);
    [tid, awaited].into_iter().for_each(|tid| tid.store(0, Relaxed));
}
