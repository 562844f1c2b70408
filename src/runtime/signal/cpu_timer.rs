//! Timers on the CPU clocks of green threads, which no clock of the kernel's is.
//!
//! Each is a kernel timer on CLOCK_MONOTONIC, made with the program's own notification, and armed only at the moment when it is to
//! expire: so the kernel makes the signal, its information and its thread, as natively. The monitor finds that moment: a
//! thread uses no more CPU time than time passes, so nothing can be due before the least that any thread has left (`TIMERS.next_look_ns`).

use crate::base::lock::{Locked, Rank};
use crate::base::summon;
use crate::runtime::machine::kernel_state;
use crate::runtime::machine::parts::Green;
use crate::sys;
use std::sync::atomic::{fence, AtomicU64, AtomicUsize, Ordering::*};

/// A timer on a green thread's clock. Lives in `TIMERS` from timer_create to timer_delete.
struct CpuTimer {
    /// libc's name of the timer, and the kernel's number.
    handle: usize,
    number: i32,
    green: &'static Green,
    /// Whose clock it is on: the vessel may serve another thread by now.
    tid: i32,
    /// The time of that clock at which it expires; NEVER: it is not armed.
    at_ns: u64,
    /// The interval in nanoseconds; 0: the timer expires once.
    interval_ns: u64,
}

/// The time of a timer that is not armed, and of a look that is not due.
const NEVER: u64 = u64::MAX;

/// The timers on CPU clocks of green threads.
struct Timers {
    /// All timers on CPU clocks of green threads.
    all: Locked<Vec<CpuTimer>>,
    /// How many there are: most programs have none. Changed after the list, read without its lock.
    count: AtomicUsize,
    /// The moment of CLOCK_MONOTONIC before which none is due.
    next_look_ns: AtomicU64,
}

static TIMERS: Timers = Timers {
    all: Locked::new(Rank::Timers, Vec::new()),
    count: AtomicUsize::new(0),
    next_look_ns: AtomicU64::new(NEVER),
};

/// The time left until a timer expires, and its interval, in nanoseconds; (0, …): the timer is not armed.
pub type Setting = (u64, u64);

impl CpuTimer {
    /// Does the thread live whose clock the timer is on?
    fn lives(&self) -> bool {
        self.green.tid() == self.tid && !self.green.has_ended()
    }

    /// The time left and the interval; an armed timer has at least 1 ns left.
    fn setting(&self) -> Setting {
        let left = match self.at_ns {
            NEVER => 0,
            at_ns => at_ns.saturating_sub(kernel_state::cpu_ns(self.green)).max(1),
        };
        (left, self.interval_ns)
    }

    /// Arms the kernel's timer if this one is due. Returns how much CPU time its thread may use until it is due again, in nanoseconds;
    /// NEVER: the timer is not armed, or its thread has ended.
    fn look(&mut self) -> u64 {
        if self.at_ns == NEVER || !self.lives() {
            return NEVER;
        }
        let used = kernel_state::cpu_ns(self.green);
        if used >= self.at_ns {
            sys::arm_timer(self.number, 1);
            self.at_ns = match self.interval_ns {
                0 => NEVER,
                interval => self.at_ns + ((used - self.at_ns) / interval + 1) * interval,
            };
        }
        self.at_ns.saturating_sub(used)
    }
}

/// Does `work` on the timer of this handle, under the lock; `None`: it is none of these. A program without such timers pays one load.
fn with<R>(handle: usize, work: impl FnOnce(&mut CpuTimer) -> R) -> Option<R> {
    if TIMERS.count.load(Acquire) == 0 {
        return None;
    }
    TIMERS.all.with(|all| all.iter_mut().find(|timer| timer.handle == handle).map(work))
}

