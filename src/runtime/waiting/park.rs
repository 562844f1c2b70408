//! Parking on addresses: locks, condition variables, joins and futexes wait here.
//!
//! The hard race, solved once: *check, enqueue, sleep* against *change, look, wake*.
//!
//! 1. The waiter enqueues its node, then a full fence, then checks again (`must_wait`), then parks.
//! 2. The waker changes the world, then a full fence (in `lot::waiting`), then looks into the bucket.
//! 3. In the total order of the two fences one comes first: either the waker sees the node, or the waiter sees the change.
//!
//! A wake may hit a waiter for an object that now lives at a freed one's address; every caller of `park_…` checks again.

use crate::arch;
use crate::runtime::news::lot::{self, Choice, Node};
use crate::runtime::news::waiter::{Batch, Ticket};
use crate::runtime::sched::slots;
use crate::runtime::waiting::lending::{self, Context};
use crate::runtime::waiting::wait::{wait, Cancel, Deadline, Woken};
use crate::why::Why;

/// Puts a node into its queue, then asks `must_wait`: the first two steps above. True: there is something to wait for.
///
/// # Safety
/// The node stays where it is until `withdraw`.
#[inline]
unsafe fn enqueue(node: &Node, ticket: Ticket, must_wait: impl FnOnce() -> bool) -> bool {
    // SAFETY: the caller's promise.
    unsafe { node.enqueue(ticket) };
    arch::fence_after_exchange();
    must_wait()
}

/// Enqueues a node at `address`, then asks `must_wait`, then waits; withdraws the node before it returns. Does not return where `cancel` is
/// `Act` and the thread is cancelled.
#[inline]
fn park_as(
    why: Why,
    cancel: Cancel,
    address: usize,
    token: usize,
    deadline: Deadline,
    must_wait: impl FnOnce() -> bool,
) -> Woken {
    let node = Node::new(address, token);
    // SAFETY: the node stays here until `withdraw`.
    wait(why, cancel, deadline, |ticket| unsafe { enqueue(&node, ticket, must_wait) }, || node.withdraw())
}

/// Enqueues at `address`, then asks `must_wait`, then parks until woken, the deadline or a signal: no cancellation point.
///
/// Called on any thread, with no lock held that the waker takes. `token` is what `wake`'s `choose` sees of this waiter. Returns how the
/// wait ended, `Woken::NotNeeded` where `must_wait` said no; a caller looks at its object again whatever the answer is.
#[inline]
pub fn park_uncancelled(
    why: Why,
    address: usize,
    token: usize,
    deadline: Deadline,
    must_wait: impl FnOnce() -> bool,
) -> Woken {
    park_as(why, Cancel::Ignore, address, token, deadline, must_wait)
}

/// Parks like `park_uncancelled`, for an object that another context of the running thread may let go: a context may be left here, if the
/// thread lends a loop.
#[inline]
pub fn park_for_lock(
    why: Why,
    address: usize,
    token: usize,
    deadline: Deadline,
    must_wait: impl FnOnce() -> bool,
) -> Woken {
    match lending::context(why) {
        Some(context) => park_context(context, address, token, deadline, must_wait),
        None => park_uncancelled(why, address, token, deadline, must_wait),
    }
}

/// Leaves a context until it is woken, as `park_uncancelled` parks a thread.
#[cold]
pub fn park_context(
    context: Context,
    address: usize,
    token: usize,
    deadline: Deadline,
    must_wait: impl FnOnce() -> bool,
) -> Woken {
    let node = context.place.put_node(Node::new(address, token));
    // SAFETY: the node stays in its place until `withdraw`.
    context.wait(deadline, |ticket| unsafe { enqueue(node, ticket, must_wait) }, |_| node.withdraw())
}

