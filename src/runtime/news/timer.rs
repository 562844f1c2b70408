//! Deadlines: one pairing heap per slot, of nodes on the waiting threads' stacks. Nanoseconds of CLOCK_MONOTONIC, never
//! rounded. Inserting is O(1), removing O(log n) amortised; nothing is allocated.
//!
//! A deadline that comes and a thread that goes on race for the node, which is in the thread's frame:
//!
//! 1. `expire`, under the heap's lock: takes the node out, copies its ticket, clears `heap` (Release) as its last touch of the node, and
//!    fires the ticket.
//! 2. `remove`, on the thread: loads `heap` (Acquire). Null: 1 is done with the node, and the frame may end. Otherwise it takes the lock
//!    and looks again: either the node is still in, or 1 was faster.
//! 3. Which of several news ends the wait is decided by the ticket, not here (`waiter`).

use crate::base::atomic::Ordering::*;
use crate::base::atomic::{constructor, AtomicPtr, AtomicU64};
use crate::base::lock::{Rank, RawLock};
use crate::runtime::news::waiter::{Batch, News, Ticket};
use std::cell::{Cell, UnsafeCell};

/// A deadline of one wait, in the waiting thread's frame.
pub struct TimerNode {
    /// The wait that the deadline ends.
    ticket: Ticket,
    /// When it is due.
    deadline_ns: u64,
    /// Its first child, and the next child of its parent. No child is due before its parent.
    child: Cell<*const TimerNode>,
    sibling: Cell<*const TimerNode>,
    /// The parent of a first child, else the sibling before; null for the root.
    before: Cell<*const TimerNode>,
    /// The heap it is in; null: in none. `expire` clears it as its last touch of the node, whose frame may end then.
    heap: AtomicPtr<Timers>,
}

impl TimerNode {
    /// A node for the wait that `ticket` names, in no heap. `deadline_ns` is a time of CLOCK_MONOTONIC.
    pub fn new(ticket: Ticket, deadline_ns: u64) -> TimerNode {
        let none = std::ptr::null();
        TimerNode {
            ticket,
            deadline_ns,
            child: Cell::new(none),
            sibling: Cell::new(none),
            before: Cell::new(none),
            heap: AtomicPtr::new(std::ptr::null_mut()),
        }
    }
}

/// No deadline.
pub const NEVER: u64 = u64::MAX;

/// A slot's heap of deadlines. Any thread takes its own node out; the slot's worker expires.
pub struct Timers {
    lock: RawLock,
    /// The node with the earliest deadline; null: the heap is empty. Touched under the lock.
    root: UnsafeCell<*const TimerNode>,
    /// The earliest deadline, to be looked at without the lock.
    earliest: AtomicU64,
}

// SAFETY: the heap is only touched under its lock; nodes stay in place while they are in it.
unsafe impl Sync for Timers {}
// SAFETY: as above.
unsafe impl Send for Timers {}

impl Timers {
    constructor! {
        /// An empty heap.
        pub fn new() -> Timers {
            Timers {
                lock: RawLock::new(Rank::Timers),
                root: UnsafeCell::new(std::ptr::null()),
                earliest: AtomicU64::new(NEVER),
            }
        }
    }

    /// The earliest deadline, or `NEVER`. Without the lock: may be out of date.
    #[inline]
    pub fn earliest(&self) -> u64 {
        self.earliest.load(Relaxed)
    }

    /// Puts a node in; it must stay where it is until `remove`. Called on the waiting thread, after its waiter is armed, with no lock held.
    pub fn insert(&self, node: &TimerNode) {
        node.heap.store(self as *const Timers as *mut Timers, Relaxed);
        self.lock.with(|| {
            // SAFETY: under the lock; every node in the heap is alive.
            unsafe {
                let root = self.root.get();
                *root = if (*root).is_null() { node } else { meld(*root, node) };
                self.publish();
            }
        });
    }

    /// Says what the earliest deadline is now: called after each change of the heap.
    ///
    /// # Safety
    /// Under the lock.
    unsafe fn publish(&self) {
        // SAFETY: no other thread changes the root under the lock, and a node stays in its thread's frame until `remove` has taken this
        // lock.
        let earliest = unsafe { (*self.root.get()).as_ref() }.map_or(NEVER, |root| root.deadline_ns);
        self.earliest.store(earliest, Relaxed);
    }

