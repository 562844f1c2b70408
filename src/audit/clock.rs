//! The recorder's clock: the processor's time stamp counter where that counts at one rate, else the kernel's.
//!
//! A call that does not wait may cost a few nanoseconds more, not the hundred that the kernel's clock takes on some machines. The counter's
//! rate is measured at the start against CLOCK_MONOTONIC, and again over all the time since whenever a duration is asked for.

use crate::base::kept::Kept;
use crate::sys;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The counter is used. Set at load.
#[link_section = ".data.gp_audit"]
static COUNTS: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
/// The counter and the clock at the start.
static FIRST: Kept<[AtomicU64; 2]> = Kept::new([AtomicU64::new(0), AtomicU64::new(0)]);
/// Ticks of a microsecond, for the first comparison of a duration.
#[link_section = ".data.gp_audit"]
static PER_US: Kept<AtomicU64> = Kept::new(AtomicU64::new(1000));

/// The nanoseconds of a tick, for sums: a product is had in a tenth of a division's time. Its lowest `FRACTION` bits are a fraction.
#[link_section = ".data.gp_audit"]
static NS_OF_TICK: Kept<AtomicU64> = Kept::new(AtomicU64::new(1 << FRACTION));
const FRACTION: u32 = 32;

/// How long the counter's rate is measured at the start, in nanoseconds.
const MEASURED_NS: u64 = 200_000;

/// Starts the clock: called once, at load. Takes `MEASURED_NS`.
pub fn start() {
    if !counts_at_one_rate() {
        return;
    }
    let first = both();
    while sys::now_ns() - first.1 < MEASURED_NS {}
    let last = both();
    let per_us = (last.0.wrapping_sub(first.0)) * 1_000 / (last.1 - first.1);
    if per_us > 0 {
        FIRST[0].store(first.0, Relaxed);
        FIRST[1].store(first.1, Relaxed);
        keep_rate(per_us);
        COUNTS.store(true, Relaxed);
    }
}

/// Does the counter run at one rate, whatever the processor does (CPUID 0x80000007, EDX bit 8: "invariant TSC", AMD64 Architecture
/// Programmer's Manual, volume 3)?
fn counts_at_one_rate() -> bool {
    use std::arch::x86_64::__cpuid;
    __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx & 1 << 8 != 0
}

/// Reads the counter and the clock at one moment: the closest pair of a few, for the thread may lose its processor between the two.
fn both() -> (u64, u64) {
    const TRIES: usize = 8;
    let read = || {
        let before = counter();
        let ns = sys::now_ns();
        (counter().wrapping_sub(before), before, ns)
    };
    let (apart, before, ns) = (0..TRIES).map(|_| read()).min().unwrap_or_else(read);
    (before.wrapping_add(apart / 2), ns)
}

/// Returns the processor's counter: the time in ticks, where `counts`.
#[inline(always)]
pub fn counter() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// Returns the time in ticks: of the counter, or nanoseconds.
///
/// RDTSC waits for nothing, and is read where the processor comes to it: among the instructions before and behind it, as many as the
/// processor has under way. So a duration may be wrong by some hundred cycles, a tenth of the shortest that counts. A system call lies
/// between, and is not passed. LFENCE before it, or RDTSCP, would make it exact for half as much again, in every call.
#[inline(always)]
pub fn ticks() -> u64 {
    if COUNTS.load(Relaxed) {
        counter()
    } else {
        kernels()
    }
}

/// Is time told by the processor's counter?
pub fn counts() -> bool {
    COUNTS.load(Relaxed)
}

/// Returns the kernel's time in nanoseconds. Kept out of the functions that look at the time.
#[cold]
#[inline(never)]
fn kernels() -> u64 {
    sys::now_ns()
}

/// Returns the number of ticks that a duration has, roughly.
#[inline(always)]
pub fn ticks_of_us(us: u64) -> u64 {
    us * PER_US.load(Relaxed)
}

/// Returns a number of ticks in nanoseconds, by the rate since the start; `now` is the time in ticks and `now_ns` in nanoseconds.
pub fn ns_of(ticks: u64, now: u64, now_ns: u64) -> u64 {
    if !COUNTS.load(Relaxed) {
        return ticks;
    }
    let since = now.wrapping_sub(FIRST[0].load(Relaxed)).max(1);
    let since_ns = now_ns.saturating_sub(FIRST[1].load(Relaxed));
    if since_ns >= LONG_NS {
        keep_rate(((since as u128 * 1_000 / since_ns as u128) as u64).max(1));
    }
    (ticks as u128 * since_ns as u128 / since as u128) as u64
}

/// Returns the first pair of ticks and nanoseconds, and the rate measured then, in ticks of a microsecond. Where ticks are nanoseconds the
/// rate is 0.
pub fn first() -> ([u64; 2], u64) {
    let rate = if COUNTS.load(Relaxed) { PER_US.load(Relaxed) } else { 0 };
    ([FIRST[0].load(Relaxed), FIRST[1].load(Relaxed)], rate)
}

/// From how much time since the start on, in nanoseconds, the rate over all of it is better than the one measured then.
const LONG_NS: u64 = 20_000_000;

/// Returns a number of ticks in nanoseconds, by the rate known last: for sums of short durations, within a few parts of a thousand.
pub fn about_ns(ticks: u64) -> u64 {
    ((u128::from(ticks) * u128::from(NS_OF_TICK.load(Relaxed))) >> FRACTION) as u64
}

/// Keeps a rate: the ticks of a microsecond, and what follows from it.
fn keep_rate(per_us: u64) {
    PER_US.store(per_us, Relaxed);
    NS_OF_TICK.store((1_000 << FRACTION) / per_us, Relaxed);
}
