//! The recorder itself: called around each of the program's calls that may wait.
//!
//! ```text
//!   begin   before the real function: the time, and the thread's entry; nothing, where another recorded call goes on further out.
//!           `begin_quickly` is the same where all is as it mostly is (`is_quick`)
//!   end     behind it: the time again, and a comparison. Only a call of SHORTEST_NS or more is noted
//!   note    sums it up at its site; a call of `threshold` or more goes on to `keep`
//!   keep    tells it whole into a finding and the ring; its Python stack may have to wait for `finish`
//! ```

use crate::audit::caller::{beyond_libc, caller_of, Frame};
use crate::audit::format::{self, gil, Finding, Long, Recording, Site, FRAMES, RING, SHORTEST_NS};
use crate::audit::lists::{self, finding, next_of_ring, site};
use crate::audit::long::{be_worst, written};
use crate::audit::looping::{self, tid};
use crate::audit::series::{self, Slice};
use crate::audit::stack::{self, Registers};
use crate::audit::subject::{self, Arguments};
use crate::audit::thread::{self, Series, Thread, Whose};
use crate::audit::{clock, holder, lacks, now, objects, processor, python, recording, text};
use crate::glibc;
use crate::rows::NAMES;
use crate::sys;
use std::sync::atomic::{AtomicU32, Ordering::*};

/// A call that goes on.
pub struct Begun {
    /// When it began, in ticks; 0: it is not recorded.
    ticks: u64,
}

/// Can this thread's call be recorded the quick way: does the recording go on as it has begun, and has the thread its entry? Called by an
/// audited function, first.
#[inline(always)]
pub fn is_quick() -> bool {
    recording::is_ready() && thread::here().now.get() > now::NOWHERE
}

/// Counts a call that is not timed, for it cannot wait.
#[inline(always)]
pub fn count() {
    let calls = &thread::here().calls;
    calls.set(calls.get() + 1);
}

/// Begins a call, as `begin`, where `is_quick`.
#[inline(always)]
pub fn begin_quickly(frame: Frame, values: &[u64]) -> Begun {
    let here = thread::here();
    let place = values.as_ptr() as usize;
    if here.outer.get() > place {
        return Begun { ticks: 0 };
    }
    here.outer.set(place);
    let ticks = clock::counter();
    // SAFETY: an entry in the mapping of this process, as `is_quick` has said.
    let entry = unsafe { &*(here.now.get() as *const format::Now) };
    now::enter(entry, frame.row() as u32, values, frame.distance(), ticks, stack::registers());
    Begun { ticks }
}

/// Begins a call of a frame's row. `values` lies in that frame: a zero, then the call's arguments. Called by an audited function, right
/// before the real one, on any thread, also in signal handlers and in a child on its parent's memory (vfork), which records into its
/// parent's file. `from` has the audited function's own registers.
pub fn begin(frame: Frame, values: &[u64], from: Registers) -> Begun {
    let here = thread::here();
    let place = values.as_ptr() as usize;
    // A frame further out that was left by a jump (siglongjmp, an exception) lies below this one by now, and counts no more.
    if here.outer.get() > place || recording::is_stopped() || recording::is_idle() {
        return Begun { ticks: 0 };
    }
    here.outer.set(place);
    if here.asked.get() == 0 {
        // Claims the thread's entry before the clock is read: the claim is no part of the first call. The window is begun behind it, for
        // the claim forgets whatever was another process's: a thread that has an entry has a window.
        now::of(here, place);
        processor::first(here, tid(here));
    }
    let ticks = clock::ticks();
    if let Some(entry) = now::of(here, place) {
        now::enter(entry, frame.row() as u32, values, frame.distance(), ticks, from);
    }
    Begun { ticks }
}

/// A call that is over, as `end` gets it.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The frame of its audited function, which has its row in the table.
    pub frame: Frame,
    /// Is it a wait that event loops make?
    pub may_loop: bool,
    pub arguments: Arguments<'a>,
    pub result: i64,
}

