//! Descriptors that begin, end or change: close, dup, open, fcntl and their relatives.
//!
//! Most of these calls never wait. They are hooked so that the waits parked on a number, and the knowledge of it, follow its file:
//! - *Before a number loses its file* (close, dup2, fclose, …) its parked waits move to a private duplicate (`readiness::vacate`):
//!   natively a blocked call keeps its file and is not woken by close.
//! - *After a number got a file* (open, dup, socket, …) nothing that was known of the number holds.
//! - *A change by the program* (O_NONBLOCK, socket timeouts) is made by the real call, and the new state is asked for before the next
//!   wait.
//!
//! The library's own descriptors do not exist for the program: closing one answers EBADF, and a range of numbers is closed around them.
//! Those calls that may wait (open of a FIFO, a lock, close of a socket that lingers) are marked, so that the slot is handed over. All
//! but the last group are seen from any caller, a green thread or not.
//!
//! The order around a close, and what each order guards against:
//!
//! 1. The waits parked on the number, and the calls that hold on to its file, move to private duplicates (`readiness::vacate`).
//! 2. The kernel closes, or puts another file under the number.
//! 3. What was known of the number is forgotten (`readiness::closed`, or `forget` by the hook that makes the new file). A wait that
//!    came between 1 and 2 is woken here, tries again, and finds EBADF or the new file.

use crate::base::kept::Kept;
use crate::base::own_fds;
use crate::glibc;
use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::io::kernel::{long, plain, plain_for};
use crate::hooks::io::{descriptor, owner};
use crate::hooks::proc::{task_file, thread_path};
use crate::hooks::real;
use crate::runtime::births::offload;
use crate::runtime::news::record;
use crate::runtime::waiting::{lending, readiness};
use crate::runtime::{self, Habit, Length};
use crate::sys::{self, older};
use crate::why::Why;
use libc::{c_char, c_int, c_uint, c_ulong, c_void, mode_t, socklen_t, FILE};
use std::ffi::CStr;

/// SO_RCVTIMEO and SO_SNDTIMEO as the C library calls them where time is 64 bits wide and `long` is not (asm-generic/socket.h). The
/// kernel takes both numbers everywhere.
const SO_RCVTIMEO_NEW: c_int = 66;
const SO_SNDTIMEO_NEW: c_int = 67;

/// `close`: parked waits move to a duplicate first, then the kernel closes, and what was known of the number is forgotten. EBADF for
/// the library's own descriptors; all other errors are the kernel's. May wait (a lingering socket), with the slot offered. A
/// cancellation point, before anything is done.
pub unsafe fn close(fd: c_int) -> Answer<c_int> {
    if own_fds::is_own(fd) {
        return errno(libc::EBADF);
    }
    if runtime::current().is_some() {
        runtime::cancellation_point();
        readiness::vacate(fd);
        let closed = plain(|| sys::call(libc::SYS_close, fd as usize, 0, 0, 0, 0, 0));
        readiness::closed(fd);
        return closed;
    }
    readiness::vacate(fd);
    let closed = real::close(fd);
    readiness::closed(fd);
    Ok(closed)
}

/// `close_range`: as `close`, around the library's own descriptors. EINVAL for a range upside down and for unknown flags comes
/// first, as in fs/file.c. With CLOSE_RANGE_CLOEXEC nothing is closed, and no wait moves.
pub unsafe fn close_range(first: c_uint, last: c_uint, flags: c_int) -> Answer<c_int> {
    if first > last || flags & !((libc::CLOSE_RANGE_CLOEXEC | libc::CLOSE_RANGE_UNSHARE) as c_int) != 0 {
        return errno(libc::EINVAL);
    }
    if flags & libc::CLOSE_RANGE_CLOEXEC as c_int == 0 {
        readiness::vacate_range(first, last);
    }
    let mut from = first;
    while let Some(own) = own_fds::next_own(from).filter(|&own| own <= last) {
        if own > from {
            close_stretch(from, own - 1, flags)?;
        }
        if own == last {
            return Ok(0);
        }
        from = own + 1;
    }
    close_stretch(from, last, flags)
}

/// Closes a range of numbers in which none is the library's own, or marks it close-on-exec, by `flags`. Errors are the kernel's
/// (ENOSYS before Linux 5.9). A cancellation point.
unsafe fn close_stretch(first: c_uint, last: c_uint, flags: c_int) -> Answer<c_int> {
    plain(|| sys::call(libc::SYS_close_range, first as usize, last as usize, flags as usize, 0, 0, 0))
}

