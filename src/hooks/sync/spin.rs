//! Spin locks: the real trylock some times, since the holder may be running on another worker; then other green threads run, since
//! the holder may be parked, or wait for this very slot.

use crate::hooks::answer::Answer;
use crate::runtime;
use libc::{c_int, pthread_spinlock_t};

/// How often the lock is tried in a row, before other threads are let run.
const SPINS: usize = 100;

/// `pthread_spin_lock`: tries `SPINS` times, then lets other green threads run, and so on. Returns what libc's try does. Never
/// parks. No cancellation point.
pub unsafe fn spin_lock(lock: *mut pthread_spinlock_t) -> Answer<c_int> {
    loop {
        for _ in 0..SPINS {
            match libc::pthread_spin_trylock(lock) {
                libc::EBUSY => std::hint::spin_loop(),
                result => return crate::hooks::answer::code(result),
            }
        }
        runtime::yield_now();
    }
}