/// Ends a call of a frame's row, which is a wait that event loops make where `MAY_LOOP` says so: `is_about_many` tells then whether it is
/// about two descriptors or more, and its descriptor of epoll. `place` is as in `begin`; `clock` tells when the call ended, in ticks.
/// `call` tells the call, and is called only for one that is noted: what a short call pays for is above `note`. Called right behind the
/// real function; a call that is left by a jump or by a thread's end never comes here, and is not recorded. Keeps errno.
#[inline(always)]
pub fn end<'a, const MAY_LOOP: bool>(
    begun: &Begun,
    place: usize,
    frame: Frame,
    clock: impl FnOnce() -> u64,
    is_about_many: impl FnOnce() -> (bool, i32),
    call: impl FnOnce() -> Call<'a>,
) {
    if begun.ticks == 0 {
        return;
    }
    let now = clock();
    let here = thread::here();
    now::leave(here);
    here.calls.set(here.calls.get() + 1);
    let is_short = now.wrapping_sub(begun.ticks) < clock::ticks_of_us(SHORTEST_NS / 1_000);
    if !is_short || (MAY_LOOP && !is_done(here, frame, place, is_about_many(), begun.ticks, now)) {
        note(here, begun, now, place, &call());
    }
    here.outer.set(0);
}

/// Lets a short wait that event loops make be counted on the thread alone. False: it is to be noted.
#[inline(always)]
fn is_done(
    here: &Thread,
    frame: Frame,
    place: usize,
    (is_about_many, epoll): (bool, i32),
    began: u64,
    ended: u64,
) -> bool {
    // The first ones and one of many are noted: a driver's poll that could have waited is to be known (`note_short`).
    const FIRST: u32 = 16;
    const EACH: u32 = 256;
    let shorts = here.shorts.get().wrapping_add(1);
    here.shorts.set(shorts);
    if shorts <= FIRST || shorts.is_multiple_of(EACH) {
        return false;
    }
    let distance = frame.distance();
    // SAFETY: as in `caller_of`.
    let caller = || unsafe { *((place + distance) as *const usize) };
    let at = || looping::Place { row: frame.row() as u32, caller: caller(), epoll };
    distance > 0 && looping::short_turn(here, at(), is_about_many, began, ended)
}

/// Looks for what the recorder needs of the process. Called once, at load, after the recording has begun.
pub fn prepare() {
    stack::prepare();
    python::find(finish, sys::now_ns());
}

/// Notes a call of `SHORTEST_NS` or more, or one that event loops make.
#[cold]
#[inline(never)]
fn note(here: &Thread, begun: &Begun, now: u64, place: usize, call: &Call) {
    here.outer.set(place);
    let errno = glibc::errno();
    if let Some(recording) = recording::of_process().filter(|_| !recording::is_stopped()) {
        here.belong_to(recording.header.process.load(Relaxed));
        note_in(recording, here, begun, now, place, call, errno);
    }
    glibc::set_errno(errno);
}

