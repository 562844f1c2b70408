//! The lot: address → queue of waiters. Locks, condition variables, joins and futexes park here.
//!
//! The hard race, solved once: *check, enqueue, sleep* against *change, look, wake*. The waiter enqueues, then checks again
//! (`must_wait`), then parks. The waker changes the world, then (a full fence between) looks into the bucket. In the total order of
//! the two fences one comes first: either the waker sees the node, or the waiter sees the change.
//!
//! A wake may hit a waiter for an object that now lives at a freed one's address; every caller of `park` checks again.

use crate::arch;
use crate::base::lock::RawLock;
use crate::runtime::sched::slots;
use crate::runtime::waiting::wait::{wait, Batch, Cancel, Deadline, News, Ticket, Waiter, Woken};
use crate::why::Why;
use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::{fence, AtomicBool, AtomicU32, Ordering::*};

const BUCKETS: usize = 1024;

struct Node {
    ticket: Cell<Ticket>,
    address: Cell<usize>,
    token: usize,
    next: Cell<*const Node>,
    before: Cell<*const Node>,
    /// The bucket it is in, for a node may be moved (`requeue`); changed under the locks of both.
    bucket: Cell<*const Bucket>,
    queued: AtomicBool,
}

struct Queue {
    first: *const Node,
    last: *const Node,
}

#[repr(align(64))]
struct Bucket {
    lock: RawLock,
    /// How many nodes are in the queue, or have left it for the time of a handler: looked at without the lock.
    count: AtomicU32,
    /// How often it was walked by a waker.
    walks: Cell<u32>,
    queue: UnsafeCell<Queue>,
}

// SAFETY: the queue is only touched under the lock, and its nodes live until they are removed under it.
unsafe impl Sync for Bucket {}

static LOT: [Bucket; BUCKETS] = [const { Bucket::new() }; BUCKETS];

fn bucket_of(address: usize) -> &'static Bucket {
    let hash = (address >> 2).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    &LOT[hash >> (usize::BITS - BUCKETS.trailing_zeros())]
}

impl Node {
    #[inline]
    fn new(address: usize, token: usize) -> Node {
        let none = std::ptr::null();
        Node {
            ticket: Cell::new(Ticket::NONE),
            address: Cell::new(address),
            token,
            next: Cell::new(none),
            before: Cell::new(none),
            bucket: Cell::new(std::ptr::null()),
            queued: AtomicBool::new(false),
        }
    }
}

/// What a waker wants of the waiter it looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Wake,
    Skip,
    Stop,
}

impl Bucket {
    const fn new() -> Bucket {
        let queue = Queue { first: std::ptr::null(), last: std::ptr::null() };
        Bucket { lock: RawLock::new(), count: AtomicU32::new(0), walks: Cell::new(0), queue: UnsafeCell::new(queue) }
    }

    /// Appends a node.
    ///
    /// # Safety
    /// Under the lock; the node stays in place until it is taken out.
    unsafe fn append(&self, node: &Node) {
        let queue = &mut *self.queue.get();
        node.next.set(std::ptr::null());
        node.before.set(queue.last);
        node.bucket.set(self);
        node.queued.store(true, Relaxed);
        match queue.last.as_ref() {
            Some(last) => last.next.set(node),
            None => queue.first = node,
        }
        queue.last = node;
        self.count.store(self.count.load(Relaxed) + 1, Relaxed);
    }

    /// Takes a node out, to put it elsewhere.
    ///
    /// # Safety
    /// Under the lock, and the node is in this bucket.
    unsafe fn unlink(&self, node: &Node) {
        let queue = &mut *self.queue.get();
        match node.before.get().as_ref() {
            Some(before) => before.next.set(node.next.get()),
            None => queue.first = node.next.get(),
        }
        match node.next.get().as_ref() {
            Some(next) => next.before.set(node.before.get()),
            None => queue.last = node.before.get(),
        }
        self.count.store(self.count.load(Relaxed) - 1, Relaxed);
    }

