//! The recorder itself: called around each of the program's calls that may wait.
//!
//! ```text
//!   begin   before the real function: the time; nothing, where another recorded call goes on further out
//!   end     behind it: the time again, and a comparison. Only a call of SHORTEST_NS or more is noted
//!   note    sums it up at its site; a call of `threshold` or more goes on to `keep`
//!   keep    tells it whole into a finding and the ring; its Python stack may have to wait for `finish`
//! ```
//!
//! Where a call came from: the program's return address lies above the frames of the hook and of the recorder. Their size is one number for
//! each row, found by unwinding once (`caller_of`), so that a short call costs one load.

use crate::audit::format::{
    self, gil, Finding, Long, Recording, Site, FINDINGS, FRAMES, RING, SHORTEST_NS, SITES, TAKEN,
};
use crate::audit::looping::{self, tid};
use crate::audit::stack::{self, Registers};
use crate::audit::subject::{self, Arguments};
use crate::audit::text;
use crate::audit::thread::{self, Thread};
use crate::audit::{blocks, recording};
use crate::audit::{clock, python};
use crate::base::kept::Kept;
use crate::glibc;
use crate::rows::{Row, NAMES};
use crate::sys;
use std::sync::atomic::{AtomicI32, AtomicU16, AtomicU32, Ordering::*};

/// A call that goes on.
pub struct Begun {
    /// When it began, in ticks; 0: it is not recorded.
    ticks: u64,
}

/// Begins a call. `place` is where its frame is on the stack. Called by an audited function, right before the real one, on any thread,
/// also in signal handlers and in a child on its parent's memory (vfork), which records into its parent's file.
#[inline(always)]
pub fn begin(place: usize) -> Begun {
    let here = thread::here();
    let outer = here.outer.get();
    // A frame further out that was left by a jump (siglongjmp, an exception) lies below this one by now, and counts no more.
    if here.records.get() > place || outer > place {
        return Begun { ticks: 0 };
    }
    here.outer.set(place);
    Begun { ticks: clock::ticks() }
}

/// A call that is over, as `end` gets it.
pub struct Call<'a> {
    /// Its row in the table.
    pub row: usize,
    /// Is it a wait that event loops make?
    pub may_loop: bool,
    pub arguments: Arguments<'a>,
    pub result: i64,
}

/// Ends a call. `place` is as in `begin`. Called right behind the real function; a call that is left by a jump or by a thread's end never
/// comes here, and is not recorded. Keeps errno.
#[inline(always)]
pub fn end(begun: &Begun, place: usize, call: &Call) {
    if begun.ticks == 0 {
        return;
    }
    let now = clock::ticks();
    let here = thread::here();
    here.calls.set(here.calls.get() + 1);
    if call.may_loop || now.wrapping_sub(begun.ticks) >= clock::ticks_of_us(SHORTEST_NS / 1_000) {
        note(here, begun, now, place, call);
    }
    here.outer.set(0);
}

/// Looks for what the recorder needs of the process. Called once, at load, after the recording has begun.
pub fn prepare() {
    stack::prepare();
    python::find(finish);
}

/// How far above a row's frame the program's return address lies; 0: not known yet.
static DISTANCES: Kept<[AtomicI32; Row::End as usize]> = Kept::new([const { AtomicI32::new(0) }; Row::End as usize]);

/// Returns the address that the call returns to: the program's, or libc's.
#[inline(always)]
fn caller_of(recording: &Recording, row: usize, place: usize, from: Registers) -> u64 {
    match DISTANCES[row].load(Relaxed) {
        // SAFETY: the distance was found for this row's frames, whose layout does not change: the hook's return address lies there.
        distance if distance > 0 => unsafe { *((place + distance as usize) as *const u64) },
        _ => find_caller(recording, row, place, from),
    }
}

/// Finds the caller by unwinding, and how far above the row's frame its address lies: the distance is kept if it is plausible. The frames
/// between are this library's own, of one layout each, so the distance is the same at the next call.
#[cold]
fn find_caller(recording: &Recording, row: usize, place: usize, from: Registers) -> u64 {
    let mut found = (0, 0);
    stack::walk(recording, from, |address, end| {
        found = (address, end);
        stack::is_own(address)
    });
    let (address, end) = found;
    if address == 0 || stack::is_own(address) {
        return 0;
    }
    let distance = (end - 8).wrapping_sub(place as u64);
    if (8..4096).contains(&distance) {
        DISTANCES[row].store(distance as i32, Relaxed);
    }
    address
}

