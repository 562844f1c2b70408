//! The clock of a recording's ticks.

/// The clock of the ticks in a recording.
#[derive(Clone, Copy)]
pub struct Clock {
    /// Ticks and nanoseconds, early and late.
    pub first: [u64; 2],
    pub last: [u64; 2],
    /// 0: ticks are nanoseconds.
    pub ticks_per_us: u64,
}

impl Clock {
    /// Returns a moment in ticks in nanoseconds of CLOCK_MONOTONIC.
    pub fn ns(&self, ticks: u64) -> u64 {
        if self.ticks_per_us == 0 {
            return ticks;
        }
        // The rate over a long time is better than the one measured at the start.
        const LONG_NS: u64 = 20_000_000;
        let [since, since_ns] = [0, 1].map(|at| self.last[at].saturating_sub(self.first[at]));
        let (per, per_ns) = if since_ns > LONG_NS { (since, since_ns) } else { (self.ticks_per_us, 1_000) };
        let distance = i128::from(ticks) - i128::from(self.first[0]);
        (i128::from(self.first[1]) + distance * i128::from(per_ns) / i128::from(per.max(1))).max(0) as u64
    }

    /// Takes the present moment for the late one.
    pub fn look(&mut self) {
        // SAFETY: every x86-64 processor has the instruction.
        self.last = [unsafe { std::arch::x86_64::_rdtsc() }, now_ns()];
    }
}

/// Returns CLOCK_MONOTONIC in nanoseconds.
pub fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes into `now`.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
