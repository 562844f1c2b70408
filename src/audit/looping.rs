//! Event loops, known by what they do: a thread that waits again and again at one place in epoll_wait, poll or select.
//!
//! The time from the end of one such wait to the begin of the next is the loop's turn: what its handlers took, and what all others of the
//! loop waited for. A place counts as a loop's from its `TURNS`th wait on. A wait of poll or select is a loop's only if it is about two
//! descriptors or more: a driver that polls its one connection is none.

use crate::audit::clock;
use crate::audit::format::{self, Loop, Recording, LOOPS};
use crate::audit::stack;
use crate::audit::thread::Thread;
use crate::audit::{blocks, text};
use crate::sys;
use std::sync::atomic::Ordering::Relaxed;

/// From which wait on a place is a loop's.
const TURNS: u32 = 4;
/// From which duration on, in microseconds, a turn's processor time is asked for.
const ASKED_US: u64 = 1_000;

/// Notes a wait that was called from `caller`, began and ended at these ticks, and is about `count` descriptors (epoll: any number). Called
/// by the recorder on the thread that has waited.
pub fn turn(recording: &Recording, here: &Thread, row: u32, caller: usize, began: u64, ended: u64) {
    if here.row.get() != row || here.caller.get() != caller {
        // Another place: a loop's own is kept, or a driver that waits within a turn would hide it.
        if here.place.get() == 0 {
            here.row.set(row);
            here.caller.set(caller);
            here.turns.set(1);
            here.ended.set(ended);
        }
        return;
    }
    here.turns.set(here.turns.get().saturating_add(1));
    let before = here.ended.replace(ended);
    if here.turns.get() == TURNS {
        here.place.set(claim(recording, here, row, caller) as u32);
        here.cpu_ns.set(sys::own_cpu_ns());
        here.no_cpu_ns.set(sys::own_run_delay_ns());
    }
    let blocked = here.blocked_ns.take();
    let Some(entry) = here.place.get().checked_sub(1).and_then(|at| recording.loops.get(at as usize)) else { return };
    let busy = began.wrapping_sub(before);
    let is_long = busy > clock::ticks_of_us(ASKED_US);
    let busy_ns = if is_long { clock::ns_of(busy, ended, sys::now_ns()) } else { clock::about_ns(busy) };
    entry.turns.store(u64::from(here.turns.get()), Relaxed);
    entry.busy_ns.fetch_add(busy_ns, Relaxed);
    entry.longest_ns.fetch_max(busy_ns, Relaxed);
    entry.classes[format::class(busy_ns)].fetch_add(1, Relaxed);
    entry.blocked_ns.fetch_add(blocked.min(busy_ns), Relaxed);
    if is_long {
        let (cpu, delay) = (sys::own_cpu_ns(), sys::own_run_delay_ns());
        let rest = busy_ns.saturating_sub(blocked);
        let computing = cpu.saturating_sub(here.cpu_ns.replace(cpu)).min(rest);
        let no_cpu = delay.saturating_sub(here.no_cpu_ns.replace(delay)).min(rest - computing);
        entry.computing_ns.fetch_add(computing, Relaxed);
        entry.no_cpu_ns.fetch_add(no_cpu, Relaxed);
        entry.last_ns.store(sys::now_ns(), Relaxed);
    }
}

/// Is this the place of the thread's own loop?
pub fn is_own(here: &Thread, row: u32, caller: usize) -> bool {
    here.place.get() != 0 && here.row.get() == row && here.caller.get() == caller
}

/// Takes an entry for the thread's loop, and names the loop after the thread as it is called now. Entries are never given back: a loop that
/// has ended is reported as well: its place from 1 on; 0: there is no room.
fn claim(recording: &Recording, here: &Thread, row: u32, caller: usize) -> usize {
    for at in 0..LOOPS {
        let entry: &Loop = &recording.loops[at];
        if !blocks::is_ready(entry) {
            return 0;
        }
        if entry.thread.compare_exchange(0, tid(here), Relaxed, Relaxed).is_ok() {
            stack::note_object(recording, caller as u64);
            entry.call.store(row, Relaxed);
            entry.caller.store(caller as u64, Relaxed);
            entry.first_ns.store(sys::now_ns(), Relaxed);
            entry.last_ns.store(sys::now_ns(), Relaxed);
            text::write(&entry.name, sys::thread_name().split(|byte| *byte == 0).next().unwrap_or(b""));
            return at + 1;
        }
    }
    0
}

/// Returns the number of this thread.
pub fn tid(here: &Thread) -> i32 {
    if here.tid.get() == 0 {
        here.tid.set(sys::kernel_thread_id());
    }
    here.tid.get()
}
