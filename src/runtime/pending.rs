//! Signals that wait: a queue for each green thread, and a shelf for those that came where nothing could be done with them.
//!
//! The queue keeps the kernel's promises: of the signals below 32 one of each kind waits, of the real-time ones each, in the order
//! in which they came; the lowest number goes first.

use super::disposition::bit;
use super::raw_lock::RawLock;
use libc::{c_int, siginfo_t};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// The lowest real-time signal: several of a kind may wait.
const FIRST_OF_MANY: c_int = 32;

struct Queued {
    info: siginfo_t,
    next: *mut Queued,
}

/// Guards every thread's queue: signals are rare, and a thread's queue is mostly empty.
static LOCK: RawLock = RawLock::new();

/// A thread's queue.
pub struct Pending {
    /// Which signals are in it: changed under the lock, looked at without.
    bits: AtomicU64,
    first: UnsafeCell<*mut Queued>,
}

impl Pending {
    pub const fn new() -> Pending {
        Pending { bits: AtomicU64::new(0), first: UnsafeCell::new(std::ptr::null_mut()) }
    }

    #[inline]
    pub fn bits(&self) -> u64 {
        self.bits.load(SeqCst)
    }

    /// Puts a signal in; false: one of its kind waits already, and stands for both.
    pub fn add(&self, info: &siginfo_t) -> bool {
        let queued = Box::into_raw(Box::new(Queued { info: *info, next: std::ptr::null_mut() }));
        let added = LOCK.with(|| {
            if info.si_signo < FIRST_OF_MANY && self.bits() & bit(info.si_signo) != 0 {
                return false;
            }
            // SAFETY: under the lock; what is in the list is alive.
            unsafe {
                let mut end = self.first.get();
                while !(*end).is_null() {
                    end = &mut (**end).next;
                }
                *end = queued;
            }
            self.bits.fetch_or(bit(info.si_signo), SeqCst);
            true
        });
        if !added {
            // SAFETY: made above, and in no list.
            drop(unsafe { Box::from_raw(queued) });
        }
        added
    }

    /// Takes the first of the lowest signal in `set`.
    pub fn take(&self, set: u64) -> Option<siginfo_t> {
        if self.bits() & set == 0 {
            return None;
        }
        let taken = LOCK.with(|| {
            let wanted = self.bits() & set;
            let signal = wanted.trailing_zeros() as c_int + 1;
            // SAFETY: under the lock.
            (wanted != 0).then(|| unsafe { self.unlink(signal) })
        })?;
        // SAFETY: out of the list, made by `add`.
        (!taken.is_null()).then(|| unsafe { Box::from_raw(taken) }.info)
    }

    /// Takes out the first of this kind; the bit goes with the last.
    ///
    /// # Safety
    /// Under the lock.
    unsafe fn unlink(&self, signal: c_int) -> *mut Queued {
        let mut at = self.first.get();
        while !(*at).is_null() && (**at).info.si_signo != signal {
            at = &mut (**at).next;
        }
        let found = *at;
        if !found.is_null() {
            *at = (*found).next;
            while !(*at).is_null() && (**at).info.si_signo != signal {
                at = &mut (**at).next;
            }
        }
        if (*at).is_null() {
            self.bits.fetch_and(!bit(signal), SeqCst);
        }
        found
    }

    /// Throws away what waits: the thread is another's now.
    pub fn clear(&self) {
        while self.take(u64::MAX).is_some() {}
    }
}

/// Room for one signal on the shelf.
struct Place {
    state: AtomicU32,
    info: UnsafeCell<std::mem::MaybeUninit<siginfo_t>>,
}

const FREE: u32 = 0;
const TAKEN: u32 = 1;
const FULL: u32 = 2;

/// Signals that came while their kernel thread was inside the runtime: their handler may take no lock and allocate nothing.
pub struct Shelf([Place; Shelf::PLACES]);

// SAFETY: a place is written by whoever took it, and read by whoever sees that it is full.
unsafe impl Sync for Shelf {}

impl Shelf {
    const PLACES: usize = 64;

    pub const fn new() -> Shelf {
        Shelf(
            [const { Place { state: AtomicU32::new(FREE), info: UnsafeCell::new(std::mem::MaybeUninit::uninit()) } };
                Shelf::PLACES],
        )
    }

    /// Keeps a signal; when there is no room the newest is lost, as when the kernel's own limit is reached.
    pub fn put(&self, info: &siginfo_t) {
        let free = self.0.iter().find(|place| place.state.compare_exchange(FREE, TAKEN, Acquire, Relaxed).is_ok());
        if let Some(place) = free {
            // SAFETY: the place is ours until it is marked full.
            unsafe { (*place.info.get()).write(*info) };
            place.state.store(FULL, Release);
        }
    }

    /// Hands out what is there.
    pub fn clear(&self, mut hand: impl FnMut(&siginfo_t)) {
        for place in self.0.iter().filter(|place| place.state.load(Acquire) == FULL) {
            // SAFETY: full, and there is one reader.
            let info = unsafe { (*place.info.get()).assume_init_read() };
            place.state.store(FREE, Release);
            hand(&info);
        }
    }
}

/// In a fork child: the lock's holder may be gone.
pub fn after_fork() {
    LOCK.reset();
}
