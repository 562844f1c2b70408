//! Sockets: receiving and sending.
//!
//! A blocking call is tried with MSG_DONTWAIT and parks while that says "would block"; a call that must not wait (the program's own
//! O_NONBLOCK, MSG_DONTWAIT) goes to the kernel as it is. The promises of a blocking call:
//!
//! - *send* returns when everything is sent. A stream takes as much as it has room for; the rest is pushed after it. An error that ends
//!   the push early, of a broken connection above all, is left for the program's next call to find, and raises no SIGPIPE here, as
//!   natively.
//! - *MSG_WAITALL* is the same for recv. Where the kernel alone knows when enough is there (MSG_WAITALL with control data or MSG_PEEK,
//!   SO_RCVLOWAT) the thread parks for the first byte, and the kernel waits for the rest.
//! - *SO_RCVTIMEO, SO_SNDTIMEO*: EAGAIN when the time is up, EINPROGRESS from connect; never restarted after a signal.
//!
//! What decides whether a receive may wait here, in this order:
//!
//! 1. O_NONBLOCK that is known, MSG_DONTWAIT, MSG_OOB, MSG_ERRQUEUE: the kernel gets the call, and does not wait.
//! 2. The kernel alone can count (see above): poll parks for the first byte, then the kernel gets the call.
//! 3. All else: tried, and parked for (`Attempt::complete`). An O_NONBLOCK that is not known yet is asked before the first park.

use crate::hooks::answer::{answer, Answer, Miss};
use crate::hooks::io::attempt::{Attempt, Blocking};
use crate::hooks::io::descriptor::{self, Descriptor};
use crate::hooks::io::kernel::{plain, WOULD_BLOCK};
use crate::hooks::io::vector::{IovecTail, MOST_AT_ONCE};
use crate::hooks::real;
use crate::runtime::news::record::{Hints, Record, IN, OUT};
use crate::runtime::waiting::readiness;
use crate::{runtime, sys};
use libc::{c_int, c_void, iovec, msghdr, size_t, sockaddr, socklen_t, ssize_t};

/// Flags with which a receive never waits: MSG_OOB and MSG_ERRQUEUE answer at once whether there is something.
pub const NEVER_WAITS: c_int = libc::MSG_DONTWAIT | libc::MSG_OOB | libc::MSG_ERRQUEUE;

/// The events by which poll tells that a connection is broken or ended.
const BROKEN: u32 = (libc::POLLERR | libc::POLLHUP) as u32;