/// Notes a call in a recording. In order: the loop's turn, for its begin is the call's; the site's sums, by the clock's last known rate;
/// the series that it belongs to (`add`). A call of about the threshold is measured exactly before it is judged.
fn note_in(recording: &Recording, here: &Thread, begun: &Begun, now: u64, place: usize, call: &Call, errno: i32) {
    let from = stack::registers();
    let returns_to = caller_of(recording, call.frame, place, from);
    let mut caller = returns_to;
    let ticks = now.wrapping_sub(begun.ticks);
    let row = call.frame.row() as u32;
    let mut is_loops_own = false;
    if call.may_loop {
        let place = looping::Place { row, caller: returns_to as usize, epoll: call.arguments.epoll() };
        if looping::is_own(here, place) || call.arguments.are_many() {
            looping::turn(recording, here, place, begun.ticks, now);
        }
        is_loops_own = looping::is_own(here, place);
        if ticks < clock::ticks_of_us(SHORTEST_NS / 1_000) {
            if !is_loops_own {
                note_short(recording, here, call, returns_to);
            }
            return;
        }
    }
    if stack::is_libcs(caller) {
        caller = beyond_libc(recording, from).unwrap_or(caller);
    }
    // The loop's own waits and those for the interpreter's lock are told elsewhere.
    let is_wait = !is_loops_own && !python::waits_for_lock(row, caller);
    let about_ns = clock::about_ns(ticks);
    if let Some(site) = site(recording, here, row, caller) {
        lists::add(site, here, about_ns);
        if here.place.get() != 0 && is_wait {
            ask_whether_it_could_wait(recording, site, call);
        }
    }
    let threshold = recording.header.threshold_ns.load(Relaxed);
    let lacked_ns = processor::lacked_ns(here, tid(here), about_ns, now, threshold);
    if about_ns < series::SHORTEST_NS || !is_wait {
        return;
    }
    let is_about_long = about_ns + about_ns / 64 >= threshold;
    let duration_ns = if is_about_long { clock::ns_of(ticks, now, sys::now_ns()) } else { about_ns };
    let limit_ns = if is_about_long { call.arguments.limit_ns() } else { None };
    let lacked_ns = limit_ns.map_or(lacked_ns, |limit| lacked_by_limit(lacked_ns, duration_ns, limit));
    let lacked_ns =
        lacked_ns + lacked_by_another(here, call, [begun.ticks, now], duration_ns.saturating_sub(lacked_ns), threshold);
    let slice = Slice { row, caller: caller as usize, place, began: begun.ticks, ended: now, duration_ns, lacked_ns };
    add(
        recording,
        here,
        &Noted { began: begun.ticks, from, call, caller, errno, threshold, whose: Whose::NATIVE },
        &slice,
    );
}

/// Returns how much of the rest of a call, which the thread has waited, the thread lacked a processor that it waited for, in nanoseconds.
#[inline(always)]
fn lacked_by_another(here: &Thread, call: &Call, [began, ended]: [u64; 2], waited_ns: u64, threshold: u64) -> u64 {
    if waited_ns < threshold / 8 {
        return 0;
    }
    let lacked_ns = lacks::of_another(tid(here), began, ended).min(waited_ns);
    // What the call waits for costs a question to the kernel, and is asked last.
    if lacked_ns > 0 && call.arguments.is_for_a_thread(NAMES[call.frame.row()]) {
        lacked_ns
    } else {
        0
    }
}

/// Returns how much of a call with a timeout of its own its thread lacked a processor, in nanoseconds. Behind the timeout it waits for
/// nothing any more. Up to there it has waited, once the timeout is over: a thread that lost its processor on its way to sleep would have
/// slept.
fn lacked_by_limit(lacked_ns: u64, duration_ns: u64, limit_ns: u64) -> u64 {
    let late_ns = duration_ns.saturating_sub(limit_ns + LATE_NS);
    let most_ns = if duration_ns >= limit_ns { duration_ns - limit_ns } else { u64::MAX };
    lacked_ns.max(late_ns).min(most_ns)
}

/// How late a timeout may be by the kernel's own doing (a timer's slack), in nanoseconds.
const LATE_NS: u64 = 1_000_000;

/// Notes a short call of poll's kind that is not the loop's own, on a loop's thread: one with a timeout could have waited, however short it
/// was.
fn note_short(recording: &Recording, here: &Thread, call: &Call, caller: u64) {
    if here.place.get() != 0 && call.arguments.could_wait() == Some(true) {
        let site = site(recording, here, call.frame.row() as u32, caller);
        site.inspect(|site| _ = site.could_wait.fetch_add(1, Relaxed));
    }
}

/// Asks of a loop's call, now and then (the first four of a site, and each of a hundred), whether it could have waited.
fn ask_whether_it_could_wait(recording: &Recording, site: &Site, call: &Call) {
    const FIRST: u32 = 4;
    const EACH: u64 = 100;
    let count = site.count.load(Relaxed);
    let asked = site.could_wait.load(Relaxed) + site.could_not_wait.load(Relaxed);
    if asked >= FIRST && !count.is_multiple_of(EACH) {
        return;
    }
    if asked == 0 {
        stack::note_object(recording, site.caller.load(Relaxed));
    }
    match call.arguments.could_wait() {
        Some(true) => _ = site.could_wait.fetch_add(1, Relaxed),
        Some(false) => _ = site.could_not_wait.fetch_add(1, Relaxed),
        None => {}
    }
}