/// Notes a call of `SHORTEST_NS` or more, or one that event loops make.
#[cold]
#[inline(never)]
fn note(here: &Thread, begun: &Begun, now: u64, place: usize, call: &Call) {
    here.records.set(place);
    let errno = glibc::errno();
    if let Some(recording) = recording::of_process() {
        here.belong_to(recording.header.process.load(Relaxed));
        note_in(recording, here, begun, now, place, call, errno);
    }
    glibc::set_errno(errno);
    here.records.set(0);
}

/// Notes a call in a recording. In order: the loop's turn, for its begin is the call's; the site's sums, by the clock's last known rate;
/// the whole call, by the exact one, if it took the threshold. A call of about the threshold is measured exactly before it is judged.
fn note_in(recording: &Recording, here: &Thread, begun: &Begun, now: u64, place: usize, call: &Call, errno: i32) {
    let from = stack::registers();
    let returns_to = caller_of(recording, call.row, place, from);
    let mut caller = returns_to;
    let ticks = now.wrapping_sub(begun.ticks);
    let row = call.row as u32;
    if call.may_loop {
        looping::turn(recording, here, row, returns_to as usize, begun.ticks, now);
        if ticks < clock::ticks_of_us(SHORTEST_NS / 1_000) {
            return;
        }
    }
    if stack::is_libcs(caller) {
        caller = beyond_libc(recording, from).unwrap_or(caller);
    }
    let calls = here.calls.take();
    recording.header.calls.fetch_add(calls, Relaxed);
    let about_ns = clock::about_ns(ticks);
    if let Some(site) = site(recording, row, caller) {
        site.count.fetch_add(1, Relaxed);
        site.total_ns.fetch_add(about_ns, Relaxed);
        site.worst_ns.fetch_max(about_ns, Relaxed);
        site.classes[format::class(about_ns)].fetch_add(1, Relaxed);
        let bit = 1 << (tid(here) & 31);
        if site.threads.load(Relaxed) & bit == 0 {
            site.threads.fetch_or(bit, Relaxed);
        }
    }
    let threshold = recording.header.threshold_ns.load(Relaxed);
    if about_ns + about_ns / 64 >= threshold {
        let ended_ns = sys::now_ns();
        let duration_ns = clock::ns_of(ticks, now, ended_ns);
        if duration_ns >= threshold && !looping::is_own(here, row, returns_to as usize) {
            keep(recording, here, from, call, caller, [ended_ns, duration_ns], errno);
        }
    }
}

/// Returns the first return address above libc's frames.
#[cold]
fn beyond_libc(recording: &Recording, from: Registers) -> Option<u64> {
    let mut found = None;
    stack::walk(recording, from, |address, _| {
        let within = stack::is_own(address) || stack::is_libcs(address);
        if !within {
            found = Some(address);
        }
        within
    });
    found
}

/// Mixes numbers to a key, never 0. Two that give the same key count as one: with 64 bits that is one chance in 10^12 for the sites that
/// there is room for.
fn mix(numbers: [u64; 3]) -> u64 {
    let mixed = numbers.iter().fold(0x9e37_79b9_7f4a_7c15u64, |mixed, number| {
        (mixed ^ number).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(31)
    });
    mixed.max(1)
}

/// How many places of an index are looked at for a key before it counts as lost.
const LOOKS: usize = 32;

/// Looks a key up in an index: the place of its entry. Where there is none, makes one: `count` has how many there are, `is` tells whether
/// an entry has the key, and `make` fills a new one (false: there is no memory for it). `None`: there is no room.
#[inline]
fn place_of(
    index: &[AtomicU16],
    count: &AtomicU32,
    most: usize,
    key: u64,
    is: impl Fn(usize) -> bool,
    make: impl Fn(usize) -> bool,
) -> Option<usize> {
    for look in 0..LOOKS {
        let word = &index[(key as usize).wrapping_add(look) % index.len()];
        let mut there = word.load(Acquire);
        if there == 0 {
            match word.compare_exchange(0, TAKEN, Acquire, Acquire) {
                Ok(_) => {
                    let place = count.fetch_add(1, Relaxed) as usize;
                    // A word without an entry stays taken: who comes next looks on.
                    if place >= most || !make(place) {
                        return None;
                    }
                    word.store(place as u16 + 2, Release);
                    return Some(place);
                }
                Err(now) => there = now,
            }
        }
        if there > TAKEN && is(there as usize - 2) {
            return Some(there as usize - 2);
        }
    }
    None
}

