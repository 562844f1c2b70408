//! What the kernel keeps for a task, a kernel thread by itself: set and asked on the one at hand.

use crate::sys::call::{call, checked, plain};
use crate::sys::descriptor::close;
use crate::sys::file::{open, read_first};
use crate::sys::thread::run_delay_ns;
use std::ffi::CStr;

// arch_prctl's codes (source: the kernel's asm/prctl.h).
const ARCH_SET_GS: usize = 0x1001;
const ARCH_GET_GS: usize = 0x1004;

/// The base of the GS segment.
pub fn gs_base() -> usize {
    let mut base = 0usize;
    // SAFETY: the kernel writes one word.
    unsafe { call(libc::SYS_arch_prctl, ARCH_GET_GS, &mut base as *mut usize as usize, 0, 0, 0, 0) };
    base
}

/// Sets the running kernel thread's base of the GS segment. Called by a switch where the instruction is not allowed. `base` was read by
/// `gs_base`, so the kernel accepts it.
pub fn set_gs_base(base: usize) {
    plain(libc::SYS_arch_prctl, [ARCH_SET_GS, base, 0, 0]);
}

/// The registers of a kernel thread that the caller traces and has stopped; false: it is no such.
pub fn registers_of(kernel_thread: i32, registers: &mut libc::user_regs_struct) -> bool {
    let place = registers as *mut libc::user_regs_struct as usize;
    // SAFETY: the kernel writes the structure.
    unsafe { call(libc::SYS_ptrace, libc::PTRACE_GETREGS as usize, kernel_thread as usize, 0, place, 0, 0) == 0 }
}

/// Calls prctl for the running kernel thread with one option and one value; returns the kernel's answer, negative for an error. An option
/// that writes gets an address of the caller's.
pub fn option(option: i32, value: usize) -> isize {
    plain(libc::SYS_prctl, [option as usize, value, 0, 0])
}

/// Returns the signal that the running kernel thread gets when the thread that made its process ends; 0: none.
pub fn death_signal() -> i32 {
    let mut signal = 0i32;
    // SAFETY: the kernel writes one number.
    unsafe { call(libc::SYS_prctl, libc::PR_GET_PDEATHSIG as usize, &mut signal as *mut i32 as usize, 0, 0, 0, 0) };
    signal
}

/// "This thread", in what takes a thread, process or user (source: linux/ioprio.h).
pub const IOPRIO_WHO_PROCESS: usize = 1;

/// Sets the running kernel thread's I/O priority (class and level, linux/ioprio.h), as a switch brings it along. `check_io_priority` has
/// asked before, so a refusal is not looked at.
pub fn set_io_priority(priority: i32) {
    plain(libc::SYS_ioprio_set, [IOPRIO_WHO_PROCESS, 0, priority as usize, 0]);
}

/// Would the kernel let this process have such an I/O priority? It looks at that first, and then for a thread that there is not.
pub fn check_io_priority(priority: usize) -> Result<(), i32> {
    const NOBODY: usize = 1 << 30;
    match checked(plain(libc::SYS_ioprio_set, [IOPRIO_WHO_PROCESS, NOBODY, priority, 0])) {
        Err(error) if error != libc::ESRCH => Err(error),
        _ => Ok(()),
    }
}

/// Returns the running kernel thread's I/O priority, or a negative error number (ENOSYS where the kernel has no block layer).
pub fn io_priority() -> isize {
    plain(libc::SYS_ioprio_get, [IOPRIO_WHO_PROCESS, 0, 0, 0])
}

/// The ambient capabilities, a bit each.
pub fn ambient_capabilities() -> u64 {
    const IS_SET: usize = 1;
    let has = |&capability: &u64| {
        plain(libc::SYS_prctl, [libc::PR_CAP_AMBIENT as usize, IS_SET, capability as usize, 0]) == 1
    };
    (0..64u64).filter(has).map(|capability| 1 << capability).sum()
}

