//! Reading and writing by descriptor: read, write and their scattered, positioned and copying relatives.
//!
//! What a call does depends on the descriptor's kind (`descriptor.rs`):
//!
//! | kind | try without waiting | then |
//! |---|---|---|
//! | regular file, directory, block device | none | the plain call, marked as one that may block |
//! | socket | recvfrom, sendto with MSG_DONTWAIT; as a pipe where a filter refuses those | park |
//! | pipe, eventfd, timerfd, … | preadv2, pwritev2 with RWF_NOWAIT at offset -1 | park |
//! | the same where that is refused (FIFO, an old kernel, a filter), terminal | poll | park; once ready the plain call, marked |
//!
//! A scattered transfer (readv, writev) uses RWF_NOWAIT on sockets too: the kernel then checks the vectors exactly as for the plain call,
//! and nothing of the program's memory is touched before it was found good. A write that waits writes everything, as natively; so do
//! sockets (`net.rs`). A transfer of no bytes, or of more than the kernel moves at once, is left to the plain call: its meaning differs
//! by kind.

use crate::base::kept::Kept;
use crate::hooks::answer::{answer, Answer, Miss};
use crate::hooks::io::attempt::{Attempt, Blocking};
use crate::hooks::io::descriptor::{self, Descriptor, Kind};
use crate::hooks::io::file::disk;
use crate::hooks::io::net;
use crate::hooks::io::vector::{IovecTail, MOST_AT_ONCE};
use crate::runtime;
use crate::runtime::news::record::{IN, OUT};
use crate::runtime::waiting::readiness;
use crate::sys::{self, older};
use libc::{c_int, c_void, iovec, off_t, size_t, ssize_t};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// preadv2's offset that means the file's own position, or none at all.
const NO_OFFSET: usize = usize::MAX;
/// The kernel's answer of a file that knows no RWF_NOWAIT.
const NOT_SUPPORTED: isize = -(libc::EOPNOTSUPP as isize);

/// A system call that the library makes in the place of a program's read or write on a socket. A filter that allows read and write
/// may refuse it.
struct SocketCall {
    /// The system call's number.
    number: libc::c_long,
    /// True once it was found to be refused.
    refused: AtomicBool,
}

/// recvfrom, made for read. A refusal is found once and lasts: a fork child is under the same filter.
static RECEIVE: Kept<SocketCall> =
    Kept::new(SocketCall { number: libc::SYS_recvfrom, refused: AtomicBool::new(false) });

/// sendto, made for write.
static SEND: Kept<SocketCall> = Kept::new(SocketCall { number: libc::SYS_sendto, refused: AtomicBool::new(false) });

impl SocketCall {
    /// Was the call found to be refused?
    #[inline]
    fn is_refused(&self) -> bool {
        self.refused.load(Relaxed)
    }

    /// Is this error a refusal of the call by a filter, and not of its arguments? Remembered from then on: the calls on pipes serve
    /// sockets, too.
    #[inline]
    fn refuses(&self, error: c_int) -> bool {
        let refused = older::is_refusal(-(error as isize)) && older::refuses(self.number);
        if refused {
            self.refused.store(true, Relaxed);
        }
        refused
    }
}

/// `read`: by the table at the top. Returns 0 at the end of the file. EAGAIN with O_NONBLOCK, or when a socket's SO_RCVTIMEO is
/// over; EINTR after a handler without SA_RESTART, and never once something was read. All other errors are the kernel's. A
/// cancellation point.
pub unsafe fn read(fd: c_int, buf: *mut c_void, count: size_t) -> Answer<ssize_t> {
    runtime::cancellation_point();
    let descriptor = descriptor::any(fd)?;
    if descriptor.kind() == Kind::File || !(1..=MOST_AT_ONCE).contains(&count) {
        return disk(|| sys::call(libc::SYS_read, fd as usize, buf as usize, count, 0, 0, 0));
    }
    if descriptor.kind().socket() && !RECEIVE.is_refused() {
        match net::receive(&descriptor, buf, count, 0, std::ptr::null_mut(), std::ptr::null_mut()) {
            Err(Miss::Errno(libc::ENOTSOCK)) => return mistaken(fd, |fd| read(fd, buf, count)),
            Err(Miss::Errno(error)) if RECEIVE.refuses(error) => {}
            done => return done,
        }
    }
    let vector = iovec { iov_base: buf, iov_len: count };
    answer(read_waiting(&descriptor, &vector, 1))
}

