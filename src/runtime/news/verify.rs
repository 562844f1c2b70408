//! Verification's sets: per slot, a bit for each descriptor number whose wait rests on hints alone and is to be verified when it lasts.
//!
//! ```text
//!   words     bit n: a thread that parked on this slot may wait for descriptor n; since when, says its record
//!   summary   bit w: words[w] is not zero
//!   oldest_ms no wait in here is older
//! ```
//!
//! A wait that ends takes nothing out: its bit, mostly set already by an earlier wait, is one load of a line that many descriptors share,
//! where a list would touch its neighbours' stacks. `look_through`, when `oldest_ms` is due, clears the bits of descriptors that no thread
//! waits for any more.
//!
//! The race between a wait that begins and a look through the set:
//!
//! 1. Under its record's lock, the waiting thread links the wait and loads the bit; it sets the bit if it is clear.
//! 2. `look_through` exchanges the word to 0, then takes the record's lock and looks for waits.
//! 3. If the lock of 1 came first, 2 finds the wait. If that of 2 came first, the bit was cleared before 1 loaded it, and 1 sets it anew.

use crate::runtime::news::record::{record, Record};
use crate::runtime::news::waiter::Batch;
use crate::sys;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// The time in milliseconds for which a wait may rest on hints while its slot is busy.
pub const BUSY_HINT_MS: u64 = 250;
/// The time in milliseconds for which a wait may rest on hints while its slot sleeps.
pub const IDLE_HINT_MS: u64 = 20;
/// The time in milliseconds for which a wait may rest on a guess while its slot is busy.
pub const BUSY_GUESS_MS: u64 = 100;
/// The time in milliseconds for which a wait may rest on a guess where the slot is about to sleep: none, it is verified first.
pub const IDLE_GUESS_MS: u64 = 0;

const WORDS: usize = Record::NUMBERS / 64;
/// The value of `oldest_ms` where the set is empty.
const NONE: u64 = u64::MAX;

/// A slot's set of waits to be verified.
pub struct Verify {
    summary: &'static [AtomicU64],
    words: &'static [AtomicU64],
    oldest_ms: AtomicU64,
}

impl Verify {
    /// An empty set; `None` without memory.
    pub fn new() -> Option<Verify> {
        let all = sys::map((WORDS + WORDS / 64) * 8, 0)? as *const AtomicU64;
        // SAFETY: fresh zeroed memory of that size, unmapped with the set.
        let (summary, words) = unsafe { std::slice::from_raw_parts(all, WORDS + WORDS / 64) }.split_at(WORDS / 64);
        Some(Verify { summary, words, oldest_ms: AtomicU64::new(NONE) })
    }

    /// Notes that a wait for descriptor `fd` begins. Called under its record's lock, on any thread. True: the set was empty, and a slot
    /// that sleeps is to be woken to set its time.
    #[inline]
    pub fn add(&self, fd: usize, now_ms: u64) -> bool {
        let known = self.words[fd / 64].load(Relaxed) >> (fd % 64) & 1 != 0;
        if !known {
            self.words[fd / 64].fetch_or(1 << (fd % 64), SeqCst);
            self.summary[fd / 4096].fetch_or(1 << (fd / 64 % 64), SeqCst);
        }
        let first = self.oldest_ms.load(SeqCst) == NONE;
        if first {
            self.oldest_ms.fetch_min(now_ms, SeqCst);
        }
        first
    }

    /// The time in milliseconds at which the oldest wait is due; `None`: the set is empty.
    #[inline]
    pub fn earliest(&self, after_ms: u64) -> Option<u64> {
        let oldest_ms = self.oldest_ms.load(SeqCst);
        (oldest_ms != NONE).then(|| oldest_ms + after_ms)
    }

    /// Verifies the descriptors whose waits have lasted for `after_ms`: the kernel reports as an event what is ready. Called by the
    /// slot's owner in Runtime, or by the monitor for a vacant slot, under no lock.
    #[inline]
    pub fn look_again(&self, now_ms: u64, after_ms: u64, batch: &Batch) {
        if self.earliest(after_ms).is_some_and(|due_ms| due_ms <= now_ms) {
            self.look_through(now_ms, after_ms, batch);
        }
    }

    /// Does what `look_again` says, over all numbers in the set. Waits that have not lasted so long are put back, and give the new
    /// `oldest_ms`.
    #[cold]
    fn look_through(&self, now_ms: u64, after_ms: u64, batch: &Batch) {
        self.oldest_ms.store(NONE, SeqCst);
        for (i, summary) in self.summary.iter().enumerate() {
            for word in bits(take(summary)) {
                let word = i * 64 + word;
                for bit in bits(take(&self.words[word])) {
                    let fd = word * 64 + bit;
                    let Some(record) = record(fd as i32) else { continue };
                    if let Some(since_ms) = record.verify(fd as i32, now_ms, after_ms, batch) {
                        self.words[word].fetch_or(1 << bit, SeqCst);
                        self.summary[i].fetch_or(1 << (word % 64), SeqCst);
                        self.oldest_ms.fetch_min(since_ms, SeqCst);
                    }
                }
            }
        }
    }
}

impl Drop for Verify {
    fn drop(&mut self) {
        sys::unmap(self.summary.as_ptr() as usize, (WORDS + WORDS / 64) * 8);
    }
}

/// Returns a word's bits and clears them. A word that is 0, as most are, is only loaded.
fn take(word: &AtomicU64) -> u64 {
    if word.load(Relaxed) == 0 {
        return 0;
    }
    word.swap(0, SeqCst)
}

/// The numbers of the bits that are set.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}
