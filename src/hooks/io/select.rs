//! select and pselect: waits as of poll, asked for by three sets of bits.
//!
//! The kernel answers in the program's own sets, so the question is kept: each further look needs it again.
//!
//! Numbers of FD_SETSIZE and more have no place in an fd_set; the kernel takes longer sets all the same. Such a call waits in the
//! kernel.

use crate::hooks::answer::{answer, errno, Answer};
use crate::hooks::io::limit::{at_once, keeps, left, masked, pointer, Time, NO_TIME};
use crate::hooks::io::poll::wait_for_any;
use crate::hooks::memory::{can_read, MASK_BYTES};
use crate::hooks::moment;
use crate::runtime::news::record::{FdWait, IN, OUT, PRI};
use crate::{runtime, sys};
use libc::{c_int, fd_set, sigset_t, timespec, timeval};

/// The program's three sets, and what was asked in them before the kernel answered in their place.
struct Sets {
    /// The first argument: numbers from this one on are not looked at.
    n: c_int,
    /// The program's sets, for reading, for writing and for exceptions; null: that direction is not asked about.
    sets: [*mut fd_set; 3],
    /// What was asked, set by set.
    asked: [[u64; Sets::WORDS]; 3],
}

impl Sets {
    /// How many words of 64 bits an fd_set has.
    const WORDS: usize = libc::FD_SETSIZE / 64;
    /// What the three sets ask for, in their order.
    const INTEREST: [u32; 3] = [IN, OUT, PRI];

    /// Returns how many words of a set the numbers below `n` fill. Only those are the kernel's to read and write.
    fn words(n: c_int) -> usize {
        (n as usize).div_ceil(64)
    }

    /// Copies what is asked in the program's sets. `None`: `n` is negative or more than FD_SETSIZE, or a set cannot be read.
    ///
    /// # Safety
    /// The sets stay mapped meanwhile.
    unsafe fn new(n: c_int, sets: [*mut fd_set; 3]) -> Option<Sets> {
        let words = Sets::words(n);
        if n < 0 || words > Sets::WORDS {
            return None;
        }
        let mut asked = [[0; Sets::WORDS]; 3];
        for (set, words_of) in sets.iter().zip(&mut asked) {
            if set.is_null() || words == 0 {
                continue;
            }
            if !can_read(*set as usize, words * 8) {
                return None;
            }
            std::ptr::copy_nonoverlapping(*set as *const u64, words_of.as_mut_ptr(), words);
        }
        Some(Sets { n, sets, asked })
    }

    /// Asks the kernel, which answers in the program's own sets. `time` is how long it may wait; `None`: for ever. Returns its
    /// result: how many bits it has left set, or EBADF, EFAULT, EINTR, negated.
    unsafe fn call(&self, time: Option<timespec>) -> isize {
        let [r, w, x] = self.sets.map(|set| set as usize);
        sys::call(libc::SYS_pselect6, self.n as usize, r, w, x, pointer(&time), 0)
    }

    /// Asks the kernel once more, after an answer of nothing. The kernel has written into the sets by then, so they can be written.
    unsafe fn call_again(&self, time: Option<timespec>) -> isize {
        self.restore();
        self.call(time)
    }

    /// Puts the program's sets back to what was asked. Called before each further look, and after EINTR: select(2) leaves the sets
    /// undefined then, and the kernel leaves them as they were (fs/select.c).
    unsafe fn restore(&self) {
        for (set, words) in self.sets.iter().zip(&self.asked) {
            if !set.is_null() {
                std::ptr::copy_nonoverlapping(words.as_ptr(), *set as *mut u64, Sets::words(self.n));
            }
        }
    }

    /// Returns the directions in which a number is asked about.
    fn interest(&self, fd: usize) -> u32 {
        let bit = |i: usize| self.asked[i][fd / 64] >> (fd % 64) & 1 != 0;
        (0..3).filter(|&i| bit(i)).map(|i| Sets::INTEREST[i]).fold(0, |all, one| all | one)
    }

