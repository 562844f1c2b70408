//! The system call futex. Private words are served here: a waiter parks in the lot under the word's address, with its bitset as
//! token.
//!
//! ```text
//!     waiter                               waker
//!     1. enqueues in the lot               1. changes the word
//!     2. compares the word: parks if same  2. looks into the lot, wakes
//!                                          3. has the kernel wake what is left of the count
//! ```
//!
//! No wake is lost that follows a change of the word, which is all that a futex promises: if the waiter's comparison (2) came before
//! the change, the waker's look (2) comes after the waiter's enqueue (1). Other threads may sleep on the same word in the kernel, by
//! a system call instruction that no hook sees, or inside libc: the waker wakes those last (3).
//!
//! FUTEX_CMP_REQUEUE compares and moves in two steps here, in the kernel in one. A waiter that comes between the two is moved or is
//! not, as if it had come before or after the call.
//!
//! | the call | answered by |
//! |---|---|
//! | wait, wake, requeue, WAKE_OP on a private word | this file |
//! | operations that lock a word by a tid, on private and shared words | `inheriting`: the tid is the library's number |
//! | wait on a shared word | the kernel, with the slot offered |
//! | wake on a shared word | the kernel |
//! | an unknown operation, an unaligned or impossible address, an invalid timeout | the kernel, which says what is wrong before it sleeps |

use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::sync::inheriting;
use crate::hooks::sync::word::{deadline, is_misplaced, is_read_only, load, Futex, ANY};
use crate::runtime::news::lot::{self, Choice};
use crate::runtime::waiting::park;
use crate::runtime::{self, Woken};
use crate::sys;
use crate::why::Why;
use libc::{c_int, c_long, timespec};
use std::sync::atomic::{AtomicU32, Ordering::*};

/// The system call futex, by number. Called by any thread, green or foreign, after the start; before it the kernel answers. Private
/// waits, wakes and requeues are served. Shared words go to the kernel: a wake as it is, for it never waits, all other operations with
/// the slot offered. FUTEX_CLOCK_REALTIME is taken with FUTEX_WAIT_BITSET here and by `inheriting`; with all else the kernel says ENOSYS
/// (kernel/futex/syscalls.c, do_futex). No cancellation point.
///
/// # Safety
/// As the system call.
pub unsafe fn futex(call: Futex) -> Answer<c_long> {
    if !runtime::started() {
        return Err(Miss::Libc);
    }
    let command = call.command();
    // FUTEX_WAIT_BITSET is the only served operation that takes FUTEX_CLOCK_REALTIME.
    let clocked = call.has(libc::FUTEX_CLOCK_REALTIME) && command != libc::FUTEX_WAIT_BITSET;
    let private = call.has(libc::FUTEX_PRIVATE_FLAG) && !clocked;
    match command {
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET if private => wait(call),
        libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET if private => wake(call),
        libc::FUTEX_REQUEUE | libc::FUTEX_CMP_REQUEUE if private => requeue(call),
        libc::FUTEX_WAKE_OP if private => wake_operation(call),
        libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET => Err(Miss::Libc),
        libc::FUTEX_LOCK_PI
        | libc::FUTEX_TRYLOCK_PI
        | libc::FUTEX_UNLOCK_PI
        | libc::FUTEX_WAIT_REQUEUE_PI
        | libc::FUTEX_CMP_REQUEUE_PI
        | inheriting::FUTEX_LOCK_PI2 => inheriting::operation(call),
        _ => call.in_kernel(),
    }
}

