//! The library's own memory: pages of the kernel's, never the program's malloc.
//!
//! The program's malloc may be a replacement that calls hooks, and may be in the middle of its work when a hook needs a byte. Here, small
//! blocks come in powers of two from chunks of fresh pages, and freed ones wait in a list per size; large blocks are mappings of their
//! own. Blocks are never moved between sizes: the runtime allocates little, and mostly for ever.
//!
//! A chunk is kept in reserve from the start on. When the kernel has no more memory, what must be noted (a pending signal, a descriptor of
//! the library's) takes its room from the reserve. What may be refused (a new thread, a worker) asks `has_reserve` first, and is refused
//! once the reserve is in use.

use crate::base::lock::{Locked, Rank};
use crate::sys;
use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const SMALLEST: usize = 16;
const LARGEST: usize = 32 << 10;
const SIZES: usize = 12;
const CHUNK: usize = 256 << 10;

struct State {
    /// The freed blocks of each size, linked by their first words.
    free: [*mut u8; SIZES],
    /// The part of the present chunk that no block has been cut from: `fresh..end`.
    fresh: usize,
    end: usize,
    /// A chunk that nothing was taken from; 0: there is none.
    reserve: usize,
}

struct Pages {
    state: Locked<State>,
    /// Is the reserve untouched? Changed under the lock.
    has_reserve: AtomicBool,
}

#[global_allocator]
static PAGES: Pages = Pages {
    state: Locked::new(Rank::Memory, State { free: [std::ptr::null_mut(); SIZES], fresh: 0, end: 0, reserve: 0 }),
    has_reserve: AtomicBool::new(false),
};

/// Is there memory for more than what must be noted? Fills the reserve up, if the kernel has memory again. Asked before a thread, a worker
/// or a vessel is made; false: it is to be refused.
#[inline]
pub fn has_reserve() -> bool {
    PAGES.has_reserve.load(Relaxed) || fill_reserve()
}

#[cold]
fn fill_reserve() -> bool {
    PAGES.state.with(|state| {
        if state.reserve == 0 {
            state.reserve = sys::map(CHUNK, 0).map_or(0, |chunk| chunk as usize);
        }
        PAGES.has_reserve.store(state.reserve != 0, Relaxed);
        state.reserve != 0
    })
}

/// Makes room in a list for `count` elements in all; false: there is no memory. Called before what the list is to hold is made, so that no
/// list grows later, where a failure could not be told to the program.
pub fn reserve<T>(list: &mut Vec<T>, count: usize) -> bool {
    list.capacity() >= count || list.try_reserve(count - list.len()).is_ok()
}

/// Frees the lock in a fork child. Called first, for what else is put right there allocates. Blocks and reserve are the child's copies.
pub fn after_fork() {
    let Pages { state, has_reserve: _ } = &PAGES;
    state.after_fork(|_| {});
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
    fn take(&mut self, class: usize) -> *mut u8 {
        let head = self.free[class];
        if !head.is_null() {
            // SAFETY: `dealloc` has put the block into the list, and written its first word.
            self.free[class] = unsafe { *(head as *mut *mut u8) };
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
        PAGES.has_reserve.store(false, Relaxed);
        std::mem::take(&mut self.reserve)
    }
}

// SAFETY: blocks are disjoint, aligned to their power-of-two size (or to pages), and live until freed.
unsafe impl GlobalAlloc for Pages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LARGEST || layout.align() > 4096 {
            return sys::map(whole_pages(layout.size()), 0).unwrap_or(std::ptr::null_mut());
        }
        self.state.with(|state| state.take(size_class(layout)))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() > LARGEST || layout.align() > 4096 {
            return sys::unmap(block as usize, whole_pages(layout.size()));
        }
        self.state.with(|state| {
            let free = &mut state.free[size_class(layout)];
            // SAFETY: the caller gives the block back: it is at least 16 bytes, aligned to them, and from here on this list's.
            unsafe { *(block as *mut *mut u8) = *free };
            *free = block;
        })
    }
}
