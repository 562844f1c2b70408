//! Waiting for several descriptors: poll, epoll_wait and their relatives (`select` has a file of its own).
//!
//! The kernel itself is always asked, with the program's own arguments and no time: it checks them, and its results are the results. A
//! call for which the kernel finds nothing parks, in every descriptor's queue at once, and asks again after an event of one of them. Such
//! calls are never restarted after a signal (signal(7)): a descriptor that is ready by then goes before EINTR.
//!
//! An epoll descriptor of the program's is waited for like any other, until it is readable. Where the reactor's epoll does not take a
//! descriptor that poll does (an epoll nested too deep), the kernel waits, with the slot offered.
//!
//! The races of a wait on several descriptors:
//!
//! 1. The kernel is asked, and finds nothing.
//! 2. A wait is armed in every descriptor's record: from here on an event fires the waiter.
//! 3. The kernel is asked once more (`look`), for an event may have come between 1 and 2. Finds something: the waits are taken away.
//! 4. The thread parks. Woken, it takes all waits away and asks the kernel, whose answer counts: an event may have been for what
//!    another thread has taken meanwhile. Nothing: from 2 again, with the same deadline.

use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::io::attempt::Attempt;
use crate::hooks::io::kernel::WOULD_BLOCK;
use crate::hooks::io::limit::{at_once, keeps, left, masked, pointer, Time, NO_TIME};
use crate::hooks::memory::{can_read, is_on_stack, MASK_BYTES};
use crate::runtime::news::record::{self, FdWait, IN, OUT, PRI};
use crate::runtime::waiting::readiness;
use crate::runtime::{self, Deadline, Woken};
use crate::sys::{self, older};
use crate::why::Why;
use libc::{c_int, c_short, epoll_event, nfds_t, pollfd, sigset_t, size_t, timespec};

/// Parks on several descriptors until `look` sees something, the deadline (0), or a signal (EINTR). The caller has asked once, and
/// found nothing.
///
/// - `waits` makes the `count` waits, one a descriptor; called again for each park.
/// - `look` asks the kernel without waiting, and returns its result: how many are ready, or a negated error number, which ends the
///   call.
/// - `wait` is the kernel's own waiting call until the deadline, for descriptors that the reactor's epoll does not take. Its result
///   ends the call.
///
/// What is ready goes before EINTR, as natively. A lent loop that ends the wait ends it by EINTR, too. A false alarm parks again. A
/// cancellation does not return.
pub fn wait_for_any<I: Iterator<Item = FdWait>>(
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
            (0, Woken::Interrupted | Woken::Ended(_)) => return errno(libc::EINTR),
            (0, _) => {}
            (seen, _) => return answer(seen),
        }
    }
}

/// Asks the kernel about all of them, without waiting. The kernel checks the array and writes the answers into it. Returns its
/// result: how many are ready, or EFAULT, EINVAL (more than RLIMIT_NOFILE) or ENOMEM, negated.
unsafe fn poll_all(fds: *mut pollfd, n: nfds_t) -> isize {
    older::poll_exactly(fds as usize, n as usize, Some(&NO_TIME))
}

/// Returns the edges that may change what poll answers for these events. IN is always among them: hang-up and error are told without
/// being asked for.
fn interest(events: c_short) -> u32 {
    let any = |bits: c_short, interest: u32| if events & bits != 0 { interest } else { 0 };
    IN | any(libc::POLLOUT | libc::POLLWRNORM | libc::POLLWRBAND, OUT) | any(libc::POLLPRI | libc::POLLRDBAND, PRI)
}

/// `poll`: asks the kernel, and parks on all descriptors if nothing is ready. EFAULT, EINVAL and ENOMEM are the kernel's. EINTR
/// after any handler, whatever its SA_RESTART (signal(7)); what is ready goes before it. A negative timeout has no end, 0 does not
/// park. A cancellation point.
pub unsafe fn poll(fds: *mut pollfd, n: nfds_t, timeout_ms: c_int) -> Answer<c_int> {
    runtime::cancellation_point();
    poll_until(fds, n, Time::of_ms(timeout_ms))
}

/// Makes poll or ppoll with the mask in force, after the cancellation point. One descriptor of one direction, whose structure is on
/// the caller's stack, goes by `poll_one`, all others by `wait_for_any`. No descriptors at all is a sleep.
unsafe fn poll_until(fds: *mut pollfd, n: nfds_t, time: Time) -> Answer<c_int> {
    if let (1, Time::Until(deadline), true) = (n, time, is_on_stack(fds)) {
        if let (Some(interest), Some(record)) = (one_direction((*fds).events), record::record((*fds).fd)) {
            return poll_one(fds, Attempt::looking((*fds).fd, record, interest, deadline));
        }
    }
    let seen = poll_all(fds, n);
    let Time::Until(deadline) = time else { return at_once(seen) };
    if seen != 0 {
        return at_once(seen);
    }
    // `poll_all` has had the kernel read and write the whole array, so it is mapped.
    let asked =
        std::slice::from_raw_parts(if n == 0 { std::ptr::NonNull::dangling().as_ptr() } else { fds }, n as usize);
    wait_for_any(
        asked.len(),
        || asked.iter().map(|poll| FdWait::new(poll.fd, interest(poll.events))),
        deadline,
        || poll_all(fds, n),
        |deadline| older::poll_exactly(fds as usize, n as usize, left(deadline).as_ref()),
    )
}

