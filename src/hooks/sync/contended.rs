//! The wait for a lock of glibc's that is busy: enqueue, try again, park, try again.
//!
//! The race with an unlock is the lot's (`runtime/news/lot.rs`):
//!
//! ```text
//!     waiter                              unlocker
//!     1. enqueues in the lot              1. unlocks (libc's own)
//!     2. tries the lock                   2. fences
//!     3. parks if the try failed          3. looks into the lot, wakes
//! ```
//!
//! If the try (2) came before the unlock, the unlocker's look (3) comes after the enqueue (1): it finds the waiter. Three more dangers,
//! and their remedies:
//!
//! - *An unlock that no hook sees* (from libc's inside, from a library loaded with RTLD_DEEPBIND) wakes no thread in the lot. So every
//!   wait is also tried again after 1, 2, 4 … 50 ms; when very many wait, less often, so that all of them together cost some thousand
//!   tries a second at the most.
//! - *Starvation*: a lock is not handed over but fought for, and a thread that unlocks and locks again in a loop wins nearly always. So
//!   a waiter that has lost some rounds says so in its token, and the thread that wakes it lets it run before going on (`Outcome`).
//! - *Convoys* come from handing over; for the first rounds nothing is handed over, and a free lock goes to the thread that runs.

use crate::base::kept::Kept;
use crate::hooks::answer::{code, errno, Answer};
use crate::runtime::news::lot::{self, Choice};
use crate::runtime::waiting::park;
use crate::runtime::{self, Deadline, Woken};
use crate::sys;
use crate::why::Why;
use libc::c_int;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The role of a waiter that wants the object for itself; a role is the low bits of a waiter's token.
pub const EXCLUSIVE: usize = 0;
/// The role of a waiter that shares the object with others of its kind: a rwlock's reader.
pub const SHARED: usize = 1;
/// The role by which a waiter announces itself for as long as it waits, parked as EXCLUSIVE or between two parks (`lot::present`).
pub const ANNOUNCED: usize = 2;
/// The token's bits that hold a role; the rounds that were lost stand above them.
const ROLE: usize = 3;
/// How many bits ROLE has.
const ROLE_BITS: u32 = 2;

/// After so many lost rounds a waiter is starving: the thread that wakes it lets it run first.
const ROUNDS_TO_STARVE: usize = 4;

/// The time from the begin of a wait to its first retry; each further one comes after twice the time.
const FIRST_RETRY_NS: u64 = 1_000_000;
/// The longest time between two retries, while few threads wait.
const LAST_RETRY_NS: u64 = 50_000_000;
/// For each so many waiters of the process the longest interval between retries grows by LAST_RETRY_NS.
const RETRIERS: usize = 256;

/// How many threads wait here at this moment. A fork child keeps the number: a wait in whose handler the fork came is still counted
/// down when it ends. A number that is too high makes retries rarer, and nothing else.
static WAITING: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));

/// The retries of a wait: when the next one is due, and when they are over.
struct Retries {
    /// The end of the wait; `None`: it has none.
    deadline: Deadline,
    /// The time until the next retry, which doubles from retry to retry.
    interval_ns: u64,
}

impl Retries {
    /// Returns the moment of the next try, should no wake come before.
    fn next(&mut self) -> Deadline {
        let retry = sys::now_ns() + self.interval_ns;
        let slowest = LAST_RETRY_NS * (1 + (WAITING.load(Relaxed) / RETRIERS) as u64);
        self.interval_ns = (self.interval_ns * 2).min(slowest);
        Some(self.deadline.map_or(retry, |deadline| deadline.min(retry)))
    }

    /// Is the wait's deadline over?
    fn are_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| sys::now_ns() >= deadline)
    }
}

/// How a wait takes signals and cancellation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// A lock: no cancellation point, never EINTR.
    Lock,
    /// A semaphore: a cancellation point, and a handler ends the wait unless it `restarts` and was installed with SA_RESTART.
    /// `handled`: how many handlers had run on the thread when the call began.
    Semaphore { restarts: bool, handled: u32 },
}

/// Returns how many handlers have run on this thread; 0 on a foreign one.
pub fn handlers() -> u32 {
    runtime::current().map_or(0, |me| me.handlers())
}

