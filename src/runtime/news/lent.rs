//! Lent loops: a thread that multiplexes contexts of its own (coroutines, greenlets) lets a context be left that is about to block.
//!
//! What a context waits for lies in memory of the library's own, a `Place`, never on the context's stack: a loop may copy that away and put
//! another context's there. A place, and who has it:
//!
//! ```text
//!   from       to          by
//!   free       waiting     take                the context, as its wait begins
//!   waiting    told        tell                who fires the wait: on any thread
//!   told       taken       next                the loop, which then switches to the context
//!   taken      free        give_back           the context, as its wait ends
//!   waiting    free        give_back           the context, whose wait was never fired, or before it was left
//!   waiting    left        give_back           the context, which was switched to before its news were taken
//!   told, left free        next                the loop passes it over
//! ```
//!
//! `told` may come before or after `left`: whichever is second has both noted, for `next` alone looks, on the loop's thread.

use crate::runtime::news::lot::Node;
use crate::runtime::news::ranges::Ranges;
use crate::runtime::news::record::FdWait;
use crate::runtime::news::timer::TimerNode;
use crate::runtime::news::waiter::{Lent, Sequence, Ticket, Waiter};
use crate::sys;
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::*};

/// The loop's function that leaves the running context (`gp_loop_ops` in include/greenpatch.h).
pub type Leave = unsafe extern "C" fn(*mut c_void, *mut *mut c_void) -> i32;

/// A wait of a context. Never freed, so that a late clause finds a waiter; touched by the loop's thread alone but for `lent` and `next`.
#[repr(C)]
pub struct Place {
    /// The waiter, first: who fires it finds the place.
    pub lent: Lent,
    /// The next in the list that the place is in: told, taken, or free.
    next: AtomicPtr<Place>,
    home: *const Loop,
    /// What the loop's function has written of the context, for `gp_take`.
    pub user: Cell<*mut c_void>,
    /// The loop was told, and has taken the place.
    is_taken: Cell<bool>,
    /// The context is gone; the loop has not taken its place yet.
    is_left: Cell<bool>,
    /// What it waits for, while it waits.
    node: UnsafeCell<Option<Node>>,
    fd: UnsafeCell<FdWait>,
    timer: UnsafeCell<Option<TimerNode>>,
}

/// The loop's function that says which context runs (`gp_loop_ops`).
pub type CurrentContext = unsafe extern "C" fn(*mut c_void) -> usize;

/// Where contexts' stacks lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stacks {
    /// Each stays where it is while its context is left.
    Stay,
    /// On the thread's own stack; what a context has used of it is copied away.
    Thread,
    /// Between these addresses, and copied away.
    Copied(usize, usize),
}

/// What a loop has said of itself.
pub struct Ways {
    pub leave: Leave,
    pub data: *mut c_void,
    pub stacks: Stacks,
    pub current: Option<CurrentContext>,
}

/// What is counted of a loop.
#[derive(Default)]
pub struct Counts {
    /// Waits in which a context was left.
    pub lent: Cell<u64>,
    /// Waits in which the thread waited itself.
    pub blocked: Cell<u64>,
    /// Contexts that were taken.
    pub taken: Cell<u64>,
    /// Calls that another thread made for a context.
    pub offloaded: Cell<u64>,
}

/// A loop. Never freed: a late clause may tell it something after it was taken back.
pub struct Loop {
    pub ways: Ways,
    /// Readable while places are told and not taken.
    eventfd: i32,
    /// Told places, the latest first.
    told: AtomicPtr<Place>,
    /// Told places that the loop has seen, the oldest first.
    seen: Cell<*mut Place>,
    free: Cell<*mut Place>,
    /// How many contexts are left.
    pub waiting: Cell<u64>,
    /// Greater than 0: no context is left.
    pub paused: Cell<u32>,
    /// Where objects lie that no context is left for.
    pub blocking_objects: Ranges,
    /// Code in whose calls no context is left.
    pub blocking_callers: Ranges,
    /// Code in whose calls a context is left for a condition variable, a semaphore or a futex.
    pub condition_callers: Ranges,
    pub counts: Counts,
}

// SAFETY: `told` is atomic; the rest is touched by the loop's thread alone.
unsafe impl Sync for Loop {}

impl Loop {
    /// A loop that nobody waits in. Called on its thread.
    pub fn new(ways: Ways, eventfd: i32) -> Loop {
        Loop {
            ways,
            eventfd,
            told: AtomicPtr::new(null_mut()),
            seen: Cell::new(null_mut()),
            free: Cell::new(null_mut()),
            waiting: Cell::new(0),
            paused: Cell::new(0),
            blocking_objects: Ranges::new(),
            blocking_callers: Ranges::new(),
            condition_callers: Ranges::new(),
            counts: Counts::default(),
        }
    }