/// Returns a site's entry, which is made where there is none; `None`: there is no room. Two threads that come first at one moment may make
/// two, and the report adds them up.
#[inline]
fn site(recording: &Recording, row: u32, caller: u64) -> Option<&Site> {
    let key = mix([row.into(), caller, 0]);
    let Recording { header, site_index, sites, .. } = recording;
    let make = |place: usize| {
        let site: &Site = &sites[place];
        blocks::is_ready(site) && {
            site.call.store(row, Relaxed);
            site.caller.store(caller, Relaxed);
            text::write(&site.name, NAMES[row as usize].as_bytes());
            site.key.store(key, Relaxed);
            true
        }
    };
    let place = place_of(site_index, &header.sites, SITES, key, |place| sites[place].key.load(Relaxed) == key, make);
    if place.is_none() {
        header.lost.fetch_add(1, Relaxed);
    }
    place.map(|place| &sites[place])
}

/// Returns a finding's entry, as `site`.
fn finding(recording: &Recording, row: u32, caller: u64, line: u64) -> Option<&Finding> {
    let key = mix([row.into(), caller, line]);
    let Recording { header, finding_index, findings, .. } = recording;
    let make = |place: usize| {
        let is_ready = blocks::is_ready(&findings[place]);
        if is_ready {
            findings[place].key.store(key, Relaxed);
        }
        is_ready
    };
    let is = |place: usize| findings[place].key.load(Relaxed) == key;
    let place = place_of(finding_index, &header.findings, FINDINGS, key, is, make);
    if place.is_none() {
        header.lost.fetch_add(1, Relaxed);
    }
    place.map(|place| &findings[place])
}

/// Takes the ring's next entry to be written: its turn is odd until `written`. `None`: there is no memory for it.
fn next_of_ring(recording: &Recording) -> Option<&Long> {
    let at = recording.header.rung.fetch_add(1, Relaxed) as usize % RING;
    let long = &recording.ring[at];
    if !blocks::is_ready(long) {
        recording.header.lost.fetch_add(1, Relaxed);
        return None;
    }
    long.turn.fetch_or(1, AcqRel);
    Some(long)
}

/// Ends the writing of an entry: its turn is even, and another one than before, so that a reader who looks twice knows.
fn written(long: &Long) {
    long.turn.store((long.turn.load(Relaxed) | 1).wrapping_add(1), Release);
}

/// Tells a long call whole, into the ring, and, where nothing more is to be waited for, into its finding:
///
/// ```text
///   the interpreter's lock                       the Python stack                      the finding's sums
///   none of the thread's (no Python)             none                                  at once
///   held                                         at once: this thread may read it      at once
///   let go, and its return is watched            in `finish`, once it is had again     there
///   let go, and nothing watches it               none                                  at once
/// ```
///
/// A thread has one such call at a time: a second one that is let go before the first is finished takes its place, and the first keeps no
/// Python stack and no finding. CPython takes its lock back after each call, so that is a thread that has left the interpreter.
#[cold]
fn keep(
    recording: &Recording,
    here: &Thread,
    from: Registers,
    call: &Call,
    caller: u64,
    [ended_ns, duration_ns]: [u64; 2],
    errno: i32,
) {
    if python::find(finish) {
        recording.header.python.store(1, Relaxed);
    }
    recording.header.last_ns.store(ended_ns, Relaxed);
    here.blocked_ns.set(here.blocked_ns.get() + duration_ns);
    let Some(long) = next_of_ring(recording) else { return };
    long.call.store(call.row as u32, Relaxed);
    long.thread.store(tid(here), Relaxed);
    long.ended_ns.store(ended_ns, Relaxed);
    long.duration_ns.store(duration_ns, Relaxed);
    long.no_cpu_ns.store(0, Relaxed);
    long.result.store(call.result, Relaxed);
    long.errno.store(errno, Relaxed);
    long.reacquire_ns.store(0, Relaxed);
    long.python[0].store(0, Relaxed);
    text::write(&long.name, NAMES[call.row].as_bytes());
    text::write(&long.thread_name, sys::thread_name().split(|byte| *byte == 0).next().unwrap_or(b""));
    subject::tell(long, &call.arguments);
    let mut depth = 0;
    stack::walk(recording, from, |address, _| {
        if depth > 0 || !stack::is_own(address) {
            long.frames[depth].store(address, Relaxed);
            depth += 1;
        }
        depth < FRAMES
    });
    long.depth.store(depth as u32, Relaxed);
    let lock = python::lock_state();
    long.gil.store(lock, Relaxed);
    match lock {
        gil::RELEASED if python::watches() => here.waiting.set(long as *const Long as usize),
        gil::HELD => {
            let line = python::tell(long);
            sum_up(recording, long, caller, line);
        }
        _ => sum_up(recording, long, caller, 0),
    }
}

