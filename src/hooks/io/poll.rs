//! Waiting for several descriptors: poll, select, epoll_wait and their relatives.
//!
//! The kernel itself is always asked, with the program's own arguments and no time: it checks them, and its results are the
//! results. Only when it has nothing does the call park, in every descriptor's queue at once, and asks again when one of
//! them says something. Such calls are never restarted after a signal (signal(7)): what is ready by then goes before EINTR.
//!
//! An epoll descriptor of the program's is waited for like any other, until it is readable. Where the reactor's epoll does
//! not take a descriptor that poll does (an epoll nested too deep), the kernel waits, under a hand-over.
//!
//! The forms with a signal mask leave the wait to the kernel when there is one and it differs from the one in force: the kernel
//! swaps masks atomically.

use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::io::attempt::{plain, Attempt, WOULD_BLOCK};
use crate::runtime::news::record::{self, FdWait, IN, OUT, PRI};
use crate::runtime::signal::delivery;
use crate::runtime::waiting::readiness;
use crate::runtime::{self, Deadline, Woken};
use crate::sys::{self, older};
use crate::why::Why;
use libc::{c_int, c_short, epoll_event, fd_set, nfds_t, pollfd, sigset_t, size_t, timespec, timeval};

const NO_TIME: timespec = timespec { tv_sec: 0, tv_nsec: 0 };
/// The kernel's sigset_t.
const MASK_BYTES: usize = 8;

/// Can this memory be read? What the kernel would check when it copies, asked where we must read before it does. (The mask is
/// read before the nonsensical `how` is refused.)
pub fn can_read(address: usize, bytes: usize) -> bool {
    let page_after = |address: usize| (address | 0xfff).wrapping_add(1);
    let readable = |address: usize| {
        // SAFETY: the kernel copies 8 bytes, or refuses; nothing changes.
        let result = unsafe { sys::call(libc::SYS_rt_sigprocmask, usize::MAX, address, 0, MASK_BYTES, 0, 0) };
        result != -(libc::EFAULT as isize)
    };
    // (Without a mask there is nothing to copy, and no error.)
    let Some(last) = address.checked_add(bytes.max(8) - 8).filter(|_| address != 0) else { return false };
    let mut at = address;
    while at < last {
        if !readable(at) {
            return false;
        }
        at = page_after(at);
    }
    readable(last)
}

/// Does the call wait with the mask that is in force?
unsafe fn keeps(mask: *const sigset_t) -> bool {
    let same = |me: &runtime::machine::green::Green| me.mask.get() == *(mask as *const u64);
    mask.is_null() || can_read(mask as usize, MASK_BYTES) && runtime::current().is_some_and(same)
}

/// A call with another mask, whose address it is given: the kernel waits, and swaps the masks.
unsafe fn masked(mask: *const sigset_t, call: impl FnOnce(usize) -> isize) -> Answer<c_int> {
    if !can_read(mask as usize, MASK_BYTES) {
        return plain(|| call(mask as usize));
    }
    let mask = *(mask as *const u64);
    let open = sys::open(mask);
    answer(delivery::while_masked(mask, || call(&raw const open as usize)))
}

/// The time that a call has, counted from now.
#[derive(Clone, Copy)]
enum Time {
    None,
    Until(Deadline),
}

impl Time {
    fn of_ms(ms: c_int) -> Time {
        match ms {
            0 => Time::None,
            1.. => Time::of_ns(ms as u64 * 1_000_000),
            _ => Time::Until(None),
        }
    }

    fn of_ns(ns: u64) -> Time {
        if ns == 0 {
            return Time::None;
        }
        Time::Until(Some(sys::now_ns().saturating_add(ns)))
    }

    /// `None`: no valid time.
    unsafe fn of_timespec(time: *const timespec) -> Option<Time> {
        let Some(time) = time.as_ref() else { return Some(Time::Until(None)) };
        if time.tv_sec < 0 || !(0..1_000_000_000).contains(&time.tv_nsec) {
            return None;
        }
        Some(Time::of_ns((time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)))
    }
}

