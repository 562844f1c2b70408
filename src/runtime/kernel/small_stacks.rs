//! Stacks for workers, for the leader and for a thread that runs one errand: made by the library, kept for the next ones.
//!
//! ```text
//!   │ the worker's alternate stack (STACK_BYTES) │ its own stack (SMALL_STACK) … static TLS, TCB │
//! ```

use crate::base::lock::{Locked, Rank};
use crate::base::pages;
use crate::runtime::machine::alternate;
use crate::sys;

/// Bytes of a worker's own stack: it runs the scheduler and, at worst, a signal handler.
pub const SMALL_STACK: usize = 256 << 10;
/// Bytes of both of a worker's stacks.
pub const BOTH_STACKS: usize = alternate::STACK_BYTES + SMALL_STACK;

/// The stacks that are kept.
struct Free {
    /// Free stacks: the lowest address of both.
    stacks: Locked<Vec<usize>>,
}

static FREE: Free = Free { stacks: Locked::new(Rank::Pool, Vec::new()) };

/// Takes or maps a worker's stack: (lowest address, bytes); `None`: there is no memory. It goes back by `return_small_stack` or
/// `keep_small_stack`.
pub fn small_stack() -> Option<(usize, usize)> {
    let free = FREE.stacks.with(|free| free.pop());
    let lowest = free.or_else(|| sys::map(BOTH_STACKS, libc::MAP_STACK).map(|stacks| stacks as usize));
    lowest.map(|lowest| (lowest + alternate::STACK_BYTES, SMALL_STACK))
}

/// Maps stacks for the workers that there are slots for, and one more: they may be wanted when there is no memory any more. Called by the
/// start. False: there is no memory.
pub fn reserve_small_stacks(workers: usize) -> bool {
    let count = (workers + 1).min(SMALL_STACKS_KEPT);
    FREE.stacks.with(|free| {
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

/// How many free stacks are kept for the next workers.
pub const SMALL_STACKS_KEPT: usize = 8;

/// Keeps or unmaps the stack on which the TCB `tcb` lies. Called once the kernel thread that ran there has gone.
pub fn return_small_stack(tcb: usize) {
    // The TCB lies in the stack's uppermost pages (glibc puts it there).
    keep_small_stack(tcb / 4096 * 4096 + 4096 - SMALL_STACK);
}

/// Keeps or unmaps the stack whose lowest address, as `small_stack` gave it, is `stack`. Nothing runs there.
pub fn keep_small_stack(stack: usize) {
    let stack = stack - alternate::STACK_BYTES;
    let kept = FREE.stacks.with(|free| {
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

/// In a fork child: the free stacks are the child's as well.
pub fn after_fork() {
    let Free { stacks } = &FREE;
    stacks.after_fork(|_stacks| {});
}