/// `recv`: as `recvfrom` without an address. A cancellation point.
pub unsafe fn recv(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> Answer<ssize_t> {
    recvfrom(fd, buf, len, flags, std::ptr::null_mut(), std::ptr::null_mut())
}

/// `recvfrom`: parks until something is there, as long as SO_RCVTIMEO says: then EAGAIN. After a handler restarts if all that ran
/// had SA_RESTART, but EINTR with a timeout (signal(7)). Errors are the kernel's. A cancellation point.
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

/// `__recv_chk`, the fortified form of `recv`: a buffer too small for the length is libc's to complain about, which ends the
/// process.
pub unsafe fn recv_chk(fd: c_int, buf: *mut c_void, len: size_t, room: size_t, flags: c_int) -> Answer<ssize_t> {
    if len > room {
        return Err(Miss::Libc);
    }
    recv(fd, buf, len, flags)
}

/// `__recvfrom_chk`, the fortified form of `recvfrom`.
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

/// Makes recvfrom, and read on a socket, after the cancellation point. A call that must not wait goes to the kernel as it is.
/// MSG_WAITALL on a stream parks for the rest, too. With MSG_PEEK, or with SO_RCVLOWAT, the kernel counts: it waits for the rest.
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
    let call = |fd: c_int, blocking: Blocking| {
        let flags = (flags | blocking.flag()) as usize;
        sys::call(libc::SYS_recvfrom, fd as usize, buf as usize, len, flags, addr as usize, addr_len as usize)
    };
    if socket.nonblocking() || flags & NEVER_WAITS != 0 {
        let known = (socket.record, socket.record.look());
        let got = runtime::waiting::cancel::block(|| call(socket.fd, Blocking::Yes));
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

/// Notes what this receive says of what is left: one that got less than it asked for has emptied the socket, and "would block" says
/// that it is empty. The next receive, or a poll, is left out then until there is an event. Only for sockets whose readiness agrees;
/// MSG_PEEK takes nothing, and MSG_OOB and MSG_ERRQUEUE read another queue. `before`: the record's hints before the call.
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

/// Receives what comes after the first part of a MSG_WAITALL, and returns how many bytes. An error, a timeout and a handler end it,
/// as natively: the part is returned, and the next call finds the error. A hang-up does not end it: bytes that came before are still
/// to be read.
#[cold]
unsafe fn receive_rest(attempt: &mut Attempt, buf: *mut c_void, len: usize, got: usize, flags: c_int) -> usize {
    let whole = iovec { iov_base: buf, iov_len: len.min(MOST_AT_ONCE) };
    IovecTail::new(&whole, 1, got).push(attempt, libc::POLLERR as u32, |fd, vectors, blocking| {
        message_call(libc::SYS_recvmsg, fd, vectors, flags | blocking.flag())
    })
}

/// Makes recvmsg or sendmsg of these vectors alone, without an address or control data. Returns the kernel's result.
unsafe fn message_call(number: libc::c_long, fd: c_int, vectors: &[iovec], flags: c_int) -> isize {
    let mut message: msghdr = std::mem::zeroed();
    message.msg_iov = vectors.as_ptr() as *mut iovec;
    message.msg_iovlen = vectors.len() as _;
    sys::call(number, fd as usize, &mut message as *mut _ as usize, flags as usize, 0, 0, 0)
}

/// `recvmsg`: as `recvfrom`, into several pieces of memory, and with control data. MSG_WAITALL on a stream is left to the kernel
/// once the first byte is there. A cancellation point.
pub unsafe fn recvmsg(fd: c_int, msg: *mut msghdr, flags: c_int) -> Answer<ssize_t> {
    runtime::cancellation_point();
    let socket = descriptor::socket(fd)?;
    if socket.nonblocking() || flags & NEVER_WAITS != 0 {
        return plain(|| sys::call(libc::SYS_recvmsg, fd as usize, msg as usize, flags as usize, 0, 0, 0));
    }
    let call = |fd: c_int, blocking: Blocking| {
        let flags = (flags | blocking.flag()) as usize;
        sys::call(libc::SYS_recvmsg, fd as usize, msg as usize, flags, 0, 0, 0)
    };
    let mut attempt = Attempt::new(&socket, IN);
    let kernel_counts = socket.low_water() || flags & libc::MSG_WAITALL != 0 && socket.kind().stream();
    let got = if kernel_counts { attempt.complete_asking(call) } else { attempt.complete(call) };
    attempt.end();
    answer(got)
}

/// `send`: `sendto` without an address.
pub unsafe fn send(fd: c_int, buf: *const c_void, len: size_t, flags: c_int) -> Answer<ssize_t> {
    sendto(fd, buf, len, flags, std::ptr::null(), 0)
}

/// `sendto`: parks until everything is sent, as long as SO_SNDTIMEO says. EAGAIN, EINTR or another error only if nothing was sent;
/// else returns how much was. EPIPE comes with SIGPIPE, unless MSG_NOSIGNAL is given (`door`'s `fail`). A cancellation point.
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

/// Does the kernel get a send as it is? True with O_NONBLOCK that is known and with MSG_DONTWAIT, for the kernel does not wait then,
/// and with MSG_FASTOPEN, for which it connects first.
pub fn as_it_is(socket: &Descriptor, flags: c_int) -> bool {
    socket.nonblocking() || flags & (libc::MSG_DONTWAIT | libc::MSG_FASTOPEN) != 0
}

/// The longest transfer, in bytes, that is seldom cut in two: it does not hold on to the file between its tries, which costs two
/// atomic steps. If it is cut all the same, and the number closed meanwhile, the rest is not sent.
const MOSTLY_WHOLE: usize = 4096;

/// Makes sendto, and write on a socket, after the cancellation point. Returns the bytes sent, which are all unless an error, a
/// timeout or a handler came after a part. Errors only if nothing was sent. Then makes a peer in this process ready, if it waits
/// (`readiness::reach_peer`).
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
    let call = |fd: c_int, blocking: Blocking| {
        let flags = (flags | blocking.flag()) as usize;
        sys::call(libc::SYS_sendto, fd as usize, buf as usize, len, flags, addr as usize, addr_len as usize)
    };
    if as_it_is(socket, flags) {
        return plain(|| call(socket.fd, Blocking::Yes));
    }
    let mut attempt = Attempt::new(socket, OUT);
    if len > MOSTLY_WHOLE {
        attempt = attempt.hold();
    }
    let mut sent = attempt.complete(call);
    if sent > 0 && (sent as usize) < len && socket.kind().stream() {
        let whole = iovec { iov_base: buf as *mut c_void, iov_len: len.min(MOST_AT_ONCE) };
        sent += transmit_rest(&mut attempt, &mut IovecTail::new(&whole, 1, sent as usize), flags) as isize;
    }
    if sent > 0 {
        readiness::reach_peer(socket.fd);
    }
    attempt.end();
    answer(sent)
}

/// Sends the bytes for which a stream had no room; returns how many went through. Ends without an error on a broken connection, and
/// raises no SIGPIPE (MSG_NOSIGNAL): the program's next call finds it.
///
/// # Safety
/// The vectors can be read.
#[cold]
pub unsafe fn transmit_rest(attempt: &mut Attempt, rest: &mut IovecTail, flags: c_int) -> usize {
    rest.push(attempt, BROKEN, |fd, vectors, blocking| {
        message_call(libc::SYS_sendmsg, fd, vectors, flags | libc::MSG_NOSIGNAL | blocking.flag())
    })
}

/// `sendmsg`: as `sendto`. Files that go with the message (SCM_RIGHTS) are another process's, too, from then on, whichever thread
/// calls.
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

/// Notes that the files of a message that was sent (SCM_RIGHTS) are no longer this process's alone: another may set O_NONBLOCK on
/// them. Called by any thread after the kernel has taken the message, so that its control data can be read.
///
/// # Safety
/// The message was sent, and is mapped still.
pub unsafe fn hand_files_on(message: &msghdr) {
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

/// Sends one message as a blocking call does: everything, or an error of its first part. Control data and files go with the first
/// part. Returns the bytes sent. EPIPE, EAGAIN, EINTR and the kernel's other errors only if nothing was sent. The caller has made the
/// cancellation point; the waits in here are ones, too.
///
/// # Safety
/// As for sendmsg.
pub unsafe fn transmit_message(socket: &Descriptor, msg: *const msghdr, flags: c_int) -> Answer<ssize_t> {
    if as_it_is(socket, flags) {
        return plain(|| sys::call(libc::SYS_sendmsg, socket.fd as usize, msg as usize, flags as usize, 0, 0, 0));
    }
    let mut attempt = Attempt::new(socket, OUT);
    let mut sent = attempt.complete(|fd, blocking| {
        sys::call(libc::SYS_sendmsg, fd as usize, msg as usize, (flags | blocking.flag()) as usize, 0, 0, 0)
    });
    if sent > 0 && socket.kind().stream() {
        // The kernel has read the message, so it can be read here; control data has gone with the first part.
        let mut rest = IovecTail::new((*msg).msg_iov, (*msg).msg_iovlen, sent as usize);
        if rest.any() {
            sent += transmit_rest(&mut attempt, &mut rest, flags) as isize;
        }
    }
    if sent > 0 {
        readiness::reach_peer(socket.fd);
    }
    attempt.end();
    answer(sent)
}