/// What is known of a call that is noted, beside the times.
pub struct Noted<'a> {
    /// When it began, in ticks.
    pub began: u64,
    pub from: Registers,
    pub call: &'a Call<'a>,
    pub caller: u64,
    pub errno: i32,
    pub threshold: u64,
    pub whose: Whose,
}

/// Tells a call that belongs to no series whole. Called by `green`.
#[cold]
pub fn keep_alone(recording: &Recording, here: &Thread, noted: &Noted, slice: &Slice) {
    if series::of(here, slice).is_none_or(series::is_pending) {
        settle(recording, here);
    }
    if let Some(series) = series::of(here, slice) {
        series::begin(here, series, slice);
        series::add(series, slice);
        keep(recording, here, noted, series);
    }
}

/// Adds a call to the series of its place, and tells that where it has reached the threshold:
///
/// ```text
///   the call            the series                                     what is done
///   any                 is told, and the call belongs to it            added to its entry and its finding
///   of the threshold    any other                                      told alone, as a series of one slice
///   shorter             has the threshold, and has slept for it        told
///   shorter             has not                                        nothing more
/// ```
fn add(recording: &Recording, here: &Thread, noted: &Noted, slice: &Slice) {
    let waited = slice.duration_ns.saturating_sub(slice.lacked_ns);
    let is_long = waited >= noted.threshold;
    if slice.duration_ns >= noted.threshold && !is_long {
        recording.header.no_cpu.fetch_add(1, Relaxed);
        recording.header.no_cpu_ns.fetch_add(slice.lacked_ns, Relaxed);
    }
    let Some(series) = series::of(here, slice) else { return settle(recording, here) };
    if series::is_told(series) {
        if belongs(recording, here, series, noted, slice) {
            series::add(series, slice);
            here.blocked_ns.set(here.blocked_ns.get() + waited);
            return extend(recording, series, slice);
        }
        if series::is_pending(series) {
            settle(recording, here);
        }
    }
    if is_long || series::is_told(series) {
        series::begin(here, series, slice);
    }
    series::add(series, slice);
    let sum = series.sum_ns.get().saturating_sub(series.lacked_ns.get());
    if sum < noted.threshold {
        return;
    }
    let is_one_call = || series::has_slept(series, here, slice, noted.threshold) && is_one(recording, here, noted);
    if !is_long && !is_one_call() {
        return series::begin(here, series, slice);
    }
    here.blocked_ns.set(here.blocked_ns.get() + sum);
    series.place.set(slice.place);
    series.stretch.set(here.stretch.get());
    keep(recording, here, noted, series);
}

/// Do slices from one place belong together here, where none of them is long? In a loop, while the interpreter's lock is let go, or in one
/// library's call (`series`).
fn is_one(recording: &Recording, here: &Thread, noted: &Noted) -> bool {
    here.place.get() != 0
        || match python::lock_state() {
            gil::NONE => stack::is_in_library(recording, noted.from),
            gil::RELEASED => python::watches(),
            _ => false,
        }
}

/// Does a slice belong to a series that is told already? What was made with the lock held may be another Python line's.
fn belongs(recording: &Recording, here: &Thread, series: &Series, noted: &Noted, slice: &Slice) -> bool {
    series::is_of_stretch(series, here)
        && series.place.get() == slice.place
        && python::lock_state() != gil::HELD
        && is_one(recording, here, noted)
}

