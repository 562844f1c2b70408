//! Records: for each descriptor number where it is registered, which threads wait for it, and the hints that save system calls.
//!
//! System calls are left out to save time (an epoll_ctl per wait, a recv that must fail), and each is left out on a *hint*. The hints of
//! one direction, in the word `hints`:
//!
//! ```text
//!   events  how many came: a call that has loaded the count before its try knows afterwards whether the try may have missed one
//!   EMPTY   the last try used everything up, and no event came since it began; an event clears it
//!   GUESS   EMPTY is a guess: the last try got all that it asked for, and after such a try the next one has found nothing
//!           several times in a row (a record's `COUNT`). A wait on a guess is verified before its slot sleeps.
//!   STICKY  (both directions) hang-up, error or urgent data was seen: no more EMPTY, every try is made
//! ```
//!
//! How the bits move (EMPTY stands for that of the try's or event's directions, `n` for the repetitions in `COUNT`):
//!
//! ```text
//!   by              from                  to
//!   exhausted       FULL, n < SURE        EMPTY, not FULL, n + 1      nothing was left: a lesson
//!   exhausted       any other             EMPTY, not FULL
//!   took_all        any                   EMPTY, not FULL, not GUESS
//!   took_its_fill   FULL                  FULL, n = 0                 two full tries in a row: there was more
//!   took_its_fill   not FULL, n < SURE    FULL
//!   took_its_fill   not FULL, n = SURE    EMPTY, GUESS                as often before, there will be nothing more
//!   event           any                   events + 1, not EMPTY, not FULL, not GUESS; STICKY for an end or urgent data
//!   forget_hints    any                   events + 1, all bits clear
//! ```
//!
//! The first six change nothing where an event came since the try began, where STICKY is set, or where the descriptor is not registered.
//!
//! The race between a call that tries, finds nothing and waits, and an event:
//!
//! 1. The call loads the hints (`look`), then tries: the system call says EAGAIN.
//! 2. An event adds to the count and clears EMPTY in one exchange, then walks the waits. Both under the record's lock.
//! 3. The call links its wait under the record's lock, and only if the count is still that of 1 (`is_as`).
//! 4. If the event had the lock first, 3 finds another count, and the call tries again. If the call had it first, the event finds the wait.
//!
//! A hint may be wrong where the number was closed and reused without a hook (an inline system call). So a wait that lasts is verified
//! once, after some milliseconds: `EPOLL_CTL_MOD` makes the kernel look again and report what is ready, or say that it does not know the
//! descriptor, which is then registered anew; and its O_NONBLOCK is asked for again.

use crate::arch;
use crate::base::clock;
use crate::base::lock::RawLock;
use crate::runtime::news::waiter::{Batch, News, Ticket, Token};
use crate::runtime::news::{peer, poller};
use crate::sys::{self, older};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// Interest in what can be read.
pub const IN: u32 = libc::EPOLLIN as u32;
/// Interest in room to write.
pub const OUT: u32 = libc::EPOLLOUT as u32;
/// Interest in urgent data.
pub const PRI: u32 = libc::EPOLLPRI as u32;
/// Events that end both directions, and the one that ends what can be read.
const ENDED: u32 = (libc::EPOLLHUP | libc::EPOLLERR) as u32;
const HALF_ENDED: u32 = libc::EPOLLRDHUP as u32;
/// The events that each registration asks for: the edges of all that can be read. OUT is added when a thread first waits for room.
const ALWAYS: u32 = (libc::EPOLLIN | libc::EPOLLPRI | libc::EPOLLRDHUP) as u32 | libc::EPOLLET as u32;

const EMPTY_IN: u64 = 1;
const EMPTY_OUT: u64 = 2;
const STICKY: u64 = 4;
const GUESS: u64 = 8;
/// The last try got all that it asked for.
const FULL: u64 = 16;
/// How often in a row nothing was there after a full try; from `SURE` on a guess is made.
const COUNT: u64 = 32;
const SURE: u64 = 3;
const COUNT_MASK: u64 = COUNT * 3;
/// One event, in the counter of its direction. OUT's counter has 24 bits and overflows into IN's: harmless, it costs one extra try.
const ONE_OUT: u64 = 1 << 16;
const ONE_IN: u64 = 1 << 40;

/// The hints of a descriptor, as they were at one moment.
#[derive(Clone, Copy)]
pub struct Hints(u64);