/// `readv`: as `read`, into several pieces of memory. EINVAL and EFAULT for the vectors are the kernel's, before it reads. O_NONBLOCK
/// that is known, and SO_RCVLOWAT, leave the call to the kernel. A cancellation point.
pub unsafe fn readv(fd: c_int, iov: *const iovec, n: c_int) -> Answer<ssize_t> {
    runtime::cancellation_point();
    let descriptor = descriptor::any(fd)?;
    if descriptor.kind() == Kind::File || descriptor.nonblocking() || descriptor.low_water() {
        return disk(|| sys::call(libc::SYS_readv, fd as usize, iov as usize, n as usize, 0, 0, 0));
    }
    answer(read_waiting(&descriptor, iov, n))
}

/// Makes a call again whose number was believed a socket's and is none (ENOTSOCK): the number has got another file without a hooked
/// call. Forgets the number first. A number that still looks like a socket's is libc's to answer.
#[cold]
unsafe fn mistaken(fd: c_int, again: impl FnOnce(c_int) -> Answer<ssize_t>) -> Answer<ssize_t> {
    readiness::forget(fd);
    match descriptor::any(fd)?.kind().socket() {
        true => Err(Miss::Libc),
        false => again(fd),
    }
}

/// Reads the bytes that are there, and parks for the first. Returns the kernel's result. Into vectors, for preadv2 alone takes
/// RWF_NOWAIT; offset -1 means the file's own position.
unsafe fn read_waiting(descriptor: &Descriptor, iov: *const iovec, n: c_int) -> isize {
    let mut attempt = Attempt::new(descriptor, IN);
    let vectored =
        |number, fd: c_int| sys::call(number, fd as usize, iov as usize, n as usize, NO_OFFSET, NO_OFFSET, NOWAIT);
    let result = transfer(descriptor, &mut attempt, IN, |fd, blocking| match blocking {
        Blocking::No => vectored(libc::SYS_preadv2, fd),
        Blocking::Yes => vectored(libc::SYS_readv, fd),
    });
    attempt.end();
    result
}

/// The flag of preadv2 and pwritev2 with which a transfer fails with EAGAIN instead of waiting.
const NOWAIT: usize = libc::RWF_NOWAIT as usize;

/// Returns a terminal's mode; `None` for a file that is no terminal.
fn terminal(fd: c_int) -> Option<libc::termios> {
    // SAFETY: all-zero is a value of termios; the kernel's own, which it writes, is shorter and begins alike.
    unsafe {
        let mut mode: libc::termios = std::mem::zeroed();
        let result =
            sys::call(libc::SYS_ioctl, fd as usize, libc::TCGETS as usize, &mut mode as *mut _ as usize, 0, 0, 0);
        (result == 0).then_some(mode)
    }
}

/// Is the terminal in noncanonical mode with VTIME? Then a read ends by the terminal's own clock, which poll does not know
/// (termios(3)).
fn counts_time(mode: &libc::termios) -> bool {
    mode.c_lflag & libc::ICANON == 0 && mode.c_cc[libc::VTIME] != 0
}

/// Is it this process's terminal, with another job in its foreground? Then the kernel stops a reader, or fails the call, before it
/// looks whether there is anything to be read; and a writer, where TOSTOP is set (termios(3)). Such a call is the kernel's.
///
/// Three questions to the terminal: its mode was asked before; TIOCGPGRP fails for a terminal that is not the caller's; TIOCGPTN
/// succeeds for a master only, which belongs to no job.
fn is_anothers(fd: c_int, mode: &libc::termios, interest: u32) -> bool {
    let (mut job, mut number) = (0i32, 0i32);
    let ask = |what: libc::Ioctl, answer: &mut i32| {
        // SAFETY: the kernel writes an int.
        unsafe { sys::call(libc::SYS_ioctl, fd as usize, what as usize, answer as *mut _ as usize, 0, 0, 0) }
    };
    (interest == IN || mode.c_lflag & libc::TOSTOP != 0)
        && ask(libc::TIOCGPGRP, &mut job) == 0
        && job != sys::process_group()
        && ask(libc::TIOCGPTN, &mut number) != 0
}

