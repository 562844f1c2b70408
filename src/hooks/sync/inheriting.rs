//! The futex operations that inherit priority: the word holds its owner's tid, as gettid told it, so the kernel cannot follow them.
//!
//! There are no priorities to inherit here (runtime/machine/schedule.rs), so these operations are a lock that goes from owner to waiter
//! in the order of coming:
//!
//! 1. A waiter parks in the lot with its tid in the token's upper half, where no ordinary wake sees it.
//! 2. The unlocker writes the first waiter's tid into the word under the bucket's lock, before that waiter can leave the queue.
//! 3. A waiter that stops waiting, for any reason, reads the word once more: it is the owner, or it is not.
//!
//! What the word holds, and what moves it on:
//!
//! ```text
//!   from             to               by
//!   0                tid              lock: the word is free
//!   tid              tid | WAITERS    lock: a waiter, before it parks
//!   tid | WAITERS    next | WAITERS   unlock: handed to the first waiter (2)
//!   tid | WAITERS    0                unlock: no waiter is in the queue; a waiter that came meanwhile is woken
//!   tid of an ended  me | OWNER_DIED  lock: a waiter that finds the owner gone
//! ```
//!
//! The owner may end without unlocking, or be of another process, which wakes no thread here: waits look at the owner again in
//! growing slices.
//!
//! Differs from the kernel's: a ring of waiters is not found. The kernel says EDEADLK, here all of them wait.

use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::sync::word::{deadline, is_misplaced, is_read_only, load, Futex};
use crate::runtime::machine::roll;
use crate::runtime::news::lot::Choice;
use crate::runtime::waiting::park;
use crate::runtime::{current, Deadline, Woken};
use crate::sys;
use crate::why::Why;
use libc::{c_int, c_long, timespec, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};
use std::sync::atomic::{AtomicU32, Ordering::*};

/// linux/futex.h: FUTEX_LOCK_PI with a moment of CLOCK_MONOTONIC, or of CLOCK_REALTIME with the clock bit. FUTEX_LOCK_PI's is one of
/// CLOCK_REALTIME.
pub const FUTEX_LOCK_PI2: c_int = 13;

/// The time from the begin of a wait to its first look at the lock's owner. Each further one comes after twice the time.
const FIRST_SLICE_NS: u64 = 20_000_000;
/// The longest time between two looks at a lock's owner.
const LONGEST_SLICE_NS: u64 = 1_000_000_000;

/// Answers an operation of this family. Called by `futex` on any thread, for shared words, too. A bad address, a word that cannot be
/// written and a clock bit that the operation does not take are the kernel's to refuse. A bad timeout is refused here: EFAULT or
/// EINVAL.
///
/// # Safety
/// As the system call.
pub unsafe fn operation(call: Futex) -> Answer<c_long> {
    let command = call.command();
    let clocked = call.has(libc::FUTEX_CLOCK_REALTIME);
    let takes_clock = command == FUTEX_LOCK_PI2 || command == libc::FUTEX_WAIT_REQUEUE_PI;
    if is_misplaced(call.word)
        || clocked && !takes_clock
        || command != libc::FUTEX_CMP_REQUEUE_PI && is_read_only(call.word)
    {
        return Err(Miss::Libc);
    }
    match command {
        libc::FUTEX_LOCK_PI => lock(call.word, deadline(call.time as *const timespec, true, true)?, true),
        FUTEX_LOCK_PI2 => lock(call.word, deadline(call.time as *const timespec, true, clocked)?, true),
        libc::FUTEX_TRYLOCK_PI => lock(call.word, None, false),
        libc::FUTEX_UNLOCK_PI => unlock(call.word),
        libc::FUTEX_WAIT_REQUEUE_PI => wait(call, deadline(call.time as *const timespec, true, clocked)?),
        _ => requeue(call),
    }
}

/// Returns the tid that the caller writes into a word: a green thread's own, which gettid told it, or the kernel's.
fn own_tid() -> u32 {
    current().map_or_else(sys::kernel_thread_id, |me| me.tid()) as u32
}

/// Is there a thread with this tid, green or the kernel's? The kernel is asked for its scheduling policy.
fn is_alive(tid: u32) -> bool {
    roll::find(tid as i32).is_some() || sys::policy_of(tid as i32) >= 0
}

/// Returns a waiter's token in the lot: its tid above a lower half of 0, which no wake by bits meets.
fn token(tid: u32) -> usize {
    (tid as usize) << 32
}

/// Returns the tid of a waiter of this file's, out of its token; `None`: the token is another futex's waiter's.
fn waits(token: usize) -> Option<u32> {
    (token as u32 == 0 && token != 0).then_some((token >> 32) as u32)
}

