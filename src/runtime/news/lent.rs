//! Lent loops: a thread that multiplexes contexts of its own (coroutines, greenlets) lets a context be left that is about to block.
//!
//! What a context waits for lies in memory of the library's own, a `Place`, never on the context's stack: a loop may copy that away and put
//! another context's there. Which list a place is in, and who may touch it, says `ready`.

use crate::runtime::news::lot::Node;
use crate::runtime::news::ranges::Ranges;
use crate::runtime::news::ready::{Link, Ready};
use crate::runtime::news::record::FdWait;
use crate::runtime::news::timer::TimerNode;
use crate::runtime::news::waiter::{Lent, Sequence, Ticket, Waiter};
use crate::sys;
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::ptr::null_mut;

/// The loop's function that leaves the running context (`gp_loop_ops` in include/greenpatch.h).
pub type Leave = unsafe extern "C" fn(*mut c_void, *mut *mut c_void) -> i32;

/// A wait of a context. Never freed, so that a late clause finds a waiter; touched by the loop's thread alone but for `lent` and `link`.
#[repr(C)]
pub struct Place {
    /// The waiter, first: who fires it finds the place.
    pub lent: Lent,
    /// The place in the lists of its loop.
    link: Link,
    home: *const Loop,
    /// What the loop's function has written of the context, for `gp_take`.
    pub user: Cell<*mut c_void>,
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
    /// Its places.
    ready: Ready,
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

// SAFETY: other threads tell `ready`, which is made for that; the rest is touched by the loop's thread alone.
unsafe impl Sync for Loop {}

impl Loop {
    /// A loop that nobody waits in. Called on its thread.
    pub fn new(ways: Ways, eventfd: i32) -> Loop {
        Loop {
            ways,
            eventfd,
            ready: Ready::new(),
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
        let link = self.ready.take().or_else(|| {
            self.make_places();
            self.ready.take()
        })?;
        Some(Place::of(link))
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
                link: Link::new(),
                home: self,
                user: Cell::new(null_mut()),
                node: UnsafeCell::new(None),
                fd: UnsafeCell::new(FdWait::new(-1, 0)),
                timer: UnsafeCell::new(None),
            };
            // SAFETY: within the mapping, which has room for so many and is never unmapped.
            unsafe {
                let to = memory.add(at);
                to.write(place);
                self.ready.put(&(*to).link);
            }
        }
    }

    /// Gives a place back: its wait is over, and no clause of it is in a queue. `is_told`: the loop was told, or will be. Called on the
    /// loop's thread.
    pub fn give_back(&self, place: &'static Place, is_told: bool) {
        self.ready.give_back(&place.link, is_told);
    }

    /// Returns the next context whose wait is over, the one that was told first; `None`: there is none. Called on the loop's thread.
    pub fn next(&self) -> Option<*mut c_void> {
        let place = Place::of(self.ready.next()?);
        self.counts.taken.set(self.counts.taken.get() + 1);
        Some(place.user.get())
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
        if self.ready.has_more() {
            sys::event_signal(self.eventfd);
        }
    }
}

/// Tells a place's loop that its wait is over. Who finds nothing told makes the eventfd readable.
fn tell(lent: &'static Lent) {
    let place = lent as *const Lent as *const Place;
    // SAFETY: a `Lent` is the begin of a place (`make_places`), and neither that nor its loop is ever freed.
    let (place, home) = unsafe { (&*place, &*(*place).home) };
    if home.ready.tell(&place.link) {
        sys::event_signal(home.eventfd);
    }
}

impl Place {
    /// Returns the place of a link.
    fn of(link: &'static Link) -> &'static Place {
        // SAFETY: each link is a place's (`make_places`), and those are never freed.
        unsafe { &*(link as *const Link).byte_sub(std::mem::offset_of!(Place, link)).cast::<Place>() }
    }

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
