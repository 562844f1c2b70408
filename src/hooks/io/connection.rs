//! Connections: made, accepted, shut down.
//!
//! - *connect* needs O_NONBLOCK for the moment in which it starts; it is finished by a second connect, which finds the outcome, and
//!   leaves the socket in the same state as natively. A local socket waits only where the listener's backlog is full, the end of which no
//!   readiness announces: the kernel waits.
//! - *accept* has no MSG_DONTWAIT: poll first, one green thread at a time, so that it only waits in the kernel when another process
//!   was faster.
//! - *shutdown* wakes the parked, whose next try finds out. The kernel's events mostly do that, but a full local stream that is
//!   shut down for writing has none.

use crate::hooks::answer::{answer, Answer};
use crate::hooks::io::attempt::{Attempt, Blocking};
use crate::hooks::io::descriptor::{self, has_nonblock, poll_now, Descriptor, Kind};
use crate::hooks::io::kernel::{plain, WOULD_BLOCK};
use crate::hooks::real;
use crate::runtime::news::record::{IN, OUT};
use crate::runtime::waiting::readiness;
use crate::runtime::{self, Length};
use crate::sys::{self, older};
use libc::{c_int, sockaddr, socklen_t};

/// `connect`: on a TCP socket that blocks parks until the connection is made or refused. All other sockets connect in the kernel,
/// with the slot offered. Returns 0, or the kernel's error (ECONNREFUSED, ETIMEDOUT, EISCONN, …). A cancellation point; a cancelled
/// connection goes on.
///
/// 1. `without_waiting` begins the connection: EINPROGRESS. A second thread finds one that is under way: EALREADY.
/// 2. Parks until the socket is writable, which it is when the connection is made or has failed.
/// 3. Connects once more, which tells the outcome, once: 0 or the error. EISCONN says that another thread's call was told before.
///
/// When SO_SNDTIMEO is over the answer is that of step 1: EINPROGRESS (socket(7)). EINTR after a handler without SA_RESTART, and
/// after any handler with a timeout; the connection goes on then (connect(2)).
pub unsafe fn connect(fd: c_int, addr: *const sockaddr, len: socklen_t) -> Answer<c_int> {
    runtime::cancellation_point();
    let socket = descriptor::socket(fd)?;
    let call = |fd: c_int| sys::call(libc::SYS_connect, fd as usize, addr as usize, len as usize, 0, 0, 0);
    if socket.nonblocking() || socket.kind() != Kind::Tcp {
        return plain(|| call(fd));
    }
    let flags = older::status_flags(fd);
    if has_nonblock(flags) {
        return plain(|| call(fd));
    }
    let begun = without_waiting(fd, flags as usize, || call(fd));
    if begun != -(libc::EINPROGRESS as isize) && begun != -(libc::EALREADY as isize) {
        return answer(begun);
    }
    let mut attempt = Attempt::new(&socket, OUT).late(-begun as c_int);
    let result = attempt.complete_asking(|fd, _| call(fd));
    attempt.end();
    // Many programs set O_NONBLOCK after this, not all of them by a call that is hooked: the flags are asked for anew.
    descriptor::changed(fd);
    match result {
        // EISCONN: another thread's connect has found the outcome first.
        done if done == -(libc::EISCONN as isize) => Ok(0),
        other => answer(other),
    }
}

/// Makes a call with O_NONBLOCK set for its time, and puts the flags back. `flags` are the file's status flags before. Returns the
/// kernel's result. No other place sets the flag of a program's file: for a moment others that share the file see it, and another
/// thread's blocking call that begins then may answer EAGAIN.
unsafe fn without_waiting(fd: c_int, flags: usize, call: impl FnOnce() -> isize) -> isize {
    let set = |flags: usize| sys::call(libc::SYS_fcntl, fd as usize, libc::F_SETFL as usize, flags, 0, 0, 0);
    set(flags | libc::O_NONBLOCK as usize);
    let result = call();
    set(flags);
    result
}

