//! The question whether a worker's kernel thread is runnable: the monitor must tell a worker that waits for a processor from a worker that
//! stands in a call. Neither uses CPU time, but taking its slot helps the others only in the second case.
//!
//! The answer is read from /proc by descriptors that are kept, at high numbers (`own_fds`): a descriptor opened and closed at each
//! question would hold the lowest free number for that moment, and the program expects that number from its own next open. It still
//! happens once for each kernel thread that is asked about. The numbers are taken before the first thread is made, so that the process
//! has as many descriptors later as at its start.

use crate::base::own_fds;
use crate::sys;
use std::sync::atomic::{AtomicI32, Ordering::*};

/// Kernel threads whose state can be read without opening anything. Where more are asked about, they take turns.
pub const KEPT: usize = 4;

/// What the states of kernel threads are read by.
struct States {
    /// The descriptors, each of some kernel thread's state; -1: there is no room for it, or no /proc.
    descriptors: [AtomicI32; KEPT],
}

static STATES: States = States { descriptors: [const { AtomicI32::new(-1) }; KEPT] };

/// Takes the descriptors' numbers, for `Runnable`: the start calls this, while there is one thread.
pub fn reserve() {
    let own = sys::task::open_state(sys::kernel_thread_id());
    for state in &STATES.descriptors {
        let kept = own.and_then(|own| sys::duplicate_high(own, own_fds::own_lowest()).ok());
        kept.inspect(|&fd| own_fds::insert(fd));
        state.store(kept.unwrap_or(-1), Relaxed);
    }
    own.inspect(|&own| sys::close(own));
}

/// The monitor's list of the kernel threads that the descriptors in `STATES` are of, each in its place; 0: of none yet.
pub struct Runnable {
    tids: [i32; KEPT],
    /// The next descriptor to be used for another kernel thread.
    next: usize,
}

impl Runnable {
    /// Only the monitor has one; in a fork child the next monitor begins with another.
    pub const fn new() -> Runnable {
        Runnable { tids: [0; KEPT], next: 0 }
    }

    /// Does this kernel thread of the process's run, or would it, had it a processor? `None`: it has ended, or /proc does not tell.
    pub fn ask(&mut self, kernel_tid: i32) -> Option<bool> {
        let known = self.tids.iter().position(|&tid| tid == kernel_tid);
        // No answer: that thread has ended, and the tid may be another's by now.
        let answer = known.and_then(|place| sys::task::runs_by(STATES.descriptors[place].load(Relaxed)));
        if answer.is_some() {
            return answer;
        }
        let place = known.unwrap_or(self.next);
        let kept = STATES.descriptors[place].load(Relaxed);
        if kept < 0 {
            return None;
        }
        self.next = (place + 1) % KEPT;
        self.tids[place] = 0;
        let state = sys::task::open_state(kernel_tid)?;
        let replaced = sys::duplicate_onto(state, kept);
        sys::close(state);
        replaced.ok()?;
        self.tids[place] = kernel_tid;
        sys::task::runs_by(kept)
    }
}

/// Forgets the descriptors in a fork child, where `own_fds` has closed them: the next start takes others.
pub fn after_fork() {
    let States { descriptors } = &STATES;
    descriptors.iter().for_each(|descriptor| descriptor.store(-1, Relaxed));
}
