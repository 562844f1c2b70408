//! Reasons for a wait: what a green thread waits for, as one word that it keeps of itself (`Green::why`), and in words. The library
//! writes the word as a wait begins; the dump, `greenpatch dump` (which builds this file, too) and the debugger's script read it. They all
//! have names and words from the table here.
//!
//! ```text
//!     bits 0–5  kind: the row        6  ANNOUNCED    7  IN_KERNEL        8–63  the operand: a number or an address
//! ```
//!
//! A word stays after its wait: it counts for a thread that is parked, and, with IN_KERNEL, for one that stands in a call.

use super::figures::Name;

/// The word was written for a call in the kernel that has not yet begun.
pub const ANNOUNCED: u64 = 1 << 6;
/// The wait is a call in the kernel, on a kernel thread of the waiter's own.
pub const IN_KERNEL: u64 = 1 << 7;
/// The bits that are the kind.
pub const KIND: u64 = ANNOUNCED - 1;
/// The lowest bit of the operand.
pub const OPERAND: u32 = 8;

/// A row of the table: a reason's name, and its words, in which the operand stands in braces: `{fd}`, `{address}`, `{tid}`, `{pid}`,
/// `{count}` or `{id}`.
#[repr(C)]
pub struct Reason {
    pub name: Name,
    pub words: Name,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $kind:ident$(($operand:ident: $t:ty))? = $name:literal, $words:literal;)*) => {
        /// What a wait is for; its operand, if it has one, is what names the object.
        #[derive(Clone, Copy)]
        pub enum Why {
            $($(#[$doc])* $kind$(($t))?,)*
        }

        enum Kind {
            $($kind,)*
        }

        impl Why {
            /// The word that stands for it; 56 bits of the operand are kept.
            #[inline]
            pub const fn word(self) -> u64 {
                match self {
                    $(Why::$kind$(($operand))? => Kind::$kind as u64 $(| ($operand as u64) << OPERAND)?,)*
                }
            }
        }

        /// The reasons' names and words; a word's kind is the row.
        pub static REASONS: &[Reason] = &[$(Reason { name: Name::new($name), words: Name::new($words) },)*];
    };
}

reasons! {
    /// A thread that has not waited yet.
    Nothing = "nothing", "has not waited yet";
    Readable(fd: i32) = "readable", "waits to read {fd}";
    Writable(fd: i32) = "writable", "waits to write {fd}";
    /// poll, select, epoll_wait: how many descriptors are waited for.
    Poll(count: usize) = "poll", "waits for one of {count} descriptors";
    Mutex(address: usize) = "mutex", "waits for the mutex at {address}";
    Cond(address: usize) = "cond", "waits for the condition variable at {address}";
    Semaphore(address: usize) = "semaphore", "waits for the semaphore at {address}";
    ReadLock(address: usize) = "read_lock", "waits to read under the rwlock at {address}";
    WriteLock(address: usize) = "write_lock", "waits to write under the rwlock at {address}";
    Barrier(address: usize) = "barrier", "waits at the barrier at {address}";
    Once(address: usize) = "once", "waits for another's pthread_once at {address}";
    Futex(address: usize) = "futex", "waits for the futex at {address}";
    Join(tid: i32) = "join", "joins thread {tid}";
    Sleep = "sleep", "sleeps";
    /// sigwait, pause, sigsuspend.
    Signal = "signal", "waits for a signal";
    Child(pid: i32) = "child", "waits for child {pid}";
    Children = "children", "waits for a child";
    /// A queue or a set of semaphores of System V's.
    Queue(id: i32) = "queue", "waits for the queue or semaphores of id {id}";
    /// A lock inside libc.
    Lock(address: usize) = "lock", "waits for libc's lock at {address}";
    /// A duty of another kernel thread's that is not done yet.
    Errand = "errand", "waits for another kernel thread";
    /// A call of which nothing else is known.
    InKernel = "in_kernel", "waits in the kernel";
}

/// What a word says: its row of the table, and the operand.
pub const fn parts(word: u64) -> (usize, u64) {
    ((word & KIND) as usize, word >> OPERAND)
}
