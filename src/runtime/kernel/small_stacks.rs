//! Stacks for workers and for the leader: made by the library, kept for the next ones.

use crate::base::lock::{Rank, RawLock};
use crate::base::pages;
use crate::runtime::machine::alternate;
use crate::sys;
use std::cell::UnsafeCell;

/// Stacks of the workers: they run the scheduler and, at worst, a signal handler. Below each lies its worker's alternate stack.
pub const SMALL_STACK: usize = 256 << 10;
pub const BOTH_STACKS: usize = alternate::STACK_BYTES + SMALL_STACK;

pub struct SmallStacks {
    pub lock: RawLock,
    free: UnsafeCell<Vec<usize>>,
}

// SAFETY: the list is only touched under the lock.
unsafe impl Sync for SmallStacks {}

pub static SMALL_STACKS: SmallStacks =
    SmallStacks { lock: RawLock::new(Rank::Pool), free: UnsafeCell::new(Vec::new()) };

/// A worker's stack: (lowest address, bytes); `None`: there is no memory.
pub fn small_stack() -> Option<(usize, usize)> {
    // SAFETY: under the lock.
    let free = SMALL_STACKS.lock.with(|| unsafe { (*SMALL_STACKS.free.get()).pop() });
    let lowest = free.or_else(|| sys::map(BOTH_STACKS, libc::MAP_STACK).map(|stacks| stacks as usize));
    lowest.map(|lowest| (lowest + alternate::STACK_BYTES, SMALL_STACK))
}

/// Keeps stacks for the workers that there are slots for, and one more: they may be wanted when there is no memory any more.
pub fn reserve_small_stacks(workers: usize) -> bool {
    let count = (workers + 1).min(SMALL_STACKS_KEPT);
    SMALL_STACKS.lock.with(|| {
        // SAFETY: under the lock.
        let free = unsafe { &mut *SMALL_STACKS.free.get() };
        if free.len() >= count {
            return true;
        }
        if !pages::reserve(free, SMALL_STACKS_KEPT) {
            return false;
        }
        let Some(stacks) = sys::map(BOTH_STACKS * count, libc::MAP_STACK) else { return false };
        free.extend((0..count).map(|number| stacks as usize + number * BOTH_STACKS));
        true
    })
}

/// How many of them are kept for the next workers.
pub const SMALL_STACKS_KEPT: usize = 8;

/// The stack on which the TCB `tcb` lies serves the next worker, or is given back.
pub fn return_small_stack(tcb: usize) {
    // The TCB lies in the stack's uppermost pages (glibc puts it there).
    keep_small_stack(tcb / 4096 * 4096 + 4096 - SMALL_STACK);
}

/// The same for a stack by its lowest address.
pub fn keep_small_stack(stack: usize) {
    let stack = stack - alternate::STACK_BYTES;
    let kept = SMALL_STACKS.lock.with(|| {
        // SAFETY: under the lock.
        let free = unsafe { &mut *SMALL_STACKS.free.get() };
        let keep = free.len() < SMALL_STACKS_KEPT;
        if keep {
            free.push(stack);
        }
        keep
    });
    if !kept {
        sys::unmap(stack, BOTH_STACKS);
    }
}
