//! Signals that wait: a queue for each green thread, and a shelf for those that came where nothing could be done with them.
//!
//! The queue keeps the kernel's promises: of the signals below 32 one of each kind waits, of the real-time ones each, in the order
//! in which they came, but of each timer one, which counts the others, whatever else of that number waits; the lowest goes first.

use crate::base::lock::{Rank, RawLock};
use crate::base::signal_set::{bit, FIRST_OF_MANY};
use libc::{c_int, siginfo_t};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

struct Queued {
    info: siginfo_t,
    /// Sent to this thread, not to the process.
    directed: bool,
    next: *mut Queued,
}

/// Are both signals of one timer? Then the first counts the other's expiries: how many have no signal of their own.
pub fn count_expiries(first: &mut siginfo_t, other: &siginfo_t) -> bool {
    /// asm-generic/siginfo.h: the timer's number, then the count.
    const AT: usize = 16;
    // SAFETY: within siginfo_t's 128 bytes.
    let ([number, count], [others, more]) = unsafe {
        let place = &mut *((first as *mut siginfo_t as *mut u8).add(AT) as *mut [i32; 2]);
        (place, *((other as *const siginfo_t as *const u8).add(AT) as *const [i32; 2]))
    };
    let same = first.si_code == libc::SI_TIMER && other.si_code == libc::SI_TIMER && *number == others;
    if same {
        *count = count.saturating_add(more).saturating_add(1);
    }
    same
}

/// Are both of one timer?
pub fn is_of_same_timer(one: &siginfo_t, other: &siginfo_t) -> bool {
    one.si_signo == other.si_signo && count_expiries(&mut { *one }, other)
}