    /// Takes a free place; `None`: no memory. Called on the loop's thread.
    pub fn take(&'static self) -> Option<&'static Place> {
        if self.free.get().is_null() {
            self.make_places();
        }
        // SAFETY: places are never freed, and this one is the caller's.
        let place = unsafe { self.free.get().as_ref() }?;
        self.free.set(place.next.load(Relaxed));
        place.is_taken.set(false);
        Some(place)
    }

    /// Maps memory for more places.
    #[cold]
    fn make_places(&'static self) {
        const BYTES: usize = 64 << 10;
        let Some(memory) = sys::map(BYTES, 0) else { return };
        let memory = memory as *mut Place;
        for at in 0..BYTES / size_of::<Place>() {
            let place = Place {
                lent: Lent { waiter: Waiter::new(), tell },
                next: AtomicPtr::new(self.free.get()),
                home: self,
                user: Cell::new(null_mut()),
                is_taken: Cell::new(false),
                is_left: Cell::new(false),
                node: UnsafeCell::new(None),
                fd: UnsafeCell::new(FdWait::new(-1, 0)),
                timer: UnsafeCell::new(None),
            };
            // SAFETY: within the mapping, which has room for so many and is never unmapped.
            unsafe {
                let to = memory.add(at);
                to.write(place);
                self.free.set(to);
            }
        }
    }

    /// Gives a place back: its wait is over, and no clause of it is in a queue. `is_told`: the loop was told, or will be. Called on the
    /// loop's thread.
    pub fn give_back(&self, place: &'static Place, is_told: bool) {
        if is_told && !place.is_taken.get() {
            return place.is_left.set(true);
        }
        self.put(place);
    }

    fn put(&self, place: &'static Place) {
        place.next.store(self.free.get(), Relaxed);
        self.free.set(place as *const Place as *mut Place);
    }

    /// Returns the next context whose wait is over, the one that was told first; `None`: there is none. Called on the loop's thread.
    pub fn next(&self) -> Option<*mut c_void> {
        loop {
            if self.seen.get().is_null() {
                self.see();
            }
            // SAFETY: a place in this list is the loop's.
            let place = unsafe { self.seen.get().as_ref() }?;
            self.seen.set(place.next.load(Relaxed));
            if place.is_left.replace(false) {
                self.put(place);
                continue;
            }
            place.is_taken.set(true);
            self.counts.taken.set(self.counts.taken.get() + 1);
            return Some(place.user.get());
        }
    }

    /// Turns what was told into what is seen, the oldest first.
    fn see(&self) {
        let mut at = self.told.swap(null_mut(), AcqRel);
        // SAFETY: as in `next`.
        while let Some(place) = unsafe { at.as_ref() } {
            let older = place.next.swap(self.seen.get(), Relaxed);
            self.seen.set(at);
            at = older;
        }
    }

    /// Makes the eventfd unreadable. Called before `next`: what is told after that makes it readable again.
    pub fn hush(&self) {
        // It may be one whose reads wait.
        if sys::readable(self.eventfd) {
            sys::event_clear(self.eventfd);
        }
    }

    /// Makes the eventfd readable again where something is left to be taken.
    pub fn remind(&self) {
        if !self.seen.get().is_null() || !self.told.load(Relaxed).is_null() {
            sys::event_signal(self.eventfd);
        }
    }
}

/// Tells a place's loop that its wait is over. Who finds the list empty makes the eventfd readable.
fn tell(lent: &'static Lent) {
    let place = lent as *const Lent as *mut Place;
    // SAFETY: a `Lent` is the begin of a place (`make_places`), and neither that nor its loop is ever freed.
    let (place, home) = unsafe { (&*place, &*(*place).home) };
    let mut first = home.told.load(Relaxed);
    loop {
        place.next.store(first, Relaxed);
        let this = place as *const Place as *mut Place;
        match home.told.compare_exchange_weak(first, this, AcqRel, Relaxed) {
            Ok(_) => break,
            Err(now) => first = now,
        }
    }
    if first.is_null() {
        sys::event_signal(home.eventfd);
    }
}

impl Place {
    /// Begins a wait.
    pub fn arm(&'static self) -> (Sequence, Ticket) {
        let sequence = self.lent.waiter.arm();
        (sequence, self.lent.waiter.ticket(sequence, true))
    }

    /// Puts a node here, which is in no queue yet; it stays until the next wait.
    pub fn put_node(&'static self, node: Node) -> &'static Node {
        // SAFETY: the place is its context's, and the node of an earlier wait is in no queue.
        unsafe { (*self.node.get()).insert(node) }
    }

    /// Puts a wait for a descriptor here, which is in no list yet; it stays until the next wait.
    pub fn put_fd(&'static self, fd: FdWait) -> &'static FdWait {
        // SAFETY: as above.
        unsafe {
            *self.fd.get() = fd;
            &*self.fd.get()
        }
    }

    /// Puts a deadline here, which is in no heap yet; it stays until the next wait.
    pub fn put_timer(&'static self, timer: TimerNode) -> &'static TimerNode {
        // SAFETY: as above.
        unsafe { (*self.timer.get()).insert(timer) }
    }
}