/// Makes a transfer in one direction, and returns the kernel's result.
///
/// 1. With RWF_NOWAIT, unless that is known to be refused: tries and parks (`Attempt::complete`).
/// 2. A refusal by the file (EOPNOTSUPP) or by a kernel or filter (`descriptor::is_refused`) is noted, so that the next transfer
///    begins with 3.
/// 3. Polls until ready, and makes the call as the program made it. A terminal is looked at first: a read that counts time (VTIME) is
///    the kernel's at once, and so is a background job's.
unsafe fn transfer(
    descriptor: &Descriptor,
    attempt: &mut Attempt,
    interest: u32,
    mut call: impl FnMut(c_int, Blocking) -> isize,
) -> isize {
    if !descriptor.must_ask(interest) {
        let result = attempt.complete(&mut call);
        if !older::is_refusal(result) || result != NOT_SUPPORTED && !descriptor::is_refused(interest) {
            return result;
        }
        descriptor.note_must_ask(interest);
    }
    if descriptor.kind() != Kind::Device {
        return attempt.complete_asking(call);
    }
    match terminal(attempt.fd()) {
        None => attempt.complete_asking(call),
        Some(mode) if interest == IN && counts_time(&mode) => attempt.leave_to_kernel(call),
        Some(mode) => {
            descriptor::try_terminals_when_continued();
            attempt.complete_asking_unless(|fd| is_anothers(fd, &mode, interest), call)
        }
    }
}

/// `write`: by the table at the top. Everything is written, unless an error or a handler comes after a part: then returns how much
/// was. EPIPE comes with SIGPIPE. EINTR only if nothing was written, after a handler without SA_RESTART. A cancellation point.
pub unsafe fn write(fd: c_int, buf: *const c_void, count: size_t) -> Answer<ssize_t> {
    runtime::cancellation_point();
    let descriptor = descriptor::any(fd)?;
    if descriptor.kind() == Kind::File || !(1..=MOST_AT_ONCE).contains(&count) {
        return disk(|| sys::call(libc::SYS_write, fd as usize, buf as usize, count, 0, 0, 0));
    }
    if descriptor.kind().socket() && !SEND.is_refused() {
        // write(2) itself adds this flag for such sockets.
        let flags = if descriptor.kind() == Kind::Sequence { libc::MSG_EOR } else { 0 };
        match net::transmit(&descriptor, buf, count, flags, std::ptr::null(), 0) {
            Err(Miss::Errno(libc::ENOTSOCK)) => return mistaken(fd, |fd| write(fd, buf, count)),
            Err(Miss::Errno(error)) if SEND.refuses(error) => {}
            done => return done,
        }
    }
    let vector = iovec { iov_base: buf as *mut c_void, iov_len: count };
    answer(write_waiting(&descriptor, &vector, 1))
}

/// `writev`: as `write`, from several pieces of memory. EINVAL and EFAULT for the vectors are the kernel's, before it writes.
/// O_NONBLOCK that is known leaves the call to the kernel. A cancellation point.
pub unsafe fn writev(fd: c_int, iov: *const iovec, n: c_int) -> Answer<ssize_t> {
    runtime::cancellation_point();
    let descriptor = descriptor::any(fd)?;
    if descriptor.kind() == Kind::File || descriptor.nonblocking() {
        return disk(|| sys::call(libc::SYS_writev, fd as usize, iov as usize, n as usize, 0, 0, 0));
    }
    answer(write_waiting(&descriptor, iov, n))
}

/// Writes everything, and parks for room. Returns the bytes written, or the kernel's error for the first part.
unsafe fn write_waiting(descriptor: &Descriptor, iov: *const iovec, n: c_int) -> isize {
    let mut attempt = Attempt::new(descriptor, OUT);
    let mut done = transfer(descriptor, &mut attempt, OUT, |fd, blocking| write_vectors(fd, iov, n, blocking));
    if done > 0 && descriptor.kind().stream() && attempt.may_go_on() {
        let mut rest = IovecTail::new(iov, n as usize, done as usize);
        if rest.any() {
            done += write_rest(descriptor, &mut attempt, &mut rest) as isize;
        }
    }
    attempt.end();
    done
}

/// Makes a scattered write with RWF_NOWAIT, or as the program made it. Returns the kernel's result.
unsafe fn write_vectors(fd: c_int, iov: *const iovec, n: c_int, blocking: Blocking) -> isize {
    let number = match blocking {
        Blocking::No => libc::SYS_pwritev2,
        Blocking::Yes => libc::SYS_writev,
    };
    sys::call(number, fd as usize, iov as usize, n as usize, NO_OFFSET, NO_OFFSET, NOWAIT)
}