/// `closefrom`: as `close_range` to the end. libc answers on a kernel without close_range: it closes by /proc/self/fd.
pub unsafe fn closefrom(first: c_int) -> Answer<()> {
    match close_range(first.max(0) as c_uint, c_uint::MAX, 0) {
        Ok(_) => Ok(()),
        Err(_) => Err(Miss::Libc),
    }
}

/// `dup`: the new number and the old one are noted as twins, for O_NONBLOCK belongs to the file. Errors are the kernel's.
pub unsafe fn dup(from: c_int) -> Answer<c_int> {
    duplicate(from, || sys::call(libc::SYS_dup, from as usize, 0, 0, 0, 0, 0))
}

/// `dup2`: the number `to` loses its file as by `close`, but only if the call will succeed. EBADF for the library's own descriptors.
/// May wait for what the lost file's close does, with the slot offered. Equal numbers are libc's.
pub unsafe fn dup2(from: c_int, to: c_int) -> Answer<c_int> {
    if from == to {
        return Err(Miss::Libc);
    }
    replace(from, to, || sys::call(libc::SYS_dup3, from as usize, to as usize, 0, 0, 0, 0))
}

/// `dup3`: as `dup2`, with flags.
pub unsafe fn dup3(from: c_int, to: c_int, flags: c_int) -> Answer<c_int> {
    if from == to {
        return Err(Miss::Libc);
    }
    replace(from, to, || sys::call(libc::SYS_dup3, from as usize, to as usize, flags as usize, 0, 0, 0))
}

/// Makes a duplicate of `from` by `call`, and notes that both are twins. Returns the new number; fails as the kernel does (EBADF,
/// EMFILE), and nothing is noted then.
fn duplicate(from: c_int, call: impl FnOnce() -> isize) -> Answer<c_int> {
    let to = answer(call())?;
    descriptor::duplicated(from, to);
    Ok(to)
}

/// Makes `to` another number of `from` by `call`. `to` loses its file, but only if the call will succeed: a bad `from` changes
/// nothing, and libc's call finds it. EBADF for the library's own descriptors. A `to` beyond RLIMIT_NOFILE is found by the kernel:
/// EBADF. May wait for what the close of the lost file does (a lingering socket), with the slot offered.
fn replace(from: c_int, to: c_int, call: impl FnOnce() -> isize) -> Answer<c_int> {
    if own_fds::is_own(to) || own_fds::is_own(from) {
        return errno(libc::EBADF);
    }
    if older::status_flags(from) < 0 {
        return Err(Miss::Libc);
    }
    readiness::vacate(to);
    duplicate(from, || runtime::block(call))
}

/// `fclose`: libc's own. The stream's number loses its file as by `close`: parked waits move first. A cancellation does not act
/// inside libc.
pub unsafe fn fclose(file: *mut FILE) -> Answer<c_int> {
    let fd = vacate_stream(file);
    let closed = glibc::uncancelled(|| real::fclose(file));
    readiness::closed(fd);
    Ok(closed)
}

/// `freopen`: the waits parked on the stream's number move to private duplicates, before libc gives the number another file. The rest
/// is libc's. Called by any thread.
pub unsafe fn freopen(_path: *const c_char, _mode: *const c_char, file: *mut FILE) -> Answer<*mut FILE> {
    vacate_stream(file);
    Err(Miss::Libc)
}

/// `freopen64`: `freopen`.
pub unsafe fn freopen64(path: *const c_char, mode: *const c_char, file: *mut FILE) -> Answer<*mut FILE> {
    freopen(path, mode, file)
}

/// Moves the waits parked on a stream's number, before libc closes the stream. Returns the number, or -1 for a stream without one.
/// errno is as before.
///
/// # Safety
/// As for fclose.
pub unsafe fn vacate_stream(file: *mut FILE) -> c_int {
    let before = *libc::__errno_location();
    let fd = libc::fileno(file);
    crate::glibc::set_errno(before);
    if fd >= 0 {
        readiness::vacate(fd);
    }
    fd
}

/// `socket`: the kernel's own, with its errors. The number's past is forgotten, and its file is known to be this process's alone
/// (`descriptor::made`). Never waits. No cancellation point.
pub unsafe fn socket(domain: c_int, kind: c_int, protocol: c_int) -> Answer<c_int> {
    let fd = answer(sys::call(libc::SYS_socket, domain as usize, kind as usize, protocol as usize, 0, 0, 0))?;
    descriptor::made(fd);
    Ok(fd)
}

