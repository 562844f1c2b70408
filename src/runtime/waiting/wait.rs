//! The one wait. Whoever blocks arms a waiter, puts clauses (nodes on its own stack) into queues, and parks; whoever
//! brings the news fires the waiter.
//!
//! A waiter is one word, {sequence, state}, so that exactly one clause wins and a late one of an earlier wait loses:
//!
//! ```text
//!   idle ──arm──► armed ──(switched away)──► parked
//!                   │                          │
//!                   └──fire──► fired ◄──fire───┘     then disarm: idle, and the sequence moves on
//! ```
//!
//! *Armed → parked* is done by the context that runs after the switch (`sched::finish`): before that the waiter's stack is in use. A
//! clause that fires an armed waiter only leaves its news; whoever finds the news makes the thread ready: `finish`, when the
//! thread has switched away meanwhile, or the thread itself, which has not switched yet. A clause that fires a parked waiter makes
//! it ready. So nobody ever resumes a stack in use, and nobody spins for it.
//!
//! Nodes are fired under their queue's lock and removed under it, so no queue points into a stack that has gone on. While they are in place
//! the guard is up: a handler, which may leave the wait by a jump, runs when they have been removed.
//! Foreign threads (and pinned green ones) wait with a waiter on their stack and sleep on its word by futex.

use crate::runtime::machine::green::{alert, current, Green};
use crate::runtime::news::timer::{self, TimerNode};
use crate::runtime::sched::slots;
use crate::runtime::signal::{delivery, handler};
use crate::runtime::waiting::call::{self, Length};
use crate::why::Why;
use crate::{arch, sys};
use std::cell::Cell;
use std::sync::atomic::{fence, AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// CLOCK_MONOTONIC nanoseconds, or for ever.
pub type Deadline = Option<u64>;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Somebody woke it, with a value.
    Ready(usize),
    TimedOut,
    /// Signal handlers ran; `signal::restart` says whether the call may go on.
    Interrupted,
    /// A cancellation is pending (only for waits that asked to be told).
    Cancelled,
    /// It never parked: after the clauses were in place there was nothing to wait for.
    NotNeeded,
}

/// The value of a wake that nobody sent.
pub const FALSE_ALARM: usize = 1 << 20;

pub const IDLE: u32 = 0;
pub const ARMED: u32 = 1;
pub const PARKED: u32 = 2;
const READY: u32 = 3;
const TIMED_OUT: u32 = 4;
const ALERTED: u32 = 5;
/// The bits of a waiter's word that are its state.
pub const KIND: u32 = 7;
/// Where a waiter's word lies in the waiter.
pub const WORD: usize = std::mem::offset_of!(Waiter, word);

fn join(sequence: u32, state: u32) -> u64 {
    (sequence as u64) << 32 | state as u64
}

pub struct Waiter {
    word: AtomicU64,
    green: AtomicPtr<Green>,
}

/// News for a waiter.
#[derive(Clone, Copy)]
pub enum News {
    Ready(usize),
    TimedOut,
    Alerted,
}

impl News {
    fn state(self) -> u32 {
        match self {
            News::Ready(value) => READY | (value as u32) << 3,
            News::TimedOut => TIMED_OUT,
            News::Alerted => ALERTED,
        }
    }
}

/// What came of firing.
pub enum Fired {
    /// Another clause was first, or the wait is over.
    Lost,
    /// The waiter has its news and will see them.
    Won,
    /// The same, and the caller must make this parked thread ready.
    Wake(&'static Green),
}

impl Waiter {
    pub const fn new() -> Waiter {
        Waiter { word: AtomicU64::new(0), green: AtomicPtr::new(std::ptr::null_mut()) }
    }

    pub fn belongs_to(&self, green: &Green) {
        self.green.store(green as *const Green as *mut Green, Relaxed);
    }

    fn arm(&self) -> u32 {
        let sequence = ((self.word.load(Relaxed) >> 32) as u32).wrapping_add(1);
        self.word.store(join(sequence, ARMED), SeqCst);
        sequence
    }

    /// Ends the wait: its last state.
    fn disarm(&self, sequence: u32) -> u32 {
        let word = self.word.load(Acquire);
        if matches!(word as u32, ARMED | PARKED) {
            return self.word.swap(join(sequence, IDLE), AcqRel) as u32;
        }
        // It has its news: nobody else writes the word any more.
        self.word.store(join(sequence, IDLE), Relaxed);
        word as u32
    }

    /// The thread has left its stack. False: news came meanwhile, it must be made ready.
    pub fn set_parked(&self) -> bool {
        let word = self.word.load(Relaxed);
        word as u32 == ARMED
            && self.word.compare_exchange(word, join((word >> 32) as u32, PARKED), AcqRel, Acquire).is_ok()
    }

