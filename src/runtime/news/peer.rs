//! Peers: for each descriptor the other end of its connection, where that is this process's too. A sender makes the reader ready itself.
//!
//! A reader that is left to the reactor runs when the event is taken in, after all threads that are ready already; by then neither its data
//! nor the kernel's state of its connection is in a cache. A reader that is made ready at once finds both there. The reactor's event finds
//! nothing to report later.
//!
//! Two ends find each other by their addresses when they are registered first, and a socketpair's at its birth. All of it is a
//! hint: a reader that was made ready for nothing tries, and waits again. So the words are loaded and stored relaxed, each for itself.

use crate::base::kept::Kept;
use crate::sys;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};

/// How many descriptor numbers there are records for.
pub const NUMBERS: usize = 1 << 20;

/// The peers, a word for each descriptor number: its record's generation << 32 | its number + 1; 0: not known. Mapped when first needed. A
/// hint, which a fork child keeps: each number forgets its peer with its record (`Record::reset`).
static PEERS: Kept<AtomicPtr<AtomicU64>> = Kept::new(AtomicPtr::new(std::ptr::null_mut()));

/// The words in which two ends meet, behind the peers: a hash of both addresses << 32 | the number + 1 of the end that came first.
const PLACES: usize = 1 << 16;

/// The table of peers and places; mapped at the first call. `None`: there is no memory.
#[cold]
fn table() -> Option<&'static [AtomicU64]> {
    let words = NUMBERS + PLACES;
    let mut table = PEERS.load(Acquire);
    if table.is_null() {
        table = sys::map(words * 8, 0)? as *mut AtomicU64;
        if let Err(other) = PEERS.compare_exchange(std::ptr::null_mut(), table, AcqRel, Acquire) {
            sys::unmap(table as usize, words * 8);
            table = other;
        }
    }
    // SAFETY: mapped zeroed with that many words, and never unmapped.
    Some(unsafe { std::slice::from_raw_parts(table, words) })
}

/// The word of a number's peer; `None`: no peer was ever noted, or the number has no record.
fn peer_of(fd: i32) -> Option<&'static AtomicU64> {
    let table = PEERS.load(Acquire);
    let known = !table.is_null() && (fd as usize) < NUMBERS;
    // SAFETY: the table has a word for each of these numbers.
    known.then(|| unsafe { &*table.add(fd as usize) })
}

/// Links a descriptor that is registered for the first time to the other end of its connection, if that is within this machine and was
/// registered before. Called under the record's lock; without memory nothing is known.
#[cold]
pub fn meet(fd: i32, generation: impl Fn(i32) -> Option<u32>) {
    let Some([one, other]) = sys::local_connection(fd) else { return };
    let Some(table) = table() else { return };
    let mix = |end: u64| (end ^ end >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = mix(mix(one).wrapping_add(mix(other)));
    let place = &table[NUMBERS + (hash >> 48) as usize % PLACES];
    let mine = (hash & 0xffff_ffff) << 32 | (fd as u64 + 1);
    let first = place.swap(mine, Relaxed);
    if first >> 32 == mine >> 32 && first != mine {
        link(fd, (first as u32 - 1) as i32, generation);
    }
}

/// Notes that two descriptors are each other's peers. `generation` returns that of a number's record.
pub fn link(one: i32, other: i32, generation: impl Fn(i32) -> Option<u32>) {
    if table().is_none() {
        return;
    }
    for (end, peer) in [(one, other), (other, one)] {
        if let (Some(word), Some(generation)) = (peer_of(end), generation(peer)) {
            word.store((generation as u64) << 32 | (peer as u64 + 1), Relaxed);
        }
    }
}

/// Is the other end of this descriptor known?
#[inline]
pub fn is_known(fd: i32) -> bool {
    peer_of(fd).is_some_and(|word| word.load(Relaxed) != 0)
}

/// Forgets the peer of a number that means another file by now.
#[inline]
pub fn forget(fd: i32) {
    if let Some(word) = peer_of(fd).filter(|word| word.load(Relaxed) != 0) {
        word.store(0, Relaxed);
    }
}

/// The other end of `fd`, if it is known: its number, and its record's generation when they met.
#[inline]
pub fn of(fd: i32) -> Option<(i32, u32)> {
    let word = peer_of(fd).map(|word| word.load(Relaxed)).filter(|&word| word != 0)?;
    Some(((word as u32 - 1) as i32, (word >> 32) as u32))
}
