//! The statistics: where they go, whose they are, and how they are written when a process ends, by whatever way.
//!
//! A path without `%p` has one file for a whole *family*: the process that was asked for and all that come from it. In it stands the member
//! that is nearest to the first one among those that made green threads; where nobody did, the first one. So a wrapper (`timeout`,
//! `sh -c`) hides nothing, and a green program is not hidden by a green child. Of members equally near the last to end counts.
//! To that end the executed programs find in their options the path made absolute, the family's name and the distance (`FAMILY`), and
//! the file begins with both: `{"family":"…","distance":0,"started":true,…`.
//!
//! What is no file (a FIFO, a terminal), or is the program's own output, is added to at the end.
//! Everything from `write` on allocates nothing and takes no lock of others: it runs inside signal handlers, and in processes that crash.

#![warn(unsafe_op_in_unsafe_fn)]

mod member;
pub mod place;
mod text;

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

/// Where the statistics go. Set at load, and the same in a fork child.
static DESTINATION: OnceBox<Destination> = OnceBox::new();

/// Whose the statistics are, in this process.
struct State {
    /// The process that may write; 0: none. (A child that still uses its parent's memory may not.)
    process: AtomicI32,
    /// How many processes there are between the family's first one and this.
    distance: AtomicU32,
    /// 1 while one of the process's threads writes.
    turn: AtomicU32,
}

static STATE: State = State { process: AtomicI32::new(0), distance: AtomicU32::new(0), turn: AtomicU32::new(0) };

/// Ends the family's value in the environment: an earlier member has said it.
const SAID_BEFORE: &str = ".said";

/// Takes down where the statistics are to go, seen from the directory in which the family begins.
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
    let kept = place::Kept::of(&path, me);
    let family = shared.then_some(name);
    DESTINATION.set(Box::new(Destination { path, family, kept })).ok();
    runtime::machine::counts::tell_by(Tellers {
        start: || write_at(When::Start),
        meanwhile: || write_at(When::Meanwhile),
        end: write,
    });
}

/// (family, process, distance) of the one that put it into the environment.
fn family(value: &str) -> Option<(&str, i32, u32)> {
    let mut parts = value.strip_suffix(SAID_BEFORE).unwrap_or(value).rsplitn(3, '.');
    let (distance, process) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((parts.next()?, process, distance))
}

/// Puts the path and the family into the options of the programs that this one executes.
fn tell_children(environment: &mut Environment, path: &str, family: &str) {
    let value = environment.get(VARIABLE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let others = value.split(':').filter(|part| !["stats", FAMILY].contains(&part.split('=').next().unwrap_or("")));
    let mut words = others.filter(|part| !part.is_empty()).fold(String::new(), |words, part| words + part + ":");
    words += &format!("stats={path}:{FAMILY}={family}");
    environment.replace(VARIABLE, &words);
}

/// In a fork child: one step farther from the first process.
pub fn after_fork() {
    let State { process, distance, turn } = &STATE;
    if process.load(Relaxed) != 0 {
        process.store(sys::process_id(), Relaxed);
        distance.fetch_add(1, Relaxed);
        turn.store(0, Relaxed);
        place::after_fork();
    }
}

/// How long a thread waits for its turn: one that crashes while it writes keeps the turn for ever.
const LONGEST_TURN_NS: u64 = 2_000_000_000;

/// Waits until nobody else writes.
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

fn give_turn() {
    STATE.turn.store(0, Release);
    sys::futex_wake(STATE.turn.as_ptr(), 1);
}

/// Nothing more is written by this process.
pub fn end() {
    STATE.process.store(0, Relaxed);
}

/// The file is made before the runtime starts, and kept open: the program is about to give up the right to make it.
pub fn open() {
    write_at(When::Start);
}

/// Writes the statistics as they are now: the process ends, or is about to execute another program.
pub fn write() {
    write_at(When::End);
}

fn write_at(when: When) {
    let Some(destination) = DESTINATION.get() else { return };
    let me = sys::process_id();
    if STATE.process.load(Relaxed) != me {
        return;
    }
    let member = Member { distance: STATE.distance.load(Relaxed), started: runtime::started() };
    // Nothing comes between, and the signals of a write that fails (SIGPIPE, SIGXFSZ) are taken back.
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