    /// Visits every descriptor that is in any of the sets, in rising order.
    fn members(&self) -> impl Iterator<Item = usize> + '_ {
        (0..Sets::words(self.n))
            .flat_map(move |word| {
                let mut bits = self.asked[0][word] | self.asked[1][word] | self.asked[2][word];
                std::iter::from_fn(move || {
                    let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
                    bits &= bits - 1;
                    Some(word * 64 + bit)
                })
            })
            .take_while(|&fd| fd < self.n as usize)
    }
}

/// Makes a select whose time was found valid: asks the kernel, and parks on all members if nothing is ready. Returns how many bits
/// are set in the sets; 0 when the time is up, with all sets empty.
///
/// EBADF and EFAULT are the kernel's. EINTR after any handler, with SA_RESTART or without (signal(7)), but what is ready goes before
/// it; the sets are as they were then.
///
/// Sets of more than FD_SETSIZE numbers, or ones that cannot be read, leave the whole call to the kernel, with the slot offered.
unsafe fn select_until(n: c_int, sets: [*mut fd_set; 3], time: Time) -> Answer<c_int> {
    let Some(sets) = Sets::new(n, sets) else {
        let [r, w, x] = sets.map(|set| set as usize);
        let left = match time {
            Time::None => Some(NO_TIME),
            Time::Until(deadline) => left(deadline),
        };
        return answer(runtime::waiting::cancel::block(|| {
            sys::call(libc::SYS_pselect6, n as usize, r, w, x, pointer(&left), 0)
        }));
    };
    let seen = sets.call(Some(NO_TIME));
    let Time::Until(deadline) = time else { return at_once(seen) };
    if seen != 0 {
        return at_once(seen);
    }
    let result = wait_for_any(
        sets.members().count(),
        || sets.members().map(|fd| FdWait::new(fd as c_int, sets.interest(fd))),
        deadline,
        || sets.call_again(Some(NO_TIME)),
        |deadline| sets.call_again(left(deadline)),
    );
    if result == errno(libc::EINTR) {
        sets.restore();
    }
    result
}

/// `select`: by `select_until`. EINVAL for a negative time comes first, as in glibc (select.c). What is left of the time is written
/// back, as by Linux's system call, also after an error. The timeout is touched without asking, as by glibc. A cancellation point.
pub unsafe fn select(n: c_int, r: *mut fd_set, w: *mut fd_set, x: *mut fd_set, timeout: *mut timeval) -> Answer<c_int> {
    runtime::cancellation_point();
    let Some(limit) = timeout.as_mut() else { return select_until(n, [r, w, x], Time::Until(None)) };
    // glibc's select.c holds the microseconds in an int.
    let microseconds = limit.tv_usec as c_int;
    if limit.tv_sec < 0 || microseconds < 0 {
        return errno(libc::EINVAL);
    }
    let time = Time::of_ns(moment::of_timeval(&timeval { tv_sec: limit.tv_sec, tv_usec: microseconds.into() }));
    let result = select_until(n, [r, w, x], time);
    let left = match time {
        Time::None => NO_TIME,
        Time::Until(deadline) => left(deadline).unwrap_or(NO_TIME),
    };
    *limit = timeval { tv_sec: left.tv_sec, tv_usec: left.tv_nsec / 1000 };
    result
}

/// `pselect`: as `select`, but the time is not written back. A mask other than the one in force leaves the wait to the kernel, which
/// swaps the masks in one step. EINVAL for a bad time. A cancellation point.
pub unsafe fn pselect(
    n: c_int,
    r: *mut fd_set,
    w: *mut fd_set,
    x: *mut fd_set,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> Answer<c_int> {
    runtime::cancellation_point();
    if keeps(mask) {
        return select_until(n, [r, w, x], Time::of_timespec(timeout).map_or_else(|| errno(libc::EINVAL), Ok)?);
    }
    let time = timeout.as_ref().copied();
    let [r, w, x] = [r, w, x].map(|set| set as usize);
    masked(mask, |mask| {
        let pair = [mask, MASK_BYTES];
        sys::call(libc::SYS_pselect6, n as usize, r, w, x, pointer(&time), pair.as_ptr() as usize)
    })
}
