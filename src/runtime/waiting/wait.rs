//! The one wait of all hooks: a thread that blocks arms a waiter, puts clauses (nodes on its own stack) into queues, and parks; a thread
//! that brings the news fires the waiter.
//!
//! A waiter (`news::waiter`) is one word, {sequence, state}, so that exactly one clause wins and a late one of an earlier wait loses:
//!
//! ```text
//!   idle ──arm──► armed ──(switched away)──► parked
//!                   │                          │
//!                   └──fire──► fired ◄──fire───┘     then disarm: idle, and the sequence moves on
//! ```
//!
//! A wait, step by step, with what may come between:
//!
//! 1. The thread puts up the guard and arms its waiter: alerts fire it from here on. Handlers do not run until the guard is down, for a
//!    handler may leave by a jump, and nodes on the stack must be out of their queues by then.
//! 2. It reads its alerts. A signal or a cancellation that came before step 1 is seen here, one that comes later fires the waiter.
//! 3. It enqueues its nodes, each under its queue's lock, and checks once more what it waits for.
//! 4. It switches away. The context that runs next (`slots::finish`) does *armed → parked*: before that the waiter's stack is in use. A
//!    clause that fires an armed waiter only leaves its news; `finish` finds them and makes the thread ready, or, before the switch, the
//!    thread finds them itself. A clause that fires a parked waiter makes the thread ready. So no stack in use is resumed.
//! 5. The thread goes on, takes its nodes out of their queues under the locks, and disarms: no queue points into a stack that has gone on.
//! 6. The guard comes down, and handlers run.
//!
//! Foreign threads and bound green ones wait with a waiter on their stack, and sleep on its word by futex.

use crate::base::guard;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::machine::words::alert;
use crate::runtime::news::timer::{self, TimerNode};
use crate::runtime::news::waiter::{News, Sequence, Ticket, Token, Waiter};
use crate::runtime::sched::slots;
use crate::runtime::signal::{delivery, frames};
use crate::runtime::waiting::call::{self, Length};
use crate::sys;
use crate::why::Why;
use std::sync::atomic::{fence, Ordering::*};

/// CLOCK_MONOTONIC nanoseconds, or for ever.
pub type Deadline = Option<u64>;

/// How a lent loop ends the wait of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The call is to fail.
    Error,
    /// What the call waits for is to be shut down, so that the call ends by itself.
    Shutdown,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Fired by a clause.
    Ready(Token),
    /// An alert that ends no wait: a blocked signal, or a cancellation that is disabled. Callers look again.
    FalseAlarm,
    /// The deadline has come.
    TimedOut,
    /// Signal handlers ran; `Green::restart` says whether the call may go on.
    Interrupted,
    /// A cancellation is pending (only for waits that asked to be told).
    Cancelled,
    /// The loop has ended the context's wait. The caller fails, or goes on waiting where it may not fail; for a wait about several
    /// descriptors what there was to be shut down is.
    Ended(End),
    /// The thread never parked: after the clauses were in place there was nothing to wait for.
    NotNeeded,
}

/// The alerts of a green thread that is bound to its kernel thread. It sleeps there, with a waiter on its stack that no alert can fire: so
/// it looks at its alerts when a signal wakes it, and every `LOOKS_EVERY_NS`.
struct Bound {
    me: &'static Green,
    /// The alerts that end the wait.
    interest: u32,
    /// How many handlers had run when the wait began.
    handled: u32,
}

/// How often a bound thread looks at its alerts, in nanoseconds: a signal may come just before it sleeps.
const LOOKS_EVERY_NS: u64 = 20_000_000;

impl Bound {
    /// Begins a bound thread's wait: no handler has refused a restart yet.
    fn new(me: &'static Green, cancel: Cancel) -> Bound {
        me.wait.restart.set(true);
        Bound { me, interest: interest(me, cancel), handled: me.handlers() }
    }

    /// Has a handler run, or is there something to look at?
    fn is_alerted(&self) -> bool {
        self.me.handlers() != self.handled || self.me.alerts.load(SeqCst) & self.interest != 0
    }
}

/// How a wait takes a pending cancellation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// The wait is no cancellation point: only a thread with asynchronous cancellation ends here.
    Ignore,
    /// The thread ends here.
    Act,
    /// The caller is told and acts when it has put things right.
    Tell,
}

/// Returns how a wait ended that had these news; `None`: it never parked.
pub fn outcome(news: Option<News>) -> Woken {
    match news {
        Some(News::Ready(token)) => Woken::Ready(token),
        Some(News::TimedOut) => Woken::TimedOut,
        Some(News::Alerted) => Woken::Interrupted,
        None => Woken::NotNeeded,
    }
}