/// Returns the one direction that these events are about, for which an answer of nothing says that nothing at all is ready there.
/// `None`: both, or none.
fn one_direction(events: c_short) -> Option<u32> {
    match events & !(libc::POLLERR | libc::POLLHUP | libc::POLLNVAL | libc::POLLPRI | libc::POLLRDHUP) {
        libc::POLLIN => Some(IN),
        libc::POLLOUT if events & (libc::POLLPRI | libc::POLLRDHUP) == 0 => Some(OUT),
        _ => None,
    }
}

/// Polls one descriptor, the usual case: waits as recv does, and leaves out the look that the hints say finds nothing. The structure
/// is on the caller's stack, so it can be written. A number that was closed meanwhile is looked at all the same, as by the kernel:
/// POLLNVAL, or what its new file says.
unsafe fn poll_one(entry: *mut pollfd, attempt: Attempt) -> Answer<c_int> {
    (*entry).revents = 0;
    look_until(attempt, |_| poll_all(entry, 1))
}

/// Parks on one descriptor until `look` sees something, the deadline (then 0), or a signal (EINTR). `look` asks the kernel without
/// waiting, and returns its result; it is given the number to ask about.
fn look_until(mut attempt: Attempt, mut look: impl FnMut(c_int) -> isize) -> Answer<c_int> {
    let seen = attempt.complete(|fd, _| match look(fd) {
        0 => WOULD_BLOCK,
        seen => seen,
    });
    attempt.end();
    answer(seen)
}

/// `__poll_chk`, the fortified form of `poll`: an array smaller than `n` is libc's to complain about, which ends the process.
pub unsafe fn poll_chk(fds: *mut pollfd, n: nfds_t, timeout_ms: c_int, room: size_t) -> Answer<c_int> {
    if room / std::mem::size_of::<pollfd>() < n as usize {
        return Err(Miss::Libc);
    }
    poll(fds, n, timeout_ms)
}

/// `ppoll`: as `poll`, with EINVAL for a bad time. A mask other than the one in force leaves the wait to the kernel, which swaps the
/// masks in one step. The time is not written back, as by glibc. A cancellation point.
pub unsafe fn ppoll(fds: *mut pollfd, n: nfds_t, timeout: *const timespec, mask: *const sigset_t) -> Answer<c_int> {
    runtime::cancellation_point();
    if keeps(mask) {
        return poll_until(fds, n, Time::of_timespec(timeout).map_or_else(|| errno(libc::EINVAL), Ok)?);
    }
    // The kernel writes what is left into the time that it is given: libc gives it a copy.
    let time = timeout.as_ref().copied();
    masked(mask, |mask| sys::call(libc::SYS_ppoll, fds as usize, n as usize, pointer(&time), mask, MASK_BYTES, 0))
}

/// `__ppoll_chk`, the fortified form of `ppoll`.
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

/// `epoll_wait`: looks, and parks until the epoll descriptor is readable. EBADF, EINVAL and EFAULT are the kernel's
/// (fs/eventpoll.c). EINTR after any handler, whatever its SA_RESTART; what is ready goes before it. A cancellation point.
pub unsafe fn epoll_wait(fd: c_int, events: *mut epoll_event, n: c_int, timeout_ms: c_int) -> Answer<c_int> {
    runtime::cancellation_point();
    epoll_until(fd, events, n, Time::of_ms(timeout_ms))
}

/// Makes epoll_wait and its relatives with the mask in force, after the cancellation point. Parks until the epoll descriptor is
/// readable, and asks the kernel for the events. A call that does not wait, and one without room for events (EINVAL), go to the
/// kernel at once. `Err(Miss::Libc)` for a number that has no record: EBADF.
unsafe fn epoll_until(fd: c_int, events: *mut epoll_event, n: c_int, time: Time) -> Answer<c_int> {
    let look = |fd: c_int| sys::call(libc::SYS_epoll_pwait, fd as usize, events as usize, n as usize, 0, 0, MASK_BYTES);
    let deadline = match time {
        Time::Until(deadline) if n > 0 => deadline,
        _ => return at_once(look(fd)),
    };
    let record = record::record(fd).ok_or(Miss::Libc)?;
    look_until(Attempt::looking(fd, record, IN, deadline), look)
}

/// `epoll_pwait`: as `epoll_wait`. A mask other than the one in force leaves the wait to the kernel, which swaps the masks in one
/// step, with the slot offered. EFAULT for a mask that cannot be read. A cancellation point.
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

/// The system call epoll_pwait2, and glibc's function: as `epoll_pwait`, with a timespec. The kernel reads the time itself, so a bad
/// pointer is EFAULT, and a bad time EINVAL. A cancellation point.
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
