//! Where a green thread's stack lies.

use std::ops::Range;

/// A vessel's stack: a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stack {
    /// Lowest usable address.
    pub lowest: usize,
    /// The bytes from there on.
    pub bytes: usize,
    /// The bytes below `lowest` that fault.
    pub guard: usize,
    /// Did the program give it (pthread_attr_setstack), or the kernel?
    pub foreign: bool,
}

impl Stack {
    /// The stack that the process started with.
    pub const MAIN: Stack = Stack { lowest: 0, bytes: 0, guard: 0, foreign: true };

    /// The library's mapping above the guard, one page more than `bytes`, for the TCB; empty for a stack of the program's.
    pub fn mapped(&self) -> Range<usize> {
        let bytes = if self.foreign { 0 } else { self.bytes + PAGE };
        self.lowest..self.lowest + bytes
    }

    /// Does this address lie in the guard?
    pub fn guards(&self, address: usize) -> bool {
        (self.lowest.wrapping_sub(self.guard)..self.lowest).contains(&address)
    }
}

/// The size of a page, in bytes.
pub const PAGE: usize = 4096;