    /// Brings news to the wait number `sequence`.
    pub fn fire(&self, sequence: u32, news: News) -> Fired {
        loop {
            let word = self.word.load(SeqCst);
            let state = word as u32;
            if (word >> 32) as u32 != sequence || (state != ARMED && state != PARKED) {
                return Fired::Lost;
            }
            if self.word.compare_exchange(word, join(sequence, news.state()), AcqRel, Relaxed).is_err() {
                continue;
            }
            if state == ARMED {
                return Fired::Won;
            }
            let green = self.green.load(Relaxed);
            // SAFETY: null or a green thread, which is never freed.
            return match unsafe { green.as_ref() } {
                Some(green) => Fired::Wake(green),
                None => {
                    // The sleeper's frame lives until we release the queue's lock; the futex word is the low half.
                    sys::futex_wake(self.word.as_ptr() as *const u32, 1);
                    Fired::Won
                }
            };
        }
    }

    /// Brings an alert to whatever wait goes on; the thread to make ready, if it was parked.
    pub fn interrupt(&self) -> Option<&'static Green> {
        let sequence = (self.word.load(SeqCst) >> 32) as u32;
        match self.fire(sequence, News::Alerted) {
            Fired::Wake(green) => Some(green),
            _ => None,
        }
    }

    /// Sleeps in the kernel until fired or the deadline.
    fn sleep(&self, sequence: u32, deadline: Deadline, bound: Option<Bound>) {
        let armed = join(sequence, ARMED);
        if self.word.compare_exchange(armed, join(sequence, PARKED), AcqRel, Acquire).is_err() {
            return;
        }
        // SAFETY: the low half of the word (little-endian), alive as long as the waiter.
        let low = unsafe { AtomicU32::from_ptr(self.word.as_ptr() as *mut u32) };
        while low.load(Acquire) == PARKED {
            let until = bound
                .as_ref()
                .map_or(deadline, |_| Some(deadline.unwrap_or(u64::MAX).min(sys::now_ns() + LOOKS_EVERY_NS)));
            let timed_out = sys::futex_wait(low, PARKED, until) == Err(libc::ETIMEDOUT);
            if timed_out && until == deadline {
                self.fire(sequence, News::TimedOut);
            } else if bound.as_ref().is_some_and(Bound::is_alerted) {
                self.fire(sequence, News::Alerted);
            }
        }
    }
}

/// A green thread that is bound to its kernel thread sleeps there, and nobody can fire a waiter on its stack for an alert: it looks
/// for one when a signal wakes it, and now and then.
struct Bound {
    me: &'static Green,
    interest: u32,
    handled: u32,
}

const LOOKS_EVERY_NS: u64 = 20_000_000;

impl Bound {
    fn new(me: &'static Green, cancel: Cancel) -> Bound {
        me.restart.set(true);
        Bound { me, interest: interest(me, cancel), handled: me.handlers() }
    }

    /// Has a handler run, or is there something to look at?
    fn is_alerted(&self) -> bool {
        self.me.handlers() != self.handled || self.me.alerts.load(SeqCst) & self.interest != 0
    }
}

/// Which wait a clause belongs to.
#[derive(Clone, Copy)]
pub struct Ticket {
    waiter: *const Waiter,
    sequence: u32,
}

impl Ticket {
    pub const NONE: Ticket = Ticket { waiter: std::ptr::null(), sequence: 0 };

    /// A ticket that never wins, for a waiter that is never armed.
    pub fn lost(waiter: &Waiter) -> Ticket {
        Ticket { waiter, sequence: u32::MAX }
    }

    /// Does a green thread wait, whose waiter outlives the wait?
    pub fn is_green(&self) -> bool {
        // SAFETY: asked by the waiting thread, whose waiter is alive.
        unsafe { !(*self.waiter).green.load(Relaxed).is_null() }
    }

    /// Fires the clause's wait.
    ///
    /// # Safety
    /// The clause is in a queue whose lock the caller holds: the waiter takes that lock before it goes on.
    pub unsafe fn fire(&self, news: News) -> Fired {
        (*self.waiter).fire(self.sequence, news)
    }
}

/// How a wait takes a pending cancellation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// It is no cancellation point: only a thread that may be cancelled at any moment ends here.
    Ignore,
    /// The thread ends here.
    Act,
    /// The caller is told and acts when it has put things right.
    Tell,
}

fn outcome(state: u32) -> Woken {
    match state & KIND {
        READY => Woken::Ready((state >> 3) as usize),
        TIMED_OUT => Woken::TimedOut,
        ALERTED => Woken::Interrupted,
        _ => Woken::NotNeeded,
    }
}

