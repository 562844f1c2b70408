//! Calls that an old kernel does not know, or that a filter does not allow. Each has an older call that does as much for the library (the
//! table). A kernel refuses with ENOSYS, a filter with the error that its author chose (`is_refusal`). A frequent call that was refused
//! once is not made again (`Memory`).
//!
//! | call | since Linux | else |
//! |---|---|---|
//! | epoll_pwait2 | 5.11 | epoll_pwait, in whole milliseconds; epoll_wait |
//! | ppoll | 2.6.16 | poll, in whole milliseconds |
//! | epoll_create1, eventfd2, signalfd4 | 2.6.27 | epoll_create, eventfd, signalfd, and their flags by fcntl |
//! | rt_tgsigqueueinfo | 2.6.31 | tgkill: the signal does not name its thread, and counts for the one that runs there |
//! | fcntl(F_GETFL) | | /proc/self/fdinfo |
//! | preadv2, pwritev2, recvfrom, sendto | | the hooks (`io`): poll, then the call that the program made |

use crate::base::kept::Kept;
use crate::sys::call::{call, checked, now_ns, plain, timespec};
use crate::sys::descriptor::close;
use crate::sys::process::process_id;
use crate::sys::signal::{set_signal_mask, without_kept_open};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Is this what a kernel answers to a call that it does not know, or a filter to one that it does not allow? (Or to a call that is
/// wrong in itself.)
#[inline]
pub fn is_refusal(result: isize) -> bool {
    const REFUSALS: [i32; 5] = [libc::ENOSYS, libc::EPERM, libc::EINVAL, libc::EACCES, libc::EOPNOTSUPP];
    (-4095..0).contains(&result) && REFUSALS.contains(&(-result as i32))
}

/// Whether a call was refused. One static word for each call of the table above.
///
/// | from | to | by | then |
/// |---|---|---|---|
/// | false | false | `first_of`: the first call is known | its result counts, an error too |
/// | false | true | `first_of`: the first call is refused | the second is made, now and from now on |
///
/// The word never becomes false again: filters are added, and none is taken away. Two threads may both be refused; both store the same. An
/// argument that is wrong in itself looks like a refusal (EINVAL), and costs no more than the older call from then on.
struct Memory(AtomicBool);

impl Memory {
    const fn new() -> Memory {
        Memory(AtomicBool::new(false))
    }

    /// The first call's result, unless that is refused or was before: then the second's.
    #[inline]
    fn first_of(&self, first: impl FnOnce() -> isize, second: impl FnOnce() -> isize) -> isize {
        if !self.0.load(Relaxed) {
            let result = first();
            if !is_refusal(result) {
                return result;
            }
            self.0.store(true, Relaxed);
        }
        second()
    }
}

/// Does the kernel, or a filter, refuse this call on descriptors? The call names no descriptor: a kernel that knows it answers EBADF.
#[cold]
pub fn refuses(number: libc::c_long) -> bool {
    const NONE: usize = usize::MAX;
    let vectored = matches!(number, libc::SYS_preadv2 | libc::SYS_pwritev2);
    let (offset, flags) = if vectored { (NONE, libc::RWF_NOWAIT as usize) } else { (0, 0) };
    // SAFETY: no descriptor, no vector and no buffer: nothing is read or written.
    let result = unsafe { call(number, NONE, 0, 0, offset, 0, flags) };
    result != -libc::EBADF as isize
}

/// Whole milliseconds, rounded up so that nothing ends early.
fn milliseconds(ns: u64) -> usize {
    ns.div_ceil(1_000_000).min(i32::MAX as u64) as usize
}

/// Waits for events until `deadline_ns` (CLOCK_MONOTONIC; `None`: for ever, `Some(0)`: not at all), with this signal mask. Returns how many
/// came; fails by EINTR and the like. Blocks the kernel thread.
pub fn epoll_wait(
    epoll: i32,
    events: &mut [libc::epoll_event],
    deadline_ns: Option<u64>,
    mask: u64,
) -> Result<usize, i32> {
    static EXACT: Kept<Memory> = Kept::new(Memory::new());
    static MASKED: Kept<Memory> = Kept::new(Memory::new());
    let left = deadline_ns.map(|deadline| if deadline == 0 { 0 } else { deadline.saturating_sub(now_ns()) });
    let mask = without_kept_open(mask);
    let (epoll, at, count, mask_at) =
        (epoll as usize, events.as_mut_ptr() as usize, events.len(), &mask as *const u64 as usize);
    // SAFETY: the kernel writes at most `count` events into `events`.
    let plainly = |ms: usize| unsafe { call(libc::SYS_epoll_wait, epoll, at, count, ms, 0, 0) };
    // SAFETY: as above; the kernel reads the mask.
    let masked = |ms: usize| unsafe { call(libc::SYS_epoll_pwait, epoll, at, count, ms, mask_at, 8) };
    let in_ms = |ms: usize| {
        MASKED.first_of(
            || masked(ms),
            || {
                let before = set_signal_mask(mask);
                let result = plainly(ms);
                set_signal_mask(before);
                result
            },
        )
    };
    let result = match left {
        Some(0) => match plainly(0) {
            refused if is_refusal(refused) => masked(0),
            result => result,
        },
        None => in_ms(usize::MAX),
        Some(left) => {
            let time = timespec(left);
            let time_at = &time as *const _ as usize;
            // SAFETY: as above; `time` is alive.
            let exactly = || unsafe { call(libc::SYS_epoll_pwait2, epoll, at, count, time_at, mask_at, 8) };
            EXACT.first_of(exactly, || in_ms(milliseconds(left)))
        }
    };
    checked(result)
}

/// Waits as ppoll without a mask: for `count` structures at `fds`, as long as `time` says (`None`: for ever). Returns the kernel's own
/// answer, negative for an error. Blocks the kernel thread, unless the time is zero.
///
/// # Safety
/// The kernel checks `fds`, and writes there.
pub unsafe fn poll_exactly(fds: usize, count: usize, time: Option<&libc::timespec>) -> isize {
    static EXACT: Kept<Memory> = Kept::new(Memory::new());
    let time_at = time.map_or(0, |time| time as *const _ as usize);
    let ms = time.map_or(usize::MAX, |time| milliseconds(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64));
    EXACT.first_of(
        // SAFETY: the kernel reads `time`, and writes what came into the `count` structures at `fds`, the poller's or the program's own.
        || unsafe { call(libc::SYS_ppoll, fds, count, time_at, 0, 8, 0) },
        // SAFETY: as above, without the time.
        || unsafe { call(libc::SYS_poll, fds, count, ms, 0, 0, 0) },
    )
}

/// Makes an epoll, closed on exec; its descriptor, or the error number (EMFILE, ENFILE, ENOMEM).
pub fn epoll_create() -> Result<i32, i32> {
    match plain(libc::SYS_epoll_create1, [libc::EPOLL_CLOEXEC as usize, 0, 0, 0]) {
        refused if is_refusal(refused) => with_flags(plain(libc::SYS_epoll_create, [1, 0, 0, 0]), false),
        result => checked(result).map(|fd| fd as i32),
    }
}

/// Makes an eventfd with the count 0, closed on exec, whose reads and writes do not wait; its descriptor, or the error number.
pub fn event_fd() -> Result<i32, i32> {
    match plain(libc::SYS_eventfd2, [0, (libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) as usize, 0, 0]) {
        refused if is_refusal(refused) => with_flags(plain(libc::SYS_eventfd, [0; 4]), true),
        result => checked(result).map(|fd| fd as i32),
    }
}

/// Makes a descriptor (`fd` is -1) that is readable while one of these signals waits; or changes the signals of the descriptor `fd`.
/// Returns the descriptor, or the error number.
pub fn signal_fd(fd: i32, signals: u64) -> Result<i32, i32> {
    let flags = (libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) as usize;
    let (fd, signals_at) = (fd as isize as usize, &signals as *const u64 as usize);
    match plain(libc::SYS_signalfd4, [fd, signals_at, 8, flags]) {
        refused if is_refusal(refused) => with_flags(plain(libc::SYS_signalfd, [fd, signals_at, 8, 0]), true),
        result => checked(result).map(|fd| fd as i32),
    }
}

/// Gives the descriptor that an older call has made its flags: closed on exec, and perhaps not waiting.
fn with_flags(made: isize, nonblocking: bool) -> Result<i32, i32> {
    let fd = checked(made)?;
    plain(libc::SYS_fcntl, [fd, libc::F_SETFD as usize, libc::FD_CLOEXEC as usize, 0]);
    if nonblocking {
        plain(libc::SYS_fcntl, [fd, libc::F_SETFL as usize, libc::O_NONBLOCK as usize, 0]);
    }
    Ok(fd as i32)
}

/// Returns the file's status flags (F_GETFL), or a negative error number.
pub fn status_flags(fd: i32) -> isize {
    static ASKED: Kept<Memory> = Kept::new(Memory::new());
    ASKED.first_of(
        // SAFETY: F_GETFL hands over no memory.
        || unsafe { call(libc::SYS_fcntl, fd as usize, libc::F_GETFL as usize, 0, 0, 0, 0) },
        || told_flags(fd),
    )
}

/// Returns the status flags as /proc tells them (`flags:` and octal digits); 0 where it does not.
#[cold]
fn told_flags(fd: i32) -> isize {
    const LABEL: &[u8] = b"flags:";
    let mut path = *b"/proc/self/fdinfo/\0\0\0\0\0\0\0\0\0\0\0";
    let mut text = [0u8; 256];
    let (mut at, mut digit) = (b"/proc/self/fdinfo/".len(), 1_000_000_000);
    while digit > 0 {
        if fd >= digit || digit == 1 {
            path[at] = b'0' + (fd / digit % 10) as u8;
            at += 1;
        }
        digit /= 10;
    }
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as usize;
    let Ok(file) = checked(plain(libc::SYS_openat, [libc::AT_FDCWD as usize, path.as_ptr() as usize, flags, 0])) else {
        return 0;
    };
    let bytes = plain(libc::SYS_read, [file, text.as_mut_ptr() as usize, text.len(), 0]).max(0) as usize;
    close(file as i32);
    let mut lines = text[..bytes].split(|&byte| byte == b'\n');
    let digits = lines.find_map(|line| line.strip_prefix(LABEL)).unwrap_or(b"").trim_ascii();
    digits.iter().fold(0, |flags, digit| flags * 8 + (digit & 7) as isize)
}

/// Whether signals with information are refused.
static BELLS: Kept<Memory> = Kept::new(Memory::new());

/// Queues a signal with its information to a kernel thread of this process; where that is refused, the signal comes without the
/// information. Called on any thread and in handlers. Fails by ESRCH where the kernel thread is gone, by EAGAIN where the kernel keeps no
/// more signals.
pub fn queue_signal(tid: i32, signal: i32, info: &libc::siginfo_t) -> Result<(), i32> {
    let (process, tid, signal) = (process_id() as usize, tid as usize, signal as usize);
    let result = BELLS.first_of(
        || plain(libc::SYS_rt_tgsigqueueinfo, [process, tid, signal, info as *const _ as usize]),
        || plain(libc::SYS_tgkill, [process, tid, signal, 0]),
    );
    checked(result).map(|_| ())
}

/// Do the signals that this library sends to a kernel thread come by tgkill, without its information? They look like a program's then.
#[inline]
pub fn sends_plainly() -> bool {
    BELLS.0.load(Relaxed)
}
