//! Files: calls that wait for a disk without reading or writing, and calls that wait for a lock on a file.
//!
//! A lock is tried before it is waited for: a free lock costs what it costs natively, and for a busy one the slot is offered at once. A
//! call that goes to a disk is quick where there is nothing to write, or no disk: the last call says how long the next one will take
//! (`runtime::Habit`).

use crate::base::kept::Kept;
use crate::hooks::answer::{answer, Answer, Miss};
use crate::hooks::io::fd;
use crate::hooks::io::kernel::{long_uncancelled, plain_for, WOULD_BLOCK};
use crate::runtime::births::offload;
use crate::runtime::{self, Habit, Length};
use crate::sys;
use crate::why::Why;
use libc::*;

/// How long transfers from and to files took lately.
static TRANSFERS: Kept<Habit> = Kept::new(Habit::new());

/// How long calls that bring a file's content to its disk took lately.
static FLUSHES: Kept<Habit> = Kept::new(Habit::new());

/// Makes a transfer from or to a file, which may have to wait for its disk. A cancellation point.
#[inline]
pub fn disk(call: impl FnOnce() -> isize) -> Answer<ssize_t> {
    plain_for(Length::Usual(&TRANSFERS), call)
}

/// Makes a call that brings a file's content to its disk, and is a cancellation point. The slot is offered if such calls were long
/// lately. Errors are the kernel's (EIO, EBADF, EINVAL).
unsafe fn flush(number: c_long, [a, b, c, d]: [usize; 4]) -> Answer<c_int> {
    let call = move || sys::call(number, a, b, c, d, 0, 0);
    match offload::in_kernel(Why::InKernel, call) {
        Some(result) => answer(result),
        None => plain_for(Length::Usual(&FLUSHES), call),
    }
}

/// As `flush`, for a call that is no cancellation point.
unsafe fn flush_steadily(number: c_long, fd: usize) -> Answer<c_int> {
    let call = move || sys::call(number, fd, 0, 0, 0, 0, 0);
    let result = offload::in_kernel(Why::InKernel, call).unwrap_or_else(|| {
        let result = runtime::block_for(Length::Usual(&FLUSHES), call);
        runtime::breathe();
        result
    });
    answer(result)
}

/// `fsync`: by `flush`, which offers the slot if such calls were long lately. A cancellation point.
pub unsafe fn fsync(fd: c_int) -> Answer<c_int> {
    flush(SYS_fsync, [fd as usize, 0, 0, 0])
}

/// `fdatasync`: as `fsync`.
pub unsafe fn fdatasync(fd: c_int) -> Answer<c_int> {
    flush(SYS_fdatasync, [fd as usize, 0, 0, 0])
}

/// `msync`: as `fsync`, for mapped memory. ENOMEM for memory that is not mapped. A cancellation point also with MS_ASYNC.
pub unsafe fn msync(address: *mut c_void, bytes: size_t, flags: c_int) -> Answer<c_int> {
    flush(SYS_msync, [address as usize, bytes, flags as usize, 0])
}

/// `sync_file_range`: as `fsync`, for a part of a file. ESPIPE for a file without positions.
pub unsafe fn sync_file_range(fd: c_int, offset: off64_t, bytes: off64_t, flags: c_uint) -> Answer<c_int> {
    flush(SYS_sync_file_range, [fd as usize, offset as usize, bytes as usize, flags as usize])
}

/// `sync`: as `fsync`, for everything, but no cancellation point.
pub unsafe fn sync() -> Answer<()> {
    flush_steadily(SYS_sync, 0).map(|_| ())
}

/// `syncfs`: as `sync`, for the file system of `fd`. EBADF. No cancellation point.
pub unsafe fn syncfs(fd: c_int) -> Answer<c_int> {
    flush_steadily(SYS_syncfs, fd as usize)
}

/// `flock`: tried without waiting, then in the kernel, with the slot offered. No cancellation point; EINTR after a handler without
/// SA_RESTART.
pub unsafe fn flock(fd: c_int, operation: c_int) -> Answer<c_int> {
    let call = move |operation: c_int| sys::call(SYS_flock, fd as usize, operation as usize, 0, 0, 0, 0);
    match call(operation | LOCK_NB) {
        WOULD_BLOCK if operation & LOCK_NB == 0 => match offload::in_kernel(Why::InKernel, move || call(operation)) {
            Some(result) => answer(result),
            None => long_uncancelled(|| call(operation)),
        },
        done => {
            runtime::breathe();
            answer(done)
        }
    }
}

/// `lockf`: F_LOCK is F_SETLKW of the section from the file's position on, exclusively, by the hook of fcntl: waits in the kernel, with
/// the slot offered; EDEADLK, EINTR. A cancellation point. The other commands never wait and are libc's.
pub unsafe fn lockf(fd: c_int, command: c_int, bytes: off_t) -> Answer<c_int> {
    if command != F_LOCK {
        return Err(Miss::Libc);
    }
    let mut lock: libc::flock = std::mem::zeroed();
    (lock.l_type, lock.l_whence, lock.l_len) = (F_WRLCK as c_short, SEEK_CUR as c_short, bytes);
    fd::fcntl(fd, F_SETLKW, &lock as *const _ as usize)
}