/// Waits: `enqueue` puts the clauses in place and says whether there is still something to wait for; `dequeue` takes away
/// those that are still in a queue. `why` is what others are told of it meanwhile.
#[inline]
pub fn wait(
    why: Why,
    cancel: Cancel,
    deadline: Deadline,
    enqueue: impl FnOnce(Ticket) -> bool,
    dequeue: impl FnOnce(),
) -> Woken {
    let Some(green) = current() else { return wait_in_kernel(None, deadline, enqueue, dequeue) };
    if handler::is_bound(green) {
        green.why.announce(why);
        return call::block_for(Length::Long, || wait_bound(green, cancel, deadline, enqueue, dequeue));
    }
    let (waiter, handled) = (&green.waiter, green.handlers());
    green.restart.set(true);
    arch::guard_up();
    let sequence = waiter.arm();
    if green.alerts.load(SeqCst) & interest(green, cancel) != 0 {
        waiter.disarm(sequence);
        delivery::leave_runtime();
        return alerted(green, cancel, handled);
    }
    let ticket = Ticket { waiter, sequence };
    if enqueue(ticket) {
        green.why.set(why);
        match deadline {
            None => slots::park(green),
            Some(deadline) => park_until(green, ticket, deadline),
        }
    }
    dequeue();
    let end = outcome(waiter.disarm(sequence));
    delivery::leave_runtime();
    if end == Woken::Interrupted {
        return alerted(green, cancel, handled);
    }
    delivery::look(green);
    end
}

fn interest(green: &Green, cancel: Cancel) -> u32 {
    let ignored = cancel == Cancel::Ignore && !green.cancel_asynchronous.load(Relaxed);
    if ignored || green.cancel_disabled.load(Relaxed) {
        alert::SIGNAL
    } else {
        alert::SIGNAL | alert::CANCEL
    }
}

fn park_until(green: &'static Green, ticket: Ticket, deadline: u64) {
    let node = TimerNode::new(ticket, deadline);
    slots::insert_timer(green, &node);
    slots::park(green);
    timer::remove(&node);
}

/// Something other than a clause ended the wait: run the handlers of the signals that came, then see to a cancellation. A false
/// alarm (a blocked signal, a cancellation that is disabled) looks like a wake: every caller checks again. So many handlers had run when
/// the wait began.
#[cold]
fn alerted(green: &'static Green, cancel: Cancel, handled: u32) -> Woken {
    let mask = interest(green, cancel);
    delivery::take_waiting(green);
    if mask & alert::CANCEL != 0 && crate::runtime::waiting::cancel::is_due(green) {
        match cancel {
            Cancel::Tell => return Woken::Cancelled,
            Cancel::Act | Cancel::Ignore => crate::runtime::waiting::cancel::cancellation_point(),
        }
    }
    if green.handlers() == handled {
        Woken::Ready(FALSE_ALARM)
    } else {
        Woken::Interrupted
    }
}

/// The same wait for a thread that is no green one: its waiter is on its stack, and it sleeps by futex.
fn wait_in_kernel(
    bound: Option<Bound>,
    deadline: Deadline,
    enqueue: impl FnOnce(Ticket) -> bool,
    dequeue: impl FnOnce(),
) -> Woken {
    let waiter = Waiter::new();
    let sequence = waiter.arm();
    if enqueue(Ticket { waiter: &waiter, sequence }) {
        waiter.sleep(sequence, deadline, bound);
    }
    dequeue();
    fence(SeqCst);
    outcome(waiter.disarm(sequence))
}

/// And for a green thread that is bound to its kernel thread.
#[cold]
fn wait_bound(
    me: &'static Green,
    cancel: Cancel,
    deadline: Deadline,
    enqueue: impl FnOnce(Ticket) -> bool,
    dequeue: impl FnOnce(),
) -> Woken {
    let bound = Bound::new(me, cancel);
    let handled = bound.handled;
    if bound.is_alerted() {
        return alerted(me, cancel, handled);
    }
    arch::guard_up();
    let end = wait_in_kernel(Some(bound), deadline, enqueue, dequeue);
    delivery::leave_runtime();
    if end == Woken::Interrupted {
        return alerted(me, cancel, handled);
    }
    end
}

/// Parks until the deadline; only an alert ends it earlier.
pub fn sleep_until(deadline: Deadline) -> Woken {
    let why = if deadline.is_some() { Why::Sleep } else { Why::Signal };
    wait(why, Cancel::Act, deadline, |_| true, || {})
}

/// A batch of threads to make ready once the queue's lock is released.
pub struct Batch {
    first: Cell<*const Green>,
}

impl Batch {
    pub const fn new() -> Batch {
        Batch { first: Cell::new(std::ptr::null()) }
    }

    /// Takes in what firing brought; true when the clause won.
    #[inline]
    pub fn take(&self, fired: Fired) -> bool {
        match fired {
            Fired::Lost => false,
            Fired::Won => true,
            Fired::Wake(green) => {
                green.link.store(self.first.get() as *mut Green, Relaxed);
                self.first.set(green);
                true
            }
        }
    }

    /// Makes all of them ready, in the order in which they were taken in.
    #[inline]
    pub fn release(self, ready: impl Fn(&'static Green)) {
        let mut reversed: *const Green = std::ptr::null();
        let mut at = self.first.get();
        // SAFETY: green threads are never freed; a fired one is this batch's until it is made ready.
        while let Some(green) = unsafe { at.as_ref() } {
            at = green.link.load(Relaxed);
            green.link.store(reversed as *mut Green, Relaxed);
            reversed = green;
        }
        // SAFETY: as above; the link is read before the thread may run.
        while let Some(green) = unsafe { reversed.as_ref() } {
            reversed = green.link.load(Relaxed);
            ready(green);
        }
    }
}
