//! The injector: the queue of green threads that are ready and belong to no slot.
//!
//! Foreign threads and workers without a slot put here what they make ready, and slots what their own queues have no room for. First in,
//! first out; linked by `Green::link`.

use crate::base::lock::{Locked, Rank};
use crate::runtime::machine::parts::Green;
use std::sync::atomic::{AtomicUsize, Ordering::*};

struct Ends {
    first: *const Green,
    last: *const Green,
}

impl Ends {
    const NONE: Ends = Ends { first: std::ptr::null(), last: std::ptr::null() };
}

/// A queue of ready green threads.
pub struct Injector {
    ends: Locked<Ends>,
    /// How many are in it: changed under the lock, looked at without.
    count: AtomicUsize,
}

/// The process's injector.
pub static INJECTOR: Injector = Injector { ends: Locked::new(Rank::Injector, Ends::NONE), count: AtomicUsize::new(0) };

impl Injector {
    /// Appends a green thread that is ready and in no queue. Called on any thread; the caller wakes a slot for it afterwards
    /// (`slots::call_for_help`).
    pub fn push(&self, green: &'static Green) {
        green.link.store(std::ptr::null_mut(), Relaxed);
        self.ends.with(|ends| {
            // SAFETY: null or a green thread, and green threads are never freed.
            match unsafe { ends.last.as_ref() } {
                Some(last) => last.link.store(green as *const Green as *mut Green, Relaxed),
                None => ends.first = green,
            }
            ends.last = green;
            self.count.store(self.count.load(Relaxed) + 1, SeqCst);
        });
    }

    /// Takes out the green thread that has waited longest. Called by a worker, which runs it or puts it into its slot's queue.
    #[inline]
    pub fn pop(&self) -> Option<&'static Green> {
        if self.is_empty() {
            return None;
        }
        self.ends.with(|ends| {
            // SAFETY: null or a green thread, and green threads are never freed.
            let green = unsafe { ends.first.as_ref() }?;
            ends.first = green.link.load(Relaxed);
            if ends.first.is_null() {
                ends.last = std::ptr::null();
            }
            self.count.store(self.count.load(Relaxed) - 1, SeqCst);
            Some(green)
        })
    }

    /// Is nothing in it? Without the lock: a `push` at the same time may be missed, and its caller wakes a slot after it.
    pub fn is_empty(&self) -> bool {
        self.count.load(SeqCst) == 0
    }

    /// Empties it in a fork child: what stood here has stayed in the parent.
    pub fn after_fork(&self) {
        let Injector { ends, count } = self;
        ends.after_fork(|ends| *ends = Ends::NONE);
        count.store(0, Relaxed);
    }
}
