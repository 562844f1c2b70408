//! Copies from descriptor to descriptor: sendfile, splice, tee, vmsplice, copy_file_range.
//!
//! None of them can be tried without waiting at both ends: they wait for what they need (`await_ready`), and then the kernel gets the
//! call as the program made it.

use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::io::attempt::Attempt;
use crate::hooks::io::descriptor::{self, Kind};
use crate::hooks::io::file::disk;
use crate::hooks::io::kernel::plain;
use crate::runtime::news::record::{IN, OUT};
use crate::{runtime, sys};
use libc::{c_int, c_uint, iovec, off_t, size_t, ssize_t, EAGAIN};

/// Waits until `fd` is ready, unless the program wants no waiting (O_NONBLOCK), or there is nothing to wait for.
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

/// Is it a socket? Its waiting is not ruled by SPLICE_F_NONBLOCK.
fn socket(fd: c_int) -> bool {
    descriptor::any(fd).is_ok_and(|descriptor| descriptor.kind().socket())
}

/// Is it a pipe?
fn pipe(fd: c_int) -> bool {
    descriptor::any(fd).is_ok_and(|descriptor| descriptor.kind() == Kind::Pipe)
}

/// Copies to a socket or a pipe: wait for room, then the plain call.
pub unsafe fn sendfile(to: c_int, from: c_int, offset: *mut off_t, count: size_t) -> Answer<ssize_t> {
    if count != 0 && descriptor::any(from).is_ok_and(|from| from.kind() == Kind::File) {
        await_ready(to, OUT)?;
    }
    plain(|| sys::call(libc::SYS_sendfile, to as usize, from as usize, offset as usize, count, 0, 0))
}

/// `splice`: waits for what its ends need. A cancellation point.
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

/// `tee`: as `splice`, between pipes, and nothing is taken out of the first.
pub unsafe fn tee(from: c_int, to: c_int, n: size_t, flags: c_uint) -> Answer<ssize_t> {
    runtime::cancellation_point();
    let call = |flags: c_uint| plain(|| sys::call(libc::SYS_tee, from as usize, to as usize, n, flags as usize, 0, 0));
    through_pipe(n, flags, call, || {
        await_ready(from, IN)?;
        await_ready(to, OUT)
    })
}

/// A pipe's reading end never becomes writable, nor the other one readable: either will do.
pub unsafe fn vmsplice(fd: c_int, iov: *const iovec, n: size_t, flags: c_uint) -> Answer<ssize_t> {
    runtime::cancellation_point();
    let call =
        |flags: c_uint| plain(|| sys::call(libc::SYS_vmsplice, fd as usize, iov as usize, n, flags as usize, 0, 0));
    through_pipe(n, flags, call, || await_ready(fd, IN | OUT))
}

/// Moves pages through a pipe: tried without waiting, which finds all that is wrong with the call; then wait for what the pipe's
/// ends need, then the call as it is.
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

/// Regular files only.
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

/// Makes splice or copy_file_range as it is, with the slot offered.
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