/// Returns whether the running kernel thread may read the time stamp counter (prctl's PR_TSC_ENABLE, PR_TSC_SIGSEGV).
pub fn time_stamps() -> i32 {
    let mut state = 0i32;
    option(libc::PR_GET_TSC, &mut state as *mut i32 as usize);
    state
}

/// Returns the running kernel thread's keyrings: the thread's, the process's, the session's; and which of them gets the keys that it
/// requests. Errors as they are.
pub fn keyrings() -> [isize; 4] {
    const GET_KEYRING_ID: usize = 0;
    const SET_REQKEY_KEYRING: usize = 14;
    const NO_CHANGE: usize = -1isize as usize;
    let keyring = |special: isize| plain(libc::SYS_keyctl, [GET_KEYRING_ID, special as usize, 0, 0]);
    [keyring(-1), keyring(-2), keyring(-3), plain(libc::SYS_keyctl, [SET_REQKEY_KEYRING, NO_CHANGE, 0, 0])]
}

/// Has the process a ring of io_uring's among its first descriptors?
pub fn has_ring() -> bool {
    const FIRST: usize = 256;
    const RING: &[u8] = b"anon_inode:[io_uring]";
    (0..FIRST).any(|fd| {
        let (mut path, mut target) = (*b"/proc/self/fd/000\0", [0u8; RING.len() + 1]);
        let at = path.len() - 4;
        let digits = [fd / 100, fd / 10 % 10, fd % 10].map(|digit| b'0' + digit as u8);
        let digits = &digits[if fd >= 100 {
            0
        } else if fd >= 10 {
            1
        } else {
            2
        }..];
        path[at..at + digits.len()].copy_from_slice(digits);
        path[at + digits.len()] = 0;
        let (path, room) = (path.as_ptr() as usize, target.as_mut_ptr() as usize);
        // SAFETY: the kernel reads the string, and writes at most so many bytes.
        let bytes = unsafe { call(libc::SYS_readlink, path, room, target.len(), 0, 0, 0) };
        bytes == RING.len() as isize && target.starts_with(RING)
    })
}

/// Asks whether a kernel thread of this process's stands in a call, other than one that waits for a time only (nanosleep,
/// clock_nanosleep), or is not made again where a signal comes (close of a socket that lingers). True where /proc does not tell.
pub fn stands(tid: i32) -> bool {
    match call_of(tid) {
        Some(Some(libc::SYS_nanosleep | libc::SYS_clock_nanosleep | libc::SYS_close) | None) => false,
        Some(Some(_)) | None => true,
    }
}

/// Asks whether a kernel thread of this process's sleeps in any call. False where /proc does not tell.
pub fn sleeps(tid: i32) -> bool {
    call_of(tid).flatten().is_some()
}

/// Asks whether a kernel thread of this process's runs, or would, had it a processor. False where /proc does not tell, or it has ended.
pub fn runs(tid: i32) -> bool {
    call_of(tid) == Some(None)
}

/// Opens what tells whether a kernel thread of this process's runs, for `runs_by`; `None`: there is no such thread, or no /proc.
pub fn open_state(tid: i32) -> Option<i32> {
    let path = format!("/proc/self/task/{tid}/stat\0");
    let flags = libc::O_CLOEXEC as usize;
    // SAFETY: the kernel reads the path.
    let fd = unsafe { call(libc::SYS_openat, libc::AT_FDCWD as usize, path.as_ptr() as usize, flags, 0, 0, 0) };
    checked(fd).ok().map(|fd| fd as i32)
}

/// Reads the begin of a file; `path` ends with a zero. Returns how many bytes there were; 0: there is no such file. The lowest free
/// descriptor is taken for that moment.
fn read_path(path: &str, room: &mut [u8]) -> usize {
    let Ok(fd) = CStr::from_bytes_with_nul(path.as_bytes()).map_err(|_| 0).and_then(|path| open(path, libc::O_RDONLY))
    else {
        return 0;
    };
    let count = read_first(fd, room);
    close(fd);
    count
}

