//! Timers that signal one thread (SIGEV_THREAD_ID). The kernel knows no green thread by its tid, so such a timer signals the
//! process, and whoever gets that signal asks here whose it is. Looked at in signal handlers: no locks.

use super::green::Green;
use super::roll;
use libc::siginfo_t;
use std::sync::atomic::{AtomicI32, Ordering::*};

struct Place {
    /// The kernel's number of the timer, or FREE.
    timer: AtomicI32,
    tid: AtomicI32,
}

const FREE: i32 = -1;
const TAKEN: i32 = -2;

static PLACES: [Place; 512] = [const { Place { timer: AtomicI32::new(FREE), tid: AtomicI32::new(0) } }; 512];

/// The timer, which is not armed yet, is to signal this thread. False: there is no room for one more.
pub fn direct(timer: i32, tid: i32) -> bool {
    let free = PLACES.iter().find(|place| place.timer.compare_exchange(FREE, TAKEN, Acquire, Relaxed).is_ok());
    free.inspect(|place| {
        place.tid.store(tid, Relaxed);
        place.timer.store(timer, Release);
    })
    .is_some()
}

/// The timer is about to be deleted.
pub fn forget(timer: i32) {
    for place in &PLACES {
        place.timer.compare_exchange(timer, FREE, AcqRel, Relaxed).ok();
    }
}

/// Whose signal this is; `None`: no directed timer's; `Some(None)`: a thread's that has ended.
pub fn whose(info: &siginfo_t) -> Option<Option<&'static Green>> {
    const SI_TIMER: i32 = -2;
    const NUMBER_AT: usize = 16;
    if info.si_code != SI_TIMER {
        return None;
    }
    // SAFETY: the kernel's layout of a timer's signal (asm-generic/siginfo.h): its number comes first.
    let timer = unsafe { *((info as *const siginfo_t as *const u8).add(NUMBER_AT) as *const i32) };
    let place = PLACES.iter().find(|place| place.timer.load(Acquire) == timer)?;
    Some(roll::find(place.tid.load(Relaxed)))
}

/// In a fork child: timers are not inherited.
pub fn after_fork() {
    PLACES.iter().for_each(|place| place.timer.store(FREE, Relaxed));
}
