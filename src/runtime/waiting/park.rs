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
use crate::runtime::news::waiter::Batch;
use crate::runtime::sched::slots;
use crate::runtime::waiting::wait::{wait, Cancel, Deadline, Woken};
use crate::why::Why;

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
    let enqueue = |ticket| {
        // SAFETY: the node stays here until `withdraw`.
        unsafe { node.enqueue(ticket) };
        arch::fence_after_exchange();
        must_wait()
    };
    wait(why, cancel, deadline, enqueue, || node.withdraw())
}

/// Enqueues at `address`, then asks `must_wait`, then parks until woken, the deadline or a signal: no cancellation point.
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

/// The same for a caller that has things to put right before a cancellation is acted on (`Woken::Cancelled`).
#[inline]
pub fn park_cancellable(
    why: Why,
    address: usize,
    token: usize,
    deadline: Deadline,
    must_wait: impl FnOnce() -> bool,
) -> Woken {
    park_as(why, Cancel::Tell, address, token, deadline, must_wait)
}

/// Like `park_cancellable`, but goes on waiting when a handler has run meanwhile. A handler may leave by a jump, so the node is out of its
/// queue before handlers run. The bucket's count keeps its place: wakers still look into the queue. If a waker has walked the queue by the
/// time the handler is over, the wait is over too, for the wake may have been meant for this thread.
pub fn park_through_handlers(why: Why, address: usize, deadline: Deadline, must_wait: impl FnOnce() -> bool) -> Woken {
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

/// `lot::waiting` for callers that have changed the world by an atomic exchange.
#[inline]
pub fn waiting_after_exchange(address: usize) -> bool {
    arch::fence_after_exchange();
    lot::queued(address)
}

/// Wakes the waiters at `address` that `choose`, which sees their tokens, wants; returns how many.
#[inline]
pub fn wake(address: usize, choose: impl FnMut(usize) -> Choice) -> usize {
    let batch = Batch::new();
    let woken = lot::fire(address, &batch, choose);
    batch.release(slots::wake);
    woken
}

/// Wakes the first waiter. A node whose wait another clause has ended does not use up the wake.
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

/// Wakes every waiter.
pub fn wake_all(address: usize) {
    wake(address, |_| Choice::Wake);
}

/// Wakes up to `most` waiters at `from` and moves up to `moves` of the others to `to`: (woken, moved).
pub fn requeue(from: usize, to: usize, most: usize, moves: usize) -> (usize, usize) {
    let batch = Batch::new();
    let done = lot::requeue(from, to, most, moves, &batch);
    batch.release(slots::wake);
    done
}