    /// One that had left for a while is back, or will not come back. Under the lock.
    fn uncount(&self, had_left: bool) {
        self.count.store(self.count.load(Relaxed).saturating_sub(had_left as u32), Relaxed);
    }

    /// Takes a node out for good; whose it is may go on at once, so this is the last touch of it.
    ///
    /// # Safety
    /// As for `unlink`.
    unsafe fn dismiss(&self, node: &Node) {
        self.unlink(node);
        node.queued.store(false, Release);
    }
}

/// Takes the node out of whatever bucket it is in by now.
fn withdraw(node: &Node) {
    loop {
        // SAFETY: buckets are static; the node's bucket changes only under the lock of the one it is in.
        let bucket = unsafe { &*node.bucket.get() };
        let done = bucket.lock.with(|| {
            if !std::ptr::eq(node.bucket.get(), bucket) {
                return false;
            }
            if node.queued.load(Relaxed) {
                // SAFETY: under the lock of its bucket.
                unsafe { bucket.dismiss(node) };
            }
            true
        });
        if done {
            return;
        }
    }
}

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
        node.ticket.set(ticket);
        let bucket = bucket_of(address);
        // SAFETY: under the lock; the node stays here until `withdraw`.
        bucket.lock.with(|| unsafe { bucket.append(&node) });
        arch::fence_after_exchange();
        must_wait()
    };
    let dequeue = || {
        // A waker is done with a green thread's node once it is dismissed; a sleeper's waiter it still has to wake, under the lock.
        if node.queued.load(Acquire) || !node.ticket.get().is_green() {
            withdraw(&node);
        }
    };
    wait(why, cancel, deadline, enqueue, dequeue)
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

/// Waits on when a handler has run meanwhile. A node may not stay in the queue while the program's code runs above it, which may never
/// come back; so it leaves, but is counted, so that every waker comes by. Did one come, the wait is over: perhaps it was for us.
pub fn park_through_handlers(why: Why, address: usize, deadline: Deadline, must_wait: impl FnOnce() -> bool) -> Woken {
    let (node, bucket) = (Node::new(address, 0), bucket_of(address));
    let (mut must_wait, left) = (Some(must_wait), Cell::new(None));
    loop {
        let enqueue = |ticket| {
            node.ticket.set(ticket);
            let waits_on = bucket.lock.with(|| {
                let walks = left.take();
                bucket.uncount(walks.is_some());
                let waits_on = walks.is_none_or(|walks| walks == bucket.walks.get());
                if waits_on {
                    // SAFETY: under the lock; the node stays here until it is taken out below.
                    unsafe { bucket.append(&node) };
                }
                waits_on
            });
            arch::fence_after_exchange();
            waits_on && must_wait.take().is_none_or(|must_wait| must_wait())
        };
        let dequeue = || {
            if node.queued.load(Acquire) || !node.ticket.get().is_green() {
                bucket.lock.with(|| {
                    if node.queued.load(Relaxed) {
                        // SAFETY: under the lock of its bucket, from which nobody moves it.
                        unsafe { bucket.dismiss(&node) };
                        bucket.count.store(bucket.count.load(Relaxed) + 1, Relaxed);
                        left.set(Some(bucket.walks.get()));
                    }
                });
            }
        };
        let woken = wait(why, Cancel::Tell, deadline, enqueue, dequeue);
        let not_woken = left.get().is_some() || must_wait.is_some();
        let goes_on = not_woken && matches!(woken, Woken::Interrupted | Woken::Ready(_));
        if !goes_on {
            if left.get().is_some() {
                bucket.lock.with(|| bucket.uncount(true));
            }
            return woken;
        }
    }
}

/// Lets others see `token` at `address` while `work` runs, which may park there: the node is nobody's, a wake passes it over.
pub fn present<R>(address: usize, token: usize, work: impl FnOnce() -> R) -> R {
    let nobody = Waiter::new();
    let node = Node::new(address, token);
    node.ticket.set(Ticket::lost(&nobody));
    let bucket = bucket_of(address);
    // SAFETY: under the lock; the node stays here until `withdraw`.
    bucket.lock.with(|| unsafe { bucket.append(&node) });
    let result = work();
    withdraw(&node);
    result
}

