//! Sockets: receiving, sending, connecting, accepting.
//!
//! A blocking call is tried with MSG_DONTWAIT and parks while that says "would block"; what the program itself does not want
//! to wait for (its own O_NONBLOCK, MSG_DONTWAIT) goes to the kernel as it is. What a blocking call owes its caller:
//!
//! - *send* returns when everything is sent. A stream takes what it has room for; the rest is pushed after it. What ends that
//!   early, a broken connection above all, is left for the program's next call to find, and then raises no SIGPIPE, as natively.
//! - *MSG_WAITALL* is the same for recv. Where the kernel alone knows when enough is there (MSG_WAITALL with control data or
//!   MSG_PEEK, SO_RCVLOWAT) the wait for the first byte is ours and the rest is the kernel's.
//! - *SO_RCVTIMEO, SO_SNDTIMEO*: EAGAIN when the time is up, EINPROGRESS from connect; never restarted after a signal.
//! - *connect* needs O_NONBLOCK for the moment in which it starts; it is finished by a second connect, which finds the outcome, and
//!   leaves the socket in the same state as natively. A local socket only waits for a full backlog, which no
//!   readiness announces: the kernel waits.
//! - *accept* has no MSG_DONTWAIT: poll first, one green thread at a time, so that it only waits in the kernel when another process
//!   was faster.
//! - *shutdown* wakes the parked, whose next try finds out. The kernel's events mostly do that, but a full local stream that is
//!   shut down for writing has none.

use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::io::attempt::{plain, Attempt, Manner, WOULD_BLOCK};
use crate::hooks::io::descriptor::{self, has_nonblock, poll_now, Descriptor, Kind};
use crate::hooks::io::transfer::{Rest, MOST_AT_ONCE};
use crate::hooks::real;
use crate::hooks::time::sleep;
use crate::runtime::news::peer;
use crate::runtime::news::record::{Hints, Record, IN, OUT};
use crate::runtime::waiting::readiness;
use crate::runtime::{self, Length};
use crate::sys::{self, can_read, can_write, older};
use libc::{c_int, c_uint, c_void, iovec, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec};

/// Flags with which a receive never waits.
const NEVER_WAITS: c_int = libc::MSG_DONTWAIT | libc::MSG_OOB | libc::MSG_ERRQUEUE;
/// The two ways in which a connection is known to be broken.
const BROKEN: u32 = (libc::POLLERR | libc::POLLHUP) as u32;

