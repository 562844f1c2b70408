//! The waiter: one word in which exactly one clause of a wait wins, and a late clause of an earlier wait loses.
//!
//! The word is {sequence, state}. `arm` begins a wait and moves the sequence on; `disarm` ends it.
//!
//! ```text
//!   from      to         by                         under
//!   Idle      Armed      arm                        the waiting thread
//!   Armed     Parked     set_parked                 the context that runs after the switch, on another stack (`sched`)
//!   Armed     Sleeping   set_sleeping               the waiting thread, which is about to sleep in the kernel
//!   Armed     Lent       set_lent                   the waiting thread, which is about to let its loop run
//!   Armed     news       fire → Won                 the queue's lock, or `interrupt`
//!   Parked    news       fire → Wake                the same: the winner must make the thread ready
//!   Sleeping  news       fire → Won                 the same: the winner has woken the sleeper
//!   Lent      news       fire → Lent                the same: the winner must tell the loop
//!   any       Idle       disarm                     the waiting thread
//! ```
//!
//! *News* are Ready(token), TimedOut and Alerted. The race between a thread that leaves its stack and a clause that fires:
//!
//! 1. The leaver stores Armed, enqueues its clauses, and switches away.
//! 2. The context that runs next exchanges Armed → Parked; a clause exchanges Armed or Parked → news. Both are compare-exchanges on one
//!    word, so one is first.
//! 3. If the clause is first, `set_parked` fails, and its caller makes the thread ready. If `set_parked` is first, the clause sees Parked
//!    and makes the thread ready. So no stack in use is resumed, and no thread spins for it.
//!
//! Model-checked in tests/model.

use crate::base::atomic::Ordering::*;
use crate::base::atomic::{constructor, AtomicPtr, AtomicU64};
use crate::base::futex;
use std::cell::Cell;

/// The number of a wait of one waiter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sequence(u32);

/// The message of the clause that fires a wait, for the thread that waits: a small number, below 2^29.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u32);

impl Token {
    /// Nothing more than that the wait is over.
    pub const PLAIN: Token = Token(0);
    /// The wait for a descriptor rested on hints that no longer hold: ask the file.
    pub const DISTRUST: Token = Token(1);
}

/// The low half of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Armed,
    Parked,
    Sleeping,
    Lent,
    Fired(News),
}

/// What ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Ready(Token),
    TimedOut,
    /// A signal or a cancellation is to be looked at.
    Alerted,
}

/// The bits of a waiter's word that are its state, for readers of memory (`runtime::table`).
pub const KIND: u32 = 7;
/// The thread does not wait.
pub const IDLE: u32 = 0;
/// The thread has begun a wait, and still runs.
pub const ARMED: u32 = 1;
/// The thread waits, and its stack is not in use.
pub const PARKED: u32 = 2;
/// The thread sleeps in the kernel, on this word.
const SLEEPING: u32 = 3;
/// The wait is that of a context which its loop has left.
const LENT: u32 = 7;
/// The distance of a waiter's word from the waiter's beginning, in bytes.
pub const WORD: usize = std::mem::offset_of!(Waiter, word);

impl State {
    #[inline]
    fn bits(self) -> u32 {
        match self {
            State::Idle => IDLE,
            State::Armed => ARMED,
            State::Parked => PARKED,
            State::Sleeping => SLEEPING,
            State::Lent => LENT,
            State::Fired(News::Ready(token)) => 4 | token.0 << 3,
            State::Fired(News::TimedOut) => 5,
            State::Fired(News::Alerted) => 6,
        }
    }

    #[inline]
    fn of(bits: u32) -> State {
        match bits & KIND {
            IDLE => State::Idle,
            ARMED => State::Armed,
            PARKED => State::Parked,
            SLEEPING => State::Sleeping,
            LENT => State::Lent,
            4 => State::Fired(News::Ready(Token(bits >> 3))),
            5 => State::Fired(News::TimedOut),
            _ => State::Fired(News::Alerted),
        }
    }
}

#[inline]
fn word(sequence: Sequence, state: State) -> u64 {
    (sequence.0 as u64) << 32 | state.bits() as u64
}

/// One thread's wait. A green thread's waiter lives as long as the process; any other stands in the frame of its wait.
pub struct Waiter {
    word: AtomicU64,
    /// The next in a batch of fired waiters.
    link: AtomicPtr<Waiter>,
}

