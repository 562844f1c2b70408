//! What a loop is told, and what it has free: the links of its places (`lent`), each in one list at the most.
//!
//! ```text
//!   from       to         by
//!   free       waiting    take                the context, as its wait begins
//!   waiting    told       tell                who fires the wait: on any thread
//!   told       taken      next                the loop, which then switches to the context
//!   taken      free       give_back           the context, as its wait ends
//!   waiting    free       give_back           the context, whose wait was never fired, or before it was left
//!   waiting    left       give_back           the context, which was switched to before its news were taken
//!   told, left free       next                the loop passes it over
//! ```
//!
//! `told` may come before or after `left`: whichever is second has both noted, for `next` alone looks, on the loop's thread. The bell is
//! rung by who finds nothing told (`tell` says so), and is hushed before `next`; so whatever was told and not taken has rung it since.
//!
//! Model-checked in tests/model.

use crate::base::atomic::Ordering::*;
use crate::base::atomic::{constructor, AtomicPtr};
use std::cell::Cell;
use std::ptr::null_mut;

/// A place's link. Never freed; touched by the loop's thread alone but for `next`.
pub struct Link {
    /// The next in the list that it is in: told, seen, or free.
    next: AtomicPtr<Link>,
    /// The loop was told, and has taken it.
    is_taken: Cell<bool>,
    /// The context is gone; the loop has not taken the link yet.
    is_left: Cell<bool>,
}

/// The lists of a loop.
pub struct Ready {
    /// Told links, the latest first.
    told: AtomicPtr<Link>,
    /// Told links that the loop has seen, the oldest first.
    seen: Cell<*mut Link>,
    free: Cell<*mut Link>,
}

impl Link {
    constructor! {
        /// A link in no list.
        pub fn new() -> Link {
            Link { next: AtomicPtr::new(null_mut()), is_taken: Cell::new(false), is_left: Cell::new(false) }
        }
    }

    fn pointer(&'static self) -> *mut Link {
        self as *const Link as *mut Link
    }
}

impl Ready {
    constructor! {
        /// No link.
        pub fn new() -> Ready {
            Ready { told: AtomicPtr::new(null_mut()), seen: Cell::new(null_mut()), free: Cell::new(null_mut()) }
        }
    }

    /// Puts a link among those that are free. Called on the loop's thread.
    pub fn put(&self, link: &'static Link) {
        link.next.store(self.free.get(), Relaxed);
        self.free.set(link.pointer());
    }

    /// Takes a free link; `None`: there is none. Called on the loop's thread.
    pub fn take(&self) -> Option<&'static Link> {
        // SAFETY: links are never freed, and this one is the caller's.
        let link = unsafe { self.free.get().as_ref() }?;
        self.free.set(link.next.load(Relaxed));
        link.is_taken.set(false);
        Some(link)
    }

    /// Gives a link back: its wait is over, and no clause of it is in a queue. `is_told`: the loop was told, or will be. Called on the
    /// loop's thread.
    pub fn give_back(&self, link: &'static Link, is_told: bool) {
        if is_told && !link.is_taken.get() {
            return link.is_left.set(true);
        }
        self.put(link);
    }

    /// Tells the loop that a wait is over. True: nothing was told, and the caller rings the bell. Called on any thread, once for each wait
    /// that was fired while it was lent.
    pub fn tell(&self, link: &'static Link) -> bool {
        let mut first = self.told.load(Relaxed);
        loop {
            link.next.store(first, Relaxed);
            match self.told.compare_exchange(first, link.pointer(), AcqRel, Relaxed) {
                Ok(_) => return first.is_null(),
                Err(now) => first = now,
            }
        }
    }

    /// Returns the next link whose wait is over, the one that was told first; `None`: there is none. Called on the loop's thread.
    pub fn next(&self) -> Option<&'static Link> {
        loop {
            if self.seen.get().is_null() {
                self.see();
            }
            // SAFETY: a link in this list is the loop's.
            let link = unsafe { self.seen.get().as_ref() }?;
            self.seen.set(link.next.load(Relaxed));
            if link.is_left.replace(false) {
                self.put(link);
                continue;
            }
            link.is_taken.set(true);
            return Some(link);
        }
    }

    /// Turns what was told into what is seen, the oldest first.
    fn see(&self) {
        let mut at = self.told.swap(null_mut(), AcqRel);
        // SAFETY: as in `next`.
        while let Some(link) = unsafe { at.as_ref() } {
            let older = link.next.load(Relaxed);
            link.next.store(self.seen.get(), Relaxed);
            self.seen.set(at);
            at = older;
        }
    }

    /// Is something left to be taken? Called on the loop's thread.
    pub fn has_more(&self) -> bool {
        !self.seen.get().is_null() || !self.told.load(Relaxed).is_null()
    }
}