impl Hints {
    /// Do they say that nothing is ready in this direction, so that a try can be left out?
    #[inline]
    pub fn say_empty(self, interest: u32) -> bool {
        self.0 & (empty(interest) | STICKY) == empty(interest)
    }

    /// Do they say that an end was seen, or urgent data? The kernel reports those once, perhaps together with the bytes before them.
    #[inline]
    pub fn say_ended(self) -> bool {
        self.0 & STICKY != 0
    }

    /// Has no event of this direction come between these two moments?
    #[inline]
    fn is_current(self, now: u64, interest: u32) -> bool {
        let counter = (if inward(interest) { !0 << 40 } else { 0 })
            | (if interest & OUT != 0 { (ONE_IN - 1) & (!0 << 16) } else { 0 });
        (self.0 ^ now) & counter == 0
    }
}

/// Does an interest concern what can be read?
fn inward(interest: u32) -> bool {
    interest & (IN | PRI) != 0
}

/// The EMPTY bits of an interest's directions.
fn empty(interest: u32) -> u64 {
    (if inward(interest) { EMPTY_IN } else { 0 }) | (if interest & OUT != 0 { EMPTY_OUT } else { 0 })
}

/// A record: all that is known of a descriptor number. Never freed: another file with the same number has the same record, and a new
/// generation.
#[repr(align(64))]
pub struct Record {
    /// Protects the list of waits, the registration and the cells. `event` and `verify` take it; callers of what says "under the lock" do.
    pub lock: RawLock,
    /// Grows whenever the number may mean another file.
    pub generation: AtomicU32,
    hints: AtomicU64,
    /// The number of the slot in whose epoll it is registered, plus one, and `REGISTERED_OUT` where that direction is, too; 0: in none.
    pub registered: AtomicU32,
    /// Calls that hold on to the file from one try to the next, parked or not: a close of the number waits until they are parked.
    holders: AtomicU32,
    /// The wait that came last; null: none. Changed under the lock, looked at without.
    pub waiting: AtomicPtr<FdWait>,
    /// The time in milliseconds since which there is a wait that has not been verified; 0: there is none.
    unverified_ms: Cell<u64>,
    /// The hooks' own knowledge of the file, in their packing; 0: none.
    pub info: AtomicU64,
    /// SO_RCVTIMEO and SO_SNDTIMEO in nanoseconds, 0: none.
    pub receive_timeout_ns: AtomicU64,
    pub send_timeout_ns: AtomicU64,
}

// SAFETY: `unverified_ms`, the only cell, is touched under `lock`; the rest is atomic.
unsafe impl Sync for Record {}

/// In `registered`: room to write is asked for, too.
const REGISTERED_OUT: u32 = 1 << 31;
const CHUNK: usize = 512;
const CHUNKS: usize = Record::NUMBERS / CHUNK;
/// All records.
struct Table {
    /// By stretches of CHUNK numbers; null: nothing was noted about any number of the stretch.
    chunks: [AtomicPtr<Record>; CHUNKS],
}

static TABLE: Table = Table { chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS] };

/// Maps a stretch of records and puts it in its place, unless another thread was faster. `None`: no memory.
#[cold]
fn new_chunk(place: &AtomicPtr<Record>) -> Option<*mut Record> {
    let bytes = CHUNK * std::mem::size_of::<Record>();
    // Zeroed pages are what a fresh record is.
    let fresh = sys::map(bytes, 0)? as *mut Record;
    match place.compare_exchange(std::ptr::null_mut(), fresh, AcqRel, Acquire) {
        Ok(_) => Some(fresh),
        Err(other) => {
            sys::unmap(fresh as usize, bytes);
            Some(other)
        }
    }
}

/// The record of a descriptor number; `None` for a number that has none (negative, or `Record::NUMBERS` and more), or without memory.
/// Called on any thread; maps the number's stretch when it is first asked for.
#[inline]
pub fn record(fd: i32) -> Option<&'static Record> {
    let place = TABLE.chunks.get(fd as usize / CHUNK)?;
    let mut chunk = place.load(Acquire);
    if chunk.is_null() {
        chunk = new_chunk(place)?;
    }
    // SAFETY: the chunk has CHUNK records and is never freed.
    Some(unsafe { &*chunk.add(fd as usize % CHUNK) })
}

/// The generation of a number's record, for `peer`.
fn generation_of(fd: i32) -> Option<u32> {
    record(fd).map(|record| record.generation.load(Relaxed))
}

