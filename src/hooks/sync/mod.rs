//! Locks, condition variables, semaphores, barriers, once, and the futex behind `syscall`.
//!
//! glibc's objects stay glibc's: a lock is taken by the real trylock and given back by the real unlock, so that its owner,
//! its count and its errors are glibc's own, and code that never meets our hooks agrees on them. What is ours is the
//! waiting: whoever finds an object busy parks in the lot under its address, and whoever gives it back looks into the lot.
//! Condition variables and barriers, which are nothing but waiting, are ours wholly.
//!
//! Who waits where:
//!
//! | object | green thread | foreign thread |
//! |---|---|---|
//! | private mutex, rwlock, semaphore, once, spin lock | the lot, tried again now and then (`contended`) | the kernel, by libc |
//! | private condition variable, barrier, futex word; a futex word that holds a tid | the lot | the lot |
//! | process-shared, robust, priority | the kernel, under a hand-over (`in_kernel`) | the kernel, by libc |
//!
//! An unlock wakes both kinds: the real one wakes the kernel's sleepers, and our look into the lot wakes the parked. An object
//! may be freed the moment it is given back, so after the real unlock its address is a mere name: nobody reads it again, and a
//! wake that hits another object's waiter makes that waiter check once more. Before the runtime started every handler
//! leaves the call to libc: a thread that then sleeps in the kernel is found there by the real unlock, post or signal.

mod barrier;
mod cond;
mod contended;
mod futex;
mod in_kernel;
mod inheriting;
mod mutex;
mod object;
mod once;
mod private;
mod rwlock;
mod semaphore;
mod spin;

pub use barrier::{barrier_destroy, barrier_wait};
pub use cond::{cond_broadcast, cond_clockwait, cond_signal, cond_timedwait, cond_wait};
pub use futex::{futex, Futex};
pub use mutex::{
    mutex_clocklock, mutex_consistent, mutex_lock, mutex_setprioceiling, mutex_timedlock, mutex_trylock, mutex_unlock,
};
pub use object::learn;
pub use once::{call_once, learn_generation, once};
pub use private::{lock_wait, lock_wake};
pub use rwlock::{rwlock_clockrdlock, rwlock_clockwrlock, rwlock_rdlock, rwlock_timedrdlock, rwlock_timedwrlock};
pub use rwlock::{rwlock_tryrdlock, rwlock_unlock, rwlock_wrlock};
pub use semaphore::{sem_clockwait, sem_post, sem_timedwait, sem_wait};
pub use spin::spin_lock;

use super::answer::{errno, Answer};
use libc::c_int;

/// What a real pthread function returned, as an answer.
fn code(result: c_int) -> Answer<c_int> {
    if result == 0 {
        Ok(0)
    } else {
        errno(result)
    }
}
