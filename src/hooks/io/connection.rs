//! Connections: made, accepted, shut down.
//!
//! - *connect* needs O_NONBLOCK for the moment in which it starts; it is finished by a second connect, which finds the outcome, and
//!   leaves the socket in the same state as natively. A local socket only waits for a full backlog, which no
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

/// `connect`: parks until a TCP connection is made or refused; other sockets connect at once, or wait in the kernel. A cancellation point;
/// EINPROGRESS when SO_SNDTIMEO is over.
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
    // Many programs set O_NONBLOCK now, not all of them by a call that we see.
    descriptor::changed(fd);
    match result {
        // Another thread's connect found the outcome first.
        done if done == -(libc::EISCONN as isize) => Ok(0),
        other => answer(other),
    }
}

/// The one place where O_NONBLOCK is set for a moment.
unsafe fn without_waiting(fd: c_int, flags: usize, call: impl FnOnce() -> isize) -> isize {
    let set = |flags: usize| sys::call(libc::SYS_fcntl, fd as usize, libc::F_SETFL as usize, flags, 0, 0, 0);
    set(flags | libc::O_NONBLOCK as usize);
    let result = call();
    set(flags);
    result
}

/// `accept`: parks until there is a connection. A cancellation point; the new number's past is forgotten, from any caller.
pub unsafe fn accept(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> Answer<c_int> {
    match runtime::current() {
        Some(_) => accept_waiting(fd, addr, len, 0),
        None => accepted_natively(real::accept(fd, addr, len)),
    }
}

/// `accept4`: as `accept`, with flags for the new descriptor.
pub unsafe fn accept4(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t, flags: c_int) -> Answer<c_int> {
    match runtime::current() {
        Some(_) => accept_waiting(fd, addr, len, flags),
        None => accepted_natively(real::accept4(fd, addr, len, flags)),
    }
}

/// Notes a connection that a foreign thread has accepted by libc's own call.
fn accepted_natively(fd: c_int) -> Answer<c_int> {
    if fd >= 0 {
        descriptor::made(fd);
    }
    Ok(fd)
}

/// accept4 on a green thread: parks on a listener that blocks.
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

/// Accepts if poll says that there is a connection. Only one green thread does so at a time: the others would wait in the kernel for the
/// connection that it takes. After `TURNS` yields a thread goes on without its turn, which is slow at worst.
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

/// `shutdown`: the kernel's own, and waits on the number try again.
pub unsafe fn shutdown(fd: c_int, how: c_int) -> Answer<c_int> {
    let done = answer(sys::call(libc::SYS_shutdown, fd as usize, how as usize, 0, 0, 0, 0));
    readiness::stir(fd);
    done
}