/// What is left until a deadline, for the kernel's own calls.
fn left(deadline: Deadline) -> Option<timespec> {
    deadline.map(|deadline| sys::timespec(deadline.saturating_sub(sys::now_ns())))
}

fn pointer(time: &Option<timespec>) -> usize {
    time.as_ref().map_or(0, |time| time as *const timespec as usize)
}

/// Parks until `look` sees something, the deadline, or a signal. `waits` are for these `count` descriptors; `wait` is the kernel's own
/// waiting call.
fn settle<I: Iterator<Item = FdWait>>(
    count: usize,
    waits: impl Fn() -> I,
    deadline: Deadline,
    mut look: impl FnMut() -> isize,
    wait: impl FnOnce(Deadline) -> isize,
) -> Answer<c_int> {
    loop {
        let mut seen = 0;
        let woken = readiness::wait_many(count, &waits, deadline, || {
            seen = look();
            seen == 0
        });
        if seen == 0 && woken == Woken::NotNeeded {
            runtime::announce(Why::Poll(count));
            return answer(runtime::waiting::cancel::block(|| wait(deadline)));
        }
        if seen == 0 {
            seen = look();
        }
        match (seen, woken) {
            (0, Woken::TimedOut) => return Ok(0),
            (0, Woken::Interrupted) => return errno(libc::EINTR),
            (0, _) => {}
            (seen, _) => return answer(seen),
        }
    }
}

unsafe fn poll_now(fds: *mut pollfd, n: nfds_t) -> isize {
    older::poll_exactly(fds as usize, n as usize, Some(&NO_TIME))
}

/// Which edges may change what poll answers for these events: hang-up and error always may.
fn interest(events: c_short) -> u32 {
    let any = |bits: c_short, interest: u32| if events & bits != 0 { interest } else { 0 };
    IN | any(libc::POLLOUT | libc::POLLWRNORM | libc::POLLWRBAND, OUT) | any(libc::POLLPRI | libc::POLLRDBAND, PRI)
}

pub unsafe fn poll(fds: *mut pollfd, n: nfds_t, timeout_ms: c_int) -> Answer<c_int> {
    runtime::cancellation_point();
    poll_until(fds, n, Time::of_ms(timeout_ms))
}

unsafe fn poll_until(fds: *mut pollfd, n: nfds_t, time: Time) -> Answer<c_int> {
    if let (1, Time::Until(deadline), true) = (n, time, on_own_stack(fds)) {
        if let (Some(interest), Some(record)) = (one_direction((*fds).events), record::record((*fds).fd)) {
            return poll_one(fds, Attempt::looking((*fds).fd, record, interest, deadline));
        }
    }
    let seen = poll_now(fds, n);
    let Time::Until(deadline) = time else { return at_once(seen) };
    if seen != 0 {
        return at_once(seen);
    }
    // The kernel has read and written all of them.
    let asked =
        std::slice::from_raw_parts(if n == 0 { std::ptr::NonNull::dangling().as_ptr() } else { fds }, n as usize);
    settle(
        asked.len(),
        || asked.iter().map(|poll| FdWait::new(poll.fd, interest(poll.events))),
        deadline,
        || poll_now(fds, n),
        |deadline| older::poll_exactly(fds as usize, n as usize, left(deadline).as_ref()),
    )
}

/// Lies it on the caller's own stack? Then it can be read and written before the kernel has said so.
fn on_own_stack(fds: *mut pollfd) -> bool {
    let bytes = std::mem::size_of::<pollfd>();
    runtime::current().is_some_and(|me| {
        (fds as usize).wrapping_sub(me.stack.get().lowest) < me.stack.get().bytes.saturating_sub(bytes)
    })
}