/// Notes that two descriptors are each other's peers: a socketpair's ends, at its birth.
pub fn link_peers(one: i32, other: i32) {
    peer::link(one, other, generation_of);
}

/// The record of a descriptor number, if anything was ever noted about its stretch of numbers. Maps nothing.
pub fn known_record(fd: i32) -> Option<&'static Record> {
    let chunk = TABLE.chunks.get(fd as usize / CHUNK)?.load(Acquire);
    // SAFETY: a chunk has CHUNK records and is never freed.
    (!chunk.is_null()).then(|| unsafe { &*chunk.add(fd as usize % CHUNK) })
}

/// Changes what the hooks know (`info`) of every number. Called on any thread; `change` may be called again where another thread is faster.
pub fn revise_all(change: impl Fn(u64) -> u64) {
    for chunk in TABLE.chunks.iter().map(|place| place.load(Acquire)).filter(|chunk| !chunk.is_null()) {
        for i in 0..CHUNK {
            // SAFETY: a chunk has CHUNK records and is never freed.
            let info = unsafe { &(*chunk.add(i)).info };
            info.fetch_update(Relaxed, Relaxed, |info| Some(change(info))).ok();
        }
    }
}

/// One descriptor waited for, on the waiting thread's stack.
pub struct FdWait {
    /// The descriptor's number.
    pub fd: i32,
    /// IN, OUT and PRI: what it waits for.
    pub interest: u32,
    /// The wait that an event fires.
    pub ticket: Cell<Ticket>,
    /// The record that it was linked into last.
    pub record: Cell<*const Record>,
    next: Cell<*const FdWait>,
    before: Cell<*const FdWait>,
    /// Is it in the record's list? `dismiss` clears it as its last touch of the wait, whose frame may end then.
    pub queued: AtomicBool,
    /// The number of a private duplicate that the wait was moved to; -1: none (`readiness`).
    pub moved: Cell<i32>,
    /// Does its call hold on to the file?
    pub holds: bool,
    /// The call waits because the file was not O_NONBLOCK when that was last asked.
    trusting: bool,
}

impl FdWait {
    /// A wait for `interest` (IN, OUT, PRI) in `fd`, not yet in a list.
    pub const fn new(fd: i32, interest: u32) -> FdWait {
        let none = std::ptr::null();
        FdWait {
            fd,
            interest,
            ticket: Cell::new(Ticket::NONE),
            record: Cell::new(std::ptr::null()),
            next: Cell::new(none),
            before: Cell::new(none),
            queued: AtomicBool::new(false),
            moved: Cell::new(-1),
            holds: false,
            trusting: false,
        }
    }

    /// Makes this the wait of a call that holds on to the file (`holds`), or trusts it to be without O_NONBLOCK (`trusting`).
    pub fn of_call(self, holds: bool, trusting: bool) -> FdWait {
        FdWait { holds, trusting, ..self }
    }
}

impl Record {
    /// How many descriptor numbers have a record.
    pub const NUMBERS: usize = peer::NUMBERS;

    /// The hints. Called before a try (step 1): they say whether it can be left out, and tell afterwards which events it may have missed.
    #[inline]
    pub fn look(&self) -> Hints {
        Hints(self.hints.load(Acquire))
    }

    /// Has no event of this direction come since `before`? Asked under the lock before a wait is linked (step 3).
    #[inline]
    pub fn is_as(&self, before: Hints, interest: u32) -> bool {
        before.is_current(self.hints.load(Acquire), interest)
    }

    /// Changes the hints, unless an event came since the try began, or the record is not registered or not to be trusted.
    #[inline]
    fn revise(&self, before: Hints, interest: u32, change: impl Fn(u64) -> u64) {
        if self.registered.load(Relaxed) == 0 {
            return;
        }
        let mut bits = self.hints.load(Acquire);
        while bits & STICKY == 0 && before.is_current(bits, interest) {
            match self.hints.compare_exchange_weak(bits, change(bits), AcqRel, Acquire) {
                Ok(_) => return,
                Err(now) => bits = now,
            }
        }
    }

    /// Notes that a try found nothing. `before`: the hints before the try.
    #[inline]
    pub fn exhausted(&self, before: Hints, interest: u32) {
        self.revise(before, interest, |bits| {
            let learnt = bits & FULL != 0 && bits & COUNT_MASK < SURE * COUNT;
            (bits & !FULL | empty(interest)) + if learnt { COUNT } else { 0 }
        });
    }