/// FUTEX_WAIT and FUTEX_WAIT_BITSET on a private word: parks while the word holds the value. Returns 0 when woken. EAGAIN where the
/// word holds another value, ETIMEDOUT. FUTEX_WAIT has a length of CLOCK_MONOTONIC, FUTEX_WAIT_BITSET a moment.
///
/// A handler ends a timed wait with EINTR. An untimed one goes on if all handlers had SA_RESTART (kernel/futex/waitwake.c,
/// ERESTARTSYS; a timed wait is restarted by the kernel after a stop only). No cancellation point.
///
/// A bad address, an empty bitset and a bad timeout are the kernel's to answer: EINVAL or EFAULT.
unsafe fn wait(call: Futex) -> Answer<c_long> {
    let realtime = call.has(libc::FUTEX_CLOCK_REALTIME);
    let absolute = call.command() == libc::FUTEX_WAIT_BITSET;
    if is_misplaced(call.word) || call.bits() == 0 {
        return Err(Miss::Libc);
    }
    let deadline = match deadline(call.time as *const timespec, absolute, realtime) {
        Ok(deadline) => deadline,
        Err(_) => return Err(Miss::Libc),
    };
    loop {
        let must_wait = || load(call.word) == Some(call.value as u32);
        match park::park_for_lock(Why::Futex(call.word), call.word, call.bits(), deadline, must_wait) {
            Woken::FalseAlarm => {}
            Woken::Ready(_) => return Ok(0),
            Woken::NotNeeded if load(call.word).is_none() => return Err(Miss::Libc),
            Woken::NotNeeded => return errno(libc::EAGAIN),
            Woken::TimedOut => return errno(libc::ETIMEDOUT),
            // An untimed wait alone begins again.
            Woken::Interrupted if deadline.is_none() && runtime::restart() => {}
            Woken::Interrupted | Woken::Cancelled | Woken::Ended(_) => return errno(libc::EINTR),
        }
    }
}

/// FUTEX_WAKE and FUTEX_WAKE_BITSET on a private word: wakes parked waiters first, then the kernel's sleepers with what is left of
/// the count. Returns how many. A bad address and an empty bitset are the kernel's to answer. Never waits. The word is not read: for
/// the parked threads it need not be mapped.
unsafe fn wake(call: Futex) -> Answer<c_long> {
    if is_misplaced(call.word) || call.bits() == 0 {
        return Err(Miss::Libc);
    }
    let woken = wake_parked(call.word, call.count(), call.bits());
    Ok((woken + call.wake_in_kernel(call.word, call.count() - woken)) as c_long)
}

/// Wakes up to `count` waiters parked at `word` whose bits meet `bits`, in the order of coming. Returns how many.
fn wake_parked(word: usize, count: usize, bits: usize) -> usize {
    if !lot::waiting(word) {
        return 0;
    }
    let mut woken = 0;
    loop {
        let mut chosen = 0;
        let fired = park::wake(word, |token| {
            if woken + chosen == count {
                return Choice::Stop;
            }
            if token & bits == 0 {
                return Choice::Skip;
            }
            chosen += 1;
            Choice::Wake
        });
        woken += fired;
        // A waiter whose wait had ended otherwise is chosen but not fired: the next one gets its wake.
        if fired == chosen {
            return woken;
        }
    }
}

/// Makes a call that wakes at private words and never waits, for a thread that can go on at no hook: in the kernel, and among the parked
/// threads. Called by the runtime, in its handler of SIGSYS, for the program's own instruction: within a birth, under the guard, or on a
/// kernel thread that runs no green one. Returns the kernel's form of the result. `None`: another call, or one that only the kernel
/// answers, which is to be made as it came.
///
/// A requeue and a WAKE_OP are made by the kernel. Then all threads that are parked at their words are woken, and look again: a futex's
/// waiter must expect that.
pub fn wake_from_kernel([word, operation, value, time, second, third]: [usize; 6]) -> Option<isize> {
    let call = Futex { word, operation, value, time, second, third };
    if !call.has(libc::FUTEX_PRIVATE_FLAG) || call.has(libc::FUTEX_CLOCK_REALTIME) {
        return None;
    }
    let words = match call.command() {
        // SAFETY: reads no memory of the program's, and makes a system call that wakes.
        libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET => return unsafe { wake(call) }.ok().map(|woken| woken as isize),
        libc::FUTEX_REQUEUE | libc::FUTEX_CMP_REQUEUE => [word, word],
        libc::FUTEX_WAKE_OP => [word, second],
        _ => return None,
    };
    // SAFETY: the program's own call, as it came.
    let result = unsafe { sys::call(libc::SYS_futex, word, operation, value, time, second, third) };
    if result >= 0 {
        words.into_iter().for_each(|word| _ = wake_parked(word, usize::MAX, ANY));
    }
    Some(result)
}

