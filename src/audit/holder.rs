//! Who let go of a contended mutex last, and where: what a thread that has waited long for it tells of its holder.
//!
//! A table of few places, by the mutex's address, in the process's own memory. The thread that unlocks a mutex for which others wait writes
//! itself and its stack, at most once in the threshold: so of every wait of the threshold or more one holder is known, unless another
//! mutex has taken the place. A place is written under its `turn`:
//!
//! ```text
//!   turn   the place                           written by
//!   even   is whole, or empty                  unlock, at the end
//!   odd    is being written: nothing is read   unlock, at the begin; who finds it odd writes nothing
//! ```

use crate::audit::format::{Long, Text, HOLDER_FRAMES};
use crate::audit::text;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

/// How many places there are.
const PLACES: usize = 128;

/// One place.
pub struct Place {
    turn: AtomicU32,
    /// The mutex.
    lock: AtomicUsize,
    /// When it was let go, in ticks.
    ticks: AtomicU64,
    thread: AtomicI32,
    name: Text<16>,
    depth: AtomicU32,
    frames: [AtomicU64; HOLDER_FRAMES],
}

/// The state of this file.
struct State {
    places: [Place; PLACES],
}

static STATE: State = State {
    places: [const {
        Place {
            turn: AtomicU32::new(0),
            lock: AtomicUsize::new(0),
            ticks: AtomicU64::new(0),
            thread: AtomicI32::new(0),
            name: [const { std::sync::atomic::AtomicU8::new(0) }; 16],
            depth: AtomicU32::new(0),
            frames: [const { AtomicU64::new(0) }; HOLDER_FRAMES],
        }
    }; PLACES],
};

/// Returns a mutex's place.
fn of(lock: usize) -> &'static Place {
    &STATE.places[((lock >> 3).wrapping_mul(0x9e37_79b1) >> 7) % PLACES]
}

/// Begins to write a mutex's holder. `None`: one is known that is younger than `threshold`, in ticks, or another thread writes there now.
/// A place that another mutex has may be taken after a sixteenth of that.
pub fn begin(lock: usize, now: u64, threshold: u64) -> Option<&'static Place> {
    let place = of(lock);
    let age = now.saturating_sub(place.ticks.load(Relaxed));
    let least = if place.lock.load(Relaxed) == lock { threshold } else { threshold / 16 };
    let turn = place.turn.load(Relaxed);
    let is_mine = age >= least
        && turn.is_multiple_of(2)
        && place.turn.compare_exchange(turn, turn.wrapping_add(1), AcqRel, Relaxed).is_ok();
    is_mine.then(|| {
        place.lock.store(lock, Relaxed);
        place.ticks.store(now, Relaxed);
        place.depth.store(0, Relaxed);
        place
    })
}

impl Place {
    /// Writes whose place it is.
    pub fn name(&self, thread: i32, name: &[u8]) {
        self.thread.store(thread, Relaxed);
        text::write(&self.name, name);
    }

    /// Adds a frame of the holder's stack. False: there is no room for another.
    pub fn add(&self, address: u64) -> bool {
        let depth = self.depth.load(Relaxed) as usize;
        self.frames[depth].store(address, Relaxed);
        self.depth.store(depth as u32 + 1, Relaxed);
        depth + 1 < HOLDER_FRAMES
    }

    /// Ends the writing.
    pub fn end(&self) {
        self.turn.fetch_add(1, Release);
    }
}

/// Tells of a long wait for a mutex, which began at these ticks, who held it: nothing, where nobody is known. Called by `recorder::keep`.
pub fn tell(long: &Long, lock: usize, began: u64) {
    let place = of(lock);
    let turn = place.turn.load(Acquire);
    let is_its = place.lock.load(Relaxed) == lock && place.ticks.load(Relaxed) >= began;
    if !turn.is_multiple_of(2) || !is_its {
        return;
    }
    let depth = place.depth.load(Relaxed).min(HOLDER_FRAMES as u32);
    text::copy(&place.name, &long.holder_name);
    place.frames.iter().zip(&long.holder_frames).for_each(|(from, to)| to.store(from.load(Relaxed), Relaxed));
    let thread = place.thread.load(Relaxed);
    std::sync::atomic::fence(Acquire);
    if place.turn.load(Relaxed) == turn {
        long.holder_depth.store(depth, Relaxed);
        long.holder.store(thread, Relaxed);
    }
}

/// Forgets all holders in a fork child: they were the parent's threads, and one may have been in the midst of writing.
pub fn after_fork() {
    let State { places } = &STATE;
    for place in places {
        let Place { turn, lock, ticks, thread: _, name: _, depth: _, frames: _ } = place;
        lock.store(0, Relaxed);
        ticks.store(0, Relaxed);
        turn.store(0, Relaxed);
    }
}