/// Reads which system call this process's kernel thread `tid` is in, as proc(5) tells it (/proc/pid/syscall); returns how many bytes that
/// are. 0: it is not known.
pub fn read_call_of(tid: i32, room: &mut [u8]) -> usize {
    read_path(&format!("/proc/self/task/{tid}/syscall\0"), room)
}

/// How long this process's kernel thread `tid` was ready and had no processor, in nanoseconds, as `own_run_delay_ns`; 0: it is not known.
pub fn run_delay_ns_of(tid: i32) -> u64 {
    let mut room = [0u8; 64];
    let count = read_path(&format!("/proc/self/task/{tid}/schedstat\0"), &mut room);
    run_delay_ns(&room[..count])
}

/// Does the kernel thread that `open_state` opened this for run, or would it, had it a processor? `None`: it has ended.
pub fn runs_by(state: i32) -> Option<bool> {
    // The tid, the name in parentheses (at most 15 bytes, and any), a space, the state's letter; no parentheses come later.
    let mut text = [0u8; 64];
    // SAFETY: the kernel writes at most so many bytes.
    let bytes = unsafe { call(libc::SYS_pread64, state as usize, text.as_mut_ptr() as usize, text.len(), 0, 0, 0) };
    let text = &text[..checked(bytes).ok()?];
    let name_end = text.iter().rposition(|&byte| byte == b')')?;
    text.get(name_end + 2).map(|&letter| letter == b'R')
}

/// The number of the call in which this kernel thread of the process's sleeps, `Some(None)` while it runs or could; `None` where
/// /proc does not tell.
fn call_of(tid: i32) -> Option<Option<libc::c_long>> {
    let mut text = [0u8; 16];
    let bytes = read_start(&format!("/proc/self/task/{tid}/syscall\0"), &mut text)?;
    let word = text[..bytes].split(|&byte| byte == b' ').next()?;
    // `running` is what it says of others.
    Some(std::str::from_utf8(word).ok().and_then(|number| number.parse().ok()))
}

/// The signals that a kernel thread of the process's blocks; `None`: there is no such thread, it is ending (it counts no threads any more,
/// and its mask is lost), or /proc does not tell.
pub fn blocked_signals(tid: i32) -> Option<u64> {
    let mut text = [0u8; 4096];
    let bytes = read_start(&format!("/proc/self/task/{tid}/status\0"), &mut text)?;
    let text = std::str::from_utf8(&text[..bytes]).ok()?;
    if text.contains("\nThreads:\t0\n") {
        return None;
    }
    u64::from_str_radix(text.lines().find_map(|line| line.strip_prefix("SigBlk:\t"))?, 16).ok()
}

/// The signal that F_SETSIG has chosen for a descriptor; 0: none; `None`: there is no such descriptor.
pub fn signal_of(fd: i32) -> Option<i32> {
    const F_GETSIG: usize = 11;
    checked(plain(libc::SYS_fcntl, [fd as usize, F_GETSIG, 0, 0])).ok().map(|signal| signal as i32)
}

/// What a file begins with; `path` ends with a zero byte.
fn read_start(path: &str, room: &mut [u8]) -> Option<usize> {
    // SAFETY: the kernel reads the path, and writes into `room`.
    unsafe {
        let flags = libc::O_CLOEXEC as usize;
        let fd =
            checked(call(libc::SYS_openat, libc::AT_FDCWD as usize, path.as_ptr() as usize, flags, 0, 0, 0)).ok()?;
        let bytes = call(libc::SYS_read, fd, room.as_mut_ptr() as usize, room.len(), 0, 0, 0);
        super::close(fd as i32);
        checked(bytes).ok()
    }
}

