//! Event loops, known by what they do: a thread that waits again and again at one place in epoll_wait, poll or select.
//!
//! The time from the end of one such wait to the begin of the next is the loop's turn: what its handlers took, and what all others of the
//! loop waited for. A place counts as a loop's from its `TURNS`th wait on; one that was none is looked at again after twice as many.
//!
//! ```text
//!   none of a loop's                            why
//!   a wait for one descriptor                   a driver waits for its one connection (epoll: that descriptor is a connection; a loop may
//!                                               have no more than its wake-up)
//!   a wait of one of the libraries `DRIVERS`    a driver waits for its connection and a wake-up of its own
//! ```
//!
//! A thread has one loop at a time, for a driver that waits within a turn would hide it. A loop of epoll takes the place of one of poll or
//! select: that was a wait for several pipes, as Python's subprocess module makes it, before the loop began.

use crate::audit::clock;
use crate::audit::format::{self, Loop, Recording, LAGS, LAG_SHIFT, LOOPS};
use crate::audit::thread::Thread;
use crate::audit::{blocks, modules, processor, text};
use crate::audit::{stack, subject};
use crate::sys;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// From which wait on a place is a loop's.
const TURNS: u32 = 4;
/// From which duration on, in microseconds, a turn's processor time is asked for.
const ASKED_US: u64 = 1_000;

/// Where a wait is made. Another selector of the same program waits at the same place in the code, on a descriptor of its own.
#[derive(Clone, Copy)]
pub struct Place {
    pub row: u32,
    /// The return address of the call.
    pub caller: usize,
    /// The descriptor of a wait of epoll; -1: another wait.
    pub epoll: i32,
}

/// How many short turns are counted on the thread before its loop's entry gets them.
const QUIET: u32 = 256;

/// Counts a short wait on the thread alone, with as few instructions as can be: called by the recorder for every wait of epoll, poll and
/// select that took less than a microsecond, on its thread. `is_about_many`: about two descriptors or more;
/// the other arguments are `turn`'s. False: it is to be noted, for it is the one from which on the place is a loop's, or the turn before it
/// was no short one, or `QUIET` short ones are to be written, or the place is to be another.
#[inline(always)]
pub fn short_turn(here: &Thread, at: Place, is_about_many: bool, began: u64, ended: u64) -> bool {
    let is_loops = here.place.get() != 0;
    if !is_at(here, at) {
        // Another place, as in `turn`.
        if !is_loops && is_about_many {
            another_place(here, at, ended);
        }
        return !takes_over(here, at);
    }
    let busy = began.wrapping_sub(here.ended.get());
    let quiet = here.quiet.get() + 1;
    if !is_loops && (!is_about_many || here.turns.get() > TURNS) {
        // It is none, or there was no room for it.
        return true;
    }
    if !is_loops || busy >= clock::ticks_of_us(1) || quiet >= QUIET || here.blocked_ns.get() != 0 {
        return false;
    }
    here.turns.set(here.turns.get().saturating_add(1));
    here.ended.set(ended);
    here.quiet.set(quiet);
    here.quiet_ticks.set(here.quiet_ticks.get() + busy);
    true
}

/// Does a wait of epoll take the place of the thread's loop of poll or select?
#[inline(always)]
fn takes_over(here: &Thread, at: Place) -> bool {
    here.place.get() != 0 && at.epoll >= 0 && here.epoll.get() < 0
}

/// Notes a wait at another place than the last, of a thread that has no loop, or has none any more.
fn another_place(here: &Thread, at: Place, ended: u64) {
    here.place.set(0);
    here.row.set(at.row);
    here.caller.set(at.caller);
    here.epoll.set(at.epoll);
    here.turns.set(1);
    here.ended.set(ended);
}