/// Finishes the long call whose Python stack was waited for. Called right after this thread has the interpreter's lock again, which took
/// `ticks`.
#[cold]
pub fn finish(here: &Thread, ticks: u64) {
    let errno = glibc::errno();
    here.records.set(&errno as *const _ as usize);
    // SAFETY: an entry of the ring in a mapping that is never taken away.
    let long = unsafe { &*(here.waiting.take() as *const Long) };
    let Some(recording) = recording::of_process() else { return here.records.set(0) };
    long.reacquire_ns.store(clock::about_ns(ticks), Relaxed);
    let line = python::tell(long);
    let frames = long.depth.load(Relaxed) as usize;
    let caller = long.frames[..frames.min(FRAMES)].iter().map(|frame| frame.load(Relaxed));
    let caller = caller.into_iter().find(|address| !stack::is_libcs(*address)).unwrap_or(0);
    sum_up(recording, long, caller, line);
    glibc::set_errno(errno);
    here.records.set(0);
}

/// Adds a long call to its finding, and ends its entry in the ring.
fn sum_up(recording: &Recording, long: &Long, caller: u64, line: u64) {
    let (duration, reacquire) = (long.duration_ns.load(Relaxed), long.reacquire_ns.load(Relaxed));
    if let Some(finding) = finding(recording, long.call.load(Relaxed), caller, line) {
        let Finding {
            key: _,
            count,
            total_ns,
            threads,
            held,
            released,
            reacquire_total_ns,
            reacquire_worst_ns,
            classes,
            worst,
        } = finding;
        count.fetch_add(1, Relaxed);
        total_ns.fetch_add(duration, Relaxed);
        threads.fetch_or(1 << (long.thread.load(Relaxed) & 31), Relaxed);
        let by_lock: Option<&AtomicU32> = match long.gil.load(Relaxed) {
            gil::HELD => Some(held),
            gil::RELEASED => Some(released),
            _ => None,
        };
        by_lock.inspect(|count| _ = count.fetch_add(1, Relaxed));
        reacquire_total_ns.fetch_add(reacquire, Relaxed);
        reacquire_worst_ns.fetch_max(reacquire, Relaxed);
        classes[format::class(duration)].fetch_add(1, Relaxed);
        if duration > worst.duration_ns.load(Relaxed) && worst.turn.fetch_or(1, AcqRel) & 1 == 0 {
            copy(long, worst);
            written(worst);
        }
    }
    written(long);
}

/// Copies a long call's entry, its turn aside.
fn copy(from: &Long, to: &Long) {
    let word = |from: &AtomicU32, to: &AtomicU32| to.store(from.load(Relaxed), Relaxed);
    word(&from.call, &to.call);
    word(&from.depth, &to.depth);
    word(&from.fd_kind, &to.fd_kind);
    word(&from.gil, &to.gil);
    for (from, to) in [(&from.thread, &to.thread), (&from.errno, &to.errno), (&from.fd, &to.fd)] {
        to.store(from.load(Relaxed), Relaxed);
    }
    for (from, to) in [
        (&from.ended_ns, &to.ended_ns),
        (&from.duration_ns, &to.duration_ns),
        (&from.no_cpu_ns, &to.no_cpu_ns),
        (&from.reacquire_ns, &to.reacquire_ns),
    ] {
        to.store(from.load(Relaxed), Relaxed);
    }
    to.timeout_ns.store(from.timeout_ns.load(Relaxed), Relaxed);
    to.result.store(from.result.load(Relaxed), Relaxed);
    for (from, to) in from.frames.iter().zip(&to.frames) {
        to.store(from.load(Relaxed), Relaxed);
    }
    text::copy(&from.name, &to.name);
    text::copy(&from.local, &to.local);
    text::copy(&from.peer, &to.peer);
    text::copy(&from.path, &to.path);
    text::copy(&from.thread_name, &to.thread_name);
    text::copy(&from.python, &to.python);
}
