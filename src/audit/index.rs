//! Entries of a recording that are found by a key: sites and findings. Lock-free, and without memory of its own: an index is a field of the
//! recording's, whose words have the places of entries.

use crate::audit::format::TAKEN;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering::*};

/// Mixes numbers to a key, never 0. Two that give the same key count as one: with 64 bits that is one chance in 10^12 for the sites that
/// there is room for.
pub fn mix(numbers: [u64; 3]) -> u64 {
    let mixed = numbers.iter().fold(0x9e37_79b9_7f4a_7c15u64, |mixed, number| {
        (mixed ^ number).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(31)
    });
    mixed.max(1)
}

/// How many places of an index are looked at for a key before it counts as lost.
const LOOKS: usize = 32;

/// Looks a key up in an index: the place of its entry. Where there is none, makes one: `count` has how many there are, `is` tells whether
/// an entry has the key, and `make` fills a new one (false: there is no memory for it). `None`: there is no room.
/// Called by the recorder, on any thread.
#[inline]
pub fn place_of(
    index: &[AtomicU16],
    count: &AtomicU32,
    most: usize,
    key: u64,
    is: impl Fn(usize) -> bool,
    make: impl Fn(usize) -> bool,
) -> Option<usize> {
    for look in 0..LOOKS {
        let word = &index[(key as usize).wrapping_add(look) % index.len()];
        let mut there = word.load(Acquire);
        if there == 0 {
            match word.compare_exchange(0, TAKEN, Acquire, Acquire) {
                Ok(_) => {
                    let place = count.fetch_add(1, Relaxed) as usize;
                    // A word without an entry stays taken: who comes next looks on.
                    if place >= most || !make(place) {
                        return None;
                    }
                    word.store(place as u16 + 2, Release);
                    return Some(place);
                }
                Err(now) => there = now,
            }
        }
        if there > TAKEN && is(there as usize - 2) {
            return Some(there as usize - 2);
        }
    }
    None
}
