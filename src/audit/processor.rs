//! How much of a call's time its thread was ready to run and had no processor: on a machine that is busy, stalls of 5 to 40 ms come from
//! that alone, and no driver is to blame for them.
//!
//! The kernel tells a thread's delay since its begin, not a call's, and asking costs some microseconds, so it is not asked before each
//! call. It is asked behind one, whenever the calls since the last time took an eighth of the threshold together, and so behind every long
//! one. The time since then, the window, is of three parts, each known exactly:
//!
//! ```text
//!   time since the thread was asked last  =  on a processor  +  ready, without one  +  asleep
//! ```
//!
//! Calls of the window's begin took an eighth of the threshold at most, so the thread has slept at most so much outside of the long call.
//! Of a call the least that it slept for certain is not known then, but the most: what the window has. The rest of the call is said to be
//! lack of a processor, as far as there was any in the window. So is, without asking, what a call took beyond its own timeout.
//!
//! Where many threads wait for some milliseconds each, all these questions would cost more than the calls. So behind calls that are shorter
//! than the threshold there is one in `PAUSE_US` for the whole process. A window may begin with more calls then: what they took is counted
//! as sleep of theirs, as far as it is more than that eighth.

use crate::audit::thread::Thread;
use crate::audit::{clock, lacks};
use crate::base::kept::Kept;
use crate::sys;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// When a thread may be asked behind a short call again, in ticks: in a fork child, too.
static NEXT: Kept<AtomicU64> = Kept::new(AtomicU64::new(0));

/// How long no thread is asked behind a short call, after one was, in microseconds.
const PAUSE_US: u64 = 1_000;

/// Is a thread to be asked behind a short call that ended at `now` (ticks)?
fn may_ask(now: u64) -> bool {
    let due = NEXT.load(Relaxed);
    now >= due && NEXT.compare_exchange(due, now + clock::ticks_of_us(PAUSE_US), Relaxed, Relaxed).is_ok()
}

/// What a thread did since it was asked last, in nanoseconds.
pub struct Window {
    pub computed_ns: u64,
    pub delayed_ns: u64,
    pub slept_ns: u64,
}

/// Which part of the threshold the calls take together until the thread is asked again.
const PART: u64 = 8;

/// Asks for the first time on a thread: the begin of its first window. Called before its first call. What a new thread lacked so far, other
/// threads may have waited for. `tid` is the thread's number.
#[cold]
pub fn first(here: &Thread, tid: i32) {
    let now = clock::ticks();
    ask(here, now);
    if here.cpu_ns.get() < NEW_NS {
        lacks::note(tid, here.delay_ns.get(), now);
    }
}

/// The most processor time that a new thread has used before its first call, in nanoseconds.
const NEW_NS: u64 = 5_000_000;

/// The kernel's sums of the running thread at a moment, in nanoseconds.
struct Sums {
    /// How long it took to ask.
    apart: u64,
    at: u64,
    computed: u64,
    delayed: u64,
}

/// Asks for the sums and the time. A thread that loses its processor between the answers would count that lack in the wrong window: where
/// they are far apart it asks again, a few times, and takes those that are closest.
fn sums() -> Sums {
    const TRIES: usize = 4;
    const CLOSE_NS: u64 = 50_000;
    let ask = || {
        let from = sys::now_ns();
        // The clock of processor time is read first: that brings the kernel's sums of this thread up to date.
        let (computed, delayed) = (sys::own_cpu_ns(), sys::own_run_delay_ns());
        let at = sys::now_ns();
        Sums { apart: at - from, at, computed, delayed }
    };
    let mut closest = ask();
    for _ in 1..TRIES {
        if closest.apart < CLOSE_NS {
            break;
        }
        closest = Some(ask()).filter(|sums| sums.apart < closest.apart).unwrap_or(closest);
    }
    closest
}

/// Asks the kernel: the window that ends now, and another one begins. `None`: it was never asked on this thread. `now` marks the call
/// behind which it is asked.
pub fn ask(here: &Thread, now: u64) -> Option<Window> {
    let Sums { computed, delayed, at, .. } = sums();
    here.noted_ns.set(0);
    here.asked.set(now);
    let (computed_before, delayed_before) = (here.cpu_ns.replace(computed), here.delay_ns.replace(delayed));
    let before = here.asked_ns.replace(at);
    let [computed_ns, delayed_ns] = [computed.checked_sub(computed_before)?, delayed.checked_sub(delayed_before)?];
    let slept_ns = at.checked_sub(before)?.saturating_sub(computed_ns).saturating_sub(delayed_ns);
    here.slept_ns.set(here.slept_ns.get() + if before == 0 { 0 } else { slept_ns });
    (before != 0).then_some(Window { computed_ns, delayed_ns, slept_ns })
}

/// Adds a call to the window: how much of it, in nanoseconds, was lack of a processor; 0 where it was too short to be asked for. `ended`:
/// the call's end in ticks. Called behind each call that is noted, after `looping::turn`.
pub fn lacked_ns(here: &Thread, tid: i32, duration_ns: u64, ended: u64, threshold_ns: u64) -> u64 {
    if here.asked.get() == ended {
        return 0;
    }
    here.noted_ns.set(here.noted_ns.get() + duration_ns);
    if here.noted_ns.get() < threshold_ns / PART || duration_ns < threshold_ns && !may_ask(ended) {
        return 0;
    }
    let others_ns = (here.noted_ns.get() - duration_ns).saturating_sub(threshold_ns / PART);
    let lacked = ask(here, ended).map_or(0, |window| {
        duration_ns.saturating_sub(window.slept_ns.saturating_sub(others_ns)).min(window.delayed_ns)
    });
    lacks::note(tid, lacked, ended);
    lacked
}
