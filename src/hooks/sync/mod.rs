//! Locks, condition variables, semaphores, barriers, once, and the futex behind `syscall`.
//!
//! glibc's objects stay glibc's: a lock is taken by the real trylock and given back by the real unlock. So its owner, its count and
//! its errors are glibc's own, and code that calls past the hooks agrees with the hooks on every object. The library does the
//! waiting: a thread that finds an object busy parks in the lot under the object's address, and a thread that gives the object back
//! looks into the lot. Condition variables and barriers consist of waiting only, so the library serves them wholly.
//!
//! The place where a thread waits:
//!
//! | object | green thread | foreign thread |
//! |---|---|---|
//! | private mutex, rwlock, semaphore, once, spin lock | the lot, tried again now and then (`contended`) | the kernel, by libc |
//! | private condition variable, barrier, futex word; a futex word that holds a tid | the lot | the lot |
//! | process-shared, robust, priority | the kernel, with the slot offered (`in_kernel`) | the kernel, by libc |
//!
//! An unlock wakes both kinds: the real unlock wakes the kernel's sleepers, and the look into the lot wakes the parked threads. An
//! object may be freed the moment it is given back. So after the real unlock its address is a key of the lot's and is read no more; a
//! wake that reaches another object's waiter under that address makes the waiter check once more.
//!
//! Before the runtime starts every handler leaves the call to libc: a thread that then sleeps in the kernel is found there by the
//! real unlock, post or signal.

pub mod barrier;
pub mod cond;
pub mod contended;
pub mod futex;
pub mod in_kernel;
pub mod inheriting;
pub mod mutex;
pub mod object;
pub mod once;
pub mod private;
pub mod rwlock;
pub mod semaphore;
pub mod spin;
pub mod word;