/// The outcome of `fire`.
pub enum Fired {
    /// Another clause was first, or the wait is over.
    Lost,
    /// The waiter has its news and will see them.
    Won,
    /// This call has fired the wait, and its caller must make the parked thread ready.
    Wake(*const Waiter),
    /// This call has fired the wait of a context, and its caller must tell the loop.
    Lent(*const Waiter),
}

impl Waiter {
    constructor! {
        /// A waiter that waits for nothing.
        pub fn new() -> Waiter {
            Waiter { word: AtomicU64::new(0), link: AtomicPtr::new(std::ptr::null_mut()) }
        }
    }

    /// Begins the next wait. Called by the waiting thread, before it enqueues its clauses.
    #[inline]
    pub fn arm(&self) -> Sequence {
        let sequence = Sequence(((self.word.load(Relaxed) >> 32) as u32).wrapping_add(1));
        self.word.store(word(sequence, State::Armed), SeqCst);
        sequence
    }

    /// Ends the wait, and returns its news; `None`: there were none. Called by the waiting thread, after its clauses have left their
    /// queues.
    #[inline]
    pub fn disarm(&self, sequence: Sequence) -> Option<News> {
        let now = self.word.load(Acquire);
        let idle = word(sequence, State::Idle);
        let last = match State::of(now as u32) {
            State::Armed | State::Parked | State::Sleeping | State::Lent => self.word.swap(idle, AcqRel),
            // The wait has its news: only its own thread writes the word from here on.
            _ => {
                self.word.store(idle, Relaxed);
                now
            }
        };
        match State::of(last as u32) {
            State::Fired(news) => Some(news),
            _ => None,
        }
    }

    /// Notes that the thread has left its stack. False: news came meanwhile, and the caller must make it ready.
    #[inline]
    pub fn set_parked(&self) -> bool {
        self.leave(State::Parked)
    }

    /// Notes that the thread is about to sleep in the kernel (`await_news`). False: news came meanwhile.
    pub fn set_sleeping(&self) -> bool {
        self.leave(State::Sleeping)
    }

    /// Notes that the thread is about to let its loop run. False: news came meanwhile. Called for a `Lent`'s waiter.
    pub fn set_lent(&self) -> bool {
        self.leave(State::Lent)
    }

    #[inline]
    fn leave(&self, to: State) -> bool {
        let now = self.word.load(Relaxed);
        let sequence = Sequence((now >> 32) as u32);
        State::of(now as u32) == State::Armed
            && self.word.compare_exchange(now, word(sequence, to), AcqRel, Acquire).is_ok()
    }

    /// Does the thread still sleep, without news?
    pub fn is_sleeping(&self) -> bool {
        futex::low(&self.word) == SLEEPING
    }

    /// Sleeps in the kernel until the wait is fired or `deadline_ns` has come; true: it has come. May return early: look at `is_sleeping`.
    pub fn await_news(&self, deadline_ns: Option<u64>) -> bool {
        futex::wait_low(&self.word, SLEEPING, deadline_ns)
    }

    /// Brings news to the wait number `sequence`.
    pub fn fire(&self, sequence: Sequence, news: News) -> Fired {
        loop {
            let now = self.word.load(SeqCst);
            let state = State::of(now as u32);
            if (now >> 32) as u32 != sequence.0 || matches!(state, State::Idle | State::Fired(_)) {
                return Fired::Lost;
            }
            let fired = word(sequence, State::Fired(news));
            if self.word.compare_exchange(now, fired, AcqRel, Relaxed).is_err() {
                continue;
            }
            return match state {
                State::Parked => Fired::Wake(self),
                State::Lent => Fired::Lent(self),
                State::Sleeping => {
                    // The sleeper's frame lives until the caller releases the queue's lock.
                    futex::wake_low(&self.word);
                    Fired::Won
                }
                _ => Fired::Won,
            };
        }
    }

    /// Brings an alert to whatever wait goes on. Called for green threads' waiters, by any thread.
    pub fn interrupt(&self) -> Fired {
        let sequence = Sequence((self.word.load(SeqCst) >> 32) as u32);
        self.fire(sequence, News::Alerted)
    }

