//! The lot: address → queue of waiters. Nodes stand on the stacks of the threads that wait; `waiting::park` puts them here and parks.
//!
//! A queue is touched under its bucket's lock only, and its nodes live until they are taken out under it. Beside the lock stands `count`,
//! which wakers look at first: zero, after a full fence that follows the change of the world, means that no node waits for it. (The race
//! itself, check and park against change and wake, stands in `waiting::park`.)
//!
//! ```text
//!   a node      Out ──append──► Queued ──dismiss (a waker, or its owner)──► Out
//!                ▲                └──step_out (its owner, for a handler)──► Away ──enqueue──► Queued, or Out: a waker came by
//!                └──────────────────────────────come_back (its owner)──────┘
//! ```
//!
//! A handler may leave a wait by a jump, which would leave a node of a dead frame in the queue. So the owner takes its node out before its
//! handlers run, and is counted meanwhile:
//!
//! 1. `step_out`, under the lock: counts the owner, takes the node out, and notes `walks`.
//! 2. A waker finds a count that is not zero, walks the queue under the lock, and so adds to `walks`. It does not find the node.
//! 3. `enqueue`, under the lock: where `walks` is as noted the node is queued again. Where it is not, a wake may have been meant for this
//!    wait: the caller checks the world again instead of parking.
//!
//! Model-checked in tests/model.

use crate::base::atomic::Ordering::*;
use crate::base::atomic::{constructor, fence, table, AtomicPtr, AtomicU32};
use crate::base::lock::{Locked, Rank};
use crate::runtime::news::waiter::{Batch, News, Ticket, Token, Waiter};
use std::cell::Cell;

/// One wait for an address. Made by the waiting thread in its frame, where it stays until `withdraw`.
pub struct Node {
    /// The wait that a waker fires. Set by `enqueue`, read by wakers under the lock.
    ticket: Cell<Ticket>,
    /// Changed under the lock of the bucket that the node is in (`requeue`).
    address: Cell<usize>,
    /// What wakers see of the wait: a number of the caller's own meaning.
    token: usize,
    /// Its neighbours in the queue; meaningless while `queued` is 0.
    next: Cell<*const Node>,
    before: Cell<*const Node>,
    /// The bucket that the node was put in last, for it may be moved; changed under the locks of both.
    bucket: AtomicPtr<Bucket>,
    /// 1 while the node is in a queue. Its last change to 0 is a waker's last touch of a node whose waiter outlives the wait.
    queued: AtomicU32,
    /// While the owner is away for a handler: how often wakers had walked the queue when it left.
    away: Cell<Option<u32>>,
}

/// A bucket's nodes, in the order in which they came. Nodes of several addresses share it: each walk compares the address.
struct Queue {
    first: *const Node,
    last: *const Node,
    /// How often a waker has walked the queue.
    walks: u32,
}

/// A queue, and what is looked at without its lock.
#[repr(align(64))]
pub struct Bucket {
    queue: Locked<Queue>,
    /// Nodes in the queue, and owners that are away for a handler.
    count: AtomicU32,
}

table! {
    static LOT: [Bucket; 1024] = Bucket::new();
}

/// The bucket of an address: the upper bits of a multiplicative hash, of an address without the two bits that are 0 in every word's.
fn bucket_of(address: usize) -> &'static Bucket {
    let hash = (address >> 2).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    &LOT[hash >> (usize::BITS - LOT.len().trailing_zeros())]
}

/// A waker's decision about the waiter it looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Take it out and fire its wait.
    Wake,
    /// Leave it where it is, and look at the next.
    Skip,
    /// Leave it and all behind it.
    Stop,
}

impl Bucket {
    constructor! {
        /// An empty queue.
        pub fn new() -> Bucket {
            let queue = Queue { first: std::ptr::null(), last: std::ptr::null(), walks: 0 };
            Bucket { queue: Locked::new(Rank::Bucket, queue), count: AtomicU32::new(0) }
        }
    }

    /// Counts a node that came into the queue or went away from it (`change` is 1 or -1). Called under the lock. A plain store is enough:
    /// only the owner of the lock changes the count.
    fn count(&self, change: i32) {
        self.count.store(self.count.load(Relaxed).saturating_add_signed(change), Relaxed);
    }

    /// Appends a node.
    ///
    /// # Safety
    /// The node stays in place until it is taken out.
    unsafe fn append(&self, queue: &mut Queue, node: &Node) {
        node.next.set(std::ptr::null());
        node.before.set(queue.last);
        node.bucket.store(self as *const Bucket as *mut Bucket, Relaxed);
        node.queued.store(1, Relaxed);
        // SAFETY: nodes are alive while they are in the queue.
        match unsafe { queue.last.as_ref() } {
            Some(last) => last.next.set(node),
            None => queue.first = node,
        }
        queue.last = node;
        self.count(1);
    }

