//! The library's own memory: the program's malloc may be anybody's, may call our hooks, and may be in the middle of
//! something when a hook needs a byte.
//!
//! Small blocks come in powers of two from chunks of fresh pages, freed ones wait in a list per size; large ones are mappings
//! of their own. Blocks are never moved between sizes: the runtime allocates little, and mostly for ever.
//!
//! A chunk is kept in reserve from the start on. When the kernel has no more memory, what must be noted (a signal that waits, a
//! descriptor of our own) is noted there, and whoever may be refused (a thread that is made, a worker) is.

use crate::base::lock::{Rank, RawLock};
use crate::sys;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const SMALLEST: usize = 16;
const LARGEST: usize = 32 << 10;
const SIZES: usize = 12;
const CHUNK: usize = 256 << 10;

struct State {
    free: [*mut u8; SIZES],
    fresh: usize,
    end: usize,
    /// A chunk that nothing was taken from; 0: there is none.
    reserve: usize,
}

struct Pages {
    lock: RawLock,
    state: UnsafeCell<State>,
}

// SAFETY: `state` is only touched under `lock`.
unsafe impl Sync for Pages {}

#[global_allocator]
static PAGES: Pages = Pages {
    lock: RawLock::new(Rank::Memory),
    state: UnsafeCell::new(State { free: [std::ptr::null_mut(); SIZES], fresh: 0, end: 0, reserve: 0 }),
};

/// Is the reserve untouched?
static HAS_RESERVE: AtomicBool = AtomicBool::new(false);

/// Is there memory for more than what must be noted? Fills the reserve up, if the kernel has memory again.
#[inline]
pub fn has_reserve() -> bool {
    HAS_RESERVE.load(Relaxed) || fill_reserve()
}

#[cold]
fn fill_reserve() -> bool {
    PAGES.lock.with(|| {
        // SAFETY: under the lock.
        let state = unsafe { &mut *PAGES.state.get() };
        if state.reserve == 0 {
            state.reserve = sys::map(CHUNK, 0).map_or(0, |chunk| chunk as usize);
        }
        HAS_RESERVE.store(state.reserve != 0, Relaxed);
        state.reserve != 0
    })
}

/// Room in a list for `count` in all; false: there is no memory. What a list may ever hold has its place before it is made, so that
/// no list must grow where nobody could be told that there is no memory.
pub fn reserve<T>(list: &mut Vec<T>, count: usize) -> bool {
    list.capacity() >= count || list.try_reserve(count - list.len()).is_ok()
}

/// In a fork child: whoever held the lock is not here.
pub fn after_fork() {
    PAGES.lock.after_fork();
}

fn size_class(layout: Layout) -> usize {
    let bytes = layout.size().max(layout.align()).max(SMALLEST).next_power_of_two();
    (bytes / SMALLEST).trailing_zeros() as usize
}

fn whole_pages(bytes: usize) -> usize {
    bytes.next_multiple_of(4096)
}

impl State {
    /// A block of the class, or null.
    ///
    /// # Safety
    /// Under the lock; what was given back may be written.
    unsafe fn take(&mut self, class: usize) -> *mut u8 {
        let head = self.free[class];
        if !head.is_null() {
            self.free[class] = *(head as *mut *mut u8);
            return head;
        }
        let bytes = SMALLEST << class;
        let mut start = self.fresh.next_multiple_of(bytes);
        if start + bytes > self.end || self.fresh == 0 {
            let chunk = sys::map(CHUNK, 0).map_or_else(|| self.take_reserve(), |chunk| chunk as usize);
            if chunk == 0 {
                return std::ptr::null_mut();
            }
            (self.fresh, self.end) = (chunk, chunk + CHUNK);
            start = self.fresh.next_multiple_of(bytes);
        }
        self.fresh = start + bytes;
        start as *mut u8
    }

    fn take_reserve(&mut self) -> usize {
        HAS_RESERVE.store(false, Relaxed);
        std::mem::take(&mut self.reserve)
    }
}

// SAFETY: blocks are disjoint, aligned to their power-of-two size (or to pages), and live until freed.
unsafe impl GlobalAlloc for Pages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LARGEST || layout.align() > 4096 {
            return sys::map(whole_pages(layout.size()), 0).unwrap_or(std::ptr::null_mut());
        }
        self.lock.with(|| (*self.state.get()).take(size_class(layout)))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() > LARGEST || layout.align() > 4096 {
            return sys::unmap(block as usize, whole_pages(layout.size()));
        }
        self.lock.with(|| {
            let free = &mut (*self.state.get()).free[size_class(layout)];
            *(block as *mut *mut u8) = *free;
            *free = block;
        })
    }
}