/// Waits until `attempt` answers something other than EBUSY, or until the deadline: ETIMEDOUT. Called by any thread, with no lock of the
/// runtime held. `address` is the object's, `role` how it is wanted. `attempt` is libc's try, as an error number; a try that succeeds
/// goes before every other end of the wait. A cancellation (only for a semaphore) does not return.
#[cold]
pub fn wait(
    why: Why,
    kind: LockKind,
    address: usize,
    role: usize,
    deadline: Deadline,
    mut attempt: impl FnMut() -> c_int,
) -> Answer<c_int> {
    let mut retries = Retries { deadline, interval_ns: FIRST_RETRY_NS };
    let mut lost = 0;
    loop {
        WAITING.fetch_add(1, Relaxed);
        let (mut result, until) = (libc::EBUSY, retries.next());
        let must_wait = || {
            result = attempt();
            result == libc::EBUSY
        };
        let woken = match kind {
            LockKind::Lock => park::park_for_lock(why, address, role | lost << ROLE_BITS, until, must_wait),
            LockKind::Semaphore { .. } => {
                park::park_cancellable(why, address, role | lost << ROLE_BITS, until, must_wait)
            }
        };
        WAITING.fetch_sub(1, Relaxed);
        if result == libc::EBUSY {
            result = attempt();
        }
        if result != libc::EBUSY {
            return code(result);
        }
        match (woken, kind) {
            (Woken::TimedOut, _) if retries.are_over() => return errno(libc::ETIMEDOUT),
            // A lent loop ends the wait: a lock without a deadline knows no error for that, and is waited for.
            (Woken::Ended(_), LockKind::Lock) if deadline.is_some() => return errno(libc::ETIMEDOUT),
            (Woken::Ended(_), LockKind::Semaphore { .. }) => return errno(libc::EINTR),
            (Woken::Cancelled, _) => runtime::cancellation_point(),
            // A handler may also run between two tries, or at the end of a wait whose time was over.
            (_, LockKind::Semaphore { restarts, handled })
                if handlers() != handled && !(restarts && runtime::restart()) =>
            {
                return errno(libc::EINTR)
            }
            (Woken::Ready(_) | Woken::FalseAlarm, _) => lost += 1,
            _ => {}
        }
    }
}

/// The outcome of a wake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The waiter that was woken had lost too often: it is to run first.
    Starving,
}

impl Outcome {
    /// Lets the woken thread run before the caller goes on, if it starves. Not to be called while this thread is enqueued anywhere:
    /// it may yield.
    pub fn settle(self) {
        if self == Outcome::Starving && runtime::current().is_some() {
            runtime::yield_now();
        }
    }
}

/// Wakes waiters at `address` that wait in `role`: the first only, or all of them, as long as `wanted` says so. Called after the real
/// unlock, on any thread, with no lock of the runtime held. Returns how many were woken, and whether one of them starves.
///
/// `wanted` is asked with the bucket locked: a waiter is in the queue then, so the object is alive and may be read.
pub fn wake(address: usize, role: usize, first_only: bool, mut wanted: impl FnMut() -> bool) -> (usize, Outcome) {
    loop {
        let (mut outcome, mut taken) = (Outcome::Done, false);
        let woken = park::wake(address, |token| {
            if first_only && taken || !wanted() {
                return Choice::Stop;
            }
            if token & ROLE != role {
                return Choice::Skip;
            }
            taken = true;
            if token >> ROLE_BITS >= ROUNDS_TO_STARVE {
                outcome = Outcome::Starving;
            }
            Choice::Wake
        });
        // A waiter whose wait was ending anyway does not use up the wake: the next one gets it.
        if woken > 0 || !taken {
            return (woken, outcome);
        }
    }
}

/// Is a waiter with the token ANNOUNCED in the queue of `address`?
pub fn announced(address: usize) -> bool {
    let mut found = false;
    if !lot::queued(address) {
        return found;
    }
    park::wake(address, |token| {
        found |= token & ROLE == ANNOUNCED;
        if found {
            Choice::Stop
        } else {
            Choice::Skip
        }
    });
    found
}