/// The one direction that these events are about, so that "nothing" says that nothing at all is ready there.
fn one_direction(events: c_short) -> Option<u32> {
    match events & !(libc::POLLERR | libc::POLLHUP | libc::POLLNVAL | libc::POLLPRI | libc::POLLRDHUP) {
        libc::POLLIN => Some(IN),
        libc::POLLOUT if events & (libc::POLLPRI | libc::POLLRDHUP) == 0 => Some(OUT),
        _ => None,
    }
}

/// The usual poll, of one descriptor: it waits as recv does, and leaves out the look that is known to find nothing. It looks at the
/// number, even when that was closed meanwhile: so does the kernel's.
unsafe fn poll_one(entry: *mut pollfd, attempt: Attempt) -> Answer<c_int> {
    (*entry).revents = 0;
    look_until(attempt, |_| poll_now(entry, 1))
}

/// Parks until `look` sees something, the deadline (0), or a signal.
fn look_until(mut attempt: Attempt, mut look: impl FnMut(c_int) -> isize) -> Answer<c_int> {
    let seen = attempt.complete(|fd, _| match look(fd) {
        0 => WOULD_BLOCK,
        seen => seen,
    });
    attempt.end();
    answer(seen)
}

/// A call that did not wait. One that finds nothing is asked again, perhaps in a loop: others are to bring about what it looks for.
fn at_once(seen: isize) -> Answer<c_int> {
    if seen == 0 {
        runtime::yield_now();
    } else {
        runtime::breathe();
    }
    answer(seen)
}

pub unsafe fn poll_chk(fds: *mut pollfd, n: nfds_t, timeout_ms: c_int, room: size_t) -> Answer<c_int> {
    if room / std::mem::size_of::<pollfd>() < n as usize {
        return Err(Miss::Libc);
    }
    poll(fds, n, timeout_ms)
}

pub unsafe fn ppoll(fds: *mut pollfd, n: nfds_t, timeout: *const timespec, mask: *const sigset_t) -> Answer<c_int> {
    runtime::cancellation_point();
    if keeps(mask) {
        return poll_until(fds, n, Time::of_timespec(timeout).map_or_else(|| errno(libc::EINVAL), Ok)?);
    }
    // The kernel writes what is left into the time that it is given: libc gives it a copy.
    let time = timeout.as_ref().copied();
    masked(mask, |mask| sys::call(libc::SYS_ppoll, fds as usize, n as usize, pointer(&time), mask, MASK_BYTES, 0))
}

pub unsafe fn ppoll_chk(
    fds: *mut pollfd,
    n: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
    room: size_t,
) -> Answer<c_int> {
    if room / std::mem::size_of::<pollfd>() < n as usize {
        return Err(Miss::Libc);
    }
    ppoll(fds, n, timeout, mask)
}

/// The program's three sets, and what they were before the kernel answered in their place.
struct Sets {
    n: c_int,
    sets: [*mut fd_set; 3],
    asked: [[u64; Sets::WORDS]; 3],
}

impl Sets {
    const WORDS: usize = libc::FD_SETSIZE / 64;
    const INTEREST: [u32; 3] = [IN, OUT, PRI];

    fn words(n: c_int) -> usize {
        (n as usize).div_ceil(64)
    }

    /// `None`: more than a set holds, or nothing that can be read.
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

    /// Asks the kernel, which answers in the program's own sets.
    unsafe fn call(&self, time: Option<timespec>) -> isize {
        let [r, w, x] = self.sets.map(|set| set as usize);
        sys::call(libc::SYS_pselect6, self.n as usize, r, w, x, pointer(&time), 0)
    }

    /// The same again, after an answer of nothing: the kernel wrote into the sets, so they can be written.
    unsafe fn call_again(&self, time: Option<timespec>) -> isize {
        self.restore();
        self.call(time)
    }

