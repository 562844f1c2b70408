//! What the recorder keeps for each thread, in the thread's own static TLS (`arch::words`: `gp_audit`). Only the thread itself touches it.

use crate::arch;
use crate::audit::format::keeps;
use crate::sys;
use std::cell::Cell;

/// A thread's words; all zero on a thread on which nothing was recorded yet.
#[repr(C)]
pub struct Thread {
    /// The place on the stack of the recorded call that goes on, or from which this thread records, or 0. What is called deeper down is a
    /// part of that call, the recorder's, or a handler's.
    pub outer: Cell<usize>,
    /// Where the thread's entry `format::Now` is; 0: not claimed yet; `now::NOWHERE`.
    pub now: Cell<usize>,
    /// Calls that are not yet added to the recording's count.
    pub calls: Cell<u64>,
    /// The process in which these words were written last.
    pub process: Cell<i32>,
    /// Its kernel thread's number, or 0.
    pub tid: Cell<i32>,
    /// The sites that it has called last, each by its row's lowest bits: places in the recording's list, from 1 on; 0: none.
    pub sites: [Cell<u16>; SITES],
    /// How many times it has had the interpreter's lock again: what lies between two times is a stretch.
    pub stretch: Cell<u32>,
    /// Where its loop is in the recording (`looping`), from 1 on; 0: nowhere.
    pub place: Cell<u32>,
    /// How long the calls took together since the kernel was asked last (`processor`), and at which call's end that was, in ticks; 0:
    /// never.
    pub noted_ns: Cell<u64>,
    pub asked: Cell<u64>,
    /// How many times it has waited in one place (`looping`).
    pub turns: Cell<u32>,
    /// The row of that wait, where it was called from, when it ended last, in ticks, and on which descriptor of epoll (-1: another wait).
    pub row: Cell<u32>,
    pub caller: Cell<usize>,
    pub ended: Cell<u64>,
    pub epoll: Cell<i32>,
    /// How many turns since the last that the loop's entry knows were short, and how long they took together, in ticks.
    pub quiet: Cell<u32>,
    pub quiet_ticks: Cell<u64>,
    /// How much of the loop's present turn was spent in findings, in nanoseconds.
    pub blocked_ns: Cell<u64>,
    /// How many waits shorter than a microsecond there were of epoll, poll and select.
    pub shorts: Cell<u32>,
    /// When the kernel was asked last for the two sums below, CLOCK_MONOTONIC; 0: never.
    pub asked_ns: Cell<u64>,
    /// The processor time that the thread had used then, and how long it had been ready without a processor.
    pub cpu_ns: Cell<u64>,
    pub delay_ns: Cell<u64>,
    /// How long the thread has slept in all, as far as it was asked, in nanoseconds (`processor::ask`).
    pub slept_ns: Cell<u64>,
    /// How many series are told whose Python stack is to be taken once the interpreter's lock is had again.
    pub waiting: Cell<u32>,
    /// Of a green thread: how long it was parked in calls, in ticks; how many times its slot was handed over in one; and when the call that
    /// goes on began, in ticks.
    pub parked: Cell<u64>,
    pub began: Cell<u64>,
    pub handed: Cell<u32>,
    /// Its waits from one place, one after another (`series`).
    pub series: [Series; 3],
}

/// Waits of one thread from one place that belong together; all zero: none.
#[repr(C)]
pub struct Series {
    /// The place: the row, and the program's return address.
    pub row: Cell<u32>,
    pub caller: Cell<usize>,
    /// Where the call's frame was on the stack.
    pub place: Cell<usize>,
    /// The loop's turn, and the stretch, in which it began.
    pub turn: Cell<u32>,
    pub stretch: Cell<u32>,
    /// How many waits there were, and when the last one ended, in ticks.
    pub slices: Cell<u32>,
    pub ended: Cell<u64>,
    /// How long they took together, and how much of that was lack of a processor.
    pub sum_ns: Cell<u64>,
    pub lacked_ns: Cell<u64>,
    /// `Thread::slept_ns` when it began.
    pub slept_ns: Cell<u64>,
    /// The number of its entry of the ring, from 1 on; 0: it is not told.
    pub entry: Cell<u64>,
    /// The place of its finding, from 1 on; 0: it is not summed up.
    pub finding: Cell<u32>,
}

const _: () = assert!(std::mem::size_of::<Thread>() <= WORDS);
/// A recorded call that is no loop's looks at one line of a thread's words.
const _: () = assert!(std::mem::offset_of!(Thread, turns) == 64);

/// How many sites a thread keeps.
pub const SITES: usize = 4;

/// How many bytes of a thread's static TLS are the recorder's (`arch::words`).
const WORDS: usize = 512;

/// Returns this thread's words.
#[inline(always)]
pub fn here() -> &'static Thread {
    // SAFETY: 512 bytes of this thread's static TLS, zero at first, which is a `Thread`; only this thread's code uses them, and none of it
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
            process: _,
            tid,
            sites,
            turns,
            place,
            row,
            caller,
            epoll,
            ended,
            asked,
            asked_ns,
            cpu_ns,
            delay_ns,
            noted_ns,
            slept_ns: _,
            stretch: _,
            shorts: _,
            quiet,
            quiet_ticks,
            blocked_ns,
            waiting,
            calls: _,
            series,
            parked: _,
            began: _,
            handed: _,
            now,
        } = self;
        tid.set(0);
        sites.iter().for_each(|site| site.set(0));
        turns.set(0);
        place.set(0);
        row.set(0);
        caller.set(0);
        epoll.set(0);
        ended.set(0);
        asked.set(0);
        asked_ns.set(0);
        cpu_ns.set(0);
        delay_ns.set(0);
        noted_ns.set(0);
        quiet.set(0);
        quiet_ticks.set(0);
        blocked_ns.set(0);
        waiting.set(0);
        series.iter().for_each(|series| {
            series.entry.set(0);
            series.caller.set(0);
        });
        now.set(0);
    }

    /// Begins anew for another green thread: a vessel's words are those of all that it serves. Called on the thread, before its first
    /// recorded call.
    #[cold]
    pub fn begin_anew(&self, of: i32) {
        self.process.set(0);
        self.outer.set(0);
        self.belong_to(sys::process_id());
        self.tid.set(of);
    }
}

/// Is the thread with this TCB in a recorded call? Called on any thread, while the thread may end: a guess, by a word that is only looked
/// at.
pub fn is_in_call(tcb: usize) -> bool {
    let distance = (here() as *const Thread as usize).wrapping_sub(arch::tcb());
    let mut word = [0u8; 8];
    let place = tcb.wrapping_add(distance).wrapping_add(std::mem::offset_of!(Thread, outer));
    sys::read_own_memory(place, &mut word) && usize::from_ne_bytes(word) != 0
}

/// Whose a long call was, and what it kept.
pub struct Whose {
    /// The thread's name, up to a zero; `None`: the kernel thread's.
    pub name: Option<[u8; 16]>,
    /// `format::keeps`.
    pub keeps: u32,
    pub hand_overs: u32,
}

impl Whose {
    /// Of a thread that is its kernel thread.
    pub const NATIVE: Whose = Whose { name: None, keeps: keeps::OWN, hand_overs: 0 };
}
