//! Locks, condition variables, semaphores, barriers, once, and the futex behind `syscall`.
//!
//! glibc's objects stay glibc's: a lock is taken by the real trylock and given back by the real unlock, so that its owner,
//! its count and its errors are glibc's own, and code that never meets our hooks agrees on them. What is ours is the
//! waiting: a thread that finds an object busy parks in the lot under its address, and a thread that gives it back looks into the lot.
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
