//! The places in glibc's objects where the hooks read: is the object shared with other processes, which clock does it wait by, of
//! which kind is it, and which thread owns it.
//!
//! The places of flags move between glibc versions (a condition variable's was at offset 36 up to 2.40 and is at 28 from 2.41), so
//! `learn` finds them at load: it initialises two objects that differ in one attribute and looks which word differs. The object
//! itself is read each time: a record made at its initialisation would miss objects that another process initialised, or that are
//! initialised statically, and would outlive the object's memory.
//!
//! The few fields without an attribute (a mutex's owner, a rwlock's readers and writer) stand where the ABI of static initialisers
//! and the inlined lock elision have kept them since glibc 2.25 (source: bits/struct_mutex.h, bits/struct_rwlock.h).

use crate::base::kept::Kept;
use libc::{pthread_mutex_t, pthread_rwlock_t};
use std::ffi::c_void;
use std::mem::{size_of, zeroed};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// A flag's place: the offset of its word in bytes, and its bits. Written by `learn` at load, while there is one thread, and read by
/// all from then on.
pub struct Flag {
    offset: AtomicUsize,
    mask: AtomicU32,
}

impl Flag {
    const fn at(offset: usize, mask: u32) -> Flag {
        Flag { offset: AtomicUsize::new(offset), mask: AtomicU32::new(mask) }
    }

    /// Returns the flag's bits in the object; 0: the flag is not set.
    ///
    /// # Safety
    /// `object` is an initialised object of the flag's type.
    #[inline(always)]
    pub unsafe fn of<T>(&self, object: *const T) -> u32 {
        word(object, self.offset.load(Relaxed)) & self.mask.load(Relaxed)
    }

    /// Returns the other bits of the flag's word, for a condition variable glibc's count of waiters.
    ///
    /// # Safety
    /// As `of`.
    #[inline(always)]
    pub unsafe fn neighbours<T>(&self, object: *const T) -> u32 {
        word(object, self.offset.load(Relaxed)) & !self.mask.load(Relaxed)
    }

    /// Finds the flag's place: the first word in which two objects of `size` bytes differ. False: they are equal.
    unsafe fn learn(&self, a: *const c_void, b: *const c_void, size: usize) -> bool {
        let differing = (0..size).step_by(4).find(|&offset| word(a, offset) != word(b, offset));
        let Some(offset) = differing else { return false };
        self.offset.store(offset, Relaxed);
        self.mask.store(word(a, offset) ^ word(b, offset), Relaxed);
        true
    }

    /// Has `learn` found the flag at this offset?
    fn is_at(&self, offset: usize) -> bool {
        self.offset.load(Relaxed) == offset
    }
}

/// Reads a word of an object that other threads may change.
#[inline(always)]
unsafe fn word<T>(object: *const T, offset: usize) -> u32 {
    AtomicU32::from_ptr(object.cast::<u8>().add(offset) as *mut u32).load(Relaxed)
}

/// A condition variable is shared between processes.
pub static COND_SHARED: Kept<Flag> = Kept::new(Flag::at(36, 1));
/// A condition variable waits by CLOCK_MONOTONIC. The other bits of its word count glibc's own waiters.
pub static COND_MONOTONIC: Kept<Flag> = Kept::new(Flag::at(36, 2));
/// A rwlock is shared between processes.
pub static RWLOCK_SHARED: Kept<Flag> = Kept::new(Flag::at(28, 1));
/// A barrier is shared between processes.
pub static BARRIER_SHARED: Kept<Flag> = Kept::new(Flag::at(BARRIER_SHARED_AT, 0x80));
/// A semaphore is shared between processes.
pub static SEMAPHORE_SHARED: Kept<Flag> = Kept::new(Flag::at(8, 0x80));
/// A mutex is shared between processes.
static MUTEX_SHARED: Kept<Flag> = Kept::new(Flag::at(MUTEX_KIND, 0x80));
/// A mutex is robust: its owner may end without unlocking it.
static MUTEX_ROBUST: Kept<Flag> = Kept::new(Flag::at(MUTEX_KIND, 0x10));
/// A mutex inherits priority.
static MUTEX_INHERIT: Kept<Flag> = Kept::new(Flag::at(MUTEX_KIND, 0x20));
/// The kinds of mutex whose owner the kernel or another process reads: shared, robust, inheriting, protecting.
static MUTEX_KERNELS: Kept<AtomicU32> = Kept::new(AtomicU32::new(0xF0));

/// The offset of a barrier's flag of sharing, as `barrier.rs` has it in its structure.
pub const BARRIER_SHARED_AT: usize = 12;

