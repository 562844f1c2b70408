//! What the recorder keeps for each thread, in the thread's own static TLS (`arch::words`: `gp_audit`). Only the thread itself touches it.

use crate::arch;
use std::cell::Cell;

/// A thread's words; all zero on a thread on which nothing was recorded yet.
#[repr(C)]
pub struct Thread {
    /// The place on the stack of the recorded call that goes on, or 0. A call that is made deeper down is part of that one.
    pub outer: Cell<usize>,
    /// The place on the stack from which this thread records, or 0: what is called deeper down meanwhile is the recorder's, or a handler's.
    pub records: Cell<usize>,
    /// The process in which these words were written last.
    pub process: Cell<i32>,
    /// Its kernel thread's number, or 0.
    pub tid: Cell<i32>,
    /// How many times it has waited in one place (`looping`), and where its loop is in the recording, from 1 on; 0: nowhere.
    pub turns: Cell<u32>,
    pub place: Cell<u32>,
    /// The row of that wait.
    pub row: Cell<u32>,
    /// Where that wait was called from, when it ended last, in ticks, and how much processor time the thread had used then.
    pub caller: Cell<usize>,
    pub ended: Cell<u64>,
    pub cpu_ns: Cell<u64>,
    pub no_cpu_ns: Cell<u64>,
    /// How much of the loop's present turn was spent in findings, in nanoseconds.
    pub blocked_ns: Cell<u64>,
    /// The long call whose Python stack is to be taken once the interpreter's lock is had again: `recorder::Waiting`, or 0.
    pub waiting: Cell<usize>,
    /// Calls that are not yet added to the recording's count.
    pub calls: Cell<u64>,
}

const _: () = assert!(std::mem::size_of::<Thread>() <= 128);

/// Returns this thread's words.
#[inline(always)]
pub fn here() -> &'static Thread {
    // SAFETY: 128 bytes of this thread's static TLS, zero at first, which is a `Thread`; only this thread's code uses them, and none of it
    // keeps the reference beyond the thread's life.
    unsafe { &*(arch::audit_words() as *const Thread) }
}

impl Thread {
    /// Notes whose thread this is. The thread of a fork child that has forked has its parent's words, which are forgotten here: called
    /// before each note, with the recording's process.
    pub fn belong_to(&self, of: i32) {
        if self.process.replace(of) == of {
            return;
        }
        let Thread {
            outer: _,
            records: _,
            process: _,
            tid,
            turns,
            place,
            row,
            caller,
            ended,
            cpu_ns,
            no_cpu_ns,
            blocked_ns,
            waiting,
            calls: _,
        } = self;
        tid.set(0);
        turns.set(0);
        place.set(0);
        row.set(0);
        caller.set(0);
        ended.set(0);
        cpu_ns.set(0);
        no_cpu_ns.set(0);
        blocked_ns.set(0);
        waiting.set(0);
    }
}