/// Tells a long call, or a series, whole, into the ring, and, where nothing more is to be waited for, into its finding:
///
/// ```text
///   the interpreter's lock                       the Python stack                      the finding's sums
///   none of the thread's (no Python)             none                                  at once
///   held                                         at once: this thread may read it      at once
///   let go, and its return is watched            in `finish`, once it is had again     there
///   let go, and nothing watches it               none                                  at once
/// ```
///
/// A thread keeps three of them at a time (`series`): where a fourth comes first, or the thread has left the interpreter, they are summed
/// up without a Python stack.
#[cold]
fn keep(recording: &Recording, here: &Thread, noted: &Noted, series: &Series) {
    let Noted { began, from, call, caller, errno, threshold: _, whose } = noted;
    let ended_ns = sys::now_ns();
    if python::find(finish, ended_ns) {
        recording.header.python.store(1, Relaxed);
    }
    recording.header.last_ns.store(ended_ns, Relaxed);
    objects::read_now_and_then(recording, ended_ns);
    [clock::ticks(), ended_ns].into_iter().zip(&recording.header.last).for_each(|(now, kept)| kept.store(now, Relaxed));
    let Some((entry, long)) = next_of_ring(recording) else { return };
    series.entry.set(entry);
    let row = call.frame.row();
    long.call.store(row as u32, Relaxed);
    long.thread.store(tid(here), Relaxed);
    tell_times(long, series, ended_ns);
    long.result.store(call.result, Relaxed);
    long.errno.store(*errno, Relaxed);
    long.reacquire_ns.store(0, Relaxed);
    long.python[0].store(0, Relaxed);
    long.holder.store(0, Relaxed);
    long.holder_depth.store(0, Relaxed);
    if let Some(lock) = call.arguments.mutex(NAMES[row]) {
        holder::tell(long, lock as usize, *began);
    }
    text::write(&long.name, NAMES[row].as_bytes());
    long.keeps.store(whose.keeps, Relaxed);
    long.hand_overs.store(whose.hand_overs, Relaxed);
    let name = whose.name.unwrap_or_else(sys::thread_name);
    text::write(&long.thread_name, text::until_zero(&name));
    subject::tell(long, &call.arguments);
    let mut depth = 0;
    stack::walk(recording, *from, |address, _| {
        let is_own = stack::is_own(address);
        if !is_own {
            long.frames[depth].store(address, Relaxed);
            depth += 1;
        }
        // Below a green thread's first function lies the library that serves it.
        depth < FRAMES && !(is_own && depth > 0)
    });
    long.depth.store(depth as u32, Relaxed);
    let lock = python::lock_state();
    long.gil.store(lock, Relaxed);
    match lock {
        gil::RELEASED if python::watches() => here.waiting.set(here.waiting.get() + 1),
        gil::HELD => {
            let line = python::tell(long);
            sum_up(recording, series, long, *caller, line);
        }
        _ => sum_up(recording, series, long, *caller, 0),
    }
}

/// Writes a series' times into its entry.
fn tell_times(long: &Long, series: &Series, ended_ns: u64) {
    long.ended_ns.store(ended_ns, Relaxed);
    long.duration_ns.store(series.sum_ns.get(), Relaxed);
    long.no_cpu_ns.store(series.lacked_ns.get(), Relaxed);
    long.slices.store(series.slices.get(), Relaxed);
}

/// Returns the entry of a series that is told; `None`: the ring has gone round meanwhile, and another call has it.
fn entry_of<'a>(recording: &'a Recording, series: &Series) -> Option<&'a Long> {
    let number = series.entry.get().checked_sub(1)?;
    (recording.header.rung.load(Relaxed).wrapping_sub(number) <= RING as u64)
        .then(|| &recording.ring[number as usize % RING])
}

/// Adds a slice, which the series has already, to what was told of it.
fn extend(recording: &Recording, series: &Series, slice: &Slice) {
    let ended_ns = sys::now_ns();
    recording.header.last_ns.store(ended_ns, Relaxed);
    let long = entry_of(recording, series);
    let finding = series.finding.get().checked_sub(1).map(|place| &recording.findings[place as usize]);
    if let Some(long) = long {
        long.turn.fetch_or(1, AcqRel);
        tell_times(long, series, ended_ns);
        if finding.is_some() {
            written(long);
        }
    }
    let Some(finding) = finding else { return };
    finding.total_ns.fetch_add(slice.duration_ns, Relaxed);
    finding.no_cpu_ns.fetch_add(slice.lacked_ns, Relaxed);
    finding.slices.fetch_add(1, Relaxed);
    let sum = series.sum_ns.get();
    let [before, after] = [sum - slice.duration_ns, sum].map(format::class);
    if before != after {
        finding.classes[before].fetch_sub(1, Relaxed);
        finding.classes[after].fetch_add(1, Relaxed);
    }
    long.inspect(|long| be_worst(long, finding));
}