/// `accept`: parks until there is a connection, as long as SO_RCVTIMEO says (then EAGAIN). EINTR after a handler without SA_RESTART.
/// What was known of the new number is forgotten. A foreign thread's call is libc's. A cancellation point.
pub unsafe fn accept(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> Answer<c_int> {
    match runtime::current() {
        Some(_) => accept_waiting(fd, addr, len, 0),
        None => accepted_natively(real::accept(fd, addr, len)),
    }
}

/// `accept4`: as `accept`, with SOCK_NONBLOCK and SOCK_CLOEXEC for the new descriptor. EINVAL for other flags is the kernel's.
pub unsafe fn accept4(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t, flags: c_int) -> Answer<c_int> {
    match runtime::current() {
        Some(_) => accept_waiting(fd, addr, len, flags),
        None => accepted_natively(real::accept4(fd, addr, len, flags)),
    }
}

/// Notes a connection that a foreign thread has accepted by libc's own call: its number is new, and its file this process's alone.
/// Returns libc's result, with its errno.
fn accepted_natively(fd: c_int) -> Answer<c_int> {
    if fd >= 0 {
        descriptor::made(fd);
    }
    Ok(fd)
}

/// Makes accept4 on a green thread: parks on a listener that blocks. O_NONBLOCK, a socket that does not listen (EINVAL) and unknown
/// flags (EINVAL) are left to the kernel, which does not wait then. Returns the new descriptor, which is noted
/// (`descriptor::accepted`).
unsafe fn accept_waiting(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t, flags: c_int) -> Answer<c_int> {
    runtime::cancellation_point();
    let listener = descriptor::socket(fd)?;
    let call = |fd: c_int| sys::call(libc::SYS_accept4, fd as usize, addr as usize, len as usize, flags as usize, 0, 0);
    let wrong = flags & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0;
    let got = if wrong || listener.nonblocking() || !listener.listens() {
        runtime::block(|| call(fd))
    } else {
        let mut attempt = Attempt::new(&listener, IN).may_skip();
        let got = attempt.complete(|fd, blocking| match blocking {
            Blocking::No => accept_at_once(&listener, fd, call),
            Blocking::Yes => call(fd),
        });
        attempt.end();
        got
    };
    if got >= 0 {
        descriptor::accepted(&listener, got as c_int, flags & libc::SOCK_NONBLOCK != 0);
    }
    answer(got)
}

/// Accepts if poll says that there is a connection; WOULD_BLOCK if not.
///
/// 1. Takes the listener's turn, so that only one green thread is between poll and accept: the others would wait in the kernel for
///    the connection that it takes.
/// 2. Polls, and accepts if there is a connection. Another process may be faster: then the kernel waits, with the slot offered.
/// 3. Gives the turn back; so does a cancellation in 2.
///
/// After `TURNS` yields a thread goes on without the turn, and may wait in the kernel.
unsafe fn accept_at_once(listener: &Descriptor, fd: c_int, call: impl FnOnce(c_int) -> isize) -> isize {
    const TURNS: usize = 100;
    for _ in 0..TURNS {
        if listener.begin_accept() {
            break;
        }
        runtime::yield_now();
    }
    let has_connection = poll_now(fd, IN) != 0;
    let accept = || runtime::waiting::cancel::block_or(Length::Unknown, || call(fd), || listener.end_accept());
    let got = if has_connection { accept() } else { WOULD_BLOCK };
    listener.end_accept();
    got
}

/// `shutdown`: the kernel's own, with its errors (ENOTCONN, EBADF). Then all waits parked on the number try again, and find the end
/// of the file or EPIPE. Called by any thread. Never waits. No cancellation point.
pub unsafe fn shutdown(fd: c_int, how: c_int) -> Answer<c_int> {
    let done = answer(sys::call(libc::SYS_shutdown, fd as usize, how as usize, 0, 0, 0, 0));
    readiness::stir(fd);
    done
}