    /// Takes out every node whose deadline has come at `now_ns`, and fires its wait into `batch`, which the caller releases. Called by the
    /// slot's worker after it has polled, or by the monitor for a vacant slot.
    pub fn expire(&self, now_ns: u64, batch: &Batch) {
        self.lock.with(|| {
            // SAFETY: under the lock; a node's stack lives until `remove` has seen it out of the heap, and the waiter of a ticket is a
            // green thread's, which is never freed.
            unsafe {
                let root = self.root.get();
                while let Some(first) = (*root).as_ref() {
                    if first.deadline_ns > now_ns {
                        break;
                    }
                    *root = pair(first.child.get());
                    let ticket = first.ticket;
                    first.heap.store(std::ptr::null_mut(), Release);
                    batch.take(ticket.fire(News::TimedOut));
                }
                self.publish();
            }
        });
    }
}

/// Takes a node out, if it is still in: the wait is over. Called on the thread whose frame has the node, before that ends.
pub fn remove(node: &TimerNode) {
    // SAFETY: heaps live as long as the process; the heap's word is cleared under its lock only.
    unsafe {
        let Some(heap) = node.heap.load(Acquire).as_ref() else { return };
        heap.lock.with(|| {
            if node.heap.load(Relaxed).is_null() {
                return;
            }
            cut(heap, node);
            node.heap.store(std::ptr::null_mut(), Relaxed);
            heap.publish();
        });
    }
}

/// Takes a node out of its heap.
///
/// # Safety
/// Under the heap's lock, and the node is in it.
unsafe fn cut(heap: &Timers, node: &TimerNode) {
    // SAFETY: `remove` holds the heap's lock. All links of a node in the heap lead to nodes in the same heap, whose frames live until their
    // own `remove` has had the lock.
    unsafe {
        let rest = pair(node.child.get());
        let root = heap.root.get();
        let Some(before) = node.before.get().as_ref() else {
            *root = rest;
            return;
        };
        let next = node.sibling.get();
        if std::ptr::eq(before.child.get(), node) {
            before.child.set(next);
        } else {
            before.sibling.set(next);
        }
        if let Some(next) = next.as_ref() {
            next.before.set(before);
        }
        if !rest.is_null() {
            *root = meld(*root, rest);
        }
    }
}

/// One heap of two roots, neither null.
///
/// # Safety
/// Under the lock of the heap that both belong to.
unsafe fn meld(a: *const TimerNode, b: *const TimerNode) -> *const TimerNode {
    // SAFETY: both roots and the first child are nodes of this heap, or the one that `insert` puts in; the lock is held, so none leaves its
    // frame, and no other thread changes a link.
    unsafe {
        let (top, below) = if (*b).deadline_ns < (*a).deadline_ns { (b, a) } else { (a, b) };
        let first = (*top).child.get();
        (*below).sibling.set(first);
        if let Some(first) = first.as_ref() {
            first.before.set(below);
        }
        (*below).before.set(top);
        (*top).child.set(below);
        (*top).before.set(std::ptr::null());
        (*top).sibling.set(std::ptr::null());
        top
    }
}

/// One heap of a list of siblings: melded in pairs from the left, then from the right.
///
/// # Safety
/// As for `meld`.
unsafe fn pair(first: *const TimerNode) -> *const TimerNode {
    let mut pairs: *const TimerNode = std::ptr::null();
    let mut at = first;
    // SAFETY: a list of siblings is null or leads through nodes of this heap, which stay in their frames while its lock is held; `meld` is
    // given two of them that are roots by then.
    unsafe {
        while let Some(a) = at.as_ref() {
            let b = a.sibling.get();
            at = b.as_ref().map_or(std::ptr::null(), |b| b.sibling.get());
            a.sibling.set(std::ptr::null());
            a.before.set(std::ptr::null());
            let top = match b.as_ref() {
                Some(b) => {
                    b.sibling.set(std::ptr::null());
                    b.before.set(std::ptr::null());
                    meld(a, b)
                }
                None => a,
            };
            (*top).sibling.set(pairs);
            pairs = top;
        }
        let mut root: *const TimerNode = std::ptr::null();
        while let Some(top) = pairs.as_ref() {
            pairs = top.sibling.get();
            top.sibling.set(std::ptr::null());
            root = if root.is_null() { top } else { meld(root, top) };
        }
        root
    }
}