    /// Notes that a try got something, and that there was no more.
    #[inline]
    pub fn took_all(&self, before: Hints, interest: u32) {
        self.revise(before, interest, |bits| bits & !(FULL | GUESS) | empty(interest));
    }

    /// Notes that a try got as much as it asked for: there may be more.
    #[inline]
    pub fn took_its_fill(&self, before: Hints, interest: u32) {
        self.revise(before, interest, |bits| {
            if bits & FULL != 0 {
                bits & !COUNT_MASK
            } else if bits & COUNT_MASK == SURE * COUNT {
                bits | empty(interest) | GUESS
            } else {
                bits | FULL
            }
        });
    }

    /// Counts an event of these directions.
    fn count(&self, inward: bool, outward: bool, change: impl Fn(u64) -> u64) {
        let more = if inward { ONE_IN } else { 0 } + if outward { ONE_OUT } else { 0 };
        let mut bits = self.hints.load(Relaxed);
        while let Err(now) = self.hints.compare_exchange_weak(bits, change(bits).wrapping_add(more), AcqRel, Relaxed) {
            bits = now;
        }
    }

    /// The word that the kernel gives back with each event: generation << 32 | number.
    fn data(&self, fd: i32) -> u64 {
        (self.generation.load(Relaxed) as u64) << 32 | fd as u32 as u64
    }

    /// Registers the descriptor in the epoll of slot `home()`, or widens what is registered. Called under the lock. False: epoll refuses
    /// it, as it does regular files, or has no memory; nothing is registered then.
    ///
    /// EEXIST: the epoll still has this file under this number (the number was closed, and dup brought the file back). ENOENT: the number
    /// means another file by now, which no hook saw. Then the other operation is the right one.
    pub fn register(&self, fd: i32, interest: u32, home: impl FnOnce() -> usize) -> bool {
        let registered = self.registered.load(Relaxed);
        if registered != 0 && (interest & OUT == 0 || registered & REGISTERED_OUT != 0) {
            return true;
        }
        let events = ALWAYS | interest & OUT;
        if registered == 0 {
            peer::meet(fd, generation_of);
        }
        let number = if registered == 0 { home() } else { (registered & !REGISTERED_OUT) as usize - 1 };
        let epoll = poller::of(number).epoll();
        let first = if registered == 0 { libc::EPOLL_CTL_ADD } else { libc::EPOLL_CTL_MOD };
        let mut result = sys::epoll_control(epoll, first, fd, events, self.data(fd));
        if result == Err(libc::EEXIST) {
            result = sys::epoll_control(epoll, libc::EPOLL_CTL_MOD, fd, events, self.data(fd));
        } else if result == Err(libc::ENOENT) {
            result = sys::epoll_control(epoll, libc::EPOLL_CTL_ADD, fd, events, self.data(fd));
        }
        if result.is_err() {
            return false;
        }
        let out = if interest & OUT != 0 { REGISTERED_OUT } else { 0 };
        self.registered.store((number as u32 + 1) | out, Relaxed);
        true
    }

    /// Has the kernel look again and report what is ready. Called under the lock.
    fn register_again(&self, fd: i32, batch: &Batch) {
        let registered = self.registered.load(Relaxed);
        if registered == 0 {
            return;
        }
        let out = registered & REGISTERED_OUT != 0;
        let epoll = poller::of((registered & !REGISTERED_OUT) as usize - 1).epoll();
        let events = ALWAYS | if out { OUT } else { 0 };
        let mut result = sys::epoll_control(epoll, libc::EPOLL_CTL_MOD, fd, events, self.data(fd));
        if result == Err(libc::ENOENT) {
            // Closed and reused without a hook: what was known is about another file.
            self.forget_hints();
            self.info.store(0, Relaxed);
            result = sys::epoll_control(epoll, libc::EPOLL_CTL_ADD, fd, events, self.data(fd));
        }
        if result.is_err() {
            // No file, or one that epoll refuses: the waiting calls try, and return what the kernel says.
            self.let_all_try(batch);
            self.reset(fd);
        }
    }

    /// Verifies the waits here if the oldest has lasted for `after_ms`. `Some`: the oldest has not, and has waited since that time (ms).
    /// `None`: there is nothing left to verify. Called by `Verify`, under no lock.
    pub fn verify(&self, fd: i32, now_ms: u64, after_ms: u64, batch: &Batch) -> Option<u64> {
        self.lock.with(|| {
            let since_ms = self.unverified_ms.get();
            if self.waiting.load(Relaxed).is_null() || since_ms == 0 {
                return None;
            }
            if since_ms + after_ms > now_ms {
                return Some(since_ms);
            }
            self.unverified_ms.set(0);
            self.register_again(fd, batch);
            self.ask_again(fd, batch);
            None
        })
    }