    /// A ticket for the wait that `arm` has begun. `outlives`: the waiter is a green thread's, which is never freed.
    pub fn ticket(&self, sequence: Sequence, outlives: bool) -> Ticket {
        Ticket { waiter: self, sequence, outlives }
    }
}

/// The waiter of a context that its loop leaves. Never freed.
#[repr(C)]
pub struct Lent {
    pub waiter: Waiter,
    /// Tells the loop that the wait is over. Called with no lock held, on any thread, once for each wait that was fired while it was lent.
    pub tell: fn(&'static Lent),
}

/// Which wait a clause belongs to.
#[derive(Clone, Copy)]
pub struct Ticket {
    waiter: *const Waiter,
    sequence: Sequence,
    outlives: bool,
}

impl Ticket {
    /// A place for a ticket; never fired.
    pub const NONE: Ticket = Ticket { waiter: std::ptr::null(), sequence: Sequence(0), outlives: false };

    /// A ticket that never wins, for a waiter that is never armed.
    pub fn lost(waiter: &Waiter) -> Ticket {
        Ticket { waiter, sequence: Sequence(u32::MAX), outlives: false }
    }

    /// Does the waiter outlive the wait? Otherwise it lives only until the lock is released of the queue in which it was fired.
    pub fn outlives(&self) -> bool {
        self.outlives
    }

    /// Fires the clause's wait.
    ///
    /// # Safety
    /// The clause is in a queue whose lock the caller holds: the waiting thread takes that lock before it goes on.
    pub unsafe fn fire(&self, news: News) -> Fired {
        // SAFETY: a waiter that is freed lies in the frame of its wait, which ends after its clauses have left their queues; this clause is
        // still in one, whose lock is held here.
        unsafe { (*self.waiter).fire(self.sequence, news) }
    }
}

/// A batch of fired waiters whose threads are to be made ready once the queue's lock is released.
pub struct Batch {
    first: Cell<*const Waiter>,
    /// Those of contexts.
    lent: Cell<*const Waiter>,
}

impl Batch {
    /// An empty batch.
    pub const fn new() -> Batch {
        Batch { first: Cell::new(std::ptr::null()), lent: Cell::new(std::ptr::null()) }
    }

    /// Takes in what firing brought; true when the clause won.
    #[inline]
    pub fn take(&self, fired: Fired) -> bool {
        match fired {
            Fired::Lost => false,
            Fired::Won => true,
            Fired::Wake(waiter) => Batch::link(&self.first, waiter),
            Fired::Lent(waiter) => Batch::link(&self.lent, waiter),
        }
    }

    /// Puts a waiter before those in `list`; true.
    #[inline]
    fn link(list: &Cell<*const Waiter>, waiter: *const Waiter) -> bool {
        // SAFETY: a parked or lent waiter is never freed; fired, it is this batch's.
        unsafe { &*waiter }.link.store(list.get() as *mut Waiter, Relaxed);
        list.set(waiter);
        true
    }

    /// Hands all of them to `ready`, in the order in which they were taken in; those of contexts are told to their loops.
    #[inline]
    pub fn release(self, ready: impl Fn(&'static Waiter)) {
        Batch::give(self.first.get(), ready);
        if !self.lent.get().is_null() {
            self.tell();
        }
    }

    #[cold]
    fn tell(&self) {
        // SAFETY: only the waiter of a `Lent`, which begins with it, is ever lent.
        Batch::give(self.lent.get(), |waiter| unsafe {
            let lent = &*(waiter as *const Waiter as *const Lent);
            (lent.tell)(lent)
        });
    }

    /// Hands the waiters of a list to `ready`, the last first.
    #[inline]
    fn give(first: *const Waiter, ready: impl Fn(&'static Waiter)) {
        let mut reversed: *const Waiter = std::ptr::null();
        let mut at = first;
        // SAFETY: as in `take`: a fired waiter is this batch's until its thread is made ready.
        while let Some(waiter) = unsafe { at.as_ref() } {
            at = waiter.link.load(Relaxed);
            waiter.link.store(reversed as *mut Waiter, Relaxed);
            reversed = waiter;
        }
        // SAFETY: as above; the link is read before the thread may run.
        while let Some(waiter) = unsafe { reversed.as_ref() } {
            reversed = waiter.link.load(Relaxed);
            ready(waiter);
        }
    }
}