/// Where a mutex has its lock word, its owner, its users and its kind.
const MUTEX_LOCK: usize = 0;
const MUTEX_OWNER: usize = 8;
const MUTEX_USERS: usize = 12;
const MUTEX_KIND: usize = 16;
const MUTEX_TYPE: u32 = 3;
const MUTEX_PROTECT: u32 = 0x40;
/// Where a rwlock has its readers' word, its writer's tid and its kind.
const RWLOCK_READERS: usize = 0;
const RWLOCK_WRITER: usize = 24;
const RWLOCK_KIND: usize = 48;

/// Finds the flags' places. Called at load, with one thread. False: the objects of this glibc are not as expected, and the program
/// must run natively.
pub fn learn() -> bool {
    // SAFETY: each function below initialises objects of its own and reads them within their size.
    unsafe { learn_cond() && learn_mutex() && learn_rest() }
}

/// glibc's functions that make the objects and their attributes, past the hooks.
mod own {
    use libc::*;

    crate::glibc::symbols::libcs_own! {
        fn pthread_condattr_init(attribute: *mut pthread_condattr_t);
        fn pthread_condattr_setpshared(attribute: *mut pthread_condattr_t, shared: c_int);
        fn pthread_condattr_setclock(attribute: *mut pthread_condattr_t, clock: clockid_t);
        fn pthread_cond_init(cond: *mut pthread_cond_t, attribute: *const pthread_condattr_t);
        fn pthread_mutexattr_init(attribute: *mut pthread_mutexattr_t);
        fn pthread_mutexattr_setpshared(attribute: *mut pthread_mutexattr_t, shared: c_int);
        fn pthread_mutexattr_setrobust(attribute: *mut pthread_mutexattr_t, robust: c_int);
        fn pthread_mutexattr_setprotocol(attribute: *mut pthread_mutexattr_t, protocol: c_int);
        fn pthread_mutex_init(lock: *mut pthread_mutex_t, attribute: *const pthread_mutexattr_t);
        fn pthread_rwlockattr_init(attribute: *mut pthread_rwlockattr_t);
        fn pthread_rwlockattr_setpshared(attribute: *mut pthread_rwlockattr_t, shared: c_int);
        fn pthread_rwlock_init(lock: *mut pthread_rwlock_t, attribute: *const pthread_rwlockattr_t);
        fn pthread_barrierattr_init(attribute: *mut pthread_barrierattr_t);
        fn pthread_barrierattr_setpshared(attribute: *mut pthread_barrierattr_t, shared: c_int);
        fn pthread_barrier_init(barrier: *mut pthread_barrier_t, attribute: *const pthread_barrierattr_t, count: c_uint);
        fn sem_init(semaphore: *mut sem_t, shared: c_int, value: c_uint);
    }
}

macro_rules! probe {
    ($flag:expr, $t:ty, $attribute:ty, $init_attribute:path, $init:path, $set:path => $value:expr $(, $count:expr)?) => {{
        let (mut plain, mut other): ($t, $t) = (zeroed(), zeroed());
        let mut attribute: $attribute = zeroed();
        $init_attribute(&mut attribute);
        $init(&mut plain, &attribute $(, $count)?);
        $set(&mut attribute, $value);
        $init(&mut other, &attribute $(, $count)?);
        $flag.learn(&plain as *const $t as *const c_void, &other as *const $t as *const c_void, size_of::<$t>())
    }};
}

/// Finds the flags of condition variables.
unsafe fn learn_cond() -> bool {
    use libc::*;
    probe!(COND_SHARED, pthread_cond_t, pthread_condattr_t, own::pthread_condattr_init, own::pthread_cond_init,
           own::pthread_condattr_setpshared => 1)
        && probe!(COND_MONOTONIC, pthread_cond_t, pthread_condattr_t, own::pthread_condattr_init, own::pthread_cond_init,
                  own::pthread_condattr_setclock => CLOCK_MONOTONIC)
}

/// Finds the flags of mutexes, all of which stand in the word of the kind.
unsafe fn learn_mutex() -> bool {
    use libc::*;
    macro_rules! kind {
        ($flag:expr, $set:path => $value:expr) => {
            probe!($flag, pthread_mutex_t, pthread_mutexattr_t, own::pthread_mutexattr_init, own::pthread_mutex_init, $set => $value)
                && $flag.is_at(MUTEX_KIND)
        };
    }
    if !kind!(MUTEX_SHARED, own::pthread_mutexattr_setpshared => 1)
        || !kind!(MUTEX_ROBUST, own::pthread_mutexattr_setrobust => PTHREAD_MUTEX_ROBUST)
        || !kind!(MUTEX_INHERIT, own::pthread_mutexattr_setprotocol => PTHREAD_PRIO_INHERIT)
    {
        return false;
    }
    // glibc treats a robust mutex as a shared one and sets both.
    MUTEX_ROBUST.mask.fetch_and(!MUTEX_SHARED.mask.load(Relaxed), Relaxed);
    let flags = [&MUTEX_SHARED, &MUTEX_ROBUST, &MUTEX_INHERIT];
    let found = flags.iter().fold(0, |mask, flag| mask | flag.mask.load(Relaxed));
    MUTEX_KERNELS.store(found | MUTEX_PROTECT, Relaxed);
    true
}

