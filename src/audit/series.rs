//! Many short waits that add up: a driver that waits in slices of 100 ms, or of one, blocks as long as one that waits at once.
//!
//! A thread's waits from one place are a series, as long as they belong together:
//!
//! ```text
//!   the thread                     its waits from one place belong together
//!   has a loop                     within one turn of it
//!   is Python's                    while the interpreter's lock is let go: in one call of an extension
//!   any other                      at one depth of the stack, while the pause before each is no longer than the wait, or than a
//!                                  millisecond; and only in a library that the program has called
//! ```
//!
//! A series that reaches the threshold is told as one long call, with the number of its slices and the stack of the one that reached it.
//! What comes after is added to it, so the longest is known whole. It must have slept, not computed in the kernel: half of the threshold at
//! least. A thread keeps three series at a time, so a fourth place takes the shortest's.

use crate::audit::clock;
use crate::audit::processor;
use crate::audit::thread::{Series, Thread};

/// A wait, as it is added to a series.
pub struct Slice {
    pub row: u32,
    pub caller: usize,
    /// Where its frame is on the stack.
    pub place: usize,
    /// When it began and ended, in ticks.
    pub began: u64,
    pub ended: u64,
    pub duration_ns: u64,
    /// How much of that was lack of a processor.
    pub lacked_ns: u64,
}

/// The shortest slice, in nanoseconds: what takes less has not slept, as a rule.
pub const SHORTEST_NS: u64 = 10_000;
/// How long the pause before a slice may be in any case, in microseconds.
const PAUSE_US: u64 = 1_000;

/// Returns the series that a slice belongs to, or begins one in the place of the shortest that is not waited for. `None`: each is waited
/// for. The slice is not added yet.
pub fn of<'a>(here: &'a Thread, slice: &Slice) -> Option<&'a Series> {
    let of_place = |series: &&Series| series.row.get() == slice.row && series.caller.get() == slice.caller;
    if let Some(series) = here.series.iter().find(of_place) {
        if !goes_on(here, series, slice) && !is_pending(series) {
            begin(here, series, slice);
        }
        return Some(series);
    }
    let series = here.series.iter().filter(|series| !is_pending(series)).min_by_key(|series| series.sum_ns.get())?;
    begin(here, series, slice);
    Some(series)
}

/// Does a slice belong to the series of its place?
fn goes_on(here: &Thread, series: &Series, slice: &Slice) -> bool {
    if here.place.get() != 0 {
        return series.turn.get() == here.turns.get();
    }
    if series.stretch.get() != here.stretch.get() {
        return false;
    }
    let pause = slice.began.wrapping_sub(series.ended.get());
    let longest = slice.ended.wrapping_sub(slice.began).max(clock::ticks_of_us(PAUSE_US));
    here.stretch.get() != 0 || series.place.get() == slice.place && pause <= longest
}

/// Begins a series anew, without a slice.
pub fn begin(here: &Thread, series: &Series, slice: &Slice) {
    series.row.set(slice.row);
    series.caller.set(slice.caller);
    series.place.set(slice.place);
    series.turn.set(here.turns.get());
    series.stretch.set(here.stretch.get());
    series.slices.set(0);
    series.sum_ns.set(0);
    series.lacked_ns.set(0);
    series.slept_ns.set(here.slept_ns.get());
    series.entry.set(0);
    series.finding.set(0);
}

/// Adds a slice to a series.
pub fn add(series: &Series, slice: &Slice) {
    series.slices.set(series.slices.get().saturating_add(1));
    series.sum_ns.set(series.sum_ns.get() + slice.duration_ns);
    series.lacked_ns.set(series.lacked_ns.get() + slice.lacked_ns);
    series.ended.set(slice.ended);
}

/// Is a series told already?
pub fn is_told(series: &Series) -> bool {
    series.entry.get() != 0
}

/// Is a series told, and does its finding wait for the Python stack?
pub fn is_pending(series: &Series) -> bool {
    series.entry.get() != 0 && series.finding.get() == 0
}

/// May a slice be added to a series that belongs to another return of the interpreter's lock? Where it is told, its Python lines would be
/// another's.
pub fn is_of_stretch(series: &Series, here: &Thread) -> bool {
    series.stretch.get() == here.stretch.get()
}

/// Has the thread slept for half of the threshold since it began? Where it has not, its slices were computing in the kernel, and it
/// begins anew. Asks the kernel.
pub fn has_slept(series: &Series, here: &Thread, slice: &Slice, threshold_ns: u64) -> bool {
    processor::ask(here, slice.ended);
    let slept = here.slept_ns.get().wrapping_sub(series.slept_ns.get());
    slept >= threshold_ns / 2
}