/// Parks like `park_uncancelled`, but ends as `Woken::Cancelled` when a cancellation is due: the caller puts its things right (a condition
/// variable's mutex) and then acts. A context may be left here.
#[inline]
pub fn park_cancellable(
    why: Why,
    address: usize,
    token: usize,
    deadline: Deadline,
    must_wait: impl FnOnce() -> bool,
) -> Woken {
    match lending::context(why) {
        Some(context) => park_context(context, address, token, deadline, must_wait),
        None => park_as(why, Cancel::Tell, address, token, deadline, must_wait),
    }
}

/// Parks like `park_cancellable`, but goes on waiting when a handler has run meanwhile. The wait and a handler, step by step:
///
/// 1. A signal ends the wait. The node leaves its queue (`step_out`) before handlers run, for a handler may leave by a jump.
/// 2. The bucket's count keeps its place: wakers still look into the queue, and count their walks.
/// 3. The handler returns, and the node is enqueued again. If a waker has walked the queue meanwhile, the wait is over: that wake may have
///    been meant for this thread.
/// 4. `must_wait` is asked at the first enqueueing only, for it may have an effect (a mutex that is released).
///
/// `beside`: the address of that mutex. No handler ends the wait of a context that is left here; `FalseAlarm` may.
pub fn park_through_handlers(
    why: Why,
    address: usize,
    beside: usize,
    deadline: Deadline,
    must_wait: impl FnOnce() -> bool,
) -> Woken {
    if let Some(context) = lending::context_beside(why, beside) {
        return park_context(context, address, 0, deadline, must_wait);
    }
    let (node, mut must_wait) = (Node::new(address, 0), Some(must_wait));
    loop {
        let enqueue = |ticket| {
            // SAFETY: the node stays here until `step_out`.
            let waits_on = unsafe { node.enqueue(ticket) };
            arch::fence_after_exchange();
            waits_on && must_wait.take().is_none_or(|must_wait| must_wait())
        };
        let woken = wait(why, Cancel::Tell, deadline, enqueue, || node.step_out());
        let not_woken = node.is_away() || must_wait.is_some();
        let goes_on = not_woken && matches!(woken, Woken::Interrupted | Woken::FalseAlarm | Woken::Ready(_));
        if !goes_on {
            node.come_back();
            return woken;
        }
    }
}

/// Does some thread wait at `address`? Like `lot::waiting`, for callers whose last step was an atomic exchange: a full fence already
/// (`arch::fence_after_exchange`).
#[inline]
pub fn waiting_after_exchange(address: usize) -> bool {
    arch::fence_after_exchange();
    lot::queued(address)
}

/// Wakes the waiters at `address` that `choose`, which sees their tokens, wants; returns how many. Called on any thread, after the change
/// that they wait for and a full fence. `choose` runs under the bucket's lock; the threads are made ready after it is released.
#[inline]
pub fn wake(address: usize, choose: impl FnMut(usize) -> Choice) -> usize {
    let batch = Batch::new();
    let woken = lot::fire(address, &batch, choose);
    batch.release(slots::wake);
    woken
}

/// Wakes the first waiter at `address`. A node whose wait another clause has ended does not use up the wake. Called as `wake` is.
#[inline]
pub fn wake_one(address: usize) {
    loop {
        let mut found = false;
        let first = |_| if std::mem::replace(&mut found, true) { Choice::Stop } else { Choice::Wake };
        if wake(address, first) == 1 || !found {
            return;
        }
    }
}

/// Wakes every waiter at `address`. Called as `wake` is.
pub fn wake_all(address: usize) {
    wake(address, |_| Choice::Wake);
}

/// Wakes up to `most` waiters at `from` and moves up to `moves` of the others to `to`. Returns how many were woken, and moved. Called as
/// `wake` is; both buckets are locked meanwhile.
pub fn requeue(from: usize, to: usize, most: usize, moves: usize) -> (usize, usize) {
    let batch = Batch::new();
    let done = lot::requeue(from, to, most, moves, &batch);
    batch.release(slots::wake);
    done
}
