//! Which waits rest on hints alone, and are to be verified when they last (`record`): per slot, a bit for each descriptor number.
//!
//! ```text
//!   words     bit n: somebody who parked on this slot may wait for descriptor n; since when, says its record
//!   summary   bit w: words[w] is not zero
//!   oldest    no wait in here is older, in milliseconds
//! ```
//!
//! A wait that ends takes nothing out: its bit, mostly set already by an earlier wait, is one load of a line that many descriptors
//! share, where a list would touch its neighbours' stacks. Whoever looks through the set when `oldest` is due clears the bits of
//! descriptors that nobody waits for any more.
//!
//! A wait is linked into its record and its bit is seen set under the record's lock; the bit is cleared before that lock is taken. So
//! either the wait is found or its bit is set anew.

use crate::runtime::news::record::{record, Record};
use crate::runtime::news::waiter::Batch;
use crate::sys;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// How long a wait may rest on hints, in milliseconds, while its slot is busy, and before it sleeps.
pub const BUSY_PATIENCE_MS: u64 = 250;
pub const IDLE_PATIENCE_MS: u64 = 20;
/// The same for a guess.
pub const BUSY_GUESS_MS: u64 = 100;
pub const IDLE_GUESS_MS: u64 = 0;

const WORDS: usize = Record::NUMBERS / 64;
const NONE: u64 = u64::MAX;

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

    /// Somebody begins to wait for this descriptor. Under its record's lock. True: the set's sleeper may have to be told.
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

    /// When the first of them is due, if there is any.
    #[inline]
    pub fn earliest(&self, patience_ms: u64) -> Option<u64> {
        let oldest_ms = self.oldest_ms.load(SeqCst);
        (oldest_ms != NONE).then_some(oldest_ms + patience_ms)
    }

    /// Looks again at the descriptors whose waits have lasted: the kernel reports as an event what is ready.
    #[inline]
    pub fn look_again(&self, now_ms: u64, patience_ms: u64, batch: &Batch) {
        if self.earliest(patience_ms).is_some_and(|due_ms| due_ms <= now_ms) {
            self.look_through(now_ms, patience_ms, batch);
        }
    }

    #[cold]
    fn look_through(&self, now_ms: u64, patience_ms: u64, batch: &Batch) {
        self.oldest_ms.store(NONE, SeqCst);
        for (i, summary) in self.summary.iter().enumerate() {
            for word in bits(take(summary)) {
                let word = i * 64 + word;
                for bit in bits(take(&self.words[word])) {
                    let fd = word * 64 + bit;
                    let Some(record) = record(fd as i32) else { continue };
                    if let Some(since_ms) = record.verify(fd as i32, now_ms, patience_ms, batch) {
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