    /// Fires the waits that trust the file to be without O_NONBLOCK, if it has that by now. Called under the lock.
    fn ask_again(&self, fd: i32, batch: &Batch) {
        let trusting = || self.waits().find(|wait| wait.trusting);
        if trusting().is_some() && older::status_flags(fd) as i32 & libc::O_NONBLOCK != 0 {
            while let Some(wait) = trusting() {
                // SAFETY: the caller has the lock, and `waits` has found the wait in the list; it is not used after this.
                unsafe { self.dismiss(wait, News::Ready(Token::DISTRUST), batch) };
            }
        }
    }

    /// The waits here. Called under the lock, which is held for as long as they are used.
    fn waits(&self) -> impl Iterator<Item = &FdWait> {
        // SAFETY: the caller has the lock, and a wait's frame lives until the wait is out of the list, which needs the lock.
        let first = unsafe { self.waiting.load(Relaxed).as_ref() };
        // SAFETY: as for `first`: the links lead to waits in the list.
        std::iter::successors(first, |wait| unsafe { wait.next.get().as_ref() })
    }

    /// Holds on to the file for a call, from its first try to its end: a close of the number waits until the call is parked. Called with no
    /// lock held, by the thread that makes the call.
    pub fn hold(&self) {
        self.holders.fetch_add(1, SeqCst);
    }

    /// Ends a `hold`. Finds 0 where a close that timed out has reset the count.
    pub fn let_go(&self) {
        self.holders.fetch_update(SeqCst, Relaxed, |holders| holders.checked_sub(1)).ok();
    }

    /// Does a call hold on to the file?
    pub fn is_held(&self) -> bool {
        self.holders.load(SeqCst) > 0
    }

    /// Is there a wait? Certain under the lock; without it, a wait that is linked at the same time may be missed.
    #[inline]
    pub fn is_waited_for(&self) -> bool {
        !self.waiting.load(Relaxed).is_null()
    }

    /// Is nothing known of the number, and no call there?
    #[inline]
    pub fn is_blank(&self, fd: i32) -> bool {
        let words = self.registered.load(SeqCst) | self.holders.load(SeqCst);
        let known = self.hints.load(Relaxed) & (ONE_OUT - 1) | self.info.load(Relaxed);
        words == 0 && known == 0 && !self.is_waited_for() && !peer::is_known(fd)
    }

    /// Does EMPTY rest on a guess?
    #[inline]
    pub fn guesses(&self) -> bool {
        self.hints.load(Relaxed) & GUESS != 0
    }

    /// Puts a wait first in this record's list. Called by the waiting thread, after it has armed its waiter.
    ///
    /// # Safety
    /// The caller has the lock; the wait stays in place until it is taken out.
    pub unsafe fn link(&self, wait: &FdWait) {
        if self.waiting.load(Relaxed).is_null() || self.unverified_ms.get() == 0 {
            self.unverified_ms.set(clock::now_ms());
        }
        wait.record.set(self);
        wait.before.set(std::ptr::null());
        wait.next.set(self.waiting.load(Relaxed));
        // SAFETY: null or a wait in the list, whose frame lives until it is taken out under the lock, which the caller has.
        if let Some(next) = unsafe { wait.next.get().as_ref() } {
            next.before.set(wait);
        }
        wait.queued.store(true, Relaxed);
        self.waiting.store(wait as *const FdWait as *mut FdWait, Relaxed);
    }

    /// Takes a wait out of this record's list.
    ///
    /// # Safety
    /// The caller has the lock, and the wait is in the list.
    pub unsafe fn unlink(&self, wait: &FdWait) {
        // SAFETY: null or its neighbours in the list, whose frames live until they are taken out under the lock, which the caller has.
        let (before, next) = unsafe { (wait.before.get().as_ref(), wait.next.get().as_ref()) };
        match before {
            Some(before) => before.next.set(wait.next.get()),
            None => self.waiting.store(wait.next.get() as *mut FdWait, Relaxed),
        }
        if let Some(next) = next {
            next.before.set(wait.before.get());
        }
    }

