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
use crate::runtime::machine::groups::Thread;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::machine::stack::Stack;
use crate::runtime::news::lent::{Loop, Place, Stacks};
use crate::runtime::news::timer::{self, TimerNode};
use crate::runtime::news::waiter::Ticket;
use crate::runtime::sched::slots;
use crate::runtime::signal::frames;
use crate::runtime::waiting::wait::{outcome, Deadline, End, Woken};
use crate::why::Why;
use crate::{arch, glibc};
use std::ptr::null_mut;
use std::sync::atomic::Ordering::*;

/// A context that may be left, and the place for its wait.
pub struct Context {
    me: &'static Green,
    home: &'static Loop,
    pub place: &'static Place,
}

/// Returns the context that runs here, if it may be left for this wait; `None`: the caller waits as it would without a loop. `beside`: the
/// address of a second object that is in use meanwhile (a condition variable's mutex); 0: there is none. Called where a wait begins, with
/// no lock held. Who gets a context calls its `wait`.
#[inline]
pub fn context_beside(why: Why, beside: usize) -> Option<Context> {
    let me = current()?;
    if me.thread.pinned.get() < Thread::LENDS {
        return None;
    }
    ask(me, why, beside)
}

/// Returns the context that runs here, as `context_beside` does, for a wait about one thing.
#[inline]
pub fn context(why: Why) -> Option<Context> {
    context_beside(why, 0)
}

/// For whose calls a context may be left.
#[derive(PartialEq, Eq)]
enum Callers {
    All,
    /// Those in `condition_callers`.
    Listed,
    None,
}

/// Returns the address of the object that is waited for, in the program's memory (0: there is none), and for whose calls a context is left.
fn kind(why: Why) -> (usize, Callers) {
    match why {
        Why::Mutex(address) | Why::ReadLock(address) | Why::WriteLock(address) | Why::Lock(address) => {
            (address, Callers::All)
        }
        Why::Cond(address) | Why::Semaphore(address) | Why::Futex(address) => (address, Callers::Listed),
        Why::Readable(_) | Why::Writable(_) | Why::Poll(_) | Why::Sleep => (0, Callers::All),
        Why::Join(_) | Why::Child(_) | Why::Children | Why::InKernel => (0, Callers::All),
        _ => (0, Callers::None),
    }
}

/// May a context be left for this wait, by what the glue has said?
fn allows(me: &Green, home: &Loop, why: Why, beside: usize) -> bool {
    let (object, callers) = kind(why);
    let is_kept = |address| home.blocking_objects.hold(address) || is_copied_away(me, home, address);
    if callers == Callers::None || is_kept(object) || is_kept(beside) {
        return false;
    }
    if home.blocking_callers.are_none() && callers == Callers::All {
        return true;
    }
    let allows = |caller| {
        !home.blocking_callers.hold(caller) && (callers == Callers::All || home.condition_callers.hold(caller))
    };
    // The address is that behind the call, which may be another function's.
    match caller::beyond_libc(recording::of_process(), stack::registers()) {
        Some(caller) => allows(caller as usize - 1),
        None => callers == Callers::All,
    }
}

/// Is this address on the running context's stack, which is copied away while the context is left? Other threads would write into another
/// context's.
fn is_copied_away(me: &Green, home: &Loop, address: usize) -> bool {
    let own = me.vessel.stack.get();
    match home.ways.stacks {
        Stacks::Stay => false,
        Stacks::Copied(from, to) => (from..to).contains(&address),
        // Nothing of the program's lies above main's stack.
        Stacks::Thread if own == Stack::MAIN => address >= arch::stack_pointer(),
        Stacks::Thread => (own.lowest..own.lowest + own.bytes).contains(&address),
    }
}

/// Asks the loop, unless what the glue has said of the wait forbids it.
#[cold]
fn ask(me: &'static Green, why: Why, beside: usize) -> Option<Context> {
    let home = of(me)?;
    let mut may_be_left = !frames::is_bound(me) && home.paused.get() == 0 && allows(me, home, why, beside);
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

/// Does `call`, a function of glibc's that reads or writes the owner of a lock, as the context that runs here: two contexts of a thread are
/// two owners then. Called by hooks, on any thread. `call` parks nowhere and calls nothing of the program's.
#[inline]
pub fn as_context<R>(call: impl FnOnce() -> R) -> R {
    match context_tid() {
        None => call(),
        Some((me, tid)) => with_tid(me, tid, call),
    }
}

/// Returns the running thread and the tid by which the context that runs here owns locks; `None`: that is the thread's own.
#[inline]
pub fn context_tid() -> Option<(&'static Green, i32)> {
    let me = current()?;
    if me.thread.pinned.get() < Thread::LENDS {
        return None;
    }
    ask_tid(me).map(|tid| (me, tid))
}

/// Makes a tid of what the loop says: above all of the library's own numbers (`machine::roll`), and of one context's alone while no two of
/// them differ by a multiple of 2^34.
#[cold]
fn ask_tid(me: &Green) -> Option<i32> {
    const FIRST: usize = 1 << 30;
    /// Contexts are named by addresses of what malloc has given.
    const ALIGNED: u32 = 4;
    let home = of(me)?;
    let current = home.ways.current?;
    // SAFETY: the program's function, which it has lent for this (`gp_lend`).
    let context = unsafe { current(home.ways.data) };
    (context != 0).then_some((FIRST | context >> ALIGNED & (FIRST - 1)) as i32)
}

/// Does `call` with this tid in the thread's descriptor.
#[cold]
fn with_tid<R>(me: &Green, tid: i32, call: impl FnOnce() -> R) -> R {
    let field = glibc::tid_field(me.fs.get());
    // A handler of the program's that ran meanwhile would lock as the context, and might jump away.
    guard::enter_runtime();
    // SAFETY: the running thread's own descriptor; others read the field for a guess.
    let own = unsafe { field.replace(tid) };
    let result = call();
    // SAFETY: as above.
    unsafe { *field = own };
    guard::leave_runtime();
    result
}

/// Does the running thread lend a loop?
#[inline]
pub fn lends() -> bool {
    current().is_some_and(|me| me.thread.pinned.get() >= Thread::LENDS)
}

/// Does `call` with no context left in it: it keeps state for each thread.
pub fn blocking<R>(call: impl FnOnce() -> R) -> R {
    let Some(home) = current().and_then(of) else { return call() };
    home.paused.set(home.paused.get() + 1);
    let result = call();
    home.paused.set(home.paused.get() - 1);
    result
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
    let result = unsafe { (home.ways.leave)(home.ways.data, user) };
    glibc::set_errno(errno);
    result
}

impl Context {
    /// Counts a call that another thread makes for the context.
    pub fn count_offload(&self) {
        self.home.counts.offloaded.set(self.home.counts.offloaded.get() + 1);
    }

    /// Gives the place back of a context that is not to be left.
    pub fn give_up(self) {
        self.home.give_back(self.place, false);
    }

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
            Some(end) => {
                me.wait.restart.set(false);
                Woken::Ended(end)
            }
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
