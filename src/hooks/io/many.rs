//! Several messages by one call: recvmmsg and sendmmsg, message by message where the kernel would wait between them.

use crate::hooks::answer::{answer, Answer};
use crate::hooks::io::attempt::Attempt;
use crate::hooks::io::descriptor::{self, Descriptor};
use crate::hooks::io::kernel::plain;
use crate::hooks::io::net::{as_it_is, hand_files_on, transmit_message, NEVER_WAITS};
use crate::hooks::io::vector::IovecTail;
use crate::hooks::{memory, moment, real};
use crate::runtime::news::record::{IN, OUT};
use crate::{runtime, sys};
use libc::{c_int, c_uint, mmsghdr, timespec};

/// `recvmmsg`: parks before a message, and takes as many as are there. Returns how many; an error after the first message is left for
/// the next call, as by the kernel (net/socket.c, do_recvmmsg). A cancellation point.
///
/// The timeout is looked at after each message only, as recvmmsg(2) says under BUGS: it does not end a wait. SO_RCVTIMEO does, and
/// begins anew with each message. A handler ends the wait as that of `recvfrom`, but not a call that has a message.
///
/// Ends with the last of the `n` messages, when the timeout is over, with MSG_WAITFORONE once there is a message, and after urgent
/// data.
///
/// The kernel gets the call as it is where it must not wait, for MSG_WAITALL, with SO_RCVLOWAT, for no messages, and for a bad
/// timeout (EFAULT, EINVAL).
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
    let Some(mut time) = TimeLeft::new(timeout).filter(|_| n > 0 && !kernel_counts) else {
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
        // With a timeout message by message, for it is looked at after each.
        let (first, room) = (msgs.add(done), if timeout.is_null() { n as usize - done } else { 1 });
        attempt.begin_anew(&socket);
        let got = attempt.complete(|fd, blocking| {
            sys::call(libc::SYS_recvmmsg, fd as usize, first as usize, room, (flags | blocking.flag()) as usize, 0, 0)
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

/// The timeout of a recvmmsg. What is left is written back after each message, as by the kernel.
struct TimeLeft {
    /// The program's timeout; null: there is none, and the time has no end.
    timeout: *mut timespec,
    /// The end of the time (CLOCK_MONOTONIC, nanoseconds).
    end_ns: u64,
}

impl TimeLeft {
    /// Begins the time of a call. `None`: the timeout cannot be read and written, or is no length of time; the kernel gets such a
    /// call, to refuse it. Called before the first message, on the calling thread.
    unsafe fn new(timeout: *mut timespec) -> Option<TimeLeft> {
        if timeout.is_null() {
            return Some(TimeLeft { timeout, end_ns: u64::MAX });
        }
        let given = memory::read(timeout).ok()?;
        memory::write(timeout, given).ok()?;
        let ns = moment::nanoseconds(&given).ok()?;
        Some(TimeLeft { timeout, end_ns: sys::now_ns().saturating_add(ns) })
    }

    /// Writes back what is left. Returns true if that is nothing. Called after each message; the memory was found writable by `new`.
    unsafe fn is_up(&mut self) -> bool {
        if self.timeout.is_null() {
            return false;
        }
        let left_ns = self.end_ns.saturating_sub(sys::now_ns());
        *self.timeout = sys::timespec(left_ns);
        left_ns == 0
    }
}

/// `sendmmsg`: as many messages as the kernel takes at once, or, on a stream, one whole message after the other. Returns how many; an
/// error after the first is left for the next call (net/socket.c, __sys_sendmmsg). Called by any thread; a foreign thread's call is
/// libc's. Files that went with the messages are handed on in both cases (`net::hand_files_on`). A cancellation point.
pub unsafe fn sendmmsg(fd: c_int, msgs: *mut mmsghdr, n: c_uint, flags: c_int) -> Answer<c_int> {
    let sent = match runtime::current() {
        Some(_) => transmit_messages(fd, msgs, n, flags)?,
        None => real::sendmmsg(fd, msgs, n, flags),
    };
    (0..sent.max(0) as usize).for_each(|i| hand_files_on(&(*msgs.add(i)).msg_hdr));
    Ok(sent)
}

/// Makes `sendmmsg` for a green thread: parks until there is room, each message with the socket's SO_SNDTIMEO anew. Returns how many
/// messages were sent. EAGAIN, EINTR and all other errors only if none was. More than UIO_MAXIOV messages are cut to that, as by the
/// kernel.
unsafe fn transmit_messages(fd: c_int, msgs: *mut mmsghdr, n: c_uint, flags: c_int) -> Answer<c_int> {
    runtime::cancellation_point();
    let socket = descriptor::socket(fd)?;
    if as_it_is(&socket, flags) {
        return plain(|| sys::call(libc::SYS_sendmmsg, fd as usize, msgs as usize, n as usize, flags as usize, 0, 0));
    }
    // The kernel cuts a longer call to that.
    let n = (n as usize).min(libc::UIO_MAXIOV as usize);
    if socket.kind().stream() {
        return transmit_streamed(&socket, msgs, n, flags);
    }
    let mut attempt = Attempt::new(&socket, OUT);
    let mut done = 0;
    let result = loop {
        let first = msgs.add(done);
        attempt.begin_anew(&socket);
        let sent = attempt.complete(|fd, blocking| {
            sys::call(
                libc::SYS_sendmmsg,
                fd as usize,
                first as usize,
                n - done,
                (flags | blocking.flag()) as usize,
                0,
                0,
            )
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

/// Sends message after message on a stream, which may take a part of one. Writes each message's length into its `msg_len`. Ends after
/// the first that was cut short, with that one counted. Returns how many messages; an error only if none was sent. EFAULT where a
/// message's length cannot be written: the message has been sent then, as natively.
unsafe fn transmit_streamed(socket: &Descriptor, msgs: *mut mmsghdr, n: usize, flags: c_int) -> Answer<c_int> {
    for i in 0..n {
        let entry = msgs.add(i);
        let sent = match transmit_message(socket, &(*entry).msg_hdr, flags) {
            Ok(sent) => sent as usize,
            Err(miss) => return if i > 0 { Ok(i as c_int) } else { Err(miss) },
        };
        let told = &raw mut (*entry).msg_len;
        // `probe` asks about 8 bytes: msg_len's 4, and the padding behind them.
        if let Err(miss) = memory::probe(told as *mut u64) {
            return if i > 0 { Ok(i as c_int) } else { Err(miss) };
        }
        *told = sent as c_uint;
        if IovecTail::new((*entry).msg_hdr.msg_iov, (*entry).msg_hdr.msg_iovlen, sent).any() {
            return Ok(i as c_int + 1);
        }
    }
    Ok(n as c_int)
}
