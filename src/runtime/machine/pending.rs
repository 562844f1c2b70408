//! Pending signals: a queue for each green thread, the shelf for signals that came inside the runtime, and timers' signals put aside.
//!
//! A queue keeps the kernel's promises. Of the signals below 32 one of each kind is pending; of the real-time ones each, in the order in
//! which they came. Of each timer one signal is pending and counts the timer's other expiries, whatever else of that number is pending.
//! The lowest number goes first.
//!
//! The places of shelf and `Aside` are used in handlers, without locks or allocation:
//!
//! ```text
//!   from    to      by                    who
//!   FREE    TAKEN   Place::take(FREE)     a thread that puts a signal there: one compare-exchange wins
//!   FULL    TAKEN   Place::take(FULL)     a thread that reads it, or counts an expiry in it
//!   TAKEN   FULL    store, Release        the same thread: it has written the signal, or leaves it there
//!   TAKEN   FREE    store, Release        the same thread: it has taken the signal out
//! ```

use crate::base::lock::{Rank, RawLock};
use crate::base::signal_set::{bit, FIRST_OF_MANY};
use libc::{c_int, siginfo_t};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// A signal in a queue.
struct Queued {
    info: siginfo_t,
    /// Was it sent to this thread, not to the process?
    directed: bool,
    next: *mut Queued,
}