    unsafe fn restore(&self) {
        for (set, words) in self.sets.iter().zip(&self.asked) {
            if !set.is_null() {
                std::ptr::copy_nonoverlapping(words.as_ptr(), *set as *mut u64, Sets::words(self.n));
            }
        }
    }

    fn interest(&self, fd: usize) -> u32 {
        let bit = |i: usize| self.asked[i][fd / 64] >> (fd % 64) & 1 != 0;
        (0..3).filter(|&i| bit(i)).map(|i| Sets::INTEREST[i]).fold(0, |all, one| all | one)
    }

    /// Every descriptor in any of the sets.
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

/// select, after its time was found valid. Leaves the sets as they were when it is interrupted.
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
    let result = settle(
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

/// Linux writes back how much time is left; so does select here, pselect does not.
pub unsafe fn select(n: c_int, r: *mut fd_set, w: *mut fd_set, x: *mut fd_set, timeout: *mut timeval) -> Answer<c_int> {
    runtime::cancellation_point();
    let Some(limit) = timeout.as_mut() else { return select_until(n, [r, w, x], Time::Until(None)) };
    // glibc cuts the microseconds to an int.
    let microseconds = limit.tv_usec as c_int;
    if limit.tv_sec < 0 || microseconds < 0 {
        return errno(libc::EINVAL);
    }
    let time =
        Time::of_ns((limit.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(microseconds as u64 * 1000));
    let result = select_until(n, [r, w, x], time);
    let left = match time {
        Time::None => NO_TIME,
        Time::Until(deadline) => left(deadline).unwrap_or(NO_TIME),
    };
    *limit = timeval { tv_sec: left.tv_sec, tv_usec: left.tv_nsec / 1000 };
    result
}

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

pub unsafe fn epoll_wait(fd: c_int, events: *mut epoll_event, n: c_int, timeout_ms: c_int) -> Answer<c_int> {
    runtime::cancellation_point();
    epoll_until(fd, events, n, Time::of_ms(timeout_ms))
}

unsafe fn epoll_until(fd: c_int, events: *mut epoll_event, n: c_int, time: Time) -> Answer<c_int> {
    let look = |fd: c_int| sys::call(libc::SYS_epoll_pwait, fd as usize, events as usize, n as usize, 0, 0, MASK_BYTES);
    let deadline = match time {
        Time::Until(deadline) if n > 0 => deadline,
        _ => return at_once(look(fd)),
    };
    let record = record::record(fd).ok_or(Miss::Libc)?;
    look_until(Attempt::looking(fd, record, IN, deadline), look)
}

pub unsafe fn epoll_pwait(
    fd: c_int,
    events: *mut epoll_event,
    n: c_int,
    timeout_ms: c_int,
    mask: *const sigset_t,
) -> Answer<c_int> {
    if keeps(mask) {
        return epoll_wait(fd, events, n, timeout_ms);
    }
    runtime::cancellation_point();
    masked(mask, |mask| {
        let (events, n, ms) = (events as usize, n as usize, timeout_ms as usize);
        sys::call(libc::SYS_epoll_pwait, fd as usize, events, n, ms, mask, MASK_BYTES)
    })
}

/// The kernel reads this call's time itself, so a bad pointer is an error and no crash.
pub unsafe fn epoll_pwait2(
    fd: c_int,
    events: *mut epoll_event,
    n: c_int,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> Answer<c_int> {
    runtime::cancellation_point();
    let found = timeout.is_null() || can_read(timeout as usize, std::mem::size_of::<timespec>());
    match found.then(|| Time::of_timespec(timeout)).flatten().filter(|_| keeps(mask)) {
        Some(time) => epoll_until(fd, events, n, time),
        None => masked(mask, |mask| {
            let (events, n, time) = (events as usize, n as usize, timeout as usize);
            sys::call(libc::SYS_epoll_pwait2, fd as usize, events, n, time, mask, MASK_BYTES)
        }),
    }
}
