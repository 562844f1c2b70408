//! Timers that signal one thread (SIGEV_THREAD_ID). The kernel knows no green thread by its tid, so such a timer signals the
//! process, and the handler or sweep that gets the signal asks here which thread it is for. Looked at in signal handlers: no locks.
//!
//! A timer that is deleted may have sent a signal that has not come yet. That signal is dropped, and must reach no other thread. So the
//! timer's number stays in its place until the place is needed again, as late as can be. The kernel gives a number a second time only
//! after all the others.

use crate::runtime::machine::parts::Green;
use crate::runtime::machine::roll;
use libc::siginfo_t;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::*};

struct Place {
    /// The kernel's number of the timer, or NONE.
    timer: AtomicI32,
    /// The thread; FREE: the timer is deleted, or there is none.
    tid: AtomicI32,
}

const NONE: i32 = -1;
const FREE: i32 = 0;
const TAKEN: i32 = -1;

const COUNT: usize = 512;
/// The timers that signal one thread.
struct Timers {
    places: [Place; COUNT],
    /// Where the search for a free place begins.
    next: AtomicUsize,
}

static TIMERS: Timers = Timers {
    places: [const { Place { timer: AtomicI32::new(NONE), tid: AtomicI32::new(FREE) } }; COUNT],
    next: AtomicUsize::new(0),
};

/// The timer, which is not armed yet, is to signal this thread. False: there is no room for one more.
pub fn direct(timer: i32, tid: i32) -> bool {
    let first = TIMERS.next.fetch_add(1, Relaxed);
    let mut places = (0..COUNT).map(|i| &TIMERS.places[(first + i) % COUNT]);
    let free = places.find(|place| place.tid.compare_exchange(FREE, TAKEN, Acquire, Relaxed).is_ok());
    free.inspect(|place| {
        place.timer.store(timer, Release);
        place.tid.store(tid, Release);
    })
    .is_some()
}

/// The timer is about to be deleted.
pub fn forget(timer: i32) {
    for place in TIMERS.places.iter().filter(|place| place.timer.load(Acquire) == timer) {
        place.tid.store(FREE, Release);
    }
}

/// Returns the thread that a timer's signal is for; `None`: no directed timer's signal; `Some(None)`: the thread has ended, or the timer
/// was deleted. Called in signal handlers, on any thread.
pub fn whose(info: &siginfo_t) -> Option<Option<&'static Green>> {
    const SI_TIMER: i32 = -2;
    const NUMBER_AT: usize = 16;
    if info.si_code != SI_TIMER {
        return None;
    }
    // SAFETY: the kernel's layout of a timer's signal (asm-generic/siginfo.h): its number comes first.
    let timer = unsafe { *((info as *const siginfo_t as *const u8).add(NUMBER_AT) as *const i32) };
    let place = TIMERS.places.iter().find(|place| place.timer.load(Acquire) == timer)?;
    Some(Some(place.tid.load(Acquire)).filter(|&tid| tid > FREE).and_then(roll::find))
}

/// In a fork child: timers are not inherited.
pub fn after_fork() {
    // `next` is where a search begins: anywhere.
    let Timers { places, next: _ } = &TIMERS;
    for place in places {
        place.timer.store(NONE, Relaxed);
        place.tid.store(FREE, Relaxed);
    }
}