pub unsafe fn recv(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> Answer<ssize_t> {
    recvfrom(fd, buf, len, flags, std::ptr::null_mut(), std::ptr::null_mut())
}

pub unsafe fn recvfrom(
    fd: c_int,
    buf: *mut c_void,
    len: size_t,
    flags: c_int,
    addr: *mut sockaddr,
    addr_len: *mut socklen_t,
) -> Answer<ssize_t> {
    runtime::cancellation_point();
    receive(&descriptor::socket(fd)?, buf, len, flags, addr, addr_len)
}

/// The fortified forms: a buffer too small for the length is libc's to complain about.
pub unsafe fn recv_chk(fd: c_int, buf: *mut c_void, len: size_t, room: size_t, flags: c_int) -> Answer<ssize_t> {
    if len > room {
        return Err(Miss::Libc);
    }
    recv(fd, buf, len, flags)
}

pub unsafe fn recvfrom_chk(
    fd: c_int,
    buf: *mut c_void,
    len: size_t,
    room: size_t,
    flags: c_int,
    addr: *mut sockaddr,
    addr_len: *mut socklen_t,
) -> Answer<ssize_t> {
    if len > room {
        return Err(Miss::Libc);
    }
    recvfrom(fd, buf, len, flags, addr, addr_len)
}

/// recvfrom, and read on a socket.
///
/// # Safety
/// As for recvfrom.
#[inline]
pub unsafe fn receive(
    socket: &Descriptor,
    buf: *mut c_void,
    len: size_t,
    flags: c_int,
    addr: *mut sockaddr,
    addr_len: *mut socklen_t,
) -> Answer<ssize_t> {
    let call = |fd: c_int, manner: Manner| {
        let flags = (flags | manner.flag()) as usize;
        sys::call(libc::SYS_recvfrom, fd as usize, buf as usize, len, flags, addr as usize, addr_len as usize)
    };
    if socket.nonblocking() || flags & NEVER_WAITS != 0 {
        let known = (socket.record, socket.record.look());
        let got = runtime::waiting::cancel::block(|| call(socket.fd, Manner::Blocking));
        note_rest(socket, known, len, flags, got);
        runtime::breathe();
        return answer(got);
    }
    let mut attempt = Attempt::new(socket, IN).may_skip();
    if flags & libc::MSG_WAITALL != 0 {
        attempt = attempt.hold();
    }
    let kernel_counts = socket.low_water() || flags & libc::MSG_WAITALL != 0 && flags & libc::MSG_PEEK != 0;
    let mut got = if kernel_counts { attempt.complete_asking(call) } else { attempt.complete(call) };
    if got > 0 && (got as usize) < len && flags & libc::MSG_WAITALL != 0 && socket.kind().stream() {
        got += receive_rest(&mut attempt, buf, len, got as usize, flags) as isize;
    } else {
        note_rest(socket, attempt.record(), len, flags, got);
    }
    attempt.end();
    answer(got)
}

/// What this receive says of what is left for the next one, or for a poll.
#[inline]
fn note_rest(socket: &Descriptor, (record, before): (&Record, Hints), len: usize, flags: c_int, got: isize) {
    const UNUSUAL: c_int = libc::MSG_PEEK | libc::MSG_OOB | libc::MSG_ERRQUEUE;
    if !socket.kind().agrees() || flags & UNUSUAL != 0 {
        return;
    }
    match got {
        1.. if (got as usize) < len => record.took_all(before, IN),
        1.. => record.took_its_fill(before, IN),
        WOULD_BLOCK => record.exhausted(before, IN),
        _ => {}
    }
}

/// MSG_WAITALL: what came after the first part. An error waits for the next call.
#[cold]
unsafe fn receive_rest(attempt: &mut Attempt, buf: *mut c_void, len: usize, got: usize, flags: c_int) -> usize {
    let whole = iovec { iov_base: buf, iov_len: len.min(MOST_AT_ONCE) };
    Rest::new(&whole, 1, got).push(attempt, libc::POLLERR as u32, |fd, vectors, manner| {
        message_call(libc::SYS_recvmsg, fd, vectors, flags | manner.flag())
    })
}

/// recvmsg or sendmsg of these vectors alone.
unsafe fn message_call(number: libc::c_long, fd: c_int, vectors: &[iovec], flags: c_int) -> isize {
    let mut message: msghdr = std::mem::zeroed();
    message.msg_iov = vectors.as_ptr() as *mut iovec;
    message.msg_iovlen = vectors.len() as _;
    sys::call(number, fd as usize, &mut message as *mut _ as usize, flags as usize, 0, 0, 0)
}

pub unsafe fn recvmsg(fd: c_int, msg: *mut msghdr, flags: c_int) -> Answer<ssize_t> {
    runtime::cancellation_point();
    let socket = descriptor::socket(fd)?;
    if socket.nonblocking() || flags & NEVER_WAITS != 0 {
        return plain(|| sys::call(libc::SYS_recvmsg, fd as usize, msg as usize, flags as usize, 0, 0, 0));
    }
    let call = |fd: c_int, manner: Manner| {
        let flags = (flags | manner.flag()) as usize;
        sys::call(libc::SYS_recvmsg, fd as usize, msg as usize, flags, 0, 0, 0)
    };
    let mut attempt = Attempt::new(&socket, IN);
    let kernel_counts = socket.low_water() || flags & libc::MSG_WAITALL != 0 && socket.kind().stream();
    let got = if kernel_counts { attempt.complete_asking(call) } else { attempt.complete(call) };
    attempt.end();
    answer(got)
}

/// Several messages. The timeout is looked at after each of them only, as Linux does: it does not end a wait.
pub unsafe fn recvmmsg(
    fd: c_int,
    msgs: *mut mmsghdr,
    n: c_uint,
    flags: c_int,
    timeout: *mut timespec,
) -> Answer<c_int> {
    runtime::cancellation_point();
    let socket = descriptor::socket(fd)?;
    let kernel_counts = socket.low_water() || flags & libc::MSG_WAITALL != 0;
    let Some(mut time) = Budget::new(timeout).filter(|_| n > 0 && !kernel_counts) else {
        return plain(|| {
            sys::call(libc::SYS_recvmmsg, fd as usize, msgs as usize, n as usize, flags as usize, timeout as usize, 0)
        });
    };
    if socket.nonblocking() || flags & NEVER_WAITS != 0 {
        return plain(|| {
            sys::call(libc::SYS_recvmmsg, fd as usize, msgs as usize, n as usize, flags as usize, timeout as usize, 0)
        });
    }
    let mut attempt = Attempt::new(&socket, IN);
    let mut done = 0;
    let result = loop {
        let (first, room) = (msgs.add(done), if timeout.is_null() { n as usize - done } else { 1 });
        attempt.begin_anew(&socket);
        let got = attempt.complete(|fd, manner| {
            sys::call(libc::SYS_recvmmsg, fd as usize, first as usize, room, (flags | manner.flag()) as usize, 0, 0)
        });
        if got <= 0 {
            break if done > 0 { done as isize } else { got };
        }
        done += got as usize;
        let urgent = (*msgs.add(done - 1)).msg_hdr.msg_flags & libc::MSG_OOB != 0;
        if time.is_up() || done == n as usize || flags & libc::MSG_WAITFORONE != 0 || urgent || !attempt.may_go_on() {
            break done as isize;
        }
    };
    attempt.end();
    answer(result)
}

/// recvmmsg's timeout: what is left of it is written back after each message.
struct Budget {
    timeout: *mut timespec,
    end_ns: u64,
}

impl Budget {
    /// `None`: not one that we can read and write, or not one at all, which is for the kernel to refuse.
    unsafe fn new(timeout: *mut timespec) -> Option<Budget> {
        if timeout.is_null() {
            return Some(Budget { timeout, end_ns: u64::MAX });
        }
        if !can_read(timeout as usize, size_of::<timespec>()) {
            return None;
        }
        let given = *timeout;
        if !can_write(timeout as usize, size_of::<timespec>()) {
            return None;
        }
        *timeout = given;
        let timespec { tv_sec, tv_nsec } = given;
        let valid = tv_sec >= 0 && (0..1_000_000_000).contains(&tv_nsec);
        let ns = (tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(tv_nsec as u64);
        valid.then(|| Budget { timeout, end_ns: sys::now_ns().saturating_add(ns) })
    }

    unsafe fn is_up(&mut self) -> bool {
        if self.timeout.is_null() {
            return false;
        }
        let left_ns = self.end_ns.saturating_sub(sys::now_ns());
        *self.timeout = sys::timespec(left_ns);
        left_ns == 0
    }
}

pub unsafe fn send(fd: c_int, buf: *const c_void, len: size_t, flags: c_int) -> Answer<ssize_t> {
    sendto(fd, buf, len, flags, std::ptr::null(), 0)
}

pub unsafe fn sendto(
    fd: c_int,
    buf: *const c_void,
    len: size_t,
    flags: c_int,
    addr: *const sockaddr,
    addr_len: socklen_t,
) -> Answer<ssize_t> {
    runtime::cancellation_point();
    transmit(&descriptor::socket(fd)?, buf, len, flags, addr, addr_len)
}

/// Does the program not want to wait, or must the kernel connect first (MSG_FASTOPEN)?
fn as_it_is(socket: &Descriptor, flags: c_int) -> bool {
    socket.nonblocking() || flags & (libc::MSG_DONTWAIT | libc::MSG_FASTOPEN) != 0
}

/// As many bytes at once have room, or have none, but are seldom cut.
const MOSTLY_WHOLE: usize = 4096;

/// sendto, and write on a socket.
///
/// # Safety
/// As for sendto.
#[inline]
pub unsafe fn transmit(
    socket: &Descriptor,
    buf: *const c_void,
    len: size_t,
    flags: c_int,
    addr: *const sockaddr,
    addr_len: socklen_t,
) -> Answer<ssize_t> {
    let call = |fd: c_int, manner: Manner| {
        let flags = (flags | manner.flag()) as usize;
        sys::call(libc::SYS_sendto, fd as usize, buf as usize, len, flags, addr as usize, addr_len as usize)
    };
    if as_it_is(socket, flags) {
        return plain(|| call(socket.fd, Manner::Blocking));
    }
    let mut attempt = Attempt::new(socket, OUT);
    if len > MOSTLY_WHOLE {
        attempt = attempt.hold();
    }
    let mut sent = attempt.complete(call);
    if sent > 0 && (sent as usize) < len && socket.kind().stream() {
        let whole = iovec { iov_base: buf as *mut c_void, iov_len: len.min(MOST_AT_ONCE) };
        sent += transmit_rest(&mut attempt, &mut Rest::new(&whole, 1, sent as usize), flags) as isize;
    }
    if sent > 0 {
        peer::reach(socket.fd);
    }
    attempt.end();
    answer(sent)
}

/// Sends what a stream had no room for: how much of it went through.
///
/// # Safety
/// The vectors can be read.
#[cold]
pub unsafe fn transmit_rest(attempt: &mut Attempt, rest: &mut Rest, flags: c_int) -> usize {
    rest.push(attempt, BROKEN, |fd, vectors, manner| {
        message_call(libc::SYS_sendmsg, fd, vectors, flags | libc::MSG_NOSIGNAL | manner.flag())
    })
}

pub unsafe fn sendmsg(fd: c_int, msg: *const msghdr, flags: c_int) -> Answer<ssize_t> {
    let sent = if runtime::current().is_some() {
        runtime::cancellation_point();
        transmit_message(&descriptor::socket(fd)?, msg, flags)?
    } else {
        real::sendmsg(fd, msg, flags)
    };
    if sent >= 0 {
        hand_files_on(&*msg);
    }
    Ok(sent)
}

/// The files that went with a message are not only ours any more.
unsafe fn hand_files_on(message: &msghdr) {
    let mut at = libc::CMSG_FIRSTHDR(message);
    while let Some(header) = at.as_ref() {
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            let (files, bytes) = (libc::CMSG_DATA(header) as *const c_int, header.cmsg_len);
            let count = (bytes - libc::CMSG_LEN(0) as usize) / size_of::<c_int>();
            (0..count).for_each(|i| descriptor::handed_on(files.add(i).read_unaligned()));
        }
        at = libc::CMSG_NXTHDR(message, header);
    }
}

unsafe fn transmit_message(socket: &Descriptor, msg: *const msghdr, flags: c_int) -> Answer<ssize_t> {
    if as_it_is(socket, flags) {
        return plain(|| sys::call(libc::SYS_sendmsg, socket.fd as usize, msg as usize, flags as usize, 0, 0, 0));
    }
    let mut attempt = Attempt::new(socket, OUT);
    let mut sent = attempt.complete(|fd, manner| {
        sys::call(libc::SYS_sendmsg, fd as usize, msg as usize, (flags | manner.flag()) as usize, 0, 0, 0)
    });
    if sent > 0 && socket.kind().stream() {
        // The kernel has read the message, so we can; control data has gone with the first part.
        let mut rest = Rest::new((*msg).msg_iov, (*msg).msg_iovlen, sent as usize);
        if rest.any() {
            sent += transmit_rest(&mut attempt, &mut rest, flags) as isize;
        }
    }
    if sent > 0 {
        peer::reach(socket.fd);
    }
    attempt.end();
    answer(sent)
}

/// Several messages: as many as the kernel takes at once, or, on a stream, one whole message after the other.
pub unsafe fn sendmmsg(fd: c_int, msgs: *mut mmsghdr, n: c_uint, flags: c_int) -> Answer<c_int> {
    let sent = match runtime::current() {
        Some(_) => transmit_messages(fd, msgs, n, flags)?,
        None => real::sendmmsg(fd, msgs, n, flags),
    };
    (0..sent.max(0) as usize).for_each(|i| hand_files_on(&(*msgs.add(i)).msg_hdr));
    Ok(sent)
}

unsafe fn transmit_messages(fd: c_int, msgs: *mut mmsghdr, n: c_uint, flags: c_int) -> Answer<c_int> {
    runtime::cancellation_point();
    let socket = descriptor::socket(fd)?;
    if as_it_is(&socket, flags) {
        return plain(|| sys::call(libc::SYS_sendmmsg, fd as usize, msgs as usize, n as usize, flags as usize, 0, 0));
    }
    // What the kernel cuts a longer call to.
    let n = (n as usize).min(libc::UIO_MAXIOV as usize);
    if socket.kind().stream() {
        return transmit_streamed(&socket, msgs, n, flags);
    }
    let mut attempt = Attempt::new(&socket, OUT);
    let mut done = 0;
    let result = loop {
        let first = msgs.add(done);
        attempt.begin_anew(&socket);
        let sent = attempt.complete(|fd, manner| {
            sys::call(libc::SYS_sendmmsg, fd as usize, first as usize, n - done, (flags | manner.flag()) as usize, 0, 0)
        });
        if sent <= 0 {
            break if done > 0 { done as isize } else { sent };
        }
        done += sent as usize;
        if done == n || !attempt.may_go_on() {
            break done as isize;
        }
    };
    attempt.end();
    answer(result)
}

unsafe fn transmit_streamed(socket: &Descriptor, msgs: *mut mmsghdr, n: usize, flags: c_int) -> Answer<c_int> {
    for i in 0..n {
        let entry = msgs.add(i);
        let sent = match transmit_message(socket, &(*entry).msg_hdr, flags) {
            Ok(sent) => sent as usize,
            Err(miss) => return if i > 0 { Ok(i as c_int) } else { Err(miss) },
        };
        let told = &raw mut (*entry).msg_len;
        if !sleep::is_callers(told) && !can_write(told as usize, size_of::<usize>()) {
            return if i > 0 { Ok(i as c_int) } else { errno(libc::EFAULT) };
        }
        *told = sent as c_uint;
        if Rest::new((*entry).msg_hdr.msg_iov, (*entry).msg_hdr.msg_iovlen, sent).any() {
            return Ok(i as c_int + 1);
        }
    }
    Ok(n as c_int)
}

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
        // Somebody else's connect found the outcome first.
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

pub unsafe fn accept(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> Answer<c_int> {
    match runtime::current() {
        Some(_) => accept_waiting(fd, addr, len, 0),
        None => accepted_natively(real::accept(fd, addr, len)),
    }
}

pub unsafe fn accept4(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t, flags: c_int) -> Answer<c_int> {
    match runtime::current() {
        Some(_) => accept_waiting(fd, addr, len, flags),
        None => accepted_natively(real::accept4(fd, addr, len, flags)),
    }
}

fn accepted_natively(fd: c_int) -> Answer<c_int> {
    if fd >= 0 {
        descriptor::made(fd);
    }
    Ok(fd)
}

unsafe fn accept_waiting(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t, flags: c_int) -> Answer<c_int> {
    runtime::cancellation_point();
    let listener = descriptor::socket(fd)?;
    let call = |fd: c_int| sys::call(libc::SYS_accept4, fd as usize, addr as usize, len as usize, flags as usize, 0, 0);
    let wrong = flags & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0;
    let got = if wrong || listener.nonblocking() || !listener.listens() {
        runtime::block(|| call(fd))
    } else {
        let mut attempt = Attempt::new(&listener, IN).may_skip();
        let got = attempt.complete(|fd, manner| match manner {
            Manner::AtOnce => accept_at_once(&listener, fd, call),
            Manner::Blocking => call(fd),
        });
        attempt.end();
        got
    };
    if got >= 0 {
        descriptor::accepted(&listener, got as c_int, flags & libc::SOCK_NONBLOCK != 0);
    }
    answer(got)
}

/// Accepts if poll says that there is somebody. Only one green thread at a time: the others would wait in the kernel for the
/// connection that it takes. Whoever does not get its turn for long goes on all the same: that is slow at worst.
unsafe fn accept_at_once(listener: &Descriptor, fd: c_int, call: impl FnOnce(c_int) -> isize) -> isize {
    const PATIENCE: usize = 100;
    for _ in 0..PATIENCE {
        if listener.begin_accept() {
            break;
        }
        runtime::yield_now();
    }
    let somebody = poll_now(fd, IN) != 0;
    let accept = || runtime::waiting::cancel::block_or(Length::Unknown, || call(fd), || listener.end_accept());
    let got = if somebody { accept() } else { WOULD_BLOCK };
    listener.end_accept();
    got
}

pub unsafe fn shutdown(fd: c_int, how: c_int) -> Answer<c_int> {
    let done = answer(sys::call(libc::SYS_shutdown, fd as usize, how as usize, 0, 0, 0, 0));
    readiness::stir(fd);
    done
}
