//! The statistics: where they go, whose they are, and how they are written when a process ends, by whatever way.
//!
//! A path without `%p` has one file for a whole *family*: the process that was asked for and all that come from it. The file holds the
//! figures of one member: of the members that made green threads, the one nearest to the first process; where none did, the first process.
//! So a wrapper (`timeout`, `sh -c`) hides nothing, and a green program is not hidden by a green child. Of members equally near the last to
//! end counts. To that end executed programs find in their options the path made absolute, the family's name and the distance (`FAMILY`),
//! and the file begins with both: `{"family":"…","distance":0,"started":true,…`.
//!
//! When a process writes:
//!
//! ```text
//!   when                                               by whom                                what
//!   right after the start                              counts::after_start, on main           makes the file, and keeps its descriptor
//!   before Landlock puts the file out of reach         open, by a hook                        the same
//!   while the program runs                             the monitor, before it sleeps          overwrites the kept file
//!   at the end, or before another program is executed  write, by hooks and fatal signals      the same; makes it where there is none
//! ```
//!
//! A path that is no file (a FIFO, a terminal), or that is the program's own output, gets one line at the end.
//! `write` and all below it allocate nothing and take no lock of the program's or of libc's: they run inside signal handlers, and in
//! processes that crash.
//!
//! The way of a figure: `runtime::machine::counts` counts, `text` puts the counts into words, `place` finds the file and writes it, and
//! this file says when, and for which member. Threads of one process take turns (`STATE.turn`); which of a family's members stays in the
//! file is decided at the file (`place::replace`).
//!
//! A thread's way through `write_at`:
//!
//! 1. A process that may not write (`STATE.process`) returns: a vfork child, and one whose filter kills for a system call.
//! 2. All signals are blocked, so that no handler of this thread meets its turn half done.
//! 3. The turn is taken, or given up after `LONGEST_TURN_NS`: a thread that crashed in its turn never gives it back.
//! 4. The text is made and written; the turn is given back.
//! 5. A SIGPIPE or SIGXFSZ that this write caused is taken back, and the mask is as before.

#![warn(unsafe_op_in_unsafe_fn)]

mod member;
pub mod place;
mod text;

use crate::base::kept::Kept;
use crate::base::signal_set::CLOSED;
use crate::config::{Options, FAMILY};
use crate::environment::Environment;
use crate::report::VARIABLE;
use crate::runtime::machine::counts::Tellers;
use crate::statistics::member::Member;
use crate::statistics::place::{Destination, When};
use crate::{runtime, sys};
use once_cell::race::OnceBox;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::*};

/// Where the statistics go. Set at load, and the same in a fork child; not set: no statistics are asked for, and every function here
/// returns at once.
static DESTINATION: Kept<OnceBox<Destination>> = Kept::new(OnceBox::new());

/// Whose the statistics are, in this process. Written at load, by `after_fork` and by `end`; read at each write.
struct State {
    /// The process that may write; 0: none. Another process that finds its parent's id here (a vfork child, which uses its parent's memory)
    /// may not.
    process: AtomicI32,
    /// How many processes there are between the family's first one and this.
    distance: AtomicU32,
    /// 1 while one of the process's threads writes; 0: none does. A futex.
    turn: AtomicU32,
}

static STATE: State = State { process: AtomicI32::new(0), distance: AtomicU32::new(0), turn: AtomicU32::new(0) };

/// The end of the family's value in the environment where an earlier member has written the line that the statistics cannot be written: one
/// line is enough for a family.
const SAID_BEFORE: &str = ".said";

/// Notes where the statistics are to go, and puts that into the environment for executed programs. Called once, at load, while the process
/// has one thread; may allocate. Does nothing without the option `stats`. A relative path counts from the directory in which the family
/// begins.
pub fn prepare(environment: &mut Environment, options: &Options<'static>) {
    let Some(path) = options.stats else { return };
    let me = sys::process_id();
    let inherited = options.family.and_then(family);
    let path = if inherited.is_some() { path.to_string() } else { place::absolute(path, me) };
    let shared = !path.contains("%p");
    let (name, distance) = match inherited {
        Some((name, of, distance)) => (name.to_string(), if of == me { distance } else { distance + 1 }),
        None => (format!("{me}-{}", sys::clock_ns(libc::CLOCK_REALTIME).unwrap_or(0)), 0),
    };
    STATE.process.store(me, Relaxed);
    STATE.distance.store(distance, Relaxed);
    if options.family.is_none() {
        place::complain_beforehand(&path, me);
    } else if options.family.is_some_and(|family| family.ends_with(SAID_BEFORE)) {
        place::note_said();
    }
    let said = if place::has_said() { SAID_BEFORE } else { "" };
    tell_children(environment, &path, &format!("{name}.{me}.{distance}{said}"));
    let kept = place::AtStart::of(&path, me);
    let family = shared.then_some(name);
    DESTINATION.set(Box::new(Destination { path, family, kept })).ok();
    runtime::machine::counts::tell_by(Tellers {
        start: || write_at(When::Start),
        meanwhile: || write_at(When::Meanwhile),
        end: write,
    });
}