    /// Takes a node out, to put it elsewhere. Called under the lock; `queued` stays 1.
    ///
    /// # Safety
    /// The node is in this bucket's queue.
    unsafe fn unlink(&self, queue: &mut Queue, node: &Node) {
        // SAFETY: nodes are alive while they are in the queue.
        let (before, next) = unsafe { (node.before.get().as_ref(), node.next.get().as_ref()) };
        match before {
            Some(before) => before.next.set(node.next.get()),
            None => queue.first = node.next.get(),
        }
        match next {
            Some(next) => next.before.set(node.before.get()),
            None => queue.last = node.before.get(),
        }
        self.count(-1);
    }

    /// Takes a node out for good. Its owner may go on at once, so this is the last touch of it.
    ///
    /// # Safety
    /// As for `unlink`.
    unsafe fn dismiss(&self, queue: &mut Queue, node: &Node) {
        // SAFETY: the node is in this bucket's queue, whose lock is held: there is no other way to a `Queue`. Its owner waits, and its
        // frame stays until `queued` is 0.
        unsafe { self.unlink(queue, node) };
        node.queued.store(0, Release);
    }
}

impl Node {
    /// A node for a wait at `address`, not yet in a queue. Wakers see `token`.
    #[inline]
    pub fn new(address: usize, token: usize) -> Node {
        Node {
            ticket: Cell::new(Ticket::NONE),
            address: Cell::new(address),
            token,
            next: Cell::new(std::ptr::null()),
            before: Cell::new(std::ptr::null()),
            bucket: AtomicPtr::new(std::ptr::null_mut()),
            queued: AtomicU32::new(0),
            away: Cell::new(None),
        }
    }

    /// Puts the node into its queue, for the wait that `ticket` names. Called by the waiting thread, with no lock held; a full fence and
    /// the caller's check come after it. False: the node was away for a handler, and a waker came by; it is in no queue then.
    ///
    /// # Safety
    /// The node stays where it is until `withdraw` or `step_out`.
    #[inline]
    pub unsafe fn enqueue(&self, ticket: Ticket) -> bool {
        self.ticket.set(ticket);
        let bucket = bucket_of(self.address.get());
        bucket.queue.with(|queue| {
            let away = self.away.take();
            let waits_on = away.is_none_or(|walks| walks == queue.walks);
            if waits_on {
                // SAFETY: the node is its owner's, in no queue, and stays in place until `withdraw` or `step_out` has had the lock.
                unsafe { bucket.append(queue, self) };
            }
            if away.is_some() {
                // Last, for wakers look without the lock: the count is not zero between away and queued.
                bucket.count(-1);
            }
            waits_on
        })
    }

    /// May a waker still touch the node? A waker is done with a node once it has dismissed it. The waiter of a sleeper is an exception: the
    /// waker wakes it under the lock after that.
    #[inline]
    fn is_watched(&self) -> bool {
        self.queued.load(Acquire) != 0 || !self.ticket.get().outlives()
    }

    /// Takes the node out of whatever bucket it is in by now, if it still is: the wait is over. Called by the waiting thread, before the
    /// node's frame ends.
    #[inline]
    pub fn withdraw(&self) {
        if self.is_watched() {
            self.take_out();
        }
    }

    /// Does what `withdraw` says. The node may be moved (`requeue`) until the lock of its bucket is held: so the bucket is compared under
    /// the lock, and the other one is tried where it has changed.
    fn take_out(&self) {
        let done = |bucket: &Bucket| {
            bucket.queue.with(|queue| {
                if !std::ptr::eq(self.bucket.load(Relaxed), bucket) {
                    return false;
                }
                if self.queued.load(Relaxed) != 0 {
                    // SAFETY: it is in this bucket's queue, for its bucket changes only under the lock of the one it is in.
                    unsafe { bucket.dismiss(queue, self) };
                }
                true
            })
        };
        // SAFETY: buckets are never freed.
        while !done(unsafe { &*self.bucket.load(Relaxed) }) {}
    }

    /// Takes the node out for a handler, which may leave the wait by a jump: the node leaves its queue, but is counted there, so that
    /// wakers still walk the queue. A node that was dismissed before stays out. Called by the waiting thread, for nodes that no `requeue`
    /// moves.
    pub fn step_out(&self) {
        if !self.is_watched() {
            return;
        }
        let bucket = bucket_of(self.address.get());
        bucket.queue.with(|queue| {
            if self.queued.load(Relaxed) != 0 {
                // First, for wakers look without the lock: the count is not zero between queued and away.
                bucket.count(1);
                // SAFETY: it is in this bucket's queue, and no `requeue` moves it.
                unsafe { bucket.dismiss(queue, self) };
                self.away.set(Some(queue.walks));
            }
        });
    }