/// The kernel thread that traces a process.
pub fn tracer_of(pid: i32) -> Option<i32> {
    const LINE: &[u8] = b"\nTracerPid:\t";
    let mut text = [0u8; 4096];
    let bytes = read_start(&format!("/proc/{pid}/status\0"), &mut text)?;
    let text = &text[..bytes];
    let at = text.windows(LINE.len()).position(|window| window == LINE)? + LINE.len();
    let end = text[at..].iter().position(|&byte| byte == b'\n')? + at;
    std::str::from_utf8(&text[at..end]).ok()?.parse().ok().filter(|&tid| tid != 0)
}

/// User and group ids with those for files, groups, capabilities, securebits, persona, and where memory is to lie: what the calls change
/// that change one kernel thread's credentials.
#[derive(PartialEq, Eq)]
pub struct Marks {
    ids: [u32; 6],
    file_ids: [isize; 2],
    groups: (isize, u64),
    capabilities: [u32; 6],
    others: [isize; 2],
    memory: (i32, [u64; 16]),
}

/// setfsuid's and setfsgid's argument that only asks.
const ASK: usize = u32::MAX as usize;
/// As many groups as a process can have.
const GROUPS: usize = 65_536;

/// Reads the running kernel thread's marks. Called before and after a call of the program's that may change one of them, on the same kernel
/// thread: unequal marks say that it did. What the kernel does not tell counts as zero, before and after alike.
pub fn marks() -> Marks {
    let [mut ids, mut capabilities] = [[0u32; 6]; 2];
    let mut memory = (0i32, [0u64; 16]);
    let id = |ids: &mut [u32; 6], at: usize| &mut ids[at] as *mut u32 as usize;
    // The newest header: version 3, this thread.
    let header = [0x2008_0522u32, 0];
    // SAFETY: the kernel writes a number each, two capability sets, and at most 1024 bits of nodes.
    unsafe {
        call(libc::SYS_getresuid, id(&mut ids, 0), id(&mut ids, 1), id(&mut ids, 2), 0, 0, 0);
        call(libc::SYS_getresgid, id(&mut ids, 3), id(&mut ids, 4), id(&mut ids, 5), 0, 0, 0);
        call(libc::SYS_capget, header.as_ptr() as usize, capabilities.as_mut_ptr() as usize, 0, 0, 0, 0);
        let nodes = memory.1.as_mut_ptr() as usize;
        call(libc::SYS_get_mempolicy, &mut memory.0 as *mut i32 as usize, nodes, 1024, 0, 0, 0);
    }
    let file_ids = [libc::SYS_setfsuid, libc::SYS_setfsgid].map(|number| plain(number, [ASK, 0, 0, 0]));
    let others = [option(libc::PR_GET_SECUREBITS, 0), plain(libc::SYS_personality, [ASK, 0, 0, 0])];
    Marks { ids, file_ids, groups: groups(), capabilities, others, memory }
}

/// How many groups, and their numbers in one.
fn groups() -> (isize, u64) {
    let count = plain(libc::SYS_getgroups, [0; 4]);
    let few = &mut [0u32; 64][..];
    if count <= 0 || count as usize > few.len() {
        return many_groups(count);
    }
    // SAFETY: the kernel writes at most so many numbers.
    unsafe { call(libc::SYS_getgroups, few.len(), few.as_mut_ptr() as usize, 0, 0, 0, 0) };
    (count, mixed(few))
}

#[cold]
fn many_groups(count: isize) -> (isize, u64) {
    let bytes = GROUPS * size_of::<u32>();
    let Some(pages) = (count > 0).then(|| super::map(bytes, 0)).flatten() else { return (count, 0) };
    // SAFETY: pages of our own; the kernel writes at most so many numbers.
    let groups = unsafe {
        call(libc::SYS_getgroups, GROUPS, pages as usize, 0, 0, 0, 0);
        std::slice::from_raw_parts(pages as *const u32, GROUPS)
    };
    let mixed = mixed(groups);
    super::unmap(pages as usize, bytes);
    (count, mixed)
}

/// FNV's way of making one number of many.
fn mixed(numbers: &[u32]) -> u64 {
    numbers.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &number| (sum ^ number as u64).wrapping_mul(0x100_0000_01b3))
}