/// `socketpair`: the kernel's own, with its errors. Both ends are known to be this process's alone, and each other's peers: a send at
/// one end readies the reader at the other without an event of the reactor's.
pub unsafe fn socketpair(domain: c_int, kind: c_int, protocol: c_int, fds: *mut c_int) -> Answer<c_int> {
    let arguments = (domain as usize, kind as usize, protocol as usize, fds as usize);
    let done = answer(sys::call(libc::SYS_socketpair, arguments.0, arguments.1, arguments.2, arguments.3, 0, 0))?;
    descriptor::made(*fds);
    descriptor::made(*fds.add(1));
    record::link_peers(*fds, *fds.add(1));
    Ok(done)
}

/// `setsockopt`: the kernel's own, with its errors. An option that changes what is known of the socket is noted, after the kernel has
/// taken it: a timeout, SO_RCVLOWAT, or another protocol on top (TCP_ULP). Never waits.
pub unsafe fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, len: socklen_t) -> Answer<c_int> {
    let done = answer(sys::call(
        libc::SYS_setsockopt,
        fd as usize,
        level as usize,
        name as usize,
        value as usize,
        len as usize,
        0,
    ))?;
    match (level, name) {
        (libc::SOL_SOCKET, libc::SO_RCVTIMEO | libc::SO_SNDTIMEO | SO_RCVTIMEO_NEW | SO_SNDTIMEO_NEW) => {
            descriptor::changed(fd)
        }
        (libc::SOL_SOCKET, libc::SO_RCVLOWAT) => descriptor::low_water_set(fd),
        (libc::SOL_TCP, libc::TCP_ULP) => descriptor::layered(fd),
        _ => {}
    }
    Ok(done)
}

/// `fcntl`: F_SETLKW and F_OFD_SETLKW try the lock before they wait; duplicates and F_SETFL are noted; owners are `owner`'s. All
/// else is libc's. F_SETLKW is a cancellation point, and EINTR after a handler without SA_RESTART. EDEADLK is the kernel's.
pub unsafe fn fcntl(fd: c_int, command: c_int, argument: usize) -> Answer<c_int> {
    let call = |command: c_int| sys::call(libc::SYS_fcntl, fd as usize, command as usize, argument, 0, 0, 0);
    match command {
        libc::F_SETFL => {
            let done = answer(call(command))?;
            descriptor::changed(fd);
            Ok(done)
        }
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => duplicate(fd, || call(command)),
        libc::F_SETLKW => lock(fd, libc::F_SETLK, libc::F_SETLKW, argument),
        libc::F_OFD_SETLKW => lock(fd, libc::F_OFD_SETLK, libc::F_OFD_SETLKW, argument),
        libc::F_GETFL | libc::F_GETFD | libc::F_SETFD => Err(Miss::Libc),
        _ => owner::fcntl(fd, command, argument),
    }
}

/// Tries a file lock by the command `attempt`, then waits for it in the kernel by the command `wait`, with the slot offered. EAGAIN
/// and EACCES both say that another process or open file has a lock there (fcntl(2)). EINTR after a handler without SA_RESTART. A
/// cancellation point. A foreign thread's call is libc's. `wish` is a `struct flock`'s address.
unsafe fn lock(fd: c_int, attempt: c_int, wait: c_int, wish: usize) -> Answer<c_int> {
    let call = move |command: c_int, wish| sys::call(libc::SYS_fcntl, fd as usize, command as usize, wish, 0, 0, 0);
    if runtime::current().is_none() {
        return Err(Miss::Libc);
    }
    runtime::cancellation_point();
    match answer(call(attempt, wish)) {
        Err(Miss::Errno(libc::EAGAIN | libc::EACCES)) => {
            // The kernel has just read it; the context's stack may be copied away.
            let copy = *(wish as *const libc::flock);
            match offload::in_kernel(Why::InKernel, move || call(wait, &raw const copy as usize)) {
                Some(result) => answer(result),
                None => long(|| call(wait, wish)),
            }
        }
        done => done,
    }
}

/// `ioctl`: FIONBIO is noted, after the kernel has taken it; owners are `owner`'s. All other requests are libc's, and cost one
/// comparison. No cancellation point.
pub unsafe fn ioctl(fd: c_int, request: c_ulong, argument: usize) -> Answer<c_int> {
    if request as u32 != libc::FIONBIO as u32 {
        return owner::ioctl(fd, request as u32, argument);
    }
    let done = answer(sys::call(libc::SYS_ioctl, fd as usize, request as usize, argument, 0, 0, 0))?;
    descriptor::changed(fd);
    Ok(done)
}

/// `open`: `openat` in the working directory. glibc makes it of openat, too (open64.c).
pub unsafe fn open(path: *const c_char, flags: c_int, mode: mode_t) -> Answer<c_int> {
    openat(libc::AT_FDCWD, path, flags, mode)
}