/// Finishes the series whose Python stack was waited for. Called right after this thread has the interpreter's lock again, which took
/// `ticks`.
#[cold]
pub fn finish(here: &Thread, ticks: u64) {
    let errno = glibc::errno();
    let outer = here.outer.replace(&errno as *const _ as usize);
    if let Some(recording) = recording::of_process().filter(|_| !recording::is_stopped()) {
        let reacquired_ns = clock::about_ns(ticks);
        sum_up_pending(recording, here, |long| {
            long.reacquire_ns.store(reacquired_ns, Relaxed);
            python::tell(long)
        });
    }
    here.waiting.set(0);
    glibc::set_errno(errno);
    here.outer.set(outer);
}

/// Sums up the series whose Python stack was waited for, without one: the thread has left the interpreter, or waits in too many places.
#[cold]
fn settle(recording: &Recording, here: &Thread) {
    sum_up_pending(recording, here, |_| 0);
    here.waiting.set(0);
}

/// Sums up the series of this thread that are told and not summed up; `line` tells the Python stack, and returns a mix of its line.
fn sum_up_pending(recording: &Recording, here: &Thread, line: impl Fn(&Long) -> u64) {
    for series in here.series.iter().filter(|series| series::is_pending(series)) {
        if let Some(long) = entry_of(recording, series) {
            let line = line(long);
            let frames = (long.depth.load(Relaxed) as usize).min(FRAMES);
            let caller = long.frames[..frames].iter().map(|frame| frame.load(Relaxed));
            let caller = caller.into_iter().find(|address| !stack::is_libcs(*address)).unwrap_or(0);
            sum_up(recording, series, long, caller, line);
        } else {
            recording.header.lost.fetch_add(1, Relaxed);
            series.entry.set(0);
        }
    }
}

/// Adds a long call to its finding, and ends its entry in the ring.
fn sum_up(recording: &Recording, series: &Series, long: &Long, caller: u64, line: u64) {
    match sum_up_alone(recording, long, caller, line) {
        Some(place) => series.finding.set(place as u32 + 1),
        None => series.entry.set(0),
    }
}

/// Adds a long call that belongs to no series to its finding, and ends its entry in the ring. Returns the finding's place; `None`: there is
/// no room.
pub fn sum_up_alone(recording: &Recording, long: &Long, caller: u64, line: u64) -> Option<usize> {
    let (duration, reacquire) = (long.duration_ns.load(Relaxed), long.reacquire_ns.load(Relaxed));
    let place = finding(recording, long.call.load(Relaxed), caller, line);
    if let Some(place) = place {
        let entry = &recording.findings[place];
        let Finding {
            key: _,
            count,
            total_ns,
            no_cpu_ns,
            threads,
            slices,
            held,
            released,
            reacquire_total_ns,
            reacquire_worst_ns,
            hand_overs,
            classes,
            worst: _,
        } = entry;
        count.fetch_add(1, Relaxed);
        total_ns.fetch_add(duration, Relaxed);
        no_cpu_ns.fetch_add(long.no_cpu_ns.load(Relaxed), Relaxed);
        slices.fetch_add(long.slices.load(Relaxed).into(), Relaxed);
        threads.fetch_or(1 << (long.thread.load(Relaxed) & 31), Relaxed);
        let by_lock: Option<&AtomicU32> = match long.gil.load(Relaxed) {
            gil::HELD => Some(held),
            gil::RELEASED => Some(released),
            _ => None,
        };
        by_lock.inspect(|count| _ = count.fetch_add(1, Relaxed));
        reacquire_total_ns.fetch_add(reacquire, Relaxed);
        reacquire_worst_ns.fetch_max(reacquire, Relaxed);
        hand_overs.fetch_add(long.hand_overs.load(Relaxed), Relaxed);
        classes[format::class(duration)].fetch_add(1, Relaxed);
        be_worst(long, entry);
    }
    written(long);
    place
}