/// Goes on after a partial write of a byte stream, parking for room; returns how many bytes more went through. A broken socket raises
/// no SIGPIPE here (`net::transmit_rest`), a pipe does.
#[cold]
unsafe fn write_rest(descriptor: &Descriptor, attempt: &mut Attempt, rest: &mut IovecTail) -> usize {
    if descriptor.kind().socket() {
        return net::transmit_rest(attempt, rest, 0);
    }
    // A pipe without readers is written to all the same: natively SIGPIPE comes even then.
    rest.push(attempt, 0, |fd, vectors, blocking| write_vectors(fd, vectors.as_ptr(), vectors.len() as c_int, blocking))
}

/// `pread`: the kernel's own, with the slot offered. Never waits for readiness: a file that has no positions is ESPIPE. A
/// cancellation point.
pub unsafe fn pread(fd: c_int, buf: *mut c_void, count: size_t, offset: off_t) -> Answer<ssize_t> {
    runtime::cancellation_point();
    disk(|| sys::call(libc::SYS_pread64, fd as usize, buf as usize, count, offset as usize, 0, 0))
}

/// `pwrite`: as `pread`, writing.
pub unsafe fn pwrite(fd: c_int, buf: *const c_void, count: size_t, offset: off_t) -> Answer<ssize_t> {
    runtime::cancellation_point();
    disk(|| sys::call(libc::SYS_pwrite64, fd as usize, buf as usize, count, offset as usize, 0, 0))
}

/// `preadv`: as `pread`, into several pieces of memory.
pub unsafe fn preadv(fd: c_int, iov: *const iovec, n: c_int, offset: off_t) -> Answer<ssize_t> {
    runtime::cancellation_point();
    disk(|| sys::call(libc::SYS_preadv, fd as usize, iov as usize, n as usize, offset as usize, 0, 0))
}

/// `pwritev`: as `pwrite`, from several pieces of memory.
pub unsafe fn pwritev(fd: c_int, iov: *const iovec, n: c_int, offset: off_t) -> Answer<ssize_t> {
    runtime::cancellation_point();
    disk(|| sys::call(libc::SYS_pwritev, fd as usize, iov as usize, n as usize, offset as usize, 0, 0))
}

/// `preadv2`: the kernel's own, with the slot offered. At offset -1 without flags it is `readv`, which may park. A cancellation
/// point.
pub unsafe fn preadv2(fd: c_int, iov: *const iovec, n: c_int, offset: off_t, flags: c_int) -> Answer<ssize_t> {
    if offset == -1 && flags == 0 {
        return readv(fd, iov, n);
    }
    runtime::cancellation_point();
    disk(|| sys::call(libc::SYS_preadv2, fd as usize, iov as usize, n as usize, offset as usize, 0, flags as usize))
}

/// `pwritev2`: as `preadv2`; at offset -1 without flags it is `writev`.
pub unsafe fn pwritev2(fd: c_int, iov: *const iovec, n: c_int, offset: off_t, flags: c_int) -> Answer<ssize_t> {
    if offset == -1 && flags == 0 {
        return writev(fd, iov, n);
    }
    runtime::cancellation_point();
    disk(|| sys::call(libc::SYS_pwritev2, fd as usize, iov as usize, n as usize, offset as usize, 0, flags as usize))
}

/// `__read_chk`, the fortified form of `read`: a buffer too small for the count is libc's to complain about, which ends the process.
pub unsafe fn read_chk(fd: c_int, buf: *mut c_void, count: size_t, room: size_t) -> Answer<ssize_t> {
    if count > room {
        return Err(Miss::Libc);
    }
    read(fd, buf, count)
}

/// `__pread_chk`, the fortified form of `pread`.
pub unsafe fn pread_chk(fd: c_int, buf: *mut c_void, count: size_t, offset: off_t, room: size_t) -> Answer<ssize_t> {
    if count > room {
        return Err(Miss::Libc);
    }
    pread(fd, buf, count, offset)
}

/// `eventfd_read`: a `read` of 8 bytes; -1 where it brings less.
pub unsafe fn eventfd_read(fd: c_int, value: *mut u64) -> Answer<c_int> {
    read(fd, value as *mut c_void, 8).map(|got| if got == 8 { 0 } else { -1 })
}

/// `eventfd_write`: a `write` of 8 bytes.
pub unsafe fn eventfd_write(fd: c_int, value: u64) -> Answer<c_int> {
    write(fd, &value as *const u64 as *const c_void, 8).map(|put| if put == 8 { 0 } else { -1 })
}