    /// Is the node away: taken out by `step_out`, and by no waker before?
    pub fn is_away(&self) -> bool {
        self.away.get().is_some()
    }

    /// Ends an absence: the owner will not wait again. Called by the waiting thread; does nothing for a node that is not away.
    pub fn come_back(&self) {
        if self.away.take().is_some() {
            let bucket = bucket_of(self.address.get());
            bucket.queue.with(|_| bucket.count(-1));
        }
    }
}

/// Lets wakers see `token` at `address` while `work` runs, which may park there. The node's ticket never wins, so no wake is used up by it.
/// Called by a thread that is about to wait for a lock in more than one step, so that an unlock takes its slow way meanwhile.
pub fn present<R>(address: usize, token: usize, work: impl FnOnce() -> R) -> R {
    let unused = Waiter::new();
    let node = Node::new(address, token);
    // SAFETY: the node stays here until `withdraw`.
    unsafe { node.enqueue(Ticket::lost(&unused)) };
    let result = work();
    node.withdraw();
    result
}

/// May a thread be parked at `address`? False is certain for a caller that has changed the world before: a waiter that comes later sees the
/// change. Called on any thread, without the lock.
#[inline]
pub fn waiting(address: usize) -> bool {
    fence(SeqCst);
    queued(address)
}

/// May a thread be parked at `address`? Without a fence: for callers that had one, or that a lock orders after the waiter's enqueueing.
#[inline]
pub fn queued(address: usize) -> bool {
    bucket_of(address).count.load(Relaxed) != 0
}

/// Walks the queue at `address` in order and fires the waits that `choose`, which sees their tokens, wants; returns how many. `choose` runs
/// under the bucket's lock. The fired threads are in `batch` then: the caller releases it with no lock held. A waiter that is not in the
/// queue by then finds the world changed: the bucket's lock orders its check after the change.
#[inline]
pub fn fire(address: usize, batch: &Batch, mut choose: impl FnMut(usize) -> Choice) -> usize {
    let bucket = bucket_of(address);
    bucket.queue.with(|queue| {
        queue.walks = queue.walks.wrapping_add(1);
        let (mut fired, mut at) = (0, queue.first);
        // SAFETY: nodes are alive while they are in the queue.
        while let Some(node) = unsafe { at.as_ref() } {
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
            // SAFETY: it is in this queue, whose lock is held; its ticket is copied before.
            fired += unsafe {
                bucket.dismiss(queue, node);
                batch.take(ticket.fire(News::Ready(Token::PLAIN)))
            } as usize;
        }
        fired
    })
}

/// Fires up to `most` waits at `from` and moves up to `moves` of the others to `to`: (fired, moved). Both buckets' locks are held
/// meanwhile, the one at the lower address first, so that two calls cannot wait for each other. Not for waits whose owner may step out
/// (`step_out` looks for the node where it was put in).
pub fn requeue(from: usize, to: usize, most: usize, moves: usize, batch: &Batch) -> (usize, usize) {
    let moves = if from == to { 0 } else { moves };
    let (a, b) = (bucket_of(from), bucket_of(to));
    let work = |here: &mut Queue, mut there: Option<&mut Queue>| {
        let (mut fired, mut moved, mut at) = (0, 0, here.first);
        // SAFETY: under both locks: nodes are alive while they are in a queue.
        while let Some(node) = unsafe { at.as_ref() } {
            at = node.next.get();
            if node.address.get() != from {
                continue;
            }
            // SAFETY: as above; the ticket is copied before.
            unsafe {
                if fired < most {
                    let ticket = node.ticket.get();
                    a.dismiss(here, node);
                    fired += batch.take(ticket.fire(News::Ready(Token::PLAIN))) as usize;
                } else if moved < moves {
                    a.unlink(here, node);
                    node.address.set(to);
                    match &mut there {
                        Some(there) => b.append(there, node),
                        None => a.append(here, node),
                    }
                    moved += 1;
                } else {
                    break;
                }
            }
        }
        (fired, moved)
    };
    if std::ptr::eq(a, b) {
        a.queue.with(|here| work(here, None))
    } else if (a as *const Bucket) < b as *const Bucket {
        a.queue.with(|here| b.queue.with(|there| work(here, Some(there))))
    } else {
        b.queue.with(|there| a.queue.with(|here| work(here, Some(there))))
    }
}

/// Empties all queues in a fork child, where no waiter is left. Called while there is one thread.
pub fn after_fork() {
    for Bucket { queue, count } in LOT.iter() {
        count.store(0, Relaxed);
        queue.after_fork(|queue| (queue.first, queue.last) = (std::ptr::null(), std::ptr::null()));
    }
}
