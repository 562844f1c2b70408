//! The library's only lock: a word and the futex, with the data that it protects (`Locked`), or without (`RawLock`).
//!
//! It may be taken on green threads, workers and foreign threads alike, is held for some dozen instructions, and never across a switch.
//! While it is held the guard is up: no handler of the program's runs then, which might wait for a lock that its own thread holds.
//!
//! ```text
//!   from      to        by
//!   FREE      HELD      lock, uncontended
//!   any       ASLEEP    lock, contended: its caller sleeps until the word was FREE
//!   HELD      FREE      unlock
//!   ASLEEP    FREE      unlock, which wakes one sleeper
//! ```
//!
//! Each lock has a *rank*. While one is held only locks of a higher rank are taken, but for two of the same rank that are ordered by their
//! addresses (`Rank::Bucket`, `Rank::Record`). Debug builds check this at each `lock`: they abort and say both ranks.

use crate::base::guard;
use crate::sys;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering};

/// The order in which locks are taken, the outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A descriptor's record. Records lie in zeroed memory that is never initialised: this rank is 0. A second record that is locked
    /// under the first is that of a private duplicate, which no other thread knows yet.
    #[allow(dead_code)]
    Record = 0,
    /// The handing out of the shelf's signals, which looks up dispositions and fills queues.
    Shelf,
    /// A change of something that the whole process has, with system calls inside: identity, commands, bells.
    Process,
    /// The loader's list: held across a fork, with dispositions inside.
    Loader,
    /// Dispositions.
    Disposition,
    /// A pool of vessels, stacks or workers.
    Pool,
    /// A wait queue of the lot. Two are ordered by their addresses.
    Bucket,
    /// A slot's deadlines.
    Timers,
    /// A green thread's pending signals, or the process's.
    Signals,
    /// Ready threads that no slot has.
    Injector,
    /// The tables by which the recorder follows stacks.
    Audit,
    /// The library's own descriptors.
    Descriptors,
    /// The library's own memory: any of the above may allocate.
    Memory,
}

const FREE: u32 = 0;
const HELD: u32 = 1;
const ASLEEP: u32 = 2;

/// A lock without data.
pub struct RawLock {
    word: AtomicU32,
    #[cfg(debug_assertions)]
    rank: Rank,
}

/// How often a taken lock is looked at before its waiter sleeps.
const SPINS: u32 = 100;

impl RawLock {
    /// A free lock.
    #[cfg_attr(not(debug_assertions), allow(unused_variables))]
    pub const fn new(rank: Rank) -> RawLock {
        RawLock {
            word: AtomicU32::new(FREE),
            #[cfg(debug_assertions)]
            rank,
        }
    }

    /// Raises the guard and takes the lock. Not recursive.
    #[inline]
    pub fn lock(&self) {
        guard::enter_runtime();
        #[cfg(debug_assertions)]
        order::enter(self.rank);
        if self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.wait();
        }
    }

    /// Releases the lock and lowers the guard: signals that came meanwhile are seen to before this returns.
    #[inline]
    pub fn unlock(&self) {
        if self.word.swap(FREE, Ordering::Release) == ASLEEP {
            sys::futex_wake(self.word.as_ptr(), 1);
        }
        #[cfg(debug_assertions)]
        order::leave(self.rank);
        guard::leave_runtime();
    }

    /// Does `work` under the lock. `work` does not panic, switch, or run the program's code.
    #[inline]
    pub fn with<R>(&self, work: impl FnOnce() -> R) -> R {
        self.lock();
        let result = work();
        self.unlock();
        result
    }

    #[cold]
    fn wait(&self) {
        for _ in 0..SPINS {
            std::hint::spin_loop();
            if self.word.load(Ordering::Relaxed) == FREE
                && self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return;
            }
        }
        while self.word.swap(ASLEEP, Ordering::Acquire) != FREE {
            sys::futex_wait(&self.word, ASLEEP, None).ok();
        }
    }

    /// Frees the lock in a fork child, whose only thread does not hold it: the holder has stayed in the parent.
    pub fn after_fork(&self) {
        #[cfg(debug_assertions)]
        order::leave(self.rank);
        self.word.store(FREE, Ordering::Relaxed);
    }
}

/// A lock with the data that only its holder may touch.
pub struct Locked<T> {
    raw: RawLock,
    data: UnsafeCell<T>,
}

// SAFETY: the data is touched only under the lock, or by the one thread of a fork child. What is kept in it are addresses of objects that
// any thread may use under this lock.
unsafe impl<T> Sync for Locked<T> {}

impl<T> Locked<T> {
    /// `data` under a free lock.
    pub const fn new(rank: Rank, data: T) -> Locked<T> {
        Locked { raw: RawLock::new(rank), data: UnsafeCell::new(data) }
    }

    /// Does `work` with the data, under the lock: as `RawLock::with`. Not recursive.
    #[inline]
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: under the lock, which is not recursive: no other reference to the data exists.
        self.raw.with(|| work(unsafe { &mut *self.data.get() }))
    }

    /// In a fork child, which has one thread: frees the lock, and hands out the data to be put right.
    pub fn after_fork(&self, work: impl FnOnce(&mut T)) {
        self.raw.after_fork();
        self.with(work);
    }
}

#[cfg(debug_assertions)]
mod order {
    //! The ranks that this kernel thread holds. A lock is never held across a switch, so a thread-local has them.

    use super::Rank;
    use std::cell::Cell;
    use std::fmt::{self, Write};

    thread_local! {
        /// Each rank at its own number, while a lock of it is held.
        static HELD: Cell<[Option<Rank>; Rank::Memory as usize + 1]> = const { Cell::new([None; Rank::Memory as usize + 1]) };
    }

    /// Notes that a lock of this rank is about to be taken. Aborts where one of a higher rank is held, or one of the same rank that has no
    /// order.
    pub fn enter(rank: Rank) {
        HELD.with(|held| {
            let mut ranks = held.get();
            let may_be_taken_twice = matches!(rank, Rank::Bucket | Rank::Record);
            let barred = rank as usize + usize::from(may_be_taken_twice);
            if let Some(held) = ranks[barred..].iter().flatten().next() {
                complain(rank, *held);
            }
            ranks[rank as usize] = Some(rank);
            held.set(ranks);
        });
    }

    /// Notes that a lock of this rank was released.
    pub fn leave(rank: Rank) {
        HELD.with(|held| {
            let mut ranks = held.get();
            ranks[rank as usize] = None;
            held.set(ranks);
        });
    }

    /// Aborts, and says which rank was to be taken under which. Allocates nothing, for the lock that is held may be the allocator's.
    #[cold]
    fn complain(rank: Rank, held: Rank) -> ! {
        let mut line = Line { bytes: [0; 128], length: 0 };
        write!(line, "a lock of rank {rank:?} is taken while one of rank {held:?} is held (base/lock.rs)").ok();
        crate::sys::abort(
            std::str::from_utf8(&line.bytes[..line.length]).unwrap_or("locks are taken against their ranks"),
        )
    }

    /// A line of text on the stack.
    struct Line {
        bytes: [u8; 128],
        length: usize,
    }

    impl Write for Line {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let end = self.length + text.len();
            self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
            self.length = end;
            Ok(())
        }
    }
}