/// Finds the flags of rwlocks, barriers and semaphores.
unsafe fn learn_rest() -> bool {
    use libc::*;
    unsafe fn barrier_init(barrier: *mut pthread_barrier_t, attribute: *const pthread_barrierattr_t) -> c_int {
        own::pthread_barrier_init(barrier, attribute, 1)
    }
    unsafe fn no_attribute(_: *mut c_int) {}
    unsafe fn set(attribute: *mut c_int, value: c_int) {
        *attribute = value;
    }
    unsafe fn semaphore_init(semaphore: *mut sem_t, shared: *const c_int) -> c_int {
        own::sem_init(semaphore, *shared, 0)
    }
    probe!(RWLOCK_SHARED, pthread_rwlock_t, pthread_rwlockattr_t, own::pthread_rwlockattr_init, own::pthread_rwlock_init,
           own::pthread_rwlockattr_setpshared => 1)
        && probe!(BARRIER_SHARED, pthread_barrier_t, pthread_barrierattr_t, own::pthread_barrierattr_init, barrier_init,
                  own::pthread_barrierattr_setpshared => 1)
        && BARRIER_SHARED.is_at(BARRIER_SHARED_AT)
        && probe!(SEMAPHORE_SHARED, sem_t, c_int, no_attribute, semaphore_init, set => 1)
}

/// Must this mutex be locked by the kernel thread's own tid? True for a shared, robust, inheriting or protecting one, and for a
/// destroyed one, of which the real call says EINVAL then.
///
/// # Safety
/// As libc's locks: `lock` points to a mutex.
#[inline(always)]
pub unsafe fn is_kernels(lock: *const pthread_mutex_t) -> bool {
    word(lock, MUTEX_KIND) & MUTEX_KERNELS.load(Relaxed) != 0
}

/// Is the mutex neither the kernel's (`is_kernels`) nor one that may mind its owner? Asked by each lock and unlock; one load.
///
/// # Safety
/// As `is_kernels`.
#[inline(always)]
pub unsafe fn is_plain(lock: *const pthread_mutex_t) -> bool {
    word(lock, MUTEX_KIND) & (MUTEX_KERNELS.load(Relaxed) | MUTEX_TYPE) == 0
}

/// Is the mutex robust: may its owner end without unlocking it?
///
/// # Safety
/// As `is_kernels`.
pub unsafe fn is_robust(lock: *const pthread_mutex_t) -> bool {
    MUTEX_ROBUST.of(lock) != 0
}

/// Is the mutex robust and inheriting? Then its waiters wait in the kernel for the owner's kernel thread, and a green thread may end
/// without its kernel thread.
///
/// # Safety
/// As `is_kernels`.
pub unsafe fn is_robust_and_inheriting(lock: *const pthread_mutex_t) -> bool {
    MUTEX_ROBUST.of(lock) != 0 && MUTEX_INHERIT.of(lock) != 0
}

/// Returns the lock word of a mutex of the kernel's: the owner's tid, and two bits (source: linux/futex.h).
unsafe fn lock_word<'a>(lock: *const pthread_mutex_t) -> &'a AtomicU32 {
    AtomicU32::from_ptr(lock.cast::<u8>().add(MUTEX_LOCK) as *mut u32)
}

/// Has the owner ended, and has no thread taken the mutex since?
///
/// # Safety
/// As `is_kernels`.
pub unsafe fn is_orphaned(lock: *const pthread_mutex_t) -> bool {
    lock_word(lock).load(Relaxed) & !libc::FUTEX_WAITERS == libc::FUTEX_OWNER_DIED
}

/// Undoes what the kernel has noted by a failed try of an orphaned mutex. Called right after the try, on its kernel thread.
///
/// 1. The owner, a green thread, has ended, and the mutex is marked (`pin::abandon`). To the kernel its owner is still the kernel
///    thread on which that thread had run.
/// 2. Another green thread's try comes from the same kernel thread. The kernel takes it for the owner's own, and writes that tid into
///    the word while others wait there.
/// 3. Here the tid is taken out again: or the others would go on waiting for this kernel thread.
///
/// # Safety
/// As `is_kernels`; this thread does not hold it.
pub unsafe fn remain_orphaned(lock: *const pthread_mutex_t) {
    const ORPHANED: u32 = libc::FUTEX_WAITERS | libc::FUTEX_OWNER_DIED;
    lock_word(lock).compare_exchange(ORPHANED | own_tid(), ORPHANED, Relaxed, Relaxed).ok();
}