/// `openat`: the kernel's own, with its errors. May wait (a FIFO without a partner, a disk), with the slot offered if such calls were
/// long lately. EINTR after a handler without SA_RESTART. What was known of the number is forgotten. A cancellation point.
///
/// A green thread's folder in /proc is known to the library alone: after ENOENT `task_file::open` makes the file, and a path in /proc
/// that the kernel has opened may be replaced (`task_file::opened`). Before the start libc answers; a foreign thread's call is
/// libc's, and noted.
pub unsafe fn openat(dir: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> Answer<c_int> {
    static OPENS: Kept<Habit> = Kept::new(Habit::new());
    let call = || sys::call(libc::SYS_openat, dir as usize, path as usize, flags as usize, mode as usize, 0, 0);
    let told = match runtime::current() {
        Some(_) if lending::lends() && is_fifo(dir, path) => by_other_thread(dir, path, flags, mode, call),
        Some(_) => plain_for(Length::Usual(&OPENS), call),
        None if runtime::started() => by_foreign(|| real::openat(dir, path, flags, mode)),
        None => return Err(Miss::Libc),
    };
    let fd = match told {
        // The kernel knows no green thread's folder in /proc.
        Err(Miss::Errno(libc::ENOENT)) => task_file::open(dir, path, flags)?,
        Ok(fd) if thread_path::is_in_proc(path) => task_file::opened(fd, dir, path, flags)?,
        told => told?,
    };
    readiness::forget(fd);
    Ok(fd)
}

/// Does a path lead to a FIFO, whose opening may wait for another to open it?
#[cold]
unsafe fn is_fifo(dir: c_int, path: *const c_char) -> bool {
    let mut file: libc::stat = std::mem::zeroed();
    sys::call(libc::SYS_newfstatat, dir as usize, path as usize, &raw mut file as usize, 0, 0, 0) == 0
        && file.st_mode & libc::S_IFMT == libc::S_IFIFO
}

/// Opens as another thread, while the context that runs here is left; makes `call` where no context may be left. The kernel has read the
/// path.
#[cold]
unsafe fn by_other_thread(
    dir: c_int,
    path: *const c_char,
    flags: c_int,
    mode: mode_t,
    call: impl FnOnce() -> isize,
) -> Answer<c_int> {
    let mut copy = [0u8; libc::PATH_MAX as usize];
    CStr::from_ptr(path).to_bytes().iter().zip(&mut copy).for_each(|(from, to)| *to = *from);
    let open =
        move || sys::call(libc::SYS_openat, dir as usize, copy.as_ptr() as usize, flags as usize, mode as usize, 0, 0);
    match offload::in_kernel(Why::InKernel, open) {
        Some(result) => answer(result),
        None => plain_for(Length::Unknown, call),
    }
}

/// Makes libc's own call, in which a foreign thread is cancelled as natively. Returns the descriptor, or libc's errno.
fn by_foreign(open: impl FnOnce() -> c_int) -> Answer<c_int> {
    match open() {
        -1 => errno(glibc::errno()),
        fd => Ok(fd),
    }
}

/// `__open_2`, the fortified form of `open`, which has no mode. Where the flags need a mode (O_CREAT, O_TMPFILE) libc answers: it
/// ends the process with a message.
pub unsafe fn open_2(path: *const c_char, flags: c_int) -> Answer<c_int> {
    openat_2(libc::AT_FDCWD, path, flags)
}

/// `__openat_2`, the fortified form of `openat`, as `open_2`.
pub unsafe fn openat_2(dir: c_int, path: *const c_char, flags: c_int) -> Answer<c_int> {
    if flags & libc::O_CREAT != 0 || flags & libc::O_TMPFILE == libc::O_TMPFILE {
        return Err(Miss::Libc);
    }
    openat(dir, path, flags, 0)
}

/// `creat`: `open` with the flags of creat(2): O_CREAT, O_WRONLY and O_TRUNC.
pub unsafe fn creat(path: *const c_char, mode: mode_t) -> Answer<c_int> {
    open(path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode)
}

/// `tcdrain`: the kernel waits until the terminal has sent everything (TCSBRK with 1 in ioctl_tty(2)), with the slot offered. A
/// cancellation point.
pub unsafe fn tcdrain(fd: c_int) -> Answer<c_int> {
    runtime::cancellation_point();
    plain(|| sys::call(libc::SYS_ioctl, fd as usize, libc::TCSBRK as usize, 1, 0, 0, 0))
}
