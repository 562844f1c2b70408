//! Calls that are not over: what each thread waits in now, or waited in when its process ended; who waits for whom.
//!
//! ```text
//!   a call waits for        that is                              known by
//!   a mutex, a rwlock       the thread that holds it             the lock's own word
//!   another thread's end    that thread                          the descriptor that pthread_join was given
//!   anything else           not known: no thread can be named
//! ```
//!
//! Threads that wait for each other in a ring, without a timeout, wait for ever: a deadlock.

use std::collections::BTreeMap;

use super::recording::{Long, WaitsFor};
use super::state::State;
use super::symbols::{Library, Place};

/// A call that is not over.
pub struct Open {
    pub process: i32,
    /// What became of the process.
    pub end: End,
    pub verdict: &'static str,
    pub library: Library,
    pub for_s: f64,
    pub long: Long,
    pub stack: Vec<Option<Place>>,
    /// Was the thread seen in the call? Else its stack is not known but for the caller.
    pub seen: bool,
    pub waits_for: Option<WaitsFor>,
    /// The deadlock that it is part of, from 1 on.
    pub deadlock: Option<usize>,
    /// Is it a loop's wait for its events, which is no finding?
    pub is_loops: bool,
    /// The identity of the finding that it is once it is over.
    pub id: String,
    pub state: State,
}

impl Open {
    /// Is it told as something that went on? Threads of a process that ended in order waited for work then, but for those that waited for
    /// another thread.
    pub fn is_told(&self) -> bool {
        self.end != End::InOrder || self.waits_for.is_some()
    }
}

/// What became of a process.
#[derive(Clone, Copy, PartialEq)]
pub enum End {
    /// It lived when it was looked at.
    Lives,
    /// It has reached its end in order: threads that waited for work then are no fault.
    InOrder,
    /// It has ended otherwise: a signal, or a system call of its own.
    Otherwise,
}

/// Finds the deadlocks, and numbers them: rings of threads each of which waits for the next without a timeout.
pub fn deadlocks(open: &mut [Open]) {
    let waits = |at: &Open| {
        let thread = at.waits_for.as_ref().map_or(0, |waits| waits.thread);
        (thread != 0 && at.long.timeout_ns < 0 && !at.long.name.contains("timed") && !at.long.name.contains("clock"))
            .then_some(((at.process, at.long.thread), (at.process, thread)))
    };
    let next: BTreeMap<_, _> = open.iter().filter_map(waits).collect();
    let mut number = 0;
    for at in 0..open.len() {
        let first = (open[at].process, open[at].long.thread);
        let ring: Vec<_> = std::iter::successors(next.get(&first), |thread| next.get(thread))
            .take(next.len())
            .scan(false, |over, thread| (!std::mem::replace(over, *thread == first)).then_some(*thread))
            .collect();
        if ring.last() == Some(&first) && open[at].deadlock.is_none() {
            number += 1;
            let members = open.iter_mut().filter(|other| ring.contains(&(other.process, other.long.thread)));
            members.for_each(|member| member.deadlock = Some(number));
        }
    }
}
