//! Entries of long calls: copied, and ended. Their words are atomic, for a reader may look at any time; the turn tells it what holds.
//!
//! ```text
//!   turn   the entry             becomes
//!   0      is free               odd, by the thread that writes it first
//!   odd    is being written      even, by `written`: another number than before
//!   even   is whole              odd, where the ring comes round, or a longer call of the finding's takes its place
//! ```

use crate::audit::format::{Finding, Long};
use crate::audit::text;
use std::sync::atomic::{AtomicU32, Ordering::*};

/// Ends the writing of an entry: its turn is even, and another one than before, so that a reader who looks twice knows. Called by the
/// thread that has made it odd.
pub fn written(long: &Long) {
    long.turn.store((long.turn.load(Relaxed) | 1).wrapping_add(1), Release);
}

/// Copies a long call's entry to its finding, where it is the longest.
pub fn be_worst(long: &Long, finding: &Finding) {
    let worst = &finding.worst;
    if long.duration_ns.load(Relaxed) > worst.duration_ns.load(Relaxed) && worst.turn.fetch_or(1, AcqRel) & 1 == 0 {
        copy(long, worst);
        written(worst);
    }
}

/// Copies a long call's entry, its turn aside.
fn copy(from: &Long, to: &Long) {
    let word = |from: &AtomicU32, to: &AtomicU32| to.store(from.load(Relaxed), Relaxed);
    word(&from.call, &to.call);
    word(&from.depth, &to.depth);
    word(&from.slices, &to.slices);
    word(&from.fd_kind, &to.fd_kind);
    word(&from.gil, &to.gil);
    word(&from.keeps, &to.keeps);
    word(&from.hand_overs, &to.hand_overs);
    for (from, to) in [(&from.thread, &to.thread), (&from.errno, &to.errno), (&from.fd, &to.fd)] {
        to.store(from.load(Relaxed), Relaxed);
    }
    for (from, to) in [
        (&from.ended_ns, &to.ended_ns),
        (&from.duration_ns, &to.duration_ns),
        (&from.no_cpu_ns, &to.no_cpu_ns),
        (&from.reacquire_ns, &to.reacquire_ns),
    ] {
        to.store(from.load(Relaxed), Relaxed);
    }
    to.timeout_ns.store(from.timeout_ns.load(Relaxed), Relaxed);
    to.result.store(from.result.load(Relaxed), Relaxed);
    for (from, to) in from.frames.iter().zip(&to.frames) {
        to.store(from.load(Relaxed), Relaxed);
    }
    text::copy(&from.name, &to.name);
    text::copy(&from.local, &to.local);
    text::copy(&from.peer, &to.peer);
    text::copy(&from.path, &to.path);
    text::copy(&from.thread_name, &to.thread_name);
    to.holder.store(from.holder.load(Relaxed), Relaxed);
    word(&from.holder_depth, &to.holder_depth);
    text::copy(&from.holder_name, &to.holder_name);
    for (from, to) in from.holder_frames.iter().zip(&to.holder_frames) {
        to.store(from.load(Relaxed), Relaxed);
    }
    text::copy(&from.python, &to.python);
}