/// Notes that the kernel timer `number`, libc's `handle`, stands for one on this thread's CPU clock. Called by timer_create.
pub fn add(handle: usize, number: i32, green: &'static Green) {
    let timer = CpuTimer { handle, number, green, tid: green.tid(), at_ns: NEVER, interval_ns: 0 };
    TIMERS.all.with(|all| all.push(timer));
    TIMERS.count.fetch_add(1, Release);
    // Counting begins with the first look at a clock.
    kernel_state::cpu_ns(green);
}

/// Forgets a timer that is about to be deleted; of any other timer nothing happens. Called by timer_delete, before libc frees the handle.
pub fn forget(handle: usize) {
    if with(handle, |_| ()).is_some() {
        TIMERS.all.with(|all| all.retain(|timer| timer.handle != handle));
        TIMERS.count.fetch_sub(1, Release);
    }
}

/// Is this timer on a green thread's CPU clock?
pub fn is_one(handle: usize) -> bool {
    with(handle, |_| ()).is_some()
}

/// The setting of a timer. A timer whose thread has ended is not armed. `None`: it is no such timer.
pub fn setting(handle: usize) -> Option<Setting> {
    with(handle, |timer| if timer.lives() { timer.setting() } else { (0, timer.interval_ns) })
}

/// Arms a timer for `value_ns` from now, or at that moment of its clock; 0 disarms it. Returns what was set before; `None`: its thread has
/// ended, or it is no such timer. The monitor, which may be about to sleep, learns of it:
///
/// 1. `set` stores 0 into `TIMERS.next_look_ns`, then fences, then reads the bell and rings it where the monitor sleeps (`summon::awake`).
/// 2. The monitor exchanges the bell for ASLEEP, then reads `TIMERS.next_look_ns` (`next_look`), then sleeps on the bell.
/// 3. Either the monitor reads 0, or `set` reads ASLEEP.
pub fn set(handle: usize, absolute: bool, value_ns: u64, interval_ns: u64) -> Option<Setting> {
    let before = with(handle, |timer| {
        if !timer.lives() {
            return None;
        }
        let before = timer.setting();
        let from = if absolute { 0 } else { kernel_state::cpu_ns(timer.green) };
        timer.at_ns = if value_ns == 0 { NEVER } else { from.saturating_add(value_ns) };
        timer.interval_ns = interval_ns;
        sys::arm_timer(timer.number, 0);
        Some(before)
    })?;
    TIMERS.next_look_ns.store(0, SeqCst);
    fence(SeqCst);
    summon::awake();
    before
}

/// Expires timers that are due: the monitor's duty, at each tick. Looks at the clocks no sooner than one can be due.
#[inline]
pub fn look() {
    if TIMERS.next_look_ns.load(Relaxed) <= sys::now_ns() {
        look_at_all();
    }
}

/// Looks at every clock, arms the kernel's timers that are due, and sets the next look.
#[cold]
fn look_at_all() {
    /// The kernel's own CPU timers are as exact as its ticks.
    const TICK_NS: u64 = 1_000_000;
    TIMERS.next_look_ns.store(NEVER, SeqCst);
    let left = TIMERS.all.with(|all| all.iter_mut().map(CpuTimer::look).min().unwrap_or(NEVER));
    if left != NEVER {
        let next = sys::now_ns().saturating_add(left.max(TICK_NS));
        // A timer that was armed meanwhile has stored 0: it is looked at sooner.
        TIMERS.next_look_ns.fetch_min(next, SeqCst);
    }
}

/// The time (CLOCK_MONOTONIC) until which the monitor may sleep; `None`: no timer is armed.
pub fn next_look() -> Option<u64> {
    Some(TIMERS.next_look_ns.load(SeqCst)).filter(|&next| next != NEVER)
}

/// In a fork child: timers are not inherited.
pub fn after_fork() {
    let Timers { all, count, next_look_ns } = &TIMERS;
    all.after_fork(Vec::clear);
    count.store(0, Relaxed);
    next_look_ns.store(NEVER, Relaxed);
}
