//! Which parts of the recording have blocks of the file: a part that has none is asked for before it is touched first, so that a disk that
//! is full is an error number and no SIGBUS.

use crate::audit::format::Recording;
use crate::sys;
use std::mem::size_of;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

/// The bytes of a part.
const PART: usize = 16 << 10;
/// How many words have a bit for each.
const WORDS: usize = size_of::<Recording>().div_ceil(PART).div_ceil(64);

/// The state of this file.
struct State {
    /// Where the recording is mapped; 0: nowhere.
    mapping: AtomicUsize,
    /// A bit for each part that has its blocks.
    ready: [AtomicU64; WORDS],
}

static STATE: State = State { mapping: AtomicUsize::new(0), ready: [const { AtomicU64::new(0) }; WORDS] };

/// Begins with a mapping whose first bytes have their blocks. Called before anything else looks at it.
pub fn begin(mapping: usize, bytes: usize) {
    STATE.mapping.store(mapping, Relaxed);
    note(0, bytes);
}

/// Notes that the parts from one byte to before another have their blocks.
fn note(from: usize, to: usize) {
    (from / PART..to.div_ceil(PART)).for_each(|part| _ = STATE.ready[part / 64].fetch_or(1 << (part % 64), Relaxed));
}

/// Sees to it that an entry of the recording has its blocks. False: the disk is full, and the entry may not be touched. Called before an
/// entry is used first, on any thread.
pub fn is_ready<T>(entry: &T) -> bool {
    let mapping = STATE.mapping.load(Relaxed);
    let from = (entry as *const T as usize).wrapping_sub(mapping);
    let to = from.saturating_add(size_of::<T>());
    if mapping == 0 || to > size_of::<Recording>() {
        return false;
    }
    let is_noted = |part: usize| STATE.ready[part / 64].load(Relaxed) & 1 << (part % 64) != 0;
    if (from / PART..to.div_ceil(PART)).all(is_noted) {
        return true;
    }
    let (first, last) = (from / PART * PART, to.next_multiple_of(PART).min(size_of::<Recording>()));
    let is_there = sys::populate(mapping + first, last - first).is_ok();
    if is_there {
        note(first, last);
    }
    is_there
}

/// Forgets the parent's mapping in a fork child.
pub fn after_fork() {
    let State { mapping, ready } = &STATE;
    mapping.store(0, Relaxed);
    ready.iter().for_each(|word| word.store(0, Relaxed));
}
