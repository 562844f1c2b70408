//! Copies from descriptor to descriptor: sendfile, splice, tee, vmsplice, copy_file_range.
//!
//! No such call can be tried without waiting at both ends: each parks until the ends that it needs are ready (`await_ready`), and then
//! the kernel gets the call as the program made it.

use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::io::attempt::Attempt;
use crate::hooks::io::descriptor::{self, Kind};
use crate::hooks::io::file::disk;
use crate::hooks::io::kernel::plain;
use crate::runtime::news::record::{IN, OUT};
use crate::{runtime, sys};
use libc::{c_int, c_uint, iovec, off_t, size_t, ssize_t, EAGAIN};

/// Parks until `fd` is ready. Does nothing where there is nothing to wait for: a regular file, O_NONBLOCK, a number without a file,
/// or a timeout that is over; the call that follows says so. `Err(EINTR)` after a handler without SA_RESTART.
unsafe fn await_ready(fd: c_int, interest: u32) -> Answer<()> {
    let Ok(descriptor) = descriptor::any(fd) else { return Ok(()) };
    if descriptor.kind() == Kind::File || descriptor.nonblocking() {
        return Ok(());
    }
    let mut attempt = Attempt::new(&descriptor, interest);
    let ready = attempt.poll();
    attempt.end();
    match ready {
        Ok(_) | Err(EAGAIN) => Ok(()),
        Err(number) => errno(number),
    }
}

/// Is `fd` a socket? Sockets are waited for first: SPLICE_F_NONBLOCK does not keep a socket from waiting (splice(2)).
fn socket(fd: c_int) -> bool {
    descriptor::any(fd).is_ok_and(|descriptor| descriptor.kind().socket())
}

/// Is `fd` a pipe? The kernel demands one as one end of each splice.
fn pipe(fd: c_int) -> bool {
    descriptor::any(fd).is_ok_and(|descriptor| descriptor.kind() == Kind::Pipe)
}

/// `sendfile`: from a regular file parks until the target has room; then the kernel gets the call, with the slot offered. The kernel
/// may still wait, for a disk, or for room for the rest. A cancellation point.
pub unsafe fn sendfile(to: c_int, from: c_int, offset: *mut off_t, count: size_t) -> Answer<ssize_t> {
    if count != 0 && descriptor::any(from).is_ok_and(|from| from.kind() == Kind::File) {
        await_ready(to, OUT)?;
    }
    plain(|| sys::call(libc::SYS_sendfile, to as usize, from as usize, offset as usize, count, 0, 0))
}

/// `splice`: by `through_pipe`. Where a socket is the other end, the socket's readiness is waited for first: with SPLICE_F_NONBLOCK
/// the kernel would wait for it all the same. An end with an offset is no socket's (ESPIPE), so no wait is made for it. Errors are
/// the kernel's. EINTR after a handler without SA_RESTART. A cancellation point.
pub unsafe fn splice(
    from: c_int,
    from_at: *mut off_t,
    to: c_int,
    to_at: *mut off_t,
    n: size_t,
    flags: c_uint,
) -> Answer<ssize_t> {
    runtime::cancellation_point();
    if pipe(from) && to_at.is_null() && socket(to) {
        await_ready(to, OUT)?;
    } else if pipe(to) && from_at.is_null() && socket(from) {
        await_ready(from, IN)?;
    }
    through_pipe(
        n,
        flags,
        |flags| copy(libc::SYS_splice, from, from_at, to, to_at, n, flags),
        || {
            await_ready(from, IN)?;
            await_ready(to, OUT)
        },
    )
}

/// `tee`: by `through_pipe`, between two pipes; nothing is taken out of the first. EINVAL for other files is the kernel's. A
/// cancellation point.
pub unsafe fn tee(from: c_int, to: c_int, n: size_t, flags: c_uint) -> Answer<ssize_t> {
    runtime::cancellation_point();
    let call = |flags: c_uint| plain(|| sys::call(libc::SYS_tee, from as usize, to as usize, n, flags as usize, 0, 0));
    through_pipe(n, flags, call, || {
        await_ready(from, IN)?;
        await_ready(to, OUT)
    })
}

/// `vmsplice`: by `through_pipe`, with the caller's memory at one end. Either readiness will do: a pipe's reading end never becomes
/// writable, nor the other one readable. A cancellation point.
pub unsafe fn vmsplice(fd: c_int, iov: *const iovec, n: size_t, flags: c_uint) -> Answer<ssize_t> {
    runtime::cancellation_point();
    let call =
        |flags: c_uint| plain(|| sys::call(libc::SYS_vmsplice, fd as usize, iov as usize, n, flags as usize, 0, 0));
    through_pipe(n, flags, call, || await_ready(fd, IN | OUT))
}

/// Moves pages through a pipe. Returns how many bytes, and the kernel's errors.
///
/// 1. `call` is made with SPLICE_F_NONBLOCK. It finds all that is wrong with the call, and moves what can be moved at once.
/// 2. EAGAIN: `wait` parks until the ends that the call needs are ready, or fails with EINTR.
/// 3. The kernel gets the call as it is. Another thread may have been faster: then the call waits there, with the slot offered.
///
/// A program's own SPLICE_F_NONBLOCK, and a length of 0, go to the kernel at once (3).
unsafe fn through_pipe(
    n: size_t,
    flags: c_uint,
    call: impl Fn(c_uint) -> Answer<ssize_t>,
    wait: impl FnOnce() -> Answer<()>,
) -> Answer<ssize_t> {
    if n != 0 && flags & libc::SPLICE_F_NONBLOCK == 0 {
        match call(flags | libc::SPLICE_F_NONBLOCK) {
            Err(Miss::Errno(EAGAIN)) => wait()?,
            done => return done,
        }
    }
    call(flags)
}

/// `copy_file_range`: the kernel's own, with the slot offered. Both ends are regular files (EINVAL), so there is no readiness to
/// wait for. A cancellation point.
pub unsafe fn copy_file_range(
    from: c_int,
    from_at: *mut off_t,
    to: c_int,
    to_at: *mut off_t,
    n: size_t,
    flags: c_uint,
) -> Answer<ssize_t> {
    runtime::cancellation_point();
    copy(libc::SYS_copy_file_range, from, from_at, to, to_at, n, flags)
}

/// Makes splice or copy_file_range as it is, with the slot offered for as long as transfers took lately (`disk`). A null offset means
/// the file's own position. A cancellation point.
unsafe fn copy(
    number: libc::c_long,
    from: c_int,
    from_at: *mut off_t,
    to: c_int,
    to_at: *mut off_t,
    n: size_t,
    flags: c_uint,
) -> Answer<ssize_t> {
    disk(|| sys::call(number, from as usize, from_at as usize, to as usize, to_at as usize, n, flags as usize))
}
