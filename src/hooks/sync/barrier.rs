//! Barriers: glibc's own algorithm in glibc's own fields, with the lot in the place of the kernel.
//!
//! | word | moved by | means |
//! |---|---|---|
//! | `entered` | each thread that comes, by one | the thread's position |
//! | `round` | the thread that finds a round complete | positions up to this one may go on |
//! | `left` | each thread that goes, by one | how many have gone |
//! | all three, to 0 | the last thread to leave at the limit | positions begin anew; `entered` is the last word touched |
//!
//! A barrier may be destroyed as soon as one thread has come out of the last round. So destroying waits until all threads that entered
//! have left: it adds to `left` what is missing to the limit (positions are 32 bits wide), and the last thread to leave then resets the
//! barrier (source: nptl/pthread_barrier_wait.c).

use crate::hooks::answer::{Answer, Miss};
use crate::hooks::real;
use crate::hooks::sync::object;
use crate::runtime;
use crate::runtime::news::lot;
use crate::runtime::waiting::park;
use crate::why::Why;
use libc::{c_int, pthread_barrier_t};
use std::sync::atomic::{fence, AtomicU32, Ordering::*};

/// glibc's own barrier, field by field (source: nptl's internaltypes.h).
#[repr(C)]
struct Barrier {
    /// How many positions have been taken since the last reset.
    entered: AtomicU32,
    /// The last position of the last complete round; 0: none since the reset.
    round: AtomicU32,
    /// How many threads make a round; 0: the barrier is not initialised.
    count: u32,
    /// The flag of process sharing (`object::BARRIER_SHARED`).
    shared: i32,
    /// How many threads have left rounds since the last reset.
    left: AtomicU32,
}

const _: () = assert!(std::mem::offset_of!(Barrier, shared) == object::BARRIER_SHARED_AT);

/// PTHREAD_BARRIER_SERIAL_THREAD: the result of one thread of each round (pthread_barrier_wait(3p)).
const SERIAL: c_int = -1;

impl Barrier {
    /// The last position before a reset: the end of a round.
    fn limit(&self) -> u32 {
        const THRESHOLD: u32 = u32::MAX / 2;
        THRESHOLD - THRESHOLD % self.count
    }

    /// Takes a position in a round that no reset can come into. Parks while positions are used up, until the last thread to leave
    /// has reset the barrier.
    fn enter(&self) -> u32 {
        loop {
            let position = self.entered.fetch_add(1, AcqRel).wrapping_add(1);
            if position <= self.limit() {
                return position;
            }
            self.await_reset(self.limit());
        }
    }

    /// Parks until `entered` has gone back to `below` or less. Called by a thread that has found no position, and by the destroyer.
    fn await_reset(&self, below: u32) {
        while self.entered.load(Acquire) > below {
            self.park(&self.entered, || self.entered.load(Acquire) > below);
        }
    }

    /// Ends the rounds that are complete with `position`, then waits for its own.
    fn pass(&self, position: u32) {
        let mut round = self.round.load(Relaxed);
        while round + self.count <= position {
            let complete = position - position % self.count;
            match self.round.compare_exchange_weak(round, complete, AcqRel, Acquire) {
                Ok(_) => {
                    wake_all(&self.round);
                    break;
                }
                Err(now) => round = now,
            }
        }
        while self.round.load(Acquire) < position {
            self.park(&self.round, || self.round.load(Acquire) < position);
        }
    }

    /// Parks under the address of `word`, which is this object's, while `must_wait` says so.
    fn park(&self, word: *const AtomicU32, must_wait: impl FnOnce() -> bool) {
        park::park_uncancelled(Why::Barrier(self as *const Barrier as usize), word as usize, 0, None, must_wait);
    }

    /// Leaves the round. The last thread before a reset makes it, and does not touch the object again.
    fn leave(&self) {
        let limit = self.limit();
        if self.left.fetch_add(1, Release).wrapping_add(1) != limit {
            return;
        }
        fence(Acquire);
        self.round.store(0, Relaxed);
        self.left.store(0, Relaxed);
        let entered: *const AtomicU32 = &self.entered;
        self.entered.store(0, Release);
        wake_all(entered);
    }

    /// Waits until every thread that entered has left. Called once, by the destroyer.
    fn empty(&self) {
        let entered = self.entered.load(Relaxed);
        if self.left.fetch_add(self.limit() - entered, AcqRel) < entered {
            self.await_reset(0);
        }
        fence(Acquire);
    }
}

/// Wakes all that are parked under the word's address, which is a key of the lot's by now: the object may have been freed.
fn wake_all(word: *const AtomicU32) {
    if lot::waiting(word as usize) {
        park::wake_all(word as usize);
    }
}

/// Returns the barrier in glibc's fields. `Err(Miss::Libc)` before the start and for a barrier with a count of 0, which is not
/// initialised.
unsafe fn ours<'a>(barrier: *mut pthread_barrier_t) -> Answer<&'a Barrier> {
    let ours = &*(barrier as *const Barrier);
    if !runtime::started() || ours.count == 0 {
        return Err(Miss::Libc);
    }
    Ok(ours)
}

/// `pthread_barrier_wait`: parks until as many threads have come as the barrier counts. One of them, the last of the round by
/// position, gets PTHREAD_BARRIER_SERIAL_THREAD, the others 0. A handler does not end the wait. No cancellation point. A shared
/// barrier waits in the kernel, with the slot offered.
pub unsafe fn barrier_wait(barrier: *mut pthread_barrier_t) -> Answer<c_int> {
    let ours = ours(barrier)?;
    if object::BARRIER_SHARED.of(barrier) != 0 {
        runtime::announce(Why::Barrier(barrier as usize));
        return Ok(runtime::block(|| real::pthread_barrier_wait(barrier)));
    }
    let count = ours.count;
    let position = ours.enter();
    ours.pass(position);
    ours.leave();
    Ok(if position % count == 0 { SERIAL } else { 0 })
}

/// `pthread_barrier_destroy`: parks until every thread that has come into a round has left it; then the object is the caller's to
/// free. Returns 0: glibc's never says EBUSY either (nptl/pthread_barrier_destroy.c).
pub unsafe fn barrier_destroy(barrier: *mut pthread_barrier_t) -> Answer<c_int> {
    let ours = ours(barrier)?;
    if object::BARRIER_SHARED.of(barrier) != 0 {
        return Ok(runtime::block(|| real::pthread_barrier_destroy(barrier)));
    }
    ours.empty();
    Ok(0)
}
