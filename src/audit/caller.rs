//! Where a call came from: the program's return address lies above the frames of the hook and of the audited function. Their size is one
//! number for each of these, found by unwinding once, so that a short call costs one load.

use crate::audit::format::Recording;
use crate::audit::stack::{self, Registers};
use crate::base::kept::Kept;
use crate::rows::Row;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

/// What a row's audited functions look at in each call, on one line of the cache.
#[repr(C, align(16))]
pub struct Real {
    /// The real function, or the moved hook. Set at load, and the same in a fork child.
    pub function: AtomicUsize,
    /// How far above each frame's values the program's return address lies, by unwinding once; 0: not known yet.
    distances: [AtomicU32; 2],
}

/// What is known of each row.
static REALS: Kept<[Real; Row::End as usize]> = Kept::new(
    [const { Real { function: AtomicUsize::new(0), distances: [const { AtomicU32::new(0) }; 2] } }; Row::End as usize],
);

/// Returns what a row's audited functions call.
#[inline(always)]
pub fn real(row: usize) -> &'static AtomicUsize {
    &REALS[row].function
}

/// One of a row's two audited functions, whose frames are each of one layout.
#[derive(Clone, Copy)]
pub struct Frame(usize);

impl Frame {
    /// Returns the frame of the function that records a row's calls the quick way.
    pub const fn quick(row: usize) -> Frame {
        Frame(2 * row)
    }

    /// Returns the frame of the function that records a row's other calls.
    pub const fn slow(row: usize) -> Frame {
        Frame(2 * row + 1)
    }

    /// Returns the row.
    pub const fn row(self) -> usize {
        self.0 / 2
    }

    /// Returns how far above the frame's values the program's return address lies; 0: not known yet.
    #[inline(always)]
    pub fn distance(self) -> usize {
        self.kept().load(Relaxed) as usize
    }

    #[inline(always)]
    fn kept(self) -> &'static AtomicU32 {
        &REALS[self.row()].distances[self.0 % 2]
    }
}

/// Returns the address that the call returns to: the program's, or libc's.
#[inline(always)]
pub fn caller_of(recording: &Recording, frame: Frame, place: usize, from: Registers) -> u64 {
    match frame.distance() {
        0 => find_caller(recording, frame, place, from),
        // SAFETY: the distance was found for these frames, whose layout does not change: the hook's return address lies there.
        distance => unsafe { *((place + distance) as *const u64) },
    }
}

/// Finds the caller by unwinding, and how far above the row's frame its address lies: the distance is kept if it is plausible. The frames
/// between are this library's own, of one layout each, so the distance is the same at the next call.
#[cold]
fn find_caller(recording: &Recording, frame: Frame, place: usize, from: Registers) -> u64 {
    let mut found = (0, 0);
    stack::walk(recording, from, |address, end| {
        found = (address, end);
        stack::is_own(address)
    });
    let (address, end) = found;
    if address == 0 || stack::is_own(address) {
        return 0;
    }
    let distance = (end - 8).wrapping_sub(place as u64);
    if (8..4096).contains(&distance) {
        frame.kept().store(distance as u32, Relaxed);
    }
    address
}

/// Returns the first return address above this library's and libc's frames. `recording`: as `stack::walk` says.
#[cold]
pub fn beyond_libc<'a>(recording: impl Into<Option<&'a Recording>>, from: Registers) -> Option<u64> {
    let mut found = None;
    stack::walk(recording, from, |address, _| {
        let within = stack::is_own(address) || stack::is_libcs(address);
        if !within {
            found = Some(address);
        }
        within
    });
    found
}
