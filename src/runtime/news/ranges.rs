//! Ranges of addresses of which a loop's glue has said something: objects and code that its waits are asked for.

use std::cell::UnsafeCell;
use std::ops::Range;

/// Ranges of one meaning, few of them. Touched by the loop's thread alone.
pub struct Ranges(UnsafeCell<Vec<Range<usize>>>);

impl Ranges {
    /// No range.
    pub const fn new() -> Ranges {
        Ranges(UnsafeCell::new(Vec::new()))
    }

    /// Adds a range. False: there is no memory.
    pub fn add(&self, range: Range<usize>) -> bool {
        // SAFETY: the loop's thread alone comes here, and nothing called within comes back.
        let ranges = unsafe { &mut *self.0.get() };
        let has_room = ranges.try_reserve(1).is_ok();
        if has_room {
            ranges.push(range);
        }
        has_room
    }

    /// Is there no range?
    pub fn are_none(&self) -> bool {
        // SAFETY: as in `add`.
        unsafe { (*self.0.get()).is_empty() }
    }

    /// Does an address lie in one of the ranges?
    pub fn hold(&self, address: usize) -> bool {
        // SAFETY: as in `add`.
        unsafe { (*self.0.get()).iter().any(|range| range.contains(&address)) }
    }
}