/// Sleeps in the kernel until the wait is fired or its deadline has come. `bound`: the green thread that sleeps; `None`: a foreign one.
fn sleep(waiter: &Waiter, sequence: Sequence, deadline: Deadline, bound: Option<Bound>) {
    if !waiter.set_sleeping() {
        return;
    }
    while waiter.is_sleeping() {
        let look = || Some(deadline.unwrap_or(u64::MAX).min(sys::now_ns() + LOOKS_EVERY_NS));
        let until = bound.as_ref().map_or(deadline, |_| look());
        let timed_out = waiter.await_news(until);
        if timed_out && until == deadline {
            waiter.fire(sequence, News::TimedOut);
        } else if bound.as_ref().is_some_and(Bound::is_alerted) {
            waiter.fire(sequence, News::Alerted);
        }
    }
}

/// Waits: `enqueue` puts the clauses in place and says whether there is still something to wait for; `dequeue` takes away the clauses that
/// are still in a queue. `why` is shown where threads are listed meanwhile.
///
/// Called on any thread, with no lock held and with nothing with a destructor on the stack where `cancel` is `Act` or `Ignore`: the thread
/// may end here, by a cancellation, and handlers of signals may run before it returns. `enqueue` and `dequeue` run with the guard up, and
/// `dequeue` runs whatever `enqueue` said. Both run in the thread's own context, on any worker. `enqueue` is left out where an alert is
/// there already; `dequeue` as well then.
#[inline]
pub fn wait(
    why: Why,
    cancel: Cancel,
    deadline: Deadline,
    enqueue: impl FnOnce(Ticket) -> bool,
    dequeue: impl FnOnce(),
) -> Woken {
    let Some(green) = current() else { return wait_in_kernel(None, deadline, enqueue, dequeue) };
    if frames::is_bound(green) {
        green.wait.why.announce(why);
        return call::block_for(Length::Long, || wait_bound(green, cancel, deadline, enqueue, dequeue));
    }
    let (waiter, handled) = (&green.waiter, green.handlers());
    green.wait.restart.set(true);
    guard::enter_runtime();
    let sequence = waiter.arm();
    if green.alerts.load(SeqCst) & interest(green, cancel) != 0 {
        waiter.disarm(sequence);
        guard::leave_runtime();
        return alerted(green, cancel, handled);
    }
    let ticket = waiter.ticket(sequence, true);
    if enqueue(ticket) {
        green.wait.why.set(why);
        match deadline {
            None => slots::park(green),
            Some(deadline) => park_until(green, ticket, deadline),
        }
    }
    dequeue();
    let end = outcome(waiter.disarm(sequence));
    guard::leave_runtime();
    if end == Woken::Interrupted {
        return alerted(green, cancel, handled);
    }
    delivery::look(green);
    end
}

/// Returns the alerts that end a wait that takes a cancellation so.
fn interest(green: &Green, cancel: Cancel) -> u32 {
    let ignored = cancel == Cancel::Ignore && !green.thread.cancel_asynchronous.load(Relaxed);
    if ignored || green.thread.cancel_disabled.load(Relaxed) {
        alert::SIGNAL
    } else {
        alert::SIGNAL | alert::CANCEL
    }
}

/// Parks with one clause more, a timer of the slot's that fires at `deadline` (CLOCK_MONOTONIC, ns).
fn park_until(green: &'static Green, ticket: Ticket, deadline: u64) {
    let node = TimerNode::new(ticket, deadline);
    slots::insert_timer(green, &node);
    slots::park(green);
    timer::remove(&node);
}

/// Runs the handlers of the signals that came, then sees to a cancellation: an alert, not a clause, ended the wait. Called on the thread,
/// with the guard down and no node in a queue, for a handler may jump away. A false alarm (a blocked signal, a cancellation that is
/// disabled) looks like a wake: every caller checks again. `handled`: how many handlers had run when the wait began.
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
        Woken::FalseAlarm
    } else {
        Woken::Interrupted
    }
}

/// Waits on a waiter in this frame, asleep by futex: for a foreign thread, or for the bound green one that `bound` names.
fn wait_in_kernel(
    bound: Option<Bound>,
    deadline: Deadline,
    enqueue: impl FnOnce(Ticket) -> bool,
    dequeue: impl FnOnce(),
) -> Woken {
    let waiter = Waiter::new();
    let sequence = waiter.arm();
    if enqueue(waiter.ticket(sequence, false)) {
        sleep(&waiter, sequence, deadline, bound);
    }
    dequeue();
    fence(SeqCst);
    outcome(waiter.disarm(sequence))
}

/// Waits as `wait` does, for a green thread that is bound to its kernel thread. Called inside `call::block_for`: its slot, if it has one,
/// is offered.
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
    guard::enter_runtime();
    let end = wait_in_kernel(Some(bound), deadline, enqueue, dequeue);
    guard::leave_runtime();
    if end == Woken::Interrupted {
        return alerted(me, cancel, handled);
    }
    end
}
