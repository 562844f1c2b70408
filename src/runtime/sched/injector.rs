//! The injector: what is ready and belongs to no slot.

use crate::base::lock::{Rank, RawLock};
use crate::runtime::machine::parts::Green;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// From foreign threads, from workers without a slot, and what no queue had room for: first in, first out.
pub struct Injector {
    lock: RawLock,
    ends: UnsafeCell<[*const Green; 2]>,
    count: AtomicUsize,
}

// SAFETY: the list is only touched under the lock.
unsafe impl Sync for Injector {}

pub static INJECTOR: Injector = Injector {
    lock: RawLock::new(Rank::Injector),
    ends: UnsafeCell::new([std::ptr::null(); 2]),
    count: AtomicUsize::new(0),
};

impl Injector {
    pub fn push(&self, green: &'static Green) {
        green.link.store(std::ptr::null_mut(), Relaxed);
        self.lock.with(|| {
            // SAFETY: under the lock; green threads are never freed.
            unsafe {
                let [first, last] = &mut *self.ends.get();
                match last.as_ref() {
                    Some(last) => last.link.store(green as *const Green as *mut Green, Relaxed),
                    None => *first = green,
                }
                *last = green;
            }
            self.count.store(self.count.load(Relaxed) + 1, SeqCst);
        });
    }

    #[inline]
    pub fn pop(&self) -> Option<&'static Green> {
        if self.is_empty() {
            return None;
        }
        self.lock.with(|| {
            // SAFETY: as in `push`.
            unsafe {
                let [first, last] = &mut *self.ends.get();
                let green = first.as_ref()?;
                *first = green.link.load(Relaxed);
                if first.is_null() {
                    *last = std::ptr::null();
                }
                self.count.store(self.count.load(Relaxed) - 1, SeqCst);
                Some(green)
            }
        })
    }

    pub fn is_empty(&self) -> bool {
        self.count.load(SeqCst) == 0
    }

    /// In a fork child: whoever stood here is not there.
    pub fn after_fork(&self) {
        self.lock.after_fork();
        // SAFETY: the child has one thread.
        unsafe { *self.ends.get() = [std::ptr::null(); 2] };
        self.count.store(0, Relaxed);
    }
}