    /// Takes a wait out for good, and fires it.
    ///
    /// # Safety
    /// As for `unlink`; the wait is not to be touched after it.
    unsafe fn dismiss(&self, wait: &FdWait, news: News, batch: &Batch) {
        let ticket = wait.ticket.get();
        // SAFETY: the caller has the lock and the wait is in the list; the ticket is copied before its frame may end, and its waiter is
        // alive until the lock is released.
        unsafe {
            self.unlink(wait);
            wait.queued.store(false, Release);
            batch.take(ticket.fire(news));
        }
    }

    /// Takes an event of the epoll's: sets the hints and fires the waits that it concerns (step 2). Called by the reactor, under no lock.
    /// `events` is the kernel's mask (EPOLL…). The fired threads are in `batch` then, which the caller releases.
    pub fn event(&self, events: u32, batch: &Batch) {
        let sticky = if events & (ENDED | HALF_ENDED | PRI) != 0 { STICKY } else { 0 };
        let inward = events & (IN | PRI | HALF_ENDED | ENDED) != 0;
        let outward = events & (OUT | ENDED) != 0;
        let directions = if inward { IN | PRI } else { 0 } | if outward { OUT } else { 0 };
        self.lock.with(|| {
            self.count(inward, outward, |bits| (bits | sticky) & !(empty(directions) | GUESS | FULL));
            // SAFETY: the lock is held here, and a wait's frame lives until the wait is out of the list; the next one is loaded before.
            unsafe {
                let mut at = self.waiting.load(Relaxed);
                while let Some(wait) = at.as_ref() {
                    at = wait.next.get() as *mut FdWait;
                    if wait.interest & directions != 0 {
                        self.dismiss(wait, News::Ready(Token::PLAIN), batch);
                    }
                }
            }
        });
    }
}

impl Record {
    /// Fires every wait: the calls try again. Called under the lock.
    pub fn let_all_try(&self, batch: &Batch) {
        // SAFETY: the caller has the lock, and a wait's frame lives until the wait is out of the list, which needs the lock.
        while let Some(wait) = unsafe { self.waiting.load(Relaxed).as_ref() } {
            // SAFETY: the wait is the first in the list, under the same lock, and is not used after this.
            unsafe { self.dismiss(wait, News::Ready(Token::PLAIN), batch) };
        }
    }

    /// Forgets the hints, and counts an event of both directions: a call that has just tried does not wait, but tries again.
    fn forget_hints(&self) {
        self.count(true, true, |bits| bits & !(ONE_OUT - 1));
    }

    /// Forgets all that is known: the number, `fd`, means another file by now. Called under the lock, or in a fork child.
    pub fn reset(&self, fd: i32) {
        peer::forget(fd);
        self.generation.store(self.generation.load(Relaxed).wrapping_add(1), Relaxed);
        self.forget_hints();
        self.holders.store(0, Relaxed);
        self.registered.store(0, Relaxed);
        self.info.store(0, Relaxed);
    }
}

/// Prefetches a record that is about to be read.
#[inline]
pub fn warm(fd: i32) {
    if let Some(record) = known_record(fd) {
        arch::prefetch(record as *const Record as usize);
    }
}

/// Prefetches the wait that is first in a record's list. Uses its address only, for the wait may be over.
#[inline]
pub fn warm_wait(fd: i32) {
    if let Some(record) = known_record(fd) {
        arch::prefetch(record.waiting.load(Relaxed) as usize);
    }
}

/// The numbers from `first` to `last` of which anything may be known.
pub fn known_stretches(first: u32, last: u32) -> impl Iterator<Item = impl Iterator<Item = i32>> {
    let (first, last) = (first as usize, last as usize);
    let known = TABLE.chunks.iter().enumerate().filter(|(_, place)| !place.load(Acquire).is_null());
    known
        .map(move |(number, _)| (number * CHUNK).max(first)..(number * CHUNK + CHUNK).min(last.saturating_add(1)))
        .map(|stretch| stretch.map(|fd| fd as i32))
}

/// Resets all records in a fork child: its epolls are new, and no waiting thread is here. Called while there is one thread.
pub fn after_fork() {
    let Table { chunks } = &TABLE;
    for (number, place) in chunks.iter().enumerate() {
        let chunk = place.load(Relaxed);
        if chunk.is_null() {
            continue;
        }
        for i in 0..CHUNK {
            // SAFETY: a chunk has CHUNK records and is never freed.
            let record = unsafe { &*chunk.add(i) };
            record.lock.after_fork();
            record.waiting.store(std::ptr::null_mut(), Relaxed);
            record.reset((number * CHUNK + i) as i32);
        }
    }
}
