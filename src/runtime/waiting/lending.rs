//! Lent waits: a context of a thread that has lent its loop is left where it would block, and the thread goes on with its loop.
//!
//! A thread that lends a loop has `Thread::LENDS` in its word `pinned`, which each wait reads: so a thread that does not pays nothing for
//! the question. A wait of a context, step by step:
//!
//! 1. The wait is held against what the glue has said (`gp_range`): of the object that is waited for, and of the code that called.
//!    Then the loop is asked whether a context runs that may be left. If not, the thread waits itself: as any green thread does.
//! 2. A place is taken, its waiter armed, and the clauses put into their queues, as in `wait`. They lie in the place.
//! 3. The guard comes down, and the loop's function leaves the context. What belongs to the wait or call that goes on, and errno, is put
//!    back when it returns. Its result says whether the wait is to end before its news (`End`).
//! 4. The clauses leave their queues, and the place is given back.
//!
//! Signals and cancellations are the thread's: they end the loop's own wait, and no context's.

use crate::audit::{caller, recording, stack};
use crate::base::guard;
use crate::glibc;
use crate::runtime::machine::groups::Thread;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::news::lent::{Loop, Place};
use crate::runtime::news::ranges::Ranges;
use crate::runtime::news::timer::{self, TimerNode};
use crate::runtime::news::waiter::Ticket;
use crate::runtime::sched::slots;
use crate::runtime::signal::frames;
use crate::runtime::waiting::wait::{outcome, Deadline, End, Woken};
use crate::why::Why;
use std::ptr::null_mut;
use std::sync::atomic::Ordering::*;

/// A context that may be left, and the place for its wait.
pub struct Context {
    me: &'static Green,
    home: &'static Loop,
    pub place: &'static Place,
}

/// Returns the context that runs here, if it may be left for this wait; `None`: the caller waits as it would without a loop. Called where a
/// wait begins, with no lock held. Who gets a context calls its `wait`.
#[inline]
pub fn context(why: Why) -> Option<Context> {
    let me = current()?;
    if me.thread.pinned.get() < Thread::LENDS {
        return None;
    }
    ask(me, why)
}

/// Returns whether the glue has said of this wait that no context is left in it.
fn blocks(home: &Loop, why: Why) -> bool {
    let object = match why {
        Why::Mutex(address) | Why::ReadLock(address) | Why::WriteLock(address) | Why::Lock(address) => Some(address),
        _ => None,
    };
    object.is_some_and(|object| home.blocking_objects.hold(object)) || is_called_from(&home.blocking_callers)
}

/// Was the call that goes on here made by code in one of these ranges? The call's own caller counts, beyond libc.
fn is_called_from(ranges: &Ranges) -> bool {
    if ranges.are_none() {
        return false;
    }
    let caller = caller::beyond_libc(recording::of_process(), stack::registers());
    // The address is that behind the call, which may be another function's.
    caller.is_some_and(|caller| ranges.hold(caller as usize - 1))
}

#[cold]
fn ask(me: &'static Green, why: Why) -> Option<Context> {
    let home = of(me)?;
    let mut may_be_left = !frames::is_bound(me) && home.paused.get() == 0 && !blocks(home, why);
    if may_be_left {
        // Whatever the loop's function calls is not asked again.
        home.paused.set(1);
        may_be_left = leave(home, null_mut()) == 1;
        home.paused.set(0);
    }
    let place = if may_be_left { home.take() } else { None };
    if place.is_none() {
        home.counts.blocked.set(home.counts.blocked.get() + 1);
    }
    place.map(|place| Context { me, home, place })
}

/// Returns the loop that a thread lends.
pub fn of(me: &Green) -> Option<&'static Loop> {
    // SAFETY: loops are never freed.
    unsafe { me.thread.lends.get().as_ref() }
}

/// Calls the loop's function, and keeps errno.
fn leave(home: &Loop, user: *mut *mut std::ffi::c_void) -> i32 {
    let errno = glibc::errno();
    // SAFETY: the program's function, which it has lent for this (`gp_lend`).
    let result = unsafe { (home.leave)(home.data, user) };
    glibc::set_errno(errno);
    result
}

impl Context {
    /// Waits as `wait::wait` does, while the loop runs other contexts. `enqueue` and `dequeue` are about what lies in the place; `dequeue`
    /// is told how the loop has ended the wait, if it has. `FalseAlarm`: the context was switched to for no news.
    pub fn wait(
        self,
        deadline: Deadline,
        enqueue: impl FnOnce(Ticket) -> bool,
        dequeue: impl FnOnce(Option<End>),
    ) -> Woken {
        let Context { me, home, place } = self;
        guard::enter_runtime();
        let (sequence, ticket) = place.arm();
        let (mut is_lent, mut end) = (false, None);
        let waits = enqueue(ticket);
        if waits {
            let timer = deadline.map(|deadline| place.put_timer(TimerNode::new(ticket, deadline)));
            timer.inspect(|timer| slots::insert_timer(me, timer));
            is_lent = place.lent.waiter.set_lent();
            if is_lent {
                guard::leave_runtime();
                end = self.be_left();
                guard::enter_runtime();
            }
            timer.inspect(|timer| timer::remove(timer));
        }
        dequeue(end);
        let news = place.lent.waiter.disarm(sequence);
        home.give_back(place, is_lent && news.is_some());
        guard::leave_runtime();
        match end {
            Some(end) => Woken::Ended(end),
            None if waits && news.is_none() => Woken::FalseAlarm,
            None => outcome(news),
        }
    }

    /// Leaves the context until its loop switches back. What the thread notes of the call that goes on is this context's again then.
    fn be_left(&self) -> Option<End> {
        /// GP_CANCEL_SHUTDOWN (include/greenpatch.h).
        const SHUTDOWN: i32 = -2;
        let Context { me, home, place } = self;
        let wait = &me.wait;
        let (held, private_fd) = (wait.held.take(), wait.private_fd.replace(-1));
        let (in_call, cut) = (wait.in_call.swap(false, Relaxed), wait.cut.replace(false));
        home.waiting.set(home.waiting.get() + 1);
        home.counts.lent.set(home.counts.lent.get() + 1);
        let result = leave(home, place.user.as_ptr());
        home.waiting.set(home.waiting.get() - 1);
        wait.held.set(held);
        wait.private_fd.set(private_fd);
        wait.in_call.store(in_call, Relaxed);
        wait.cut.set(cut);
        match result {
            0.. => None,
            SHUTDOWN => Some(End::Shutdown),
            _ => Some(End::Error),
        }
    }
}