/// Notes a wait that was made at this place, began and ended at these ticks, and is about two descriptors or more, or is made at the place
/// of the thread's own loop. Called by the recorder on the thread that has waited.
pub fn turn(recording: &Recording, here: &Thread, at: Place, began: u64, ended: u64) {
    if !is_at(here, at) {
        if here.place.get() == 0 || takes_over(here, at) {
            another_place(here, at, ended);
        }
        return;
    }
    here.turns.set(here.turns.get().saturating_add(1));
    let before = here.ended.replace(ended);
    let turns = here.turns.get();
    if turns >= TURNS && turns.is_power_of_two() && here.place.get() == 0 {
        here.place.set(claim(recording, here, at, ended) as u32);
        processor::ask(here, ended);
    }
    let blocked = here.blocked_ns.take();
    let Some(entry) = here.place.get().checked_sub(1).and_then(|at| recording.loops.get(at as usize)) else { return };
    let busy = began.wrapping_sub(before);
    let is_long = busy > clock::ticks_of_us(ASKED_US);
    let busy_ns = if is_long { clock::ns_of(busy, ended, sys::now_ns()) } else { clock::about_ns(busy) };
    entry.turns.store(u64::from(here.turns.get()), Relaxed);
    add(&entry.busy_ns, busy_ns + clock::about_ns(here.quiet_ticks.take()));
    add(&entry.blocked_ns, blocked.min(busy_ns));
    if busy_ns > entry.longest_ns.load(Relaxed) {
        entry.longest_ns.store(busy_ns, Relaxed);
    }
    let in_class = |of: usize, count: u32| entry.classes[of].store(entry.classes[of].load(Relaxed) + count, Relaxed);
    in_class(0, here.quiet.take());
    in_class(format::class(busy_ns), 1);
    along(entry, began, busy_ns);
    if is_long {
        let rest = busy_ns.saturating_sub(blocked);
        if let Some(window) = processor::ask(here, ended) {
            let computing = window.computed_ns.min(rest);
            add(&entry.computing_ns, computing);
            add(&entry.no_cpu_ns, window.delayed_ns.min(rest - computing));
        }
        entry.last_ns.store(sys::now_ns(), Relaxed);
    }
}

/// Notes a turn in the series of its loop: when it ended, in ticks, and how long it took. Called by the loop's thread, which alone writes
/// the series.
fn along(entry: &Loop, ended: u64, busy_ns: u64) {
    let since_ns = clock::about_ns(ended.saturating_sub(entry.lag_began_ticks.load(Relaxed)));
    let mut shift = entry.lag_shift.load(Relaxed);
    while since_ns >> shift >= LAGS as u64 {
        widen(&entry.lags_us);
        shift += 1;
        entry.lag_shift.store(shift, Relaxed);
    }
    let longest = &entry.lags_us[(since_ns >> shift) as usize];
    let busy_us = u32::try_from(busy_ns / 1_000).unwrap_or(u32::MAX);
    if busy_us > longest.load(Relaxed) {
        longest.store(busy_us, Relaxed);
    }
}

/// Makes one part of two, in the series' first half.
#[cold]
fn widen(lags_us: &[AtomicU32; LAGS]) {
    for at in 0..LAGS {
        let of = |at: usize| lags_us.get(at).map_or(0, |lag| lag.load(Relaxed));
        lags_us[at].store(of(2 * at).max(of(2 * at + 1)), Relaxed);
    }
}

/// Adds to a number that this thread alone writes: the loop's entry is its own.
fn add(to: &AtomicU64, more: u64) {
    to.store(to.load(Relaxed) + more, Relaxed);
}

/// Libraries whose calls wait on the caller's thread, for two descriptors or more, until they have what they want: how their files' names
/// begin, also where a wheel carries them within a module.
const DRIVERS: &[&[u8]] = &[
    b"_mssql.",
    b"cygrpc.",
    b"libct.so",
    b"libcurl",
    b"libgrpc.so",
    b"libmosquitto.so",
    b"libpaho-mqtt",
    b"librdkafka",
    b"libsybdb",
    b"libtdsodbc",
    b"pycurl.",
];

/// Is this the place of the thread's own loop?
pub fn is_own(here: &Thread, at: Place) -> bool {
    here.place.get() != 0 && is_at(here, at)
}

#[inline(always)]
fn is_at(here: &Thread, at: Place) -> bool {
    (here.row.get(), here.caller.get(), here.epoll.get()) == (at.row, at.caller, at.epoll)
}

/// Takes an entry for the thread's loop, and names the loop after the thread as it is called now. `ended` is when its wait ended, just
/// now, in ticks. Entries are never given back: a loop that has ended is reported as well: its place from 1 on; 0: there is no room, or it
/// is none.
fn claim(recording: &Recording, here: &Thread, Place { row, caller, epoll }: Place, ended: u64) -> usize {
    stack::note_object(recording, caller as u64);
    if modules::is_of(recording, caller as u64, DRIVERS) || epoll >= 0 && subject::only_connection(epoll).is_some() {
        return 0;
    }
    for at in 0..LOOPS {
        let entry: &Loop = &recording.loops[at];
        if !blocks::is_ready(entry) {
            return 0;
        }
        if entry.thread.compare_exchange(0, tid(here), Relaxed, Relaxed).is_ok() {
            entry.call.store(row, Relaxed);
            entry.caller.store(caller as u64, Relaxed);
            entry.epoll.store(epoll, Relaxed);
            entry.first_ns.store(sys::now_ns(), Relaxed);
            entry.last_ns.store(sys::now_ns(), Relaxed);
            entry.lag_began_ticks.store(ended, Relaxed);
            entry.lag_shift.store(LAG_SHIFT, Relaxed);
            text::write(&entry.name, text::until_zero(&sys::thread_name()));
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