/// Does the mutex have a priority ceiling (PTHREAD_PRIO_PROTECT)?
///
/// # Safety
/// As `is_kernels`.
pub unsafe fn is_protecting(lock: *const pthread_mutex_t) -> bool {
    word(lock, MUTEX_KIND) & MUTEX_PROTECT != 0
}

/// Is the mutex an error-checking one that this thread holds?
///
/// # Safety
/// As `is_kernels`.
pub unsafe fn would_deadlock(lock: *const pthread_mutex_t) -> bool {
    word(lock, MUTEX_KIND) & MUTEX_TYPE == libc::PTHREAD_MUTEX_ERRORCHECK as u32 && is_held(lock)
}

/// Has the mutex this thread for its owner? Of a plain one, which is asked about its owner by nobody, that may be out of date.
///
/// # Safety
/// As `is_kernels`.
pub unsafe fn is_held(lock: *const pthread_mutex_t) -> bool {
    word(lock, MUTEX_OWNER) == own_tid()
}

/// Does it matter who owns the mutex? True for a recursive and an error-checking one.
///
/// # Safety
/// As `is_kernels`.
#[inline(always)]
pub unsafe fn minds_owner(lock: *const pthread_mutex_t) -> bool {
    let kind = word(lock, MUTEX_KIND) & MUTEX_TYPE;
    kind == libc::PTHREAD_MUTEX_RECURSIVE as u32 || kind == libc::PTHREAD_MUTEX_ERRORCHECK as u32
}

/// Counts a user more or less of a mutex that this thread holds. A thread that waits on a condition variable uses its mutex all the
/// while: pthread_mutex_destroy answers EBUSY then.
///
/// # Safety
/// As `is_kernels`.
pub unsafe fn count_user(lock: *const pthread_mutex_t, change: i32) {
    let users = AtomicU32::from_ptr(lock.cast::<u8>().add(MUTEX_USERS) as *mut u32);
    users.store(users.load(Relaxed).wrapping_add_signed(change), Relaxed);
}

/// Returns the tid that glibc writes into the mutexes that this thread locks: the one in its descriptor.
fn own_tid() -> u32 {
    // SAFETY: a field of this thread's own descriptor, which others only read.
    unsafe { AtomicI32::from_ptr(crate::glibc::tid_field(crate::arch::tcb())).load(Relaxed) as u32 }
}

/// The kind of waiter that a rwlock prefers (pthread_rwlockattr_setkind_np(3); source: pthread.h).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Prefers {
    /// Readers: a new one gets in beside others, whichever writers wait (the default).
    Readers,
    /// Writers, among the threads that wait; a new reader still joins readers.
    Writers,
    /// A reader waits behind a waiting writer.
    WritersAlways,
}

/// Returns the kind of waiter that the rwlock prefers, set at its initialisation for good.
///
/// # Safety
/// `lock` points to a rwlock.
pub unsafe fn prefers(lock: *const pthread_rwlock_t) -> Prefers {
    match word(lock, RWLOCK_KIND) {
        0 => Prefers::Readers,
        2 => Prefers::WritersAlways,
        _ => Prefers::Writers,
    }
}

/// Does this thread hold the rwlock for writing?
///
/// # Safety
/// As `prefers`.
pub unsafe fn is_writer(lock: *const pthread_rwlock_t) -> bool {
    word(lock, RWLOCK_WRITER) == own_tid()
}

/// The holders of a rwlock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Held {
    Nobody,
    Readers,
    Writer,
}

/// Returns the rwlock's holders at this moment, by the word that glibc decides by (source: nptl/pthread_rwlock_common.c: bit 0 a write
/// phase, bit 1 a writer, then the number of readers).
///
/// # Safety
/// As `prefers`.
pub unsafe fn held(lock: *const pthread_rwlock_t) -> Held {
    const WRITE_PHASE: u32 = 1;
    const WRITER: u32 = 2;
    const READER_SHIFT: u32 = 3;
    let readers = word(lock, RWLOCK_READERS);
    match readers & (WRITE_PHASE | WRITER) {
        3 => Held::Writer,
        phase if phase & WRITE_PHASE == 0 && readers >> READER_SHIFT != 0 => Held::Readers,
        _ => Held::Nobody,
    }
}