/// FUTEX_REQUEUE and FUTEX_CMP_REQUEUE: wakes up to `wake` waiters and moves up to `most` to the second word; the kernel does so
/// with what is left of the counts. Returns how many were woken or moved.
/// EAGAIN where the word holds another value than CMP_REQUEUE asks. Bad addresses and negative counts are the kernel's (EINVAL,
/// EFAULT).
unsafe fn requeue(call: Futex) -> Answer<c_long> {
    let (wake, most) = (call.value as c_int, call.time as c_int);
    if is_misplaced(call.word) || is_misplaced(call.second) || wake < 0 || most < 0 {
        return Err(Miss::Libc);
    }
    if call.command() == libc::FUTEX_CMP_REQUEUE {
        match load(call.word) {
            None => return Err(Miss::Libc),
            Some(value) if value != call.third as u32 => return errno(libc::EAGAIN),
            Some(_) => {}
        }
    }
    let (wake, most) = (wake as usize, most as usize);
    let (woken, moved) = park::requeue(call.word, call.second, wake, most);
    let private = libc::FUTEX_REQUEUE | libc::FUTEX_PRIVATE_FLAG;
    let rest = sys::call(libc::SYS_futex, call.word, private as usize, wake - woken, most - moved, call.second, 0);
    Ok((woken + moved + rest.max(0) as usize) as c_long)
}

/// FUTEX_WAKE_OP: changes the second word, wakes at the first, and at the second if the old value compares. Returns how many at
/// both. Unknown operations (ENOSYS) and words that cannot be changed (EFAULT) are the kernel's to answer.
unsafe fn wake_operation(call: Futex) -> Answer<c_long> {
    if is_misplaced(call.word) || is_misplaced(call.second) || is_read_only(call.second) {
        return Err(Miss::Libc);
    }
    let Some(operation) = Operation::decode(call.third as u32) else { return Err(Miss::Libc) };
    let old = operation.apply(AtomicU32::from_ptr(call.second as *mut u32));
    let both = [(true, call.word, call.value), (operation.compares(old), call.second, call.time)];
    let mut woken = 0;
    for (wanted, word, count) in both {
        if wanted {
            let count = (count as c_int).max(1) as usize;
            let parked = wake_parked(word, count, ANY);
            woken += parked + call.wake_in_kernel(word, count - parked);
        }
    }
    Ok(woken as c_long)
}

/// The third argument of a FUTEX_WAKE_OP, taken apart (source: linux/futex.h; futex(2)).
struct Operation {
    /// 0 set, 1 add, 2 or, 3 and-not, 4 xor.
    operation: u32,
    /// The operation's operand, shifted already where the argument says so.
    operand: i32,
    /// 0 =, 1 ≠, 2 <, 3 ≤, 4 >, 5 ≥.
    comparison: u32,
    /// What the old value is compared with.
    comparand: i32,
}

impl Operation {
    /// Takes the argument apart: 4 bits of operation, 4 of comparison, two signed numbers of 12 bits. `None`: the kernel knows no such
    /// operation or comparison.
    fn decode(encoded: u32) -> Option<Operation> {
        const OPERAND_IS_SHIFT: u32 = 8;
        let signed = |bits: u32| (bits << 20) as i32 >> 20;
        let (operation, comparison) = (encoded >> 28, encoded >> 24 & 15);
        let mut operand = signed(encoded >> 12);
        if operation & OPERAND_IS_SHIFT != 0 {
            operand = 1 << (operand & 31);
        }
        let operation = operation & !OPERAND_IS_SHIFT;
        (operation <= 4 && comparison <= 5).then_some(Operation {
            operation,
            operand,
            comparison,
            comparand: signed(encoded),
        })
    }

    /// Changes the word; returns its old value.
    fn apply(&self, word: &AtomicU32) -> i32 {
        let operand = self.operand as u32;
        let old = match self.operation {
            0 => word.swap(operand, SeqCst),
            1 => word.fetch_add(operand, SeqCst),
            2 => word.fetch_or(operand, SeqCst),
            3 => word.fetch_and(!operand, SeqCst),
            _ => word.fetch_xor(operand, SeqCst),
        };
        old as i32
    }

    /// Does the old value compare as the operation asks?
    fn compares(&self, old: i32) -> bool {
        match self.comparison {
            0 => old == self.comparand,
            1 => old != self.comparand,
            2 => old < self.comparand,
            3 => old <= self.comparand,
            4 => old > self.comparand,
            _ => old >= self.comparand,
        }
    }
}