/// Is anybody perhaps parked at `address`? False is certain for whoever changed the world before.
#[inline]
pub fn waiting(address: usize) -> bool {
    fence(SeqCst);
    queued(address)
}

/// The same for whoever changed it by an atomic exchange.
#[inline]
pub fn waiting_after_exchange(address: usize) -> bool {
    arch::fence_after_exchange();
    queued(address)
}

/// The same for whoever cannot have changed it before the waiter was enqueued: a lock that both have held orders them.
#[inline]
pub fn queued(address: usize) -> bool {
    bucket_of(address).count.load(Relaxed) != 0
}

/// Walks the queue at `address` in order and wakes, with `value`, those that `choose` (which sees their tokens) wants; how many.
/// Who is not in the queue by then finds the world changed: the bucket's lock orders his check after the change.
#[inline]
pub fn wake(address: usize, value: usize, mut choose: impl FnMut(usize) -> Choice) -> usize {
    let bucket = bucket_of(address);
    let batch = Batch::new();
    let mut woken = 0;
    bucket.lock.with(|| {
        bucket.walks.set(bucket.walks.get().wrapping_add(1));
        // SAFETY: under the lock; nodes are alive while they are in the queue.
        unsafe {
            let mut at = (*bucket.queue.get()).first;
            while let Some(node) = at.as_ref() {
                at = node.next.get();
                if node.address.get() != address {
                    continue;
                }
                match choose(node.token) {
                    Choice::Stop => break,
                    Choice::Skip => continue,
                    Choice::Wake => {}
                }
                let ticket = node.ticket.get();
                bucket.dismiss(node);
                if batch.take(ticket.fire(News::Ready(value))) {
                    woken += 1;
                }
            }
        }
    });
    batch.release(slots::ready);
    woken
}

/// Wakes the first. A node whose wait another clause has ended does not use up the wake.
#[inline]
pub fn wake_one(address: usize) {
    loop {
        let mut found = false;
        let first = |_| if std::mem::replace(&mut found, true) { Choice::Stop } else { Choice::Wake };
        if wake(address, 0, first) == 1 || !found {
            return;
        }
    }
}

pub fn wake_all(address: usize) {
    wake(address, 0, |_| Choice::Wake);
}

/// Wakes up to `wake` waiters at `from` and moves up to `requeue` of the others to `to`: (woken, moved).
pub fn requeue(from: usize, to: usize, wake: usize, requeue: usize) -> (usize, usize) {
    let requeue = if from == to { 0 } else { requeue };
    let (a, b) = (bucket_of(from), bucket_of(to));
    let (first, second) = if (a as *const Bucket) <= b as *const Bucket { (a, b) } else { (b, a) };
    let batch = Batch::new();
    let (mut woken, mut moved) = (0, 0);
    first.lock.lock();
    if !std::ptr::eq(first, second) {
        second.lock.lock();
    }
    // SAFETY: under both locks.
    unsafe {
        let mut at = (*a.queue.get()).first;
        while let Some(node) = at.as_ref() {
            at = node.next.get();
            if node.address.get() != from {
                continue;
            }
            if woken < wake {
                let ticket = node.ticket.get();
                a.dismiss(node);
                woken += batch.take(ticket.fire(News::Ready(0))) as usize;
            } else if moved < requeue {
                a.unlink(node);
                node.address.set(to);
                b.append(node);
                moved += 1;
            } else {
                break;
            }
        }
    }
    if !std::ptr::eq(first, second) {
        second.lock.unlock();
    }
    first.lock.unlock();
    batch.release(slots::ready);
    (woken, moved)
}

/// In a fork child: every waiter is gone, and every lock's holder.
pub fn after_fork() {
    for bucket in &LOT {
        bucket.lock.reset();
        bucket.count.store(0, Relaxed);
        // SAFETY: the child has one thread.
        unsafe { *bucket.queue.get() = Queue { first: std::ptr::null(), last: std::ptr::null() } };
    }
}