/// FUTEX_LOCK_PI, FUTEX_LOCK_PI2 and FUTEX_TRYLOCK_PI (`may_wait` is false): takes the word if it is free, else parks until an unlock
/// hands it over, or its owner has ended. Returns 0 with the caller's tid in the word. FUTEX_OWNER_DIED stays in the word for the new
/// owner. A handler does not end the wait.
///
/// - EDEADLK: the caller is the owner.
/// - ESRCH: the owner had ended before the call.
/// - EAGAIN: a try found the word busy (the kernel says so of TRYLOCK_PI in kernel/futex/pi.c, EWOULDBLOCK).
/// - ETIMEDOUT: the deadline has passed, and the word was not handed over at the last moment.
unsafe fn lock(address: usize, deadline: Deadline, may_wait: bool) -> Answer<c_long> {
    let (me, word) = (own_tid(), AtomicU32::from_ptr(address as *mut u32));
    let (mut has_waited, mut slice_ns) = (false, FIRST_SLICE_NS);
    loop {
        let now = word.load(SeqCst);
        let owner = now & FUTEX_TID_MASK;
        if owner == me {
            return if has_waited { Ok(0) } else { errno(libc::EDEADLK) };
        }
        let has_ended = owner != 0 && !is_alive(owner);
        if has_ended && !has_waited {
            return errno(libc::ESRCH);
        }
        if owner == 0 || has_ended {
            let died = now & FUTEX_OWNER_DIED | if has_ended { FUTEX_OWNER_DIED } else { 0 };
            let others = now & FUTEX_WAITERS | if has_waited { FUTEX_WAITERS } else { 0 };
            if word.compare_exchange(now, me | died | others, SeqCst, Relaxed).is_ok() {
                return Ok(0);
            }
            continue;
        }
        if !may_wait {
            return errno(libc::EAGAIN);
        }
        let seen = now | FUTEX_WAITERS;
        if now != seen && word.compare_exchange(now, seen, SeqCst, Relaxed).is_err() {
            continue;
        }
        let slice = sys::now_ns() + slice_ns;
        let until = Some(deadline.map_or(slice, |deadline| deadline.min(slice)));
        let woken =
            park::park_uncancelled(Why::Futex(address), address, token(me), until, || word.load(SeqCst) == seen);
        has_waited = true;
        if woken == Woken::TimedOut {
            slice_ns = (slice_ns * 2).min(LONGEST_SLICE_NS);
            let is_over = deadline.is_some_and(|deadline| sys::now_ns() >= deadline);
            if is_over && word.load(SeqCst) & FUTEX_TID_MASK != me {
                return errno(libc::ETIMEDOUT);
            }
        }
    }
}

/// FUTEX_UNLOCK_PI: hands the word to the first waiter, or frees it. Returns 0. EPERM where the caller is not the owner. Never waits.
unsafe fn unlock(address: usize) -> Answer<c_long> {
    let word = AtomicU32::from_ptr(address as *mut u32);
    if word.load(SeqCst) & FUTEX_TID_MASK != own_tid() {
        return errno(libc::EPERM);
    }
    let mut handed = false;
    park::wake(address, |token| match waits(token) {
        _ if handed => Choice::Stop,
        Some(next) => {
            // Under the bucket's lock: the waiter is in the queue, and reads the word when it has left.
            word.store(next | FUTEX_WAITERS, SeqCst);
            handed = true;
            Choice::Wake
        }
        None => Choice::Skip,
    });
    if !handed {
        word.store(0, SeqCst);
        // A waiter that came meanwhile has seen an owner in the word, and is in the queue.
        park::wake(address, |token| if waits(token).is_some() { Choice::Wake } else { Choice::Skip });
    }
    Ok(0)
}

/// FUTEX_WAIT_REQUEUE_PI: parks at one word, and returns 0 with the lock at the second. EINVAL for a bad second word, EAGAIN where
/// the first holds another value, ETIMEDOUT. A handler does not end the wait. A waiter that is woken goes for the second word by
/// itself (`lock`).
unsafe fn wait(call: Futex, deadline: Deadline) -> Answer<c_long> {
    if call.word == call.second || is_misplaced(call.second) || load(call.second).is_none() {
        return errno(libc::EINVAL);
    }
    loop {
        let must_wait = || load(call.word) == Some(call.value as u32);
        match park::park_uncancelled(Why::Futex(call.word), call.word, u32::MAX as usize, deadline, must_wait) {
            Woken::FalseAlarm | Woken::Interrupted => {}
            Woken::Ready(_) => return lock(call.second, deadline, true),
            Woken::TimedOut => return errno(libc::ETIMEDOUT),
            Woken::NotNeeded | Woken::Cancelled | Woken::Ended(_) => return errno(libc::EAGAIN),
        }
    }
}

/// FUTEX_CMP_REQUEUE_PI: wakes the waiters that would be moved to the second word; each goes there itself. EINVAL for a wake count
/// other than 1 and for bad words, EFAULT, EAGAIN where the first word holds another value. Returns how many were woken.
unsafe fn requeue(call: Futex) -> Answer<c_long> {
    let (wake, most) = (call.value as c_int, call.time as c_int);
    if wake != 1 || most < 0 || is_misplaced(call.second) || load(call.second).is_none() || call.word == call.second {
        return errno(libc::EINVAL);
    }
    match load(call.word) {
        None => return errno(libc::EFAULT),
        Some(value) if value != call.third as u32 => return errno(libc::EAGAIN),
        Some(_) => {}
    }
    let (mut left, most) = (1 + most as usize, 1 + most as usize);
    park::wake(call.word, |token| match token as u32 {
        _ if left == 0 => Choice::Stop,
        0 => Choice::Skip,
        _ => {
            left -= 1;
            Choice::Wake
        }
    });
    Ok((most - left) as c_long)
}