/// Are both signals of one timer? Then `first` takes in the other's expiries (si_overrun), which have no signal of their own.
pub fn count_expiries(first: &mut siginfo_t, other: &siginfo_t) -> bool {
    /// asm-generic/siginfo.h: the timer's number, then the count.
    const AT: usize = 16;
    // SAFETY: two aligned words within siginfo_t's 128 bytes, which any code leaves initialised or zero.
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

/// Are both signals of one timer, and of one number?
pub fn is_of_same_timer(one: &siginfo_t, other: &siginfo_t) -> bool {
    one.si_signo == other.si_signo && count_expiries(&mut { *one }, other)
}

/// What the pending signals of all threads share.
struct Queues {
    /// Guards the queues of all threads: signals are rare, and a thread's queue is mostly empty.
    lock: RawLock,
}

static QUEUES: Queues = Queues { lock: RawLock::new(Rank::Signals) };

/// A green thread's queue of pending signals. Any thread adds; the thread itself takes, and a sweep that moves signals elsewhere.
pub struct Pending {
    /// Which signals are in it: changed under the lock, looked at without.
    bits: AtomicU64,
    first: UnsafeCell<*mut Queued>,
}

impl Pending {
    /// An empty queue.
    pub const fn new() -> Pending {
        Pending { bits: AtomicU64::new(0), first: UnsafeCell::new(std::ptr::null_mut()) }
    }

    /// The signals in the queue, as a mask. Without the lock; sequentially consistent, so a thread that has changed its mask before sees
    /// what was added by any thread that has not seen that change.
    #[inline]
    pub fn bits(&self) -> u64 {
        self.bits.load(SeqCst)
    }

    /// Adds a signal, sent to the thread (`directed`) or to the process. False: one of its kind is pending already, and stands for both.
    /// Allocates: not called in handlers that found the guard up. The caller alerts the thread afterwards.
    pub fn add(&self, info: &siginfo_t, directed: bool) -> bool {
        let queued = Box::into_raw(Box::new(Queued { info: *info, directed, next: std::ptr::null_mut() }));
        let added = QUEUES.lock.with(|| {
            let is_one_of_its_kind = info.si_signo < FIRST_OF_MANY && info.si_code != libc::SI_TIMER;
            if is_one_of_its_kind && self.bits() & bit(info.si_signo) != 0 {
                return false;
            }
            // SAFETY: `QUEUES.lock` is held, so no other thread changes the list; the place that is found is its end.
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
            // SAFETY: boxed above, and not put into the list.
            drop(unsafe { Box::from_raw(queued) });
        }
        added
    }

    /// Counts an expiry in a pending signal of the same timer; false: there is none.
    ///
    /// # Safety
    /// The caller has `QUEUES.lock`.
    unsafe fn count_in(&self, info: &siginfo_t) -> bool {
        // SAFETY: the list is changed under `QUEUES.lock` only, which the caller has; its elements live until they are out of it.
        let mut at = unsafe { *self.first.get() };
        // SAFETY: as for the first: null or an element of the list.
        while let Some(queued) = unsafe { at.as_mut() } {
            if count_expiries(&mut queued.info, info) {
                return true;
            }
            at = queued.next;
        }
        false
    }

    /// Takes the first of the lowest signal in `set`; `None`: none of them is pending.
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
        let taken = QUEUES.lock.with(|| {
            let bits = self.bits();
            // SAFETY: `QUEUES.lock` is held, so the places that `find` returns stay what they are, and elements stay alive.
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
        // SAFETY: boxed by `add`, and out of the list, so no other thread has it.
        Some(unsafe { Box::from_raw(taken) }.info)
    }

    /// The link that leads to the first element of which `is_it` holds, or the list's last, null link.
    ///
    /// # Safety
    /// The caller has `QUEUES.lock` for as long as it uses the link.
    unsafe fn find(&self, is_it: impl Fn(&Queued) -> bool) -> *mut *mut Queued {
        let mut at = self.first.get();
        // SAFETY: the list is changed under `QUEUES.lock` only, which the caller has; each link is null or leads to an element that lives.
        unsafe {
            while (*at).as_ref().is_some_and(|queued| !is_it(queued)) {
                at = &mut (**at).next;
            }
        }
        at
    }

    /// Drops the signals that were sent to the thread: its vessel serves another one now. Those sent to the process stay; the thread's end
    /// has moved them.
    pub fn clear(&self) {
        while self.take_first(u64::MAX, |queued, _| queued.directed).is_some() {}
    }
}

/// Room for one signal.
struct Place {
    /// FREE, TAKEN or FULL.
    state: AtomicU32,
    /// Which signal of the shelf it is, counted from the first; u64::MAX: none.
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
    /// Takes the place for the caller, if it is in `state`.
    fn take(&self, state: u32) -> bool {
        self.state.compare_exchange(state, TAKEN, Acquire, Relaxed).is_ok()
    }

    /// Does the signal here stand for this one as well? A timer's counts the expiry then.
    fn stands_for(&self, info: &siginfo_t) -> bool {
        if !self.take(FULL) {
            return false;
        }
        // SAFETY: a FULL place has a signal, and this thread has taken it, until it stores FULL again.
        let kept = unsafe { (*self.info.get()).assume_init_mut() };
        let is_timers = kept.si_code == libc::SI_TIMER || info.si_code == libc::SI_TIMER;
        let stands_alone = info.si_signo < FIRST_OF_MANY && !is_timers;
        let stands = kept.si_signo == info.si_signo && (stands_alone || count_expiries(kept, info));
        self.state.store(FULL, Release);
        stands
    }
}

/// Timers' signals below 32 that were put back. Of the signals that a process queues the kernel keeps one of a kind; of the signals that
/// timers send it keeps one for each timer. So the signals are kept here, and the one in the kernel's queue only stands for them.
pub struct Aside {
    places: [Place; Aside::PLACES],
    kept: AtomicU32,
}

// SAFETY: a place's signal is touched only by the thread that has exchanged its state to TAKEN.
unsafe impl Sync for Aside {}

impl Aside {
    const PLACES: usize = 64;

    /// With no signal.
    pub const fn new() -> Aside {
        Aside { places: [const { Place::new() }; Aside::PLACES], kept: AtomicU32::new(0) }
    }

    /// Keeps a signal; false: there is no room. Takes no lock and allocates nothing.
    pub fn put(&self, info: &siginfo_t) -> bool {
        if self.places.iter().any(|place| place.stands_for(info)) {
            return true;
        }
        let Some(place) = self.places.iter().find(|place| place.take(FREE)) else { return false };
        // SAFETY: this thread has taken the place, until it stores FULL.
        unsafe { (*place.info.get()).write(*info) };
        self.kept.fetch_add(1, SeqCst);
        place.state.store(FULL, Release);
        true
    }

    /// Takes out a signal of which `is_it` holds. Takes no lock.
    pub fn take(&self, is_it: impl Fn(&siginfo_t) -> bool) -> Option<siginfo_t> {
        if self.kept.load(SeqCst) == 0 {
            return None;
        }
        self.places.iter().find_map(|place| {
            if !place.take(FULL) {
                return None;
            }
            // SAFETY: a FULL place has a signal, and this thread has taken it; it is read as a copy.
            let info = unsafe { (*place.info.get()).assume_init_read() };
            let taken = is_it(&info);
            place.state.store(if taken { FREE } else { FULL }, Release);
            taken.then(|| {
                self.kept.fetch_sub(1, SeqCst);
                info
            })
        })
    }

    /// Empties it in a fork child, which has no timers.
    pub fn after_fork(&self) {
        let Aside { places, kept } = self;
        places.iter().for_each(|place| place.state.store(FREE, Relaxed));
        kept.store(0, Relaxed);
    }
}

const FREE: u32 = 0;
const TAKEN: u32 = 1;
const FULL: u32 = 2;

/// Signals that came while their kernel thread was inside the runtime, where a handler may take no lock and allocate nothing. They are
/// handed out in the order in which they came, after the guard is down.
pub struct Shelf {
    places: [Place; Shelf::PLACES],
    numbers: AtomicU64,
    /// The number of the next one to be handed out.
    next: AtomicU64,
    /// How many are on it, or being handed out.
    kept: AtomicU32,
    /// Held while signals are handed out, so that no other thread hands out a later one first.
    clearing: RawLock,
}

// SAFETY: a place's signal is touched only by the thread that has exchanged its state to TAKEN.
unsafe impl Sync for Shelf {}

impl Shelf {
    const PLACES: usize = 256;

    /// An empty shelf.
    pub const fn new() -> Shelf {
        Shelf {
            places: [const { Place::new() }; Shelf::PLACES],
            numbers: AtomicU64::new(0),
            next: AtomicU64::new(0),
            kept: AtomicU32::new(0),
            clearing: RawLock::new(Rank::Shelf),
        }
    }

    /// Keeps a signal. Called in handlers: takes no lock and allocates nothing. Of a kind below 32, and of a timer, one stands for all, so
    /// there is room for them. Where real-time signals have filled the shelf, a further one is lost, as when the kernel's own limit is
    /// reached.
    pub fn put(&self, info: &siginfo_t) {
        if self.places.iter().any(|place| place.stands_for(info)) {
            return;
        }
        if let Some(place) = self.places.iter().find(|place| place.take(FREE)) {
            place.number.store(self.numbers.fetch_add(1, Relaxed), Relaxed);
            // SAFETY: this thread has taken the place, until it stores FULL.
            unsafe { (*place.info.get()).write(*info) };
            self.kept.fetch_add(1, SeqCst);
            place.state.store(FULL, Release);
        }
    }

    /// Is the shelf empty, and no signal of it being handed out?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.kept.load(SeqCst) == 0
    }

    /// Does `work` while no thread hands out anything.
    pub fn while_clearing<R>(&self, work: impl FnOnce() -> R) -> R {
        self.clearing.with(work)
    }

    /// Hands out the signals, in the order in which they came. Called on any thread of the process, with no lock held; `hand` may queue
    /// signals and make threads ready, but takes no record's lock.
    pub fn clear(&self, mut hand: impl FnMut(&siginfo_t)) {
        self.clearing.with(|| {
            while let Some(info) = self.take_first() {
                hand(&info);
                self.kept.fetch_sub(1, SeqCst);
            }
        })
    }

    /// Takes the next signal in order. `None` also where a handler is about to put it there or counts in it: its kernel thread hands out
    /// afterwards.
    fn take_first(&self) -> Option<siginfo_t> {
        let next = self.next.load(Relaxed);
        let is_next = |place: &&Place| place.number.load(Acquire) == next && place.take(FULL);
        let place = self.places.iter().find(is_next)?;
        // SAFETY: a FULL place has a signal, and this thread has taken it; it is read as a copy.
        let info = unsafe { (*place.info.get()).assume_init_read() };
        place.number.store(u64::MAX, Relaxed);
        place.state.store(FREE, Release);
        self.next.store(next + 1, Relaxed);
        Some(info)
    }

    /// Empties it in a fork child, which has none of its parent's signals, and frees the lock.
    pub fn after_fork(&self) {
        let Shelf { places, numbers, next, kept, clearing } = self;
        clearing.after_fork();
        places.iter().for_each(|place| {
            place.state.store(FREE, Relaxed);
            place.number.store(u64::MAX, Relaxed);
        });
        next.store(numbers.load(Relaxed), Relaxed);
        kept.store(0, Relaxed);
    }
}

/// Frees the queues' lock in a fork child: its holder may have stayed in the parent. The queues are the child's copies.
pub fn after_fork() {
    let Queues { lock } = &QUEUES;
    lock.after_fork();
}