/// Returns (family, process id, distance) of the member that put `value` into the environment: `NAME.PID.DISTANCE`, perhaps with
/// `SAID_BEFORE` behind. `None`: the value is malformed. A process that finds its own id there has executed another program and is the same
/// member; any other is a child, one step farther.
fn family(value: &str) -> Option<(&str, i32, u32)> {
    let mut parts = value.strip_suffix(SAID_BEFORE).unwrap_or(value).rsplitn(3, '.');
    let (distance, process) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((parts.next()?, process, distance))
}

/// Puts the path and the family into the options of the programs that this one executes, in place of what they say of both. Called by
/// `prepare`, before libc has read the environment; a variable that is not set is not made (`Environment::replace`).
fn tell_children(environment: &mut Environment, path: &str, family: &str) {
    let value = environment.get(VARIABLE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let others = value.split(':').filter(|part| !["stats", FAMILY].contains(&part.split('=').next().unwrap_or("")));
    let mut words = others.filter(|part| !part.is_empty()).fold(String::new(), |words, part| words + part + ":");
    words += &format!("stats={path}:{FAMILY}={family}");
    environment.replace(VARIABLE, &words);
}

/// Makes a fork child a member of its own, one step farther from the first process. Called by the hooks of fork, while there is one thread.
pub fn after_fork() {
    let State { process, distance, turn } = &STATE;
    if process.load(Relaxed) != 0 {
        process.store(sys::process_id(), Relaxed);
        distance.fetch_add(1, Relaxed);
        turn.store(0, Relaxed);
        place::after_fork();
    }
}

/// How long a thread waits for its turn, in nanoseconds: a thread that crashes while it writes keeps the turn for ever.
const LONGEST_TURN_NS: u64 = 2_000_000_000;

/// Takes the turn, when no other thread of this process writes. False: the turn was not to be had in `LONGEST_TURN_NS`. Waits on the futex,
/// with all signals blocked; called by `write_at` alone.
fn take_turn() -> bool {
    let deadline_ns = sys::now_ns() + LONGEST_TURN_NS;
    while STATE.turn.swap(1, Acquire) != 0 {
        if sys::now_ns() > deadline_ns {
            return false;
        }
        sys::futex_wait(&STATE.turn, 1, Some(deadline_ns)).ok();
    }
    true
}

/// Gives the turn back, and wakes one thread that waits for it.
fn give_turn() {
    STATE.turn.store(0, Release);
    sys::futex_wake(STATE.turn.as_ptr(), 1);
}

/// Keeps this process from writing anything more: a filter of the program's own would kill it for that. Called by the hooks that set
/// one, while the program runs natively.
pub fn end() {
    STATE.process.store(0, Relaxed);
}

/// Makes the file before the runtime starts, and keeps it open: the program is about to put it out of its own reach. Called by the hook of
/// landlock_restrict_self, while the program runs natively. A second call overwrites the file. A failure is not told: the end
/// tries again.
pub fn open() {
    write_at(When::Start);
}

/// Writes the statistics as they are now: the process ends, or is about to execute another program. Called on any thread, in signal
/// handlers too. The callers: `_exit`, `quick_exit` and exec's hooks, the library's destructor, whatever lets a signal end the process
/// (`counts::before_end`). May wait: two seconds for the turn, and as long for a reader (`place::put`).
pub fn write() {
    write_at(When::End);
}

/// Writes the statistics, with all signals blocked and under the turn. A failure is told on stderr once, at the end only.
fn write_at(when: When) {
    let Some(destination) = DESTINATION.get() else { return };
    let me = sys::process_id();
    if STATE.process.load(Relaxed) != me {
        return;
    }
    let member = Member { distance: STATE.distance.load(Relaxed), started: runtime::started() };
    // All signals are blocked: no handler runs while the turn is held, and the signals of a write that fails (SIGPIPE, SIGXFSZ) stay
    // pending until they are taken back below.
    let mask = sys::set_signal_mask(CLOSED);
    let before = sys::pending_signals();
    if take_turn() {
        // SAFETY: it is this thread's turn.
        let written = unsafe { place::write(destination, member, me, when) };
        if let Err(why) = written.or_else(|why| if when == When::End { Err(why) } else { Ok(()) }) {
            place::complain(destination, me, why);
        }
        give_turn();
    }
    const OWN_DOING: u64 = crate::base::signal_set::bit(libc::SIGPIPE) | crate::base::signal_set::bit(libc::SIGXFSZ);
    let caused = sys::pending_signals() & !before & OWN_DOING;
    if caused != 0 {
        sys::take_signal(caused).ok();
    }
    sys::set_signal_mask(mask);
}