/// Guards every thread's queue: signals are rare, and a thread's queue is mostly empty.
static LOCK: RawLock = RawLock::new(Rank::Signals);

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

    /// Puts a signal in, sent to the thread itself or to the process; false: one of its kind waits already, and stands for both.
    pub fn add(&self, info: &siginfo_t, directed: bool) -> bool {
        let queued = Box::into_raw(Box::new(Queued { info: *info, directed, next: std::ptr::null_mut() }));
        let added = LOCK.with(|| {
            let is_one_of_its_kind = info.si_signo < FIRST_OF_MANY && info.si_code != libc::SI_TIMER;
            if is_one_of_its_kind && self.bits() & bit(info.si_signo) != 0 {
                return false;
            }
            // SAFETY: under the lock; the list's last place is found.
            unsafe {
                if info.si_code == libc::SI_TIMER && self.count_in(info) {
                    return false;
                }
                *self.find(|_| false) = queued;
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

    /// Does a signal of the same timer wait already? Then that one counts this expiry.
    ///
    /// # Safety
    /// Under the lock.
    unsafe fn count_in(&self, info: &siginfo_t) -> bool {
        let mut at = *self.first.get();
        while let Some(queued) = at.as_mut() {
            if count_expiries(&mut queued.info, info) {
                return true;
            }
            at = queued.next;
        }
        false
    }

    /// Takes the first of the lowest signal in `set`.
    pub fn take(&self, set: u64) -> Option<siginfo_t> {
        let lowest = |bits: u64| (bits & set).trailing_zeros() as c_int + 1;
        self.take_first(set, |queued, bits| queued.info.si_signo == lowest(bits))
    }

    /// Takes the first in `set` that was sent to the process.
    pub fn take_undirected(&self, set: u64) -> Option<siginfo_t> {
        self.take_first(set, |queued, _| !queued.directed && set & bit(queued.info.si_signo) != 0)
    }

    fn take_first(&self, set: u64, is_it: impl Fn(&Queued, u64) -> bool) -> Option<siginfo_t> {
        if self.bits() & set == 0 {
            return None;
        }
        let taken = LOCK.with(|| {
            let bits = self.bits();
            // SAFETY: under the lock.
            unsafe {
                let place = self.find(|queued| is_it(queued, bits));
                let found = (*place).as_ref()?;
                let signal = found.info.si_signo;
                let taken = std::mem::replace(&mut *place, found.next);
                if (*self.find(|queued| queued.info.si_signo == signal)).is_null() {
                    self.bits.fetch_and(!bit(signal), SeqCst);
                }
                Some(taken)
            }
        })?;
        // SAFETY: out of the list, made by `add`.
        Some(unsafe { Box::from_raw(taken) }.info)
    }

    /// Where the first such one hangs, or the list's end.
    ///
    /// # Safety
    /// Under the lock, for as long as the place is used.
    unsafe fn find(&self, is_it: impl Fn(&Queued) -> bool) -> *mut *mut Queued {
        let mut at = self.first.get();
        while (*at).as_ref().is_some_and(|queued| !is_it(queued)) {
            at = &mut (**at).next;
        }
        at
    }

    /// Throws away what was sent to the thread: it is another's now. What was sent to the process its sender sees to.
    pub fn clear(&self) {
        while self.take_first(u64::MAX, |queued, _| queued.directed).is_some() {}
    }
}

/// Room for one signal on the shelf.
struct Place {
    state: AtomicU32,
    /// In which order they came.
    number: AtomicU64,
    info: UnsafeCell<std::mem::MaybeUninit<siginfo_t>>,
}

impl Place {
    const fn new() -> Place {
        Place {
            state: AtomicU32::new(FREE),
            number: AtomicU64::new(u64::MAX),
            info: UnsafeCell::new(std::mem::MaybeUninit::uninit()),
        }
    }
}

impl Place {
    fn take(&self, state: u32) -> bool {
        self.state.compare_exchange(state, TAKEN, Acquire, Relaxed).is_ok()
    }

    /// Is here what stands for this signal as well?
    fn stands_for(&self, info: &siginfo_t) -> bool {
        if !self.take(FULL) {
            return false;
        }
        // SAFETY: it was full, and is ours until it is marked so again.
        let kept = unsafe { (*self.info.get()).assume_init_mut() };
        let is_timers = kept.si_code == libc::SI_TIMER || info.si_code == libc::SI_TIMER;
        let stands_alone = info.si_signo < FIRST_OF_MANY && !is_timers;
        let stands = kept.si_signo == info.si_signo && (stands_alone || count_expiries(kept, info));
        self.state.store(FULL, Release);
        stands
    }
}

/// Signals of timers, of a kind below 32, that are back in the kernel's queue: of those that are put there it keeps one of a kind, though
/// of those that come by themselves each timer's. So they are kept here, and what is in the kernel's queue only stands for one.
pub struct Aside {
    places: [Place; Aside::PLACES],
    kept: AtomicU32,
}

// SAFETY: a place is written and read by whoever took it.
unsafe impl Sync for Aside {}

impl Aside {
    const PLACES: usize = 64;

    pub const fn new() -> Aside {
        Aside { places: [const { Place::new() }; Aside::PLACES], kept: AtomicU32::new(0) }
    }

    /// False: there is no room.
    pub fn put(&self, info: &siginfo_t) -> bool {
        if self.places.iter().any(|place| place.stands_for(info)) {
            return true;
        }
        let Some(place) = self.places.iter().find(|place| place.take(FREE)) else { return false };
        // SAFETY: the place is ours until it is marked full.
        unsafe { (*place.info.get()).write(*info) };
        self.kept.fetch_add(1, SeqCst);
        place.state.store(FULL, Release);
        true
    }

    /// Takes one of which this holds.
    pub fn take(&self, is_it: impl Fn(&siginfo_t) -> bool) -> Option<siginfo_t> {
        if self.kept.load(SeqCst) == 0 {
            return None;
        }
        self.places.iter().find_map(|place| {
            if !place.take(FULL) {
                return None;
            }
            // SAFETY: it was full, and is ours until it is marked.
            let info = unsafe { (*place.info.get()).assume_init_read() };
            let taken = is_it(&info);
            place.state.store(if taken { FREE } else { FULL }, Release);
            taken.then(|| {
                self.kept.fetch_sub(1, SeqCst);
                info
            })
        })
    }

    /// In a fork child: no timer is its own.
    pub fn after_fork(&self) {
        self.places.iter().for_each(|place| place.state.store(FREE, Relaxed));
        self.kept.store(0, Relaxed);
    }
}

const FREE: u32 = 0;
const TAKEN: u32 = 1;
const FULL: u32 = 2;

/// Signals that came while their kernel thread was inside the runtime: their handler may take no lock and allocate nothing.
pub struct Shelf {
    places: [Place; Shelf::PLACES],
    numbers: AtomicU64,
    /// The number of the next one to be handed out.
    next: AtomicU64,
    /// How many are on it, or being handed out.
    kept: AtomicU32,
    /// Held by who hands out, so that nobody hands out a later one before.
    clearing: RawLock,
}

// SAFETY: a place is written by whoever took it, and read under the lock by whoever sees that it is full.
unsafe impl Sync for Shelf {}

impl Shelf {
    const PLACES: usize = 256;

    pub const fn new() -> Shelf {
        Shelf {
            places: [const { Place::new() }; Shelf::PLACES],
            numbers: AtomicU64::new(0),
            next: AtomicU64::new(0),
            kept: AtomicU32::new(0),
            clearing: RawLock::new(Rank::Signals),
        }
    }

    /// Keeps a signal: of a kind below 32, and of a timer, one stands for all. (So there is room, but for real-time signals that
    /// others send: of those the newest is lost, as when the kernel's own limit is reached.)
    pub fn put(&self, info: &siginfo_t) {
        if self.places.iter().any(|place| place.stands_for(info)) {
            return;
        }
        if let Some(place) = self.places.iter().find(|place| place.take(FREE)) {
            place.number.store(self.numbers.fetch_add(1, Relaxed), Relaxed);
            // SAFETY: the place is ours until it is marked full.
            unsafe { (*place.info.get()).write(*info) };
            self.kept.fetch_add(1, SeqCst);
            place.state.store(FULL, Release);
        }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.kept.load(SeqCst) == 0
    }

    /// Nobody else hands out anything meanwhile.
    pub fn while_clearing<R>(&self, work: impl FnOnce() -> R) -> R {
        self.clearing.with(work)
    }

    /// Hands out what is there, in the order in which it came.
    pub fn clear(&self, mut hand: impl FnMut(&siginfo_t)) {
        self.clearing.with(|| {
            while let Some(info) = self.take_first() {
                hand(&info);
                self.kept.fetch_sub(1, SeqCst);
            }
        })
    }

    /// The next in order; `None` also where somebody is at it, for whoever puts something here hands out afterwards.
    fn take_first(&self) -> Option<siginfo_t> {
        let next = self.next.load(Relaxed);
        let is_next = |place: &&Place| place.number.load(Acquire) == next && place.take(FULL);
        let place = self.places.iter().find(is_next)?;
        // SAFETY: it was full, and is ours.
        let info = unsafe { (*place.info.get()).assume_init_read() };
        place.number.store(u64::MAX, Relaxed);
        place.state.store(FREE, Release);
        self.next.store(next + 1, Relaxed);
        Some(info)
    }

    /// In a fork child: the lock's holder may be gone, and nothing on the shelf is the child's.
    pub fn after_fork(&self) {
        self.clearing.after_fork();
        self.places.iter().for_each(|place| {
            place.state.store(FREE, Relaxed);
            place.number.store(u64::MAX, Relaxed);
        });
        self.next.store(self.numbers.load(Relaxed), Relaxed);
        self.kept.store(0, Relaxed);
    }
}

/// In a fork child: the lock's holder may be gone.
pub fn after_fork() {
    LOCK.after_fork();
}
