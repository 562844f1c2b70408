//! The kernel: the only file that makes system calls or ends the process.
//!
//! No libc wrapper is called here: those are the hooks themselves. Results are the kernel's own: a negative number is
//! an error number with its sign turned. The clock is the exception: it is read through the vDSO by libc's real
//! `clock_gettime`, whose address the front door leaves in `CLOCK`.

pub mod file;
pub mod filters;
pub mod older;
pub mod task;

use crate::arch;
use crate::sys::older::poll_exactly;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicU8, AtomicUsize, Ordering};

/// libc's real `clock_gettime`, 0 until the front door has found it.
pub static CLOCK: AtomicUsize = AtomicUsize::new(0);

/// A raw system call: the kernel's answer, negative for an error. No errno, no cancellation.
///
/// # Safety
/// That of the system call: the kernel checks pointers, but it writes where they point.
#[inline(always)]
pub unsafe fn call(number: libc::c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
    arch::system_call(number, a, b, c, d, e, f)
}

/// Calls with plain numbers only: no memory is handed over.
fn plain(number: libc::c_long, arguments: [usize; 4]) -> isize {
    // SAFETY: the callers below pass descriptors, sizes and flags, never an address that the kernel writes to.
    unsafe { call(number, arguments[0], arguments[1], arguments[2], arguments[3], 0, 0) }
}

fn checked(result: isize) -> Result<usize, i32> {
    if result < 0 {
        Err(-result as i32)
    } else {
        Ok(result as usize)
    }
}

/// CLOCK_MONOTONIC in nanoseconds.
#[inline]
pub fn now_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

/// Any clock in nanoseconds, or the error number.
#[inline]
pub fn clock_ns(clock: libc::clockid_t) -> Result<u64, i32> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let real = CLOCK.load(Ordering::Relaxed);
    if real != 0 && (0..=11).contains(&clock) {
        // SAFETY: `CLOCK` holds the address of libc's clock_gettime, and `time` is ours.
        let failed = unsafe {
            let real: unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> i32 = std::mem::transmute(real);
            real(clock, &mut time)
        };
        if failed == 0 {
            return Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64);
        }
    }
    // SAFETY: `time` is ours to be written.
    let result = unsafe { call(libc::SYS_clock_gettime, clock as usize, &mut time as *mut _ as usize, 0, 0, 0, 0) };
    checked(result)?;
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Splits nanoseconds into the kernel's pair.
pub fn timespec(ns: u64) -> libc::timespec {
    libc::timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
}

/// Sleeps while `word` is `value`, until woken, interrupted or `deadline_ns` (CLOCK_MONOTONIC) has passed.
pub fn futex_wait(word: &AtomicU32, value: u32, deadline_ns: Option<u64>) -> Result<(), i32> {
    let time = deadline_ns.map(timespec);
    let pointer = time.as_ref().map_or(0, |t| t as *const _ as usize);
    let operation = (libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG) as usize;
    // SAFETY: the kernel reads `word` and `time`, both alive here.
    let result = unsafe {
        call(libc::SYS_futex, word.as_ptr() as usize, operation, value as usize, pointer, 0, u32::MAX as usize)
    };
    checked(result).map(|_| ())
}

/// The same for a word that the kernel wakes without the private flag (clear_child_tid).
pub fn futex_wait_shared(word: &AtomicU32, value: u32) {
    // SAFETY: the kernel reads `word`, alive here.
    unsafe { call(libc::SYS_futex, word.as_ptr() as usize, libc::FUTEX_WAIT as usize, value as usize, 0, 0, 0) };
}

/// Wakes up to `count` sleepers on `word`; an address that is gone by now is harmless.
pub fn futex_wake(word: *const u32, count: u32) {
    let operation = (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG) as usize;
    plain(libc::SYS_futex, [word as usize, operation, count as usize, 0]);
}

/// The same for sleepers of any process.
pub fn futex_wake_shared(word: *const u32, count: u32) {
    plain(libc::SYS_futex, [word as usize, libc::FUTEX_WAKE as usize, count as usize, 0]);
}

/// Pages of our own: zeroed, not reserved, never of huge size (one touch would cost 2 MiB).
pub fn map(bytes: usize, flags: i32) -> Option<*mut u8> {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | flags) as usize;
    // SAFETY: a new mapping where the kernel likes; nothing that exists is touched.
    let result = unsafe { call(libc::SYS_mmap, 0, bytes, protection, flags, usize::MAX, 0) };
    checked(result).ok().map(|address| address as *mut u8)
}

/// Takes the holes between mappings above an address, without memory: what is mapped from now on lies below it, as long as the kernel
/// takes the highest hole that is large enough.
pub fn fill_above(address: usize) {
    let mut bytes = 64 << 20;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    while bytes >= 4096 {
        // SAFETY: a new mapping where the kernel likes; nothing that exists is touched.
        let place = unsafe { call(libc::SYS_mmap, 0, bytes, libc::PROT_NONE as usize, flags as usize, usize::MAX, 0) };
        match checked(place) {
            Ok(place) if place > address => continue,
            Ok(place) => unmap(place, bytes),
            Err(_) => {}
        }
        bytes /= 2;
    }
}

/// Both ends of a connection within this machine (127.0.0.0/8, ::1), each one address and port in a word.
pub fn local_connection(fd: i32) -> Option<[u64; 2]> {
    const V6_MAPPED: u32 = 0xffff;
    let end = |number| {
        let mut name = [0u32; 7];
        let mut bytes = std::mem::size_of_val(&name) as u32;
        // SAFETY: the kernel writes at most `bytes` bytes, a sockaddr_in or sockaddr_in6 whole.
        let result =
            unsafe { call(number, fd as usize, name.as_mut_ptr() as usize, &mut bytes as *mut u32 as usize, 0, 0, 0) };
        let address = match name[0] as u16 as i32 {
            libc::AF_INET if result == 0 => u32::from_be(name[1]),
            libc::AF_INET6 if result == 0 && name[2..4] == [0; 2] => match name[4].to_be() {
                0 if name[5].to_be() == 1 => 127 << 24,
                V6_MAPPED => u32::from_be(name[5]),
                _ => return None,
            },
            _ => return None,
        };
        (address >> 24 == 127).then_some((address as u64) << 16 | (name[0] >> 16) as u64)
    };
    Some([end(libc::SYS_getsockname)?, end(libc::SYS_getpeername)?])
}

/// Would the kernel promise so much memory? (Our stacks are not reserved, so a size beyond all bounds is refused here only.)
pub fn has_memory(bytes: usize) -> bool {
    let (protection, flags) =
        ((libc::PROT_READ | libc::PROT_WRITE) as usize, (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize);
    // SAFETY: a new mapping where the kernel likes; nothing that exists is touched.
    let result = unsafe { call(libc::SYS_mmap, 0, bytes, protection, flags, usize::MAX, 0) };
    checked(result).map(|address| unmap(address, bytes)).is_ok()
}

/// madvise on our own pages; the answer is an error number or 0.
pub fn advise(address: usize, bytes: usize, advice: i32) -> i32 {
    plain(libc::SYS_madvise, [address, bytes, advice as usize, 0]).min(0).unsigned_abs() as i32
}

/// Is the page at `address` in memory, though nobody has touched it? Then it is locked.
pub fn is_resident(address: usize) -> bool {
    let mut resident = 0u8;
    // SAFETY: the kernel writes a byte for each page asked about.
    let result = unsafe { call(libc::SYS_mincore, address, 4096, &mut resident as *mut u8 as usize, 0, 0, 0) };
    result == 0 && resident & 1 != 0
}

/// Takes every access from our own pages.
pub fn forbid(address: usize, bytes: usize) -> bool {
    plain(libc::SYS_mprotect, [address, bytes, libc::PROT_NONE as usize, 0]) == 0
}

/// Lets code be read and run, and written as well while `writable`.
pub fn protect_code(address: usize, bytes: usize, writable: bool) -> bool {
    let write = if writable { libc::PROT_WRITE } else { 0 };
    plain(libc::SYS_mprotect, [address, bytes, (libc::PROT_READ | libc::PROT_EXEC | write) as usize, 0]) == 0
}

pub fn unmap(address: usize, bytes: usize) {
    plain(libc::SYS_munmap, [address, bytes, 0, 0]);
}

pub fn epoll_control(epoll: i32, operation: i32, fd: i32, events: u32, data: u64) -> Result<(), i32> {
    let mut event = libc::epoll_event { events, u64: data };
    let pointer = &mut event as *mut _ as usize;
    // SAFETY: the kernel reads `event`, alive here.
    let result = unsafe { call(libc::SYS_epoll_ctl, epoll as usize, operation as usize, fd as usize, pointer, 0, 0) };
    checked(result).map(|_| ())
}

/// Is any of these readable right now? The monitor's question about a slot's epoll.
pub fn readable(fd: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: the kernel writes into `poll`, which is ours.
    unsafe { call(libc::SYS_poll, &mut poll as *mut _ as usize, 1, 0, 0, 0, 0) > 0 }
}

/// Blocks in the kernel until `fd` is ready for `events` (poll bits) or the deadline; the error number otherwise.
pub fn poll(fds: &mut [libc::pollfd], deadline_ns: Option<u64>) -> Result<usize, i32> {
    let time = deadline_ns.map(|deadline| timespec(deadline.saturating_sub(now_ns())));
    // SAFETY: the kernel writes into `fds`, which is alive.
    checked(unsafe { poll_exactly(fds.as_mut_ptr() as usize, fds.len(), time.as_ref()) })
}

pub fn event_signal(fd: i32) {
    let one = 1u64;
    // SAFETY: the kernel reads 8 bytes of `one`.
    unsafe { call(libc::SYS_write, fd as usize, &one as *const _ as usize, 8, 0, 0, 0) };
}

pub fn event_clear(fd: i32) {
    let mut count = 0u64;
    // SAFETY: the kernel writes 8 bytes into `count`.
    unsafe { call(libc::SYS_read, fd as usize, &mut count as *mut _ as usize, 8, 0, 0, 0) };
}

/// A duplicate of `fd` at `lowest` or above, closed on exec.
pub fn duplicate_high(fd: i32, lowest: i32) -> Result<i32, i32> {
    checked(plain(libc::SYS_fcntl, [fd as usize, libc::F_DUPFD_CLOEXEC as usize, lowest as usize, 0]))
        .map(|fd| fd as i32)
}

/// Makes `number`, which is in use, another name of what `fd` is.
pub fn duplicate_onto(fd: i32, number: i32) -> Result<(), i32> {
    checked(plain(libc::SYS_dup3, [fd as usize, number as usize, libc::O_CLOEXEC as usize, 0])).map(drop)
}

pub fn close(fd: i32) {
    plain(libc::SYS_close, [fd as usize, 0, 0, 0]);
}

/// The number of descriptors this process may have open.
pub fn descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
    // SAFETY: the kernel writes into `limit`.
    unsafe { call(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE as usize, 0, &mut limit as *mut _ as usize, 0, 0) };
    limit.rlim_cur
}

/// May this process open so many descriptors more? The kernel is asked which numbers are in use.
pub fn has_descriptors(wanted: usize) -> bool {
    const AT_ONCE: usize = 256;
    let (limit, mut free, mut first) = (descriptor_limit() as usize, 0, 0);
    while first < limit && free < wanted {
        let count = AT_ONCE.min(limit - first);
        let mut numbers: [libc::pollfd; AT_ONCE] =
            std::array::from_fn(|i| libc::pollfd { fd: (first + i) as i32, events: 0, revents: 0 });
        // SAFETY: the kernel writes into `numbers`, which is ours.
        if unsafe { call(libc::SYS_poll, numbers.as_mut_ptr() as usize, count, 0, 0, 0, 0) } < 0 {
            return true; // The kernel does not say: whoever opens them will see.
        }
        free += numbers[..count].iter().filter(|number| number.revents & libc::POLLNVAL != 0).count();
        first += count;
    }
    free >= wanted
}

pub fn process_id() -> i32 {
    plain(libc::SYS_getpid, [0; 4]) as i32
}

pub fn kernel_thread_id() -> i32 {
    plain(libc::SYS_gettid, [0; 4]) as i32
}

/// The processors this process may run on.
pub fn processors() -> usize {
    let mut set = [0u64; 128];
    // SAFETY: the kernel writes at most the given size into `set`.
    let result = unsafe {
        call(libc::SYS_sched_getaffinity, 0, std::mem::size_of_val(&set), set.as_mut_ptr() as usize, 0, 0, 0)
    };
    let count: u32 = set.iter().map(|word| word.count_ones()).sum();
    if result > 0 && count > 0 {
        count as usize
    } else {
        1
    }
}

/// This kernel thread's name, filled up with zeros.
pub fn thread_name() -> [u8; 16] {
    let mut name = [0u8; 16];
    // SAFETY: the kernel writes 16 bytes.
    unsafe { call(libc::SYS_prctl, libc::PR_GET_NAME as usize, name.as_mut_ptr() as usize, 0, 0, 0, 0) };
    name
}

pub fn set_thread_name(name: &[u8; 16]) {
    plain(libc::SYS_prctl, [libc::PR_SET_NAME as usize, name.as_ptr() as usize, 0, 0]);
}

/// A set of processors, a bit each.
pub type Processors = [u64; 16];

/// The processors on which a kernel thread may run (0: this one).
pub fn processors_of(tid: i32) -> Processors {
    let mut set = [0; 16];
    // SAFETY: the kernel writes at most the given size into `set`.
    unsafe {
        call(libc::SYS_sched_getaffinity, tid as usize, size_of::<Processors>(), set.as_mut_ptr() as usize, 0, 0, 0)
    };
    set
}

pub fn set_processors(set: &Processors) {
    try_processors(size_of::<Processors>(), set.as_ptr() as usize).ok();
}

/// Confines this kernel thread to the set of `size` bytes at the address `set`, which the kernel checks.
pub fn try_processors(size: usize, set: usize) -> Result<(), i32> {
    checked(plain(libc::SYS_sched_setaffinity, [0, size, set, 0])).map(|_| ())
}

/// A kernel thread's CPU time (its clock's number: the kernel's posix-timers.h), 0 when it is gone.
pub fn cpu_ns_of(tid: i32) -> u64 {
    clock_ns(!tid << 3 | 6).unwrap_or(0)
}

/// Arms a timer for once, so many nanoseconds from now; 0 disarms it.
pub fn arm_timer(number: i32, ns: i64) {
    let times = [0i64, 0, 0, ns];
    plain(libc::SYS_timer_settime, [number as usize, 0, times.as_ptr() as usize, 0]);
}

/// A kernel thread's scheduling policy, with its flag.
pub fn policy_of(tid: i32) -> i32 {
    plain(libc::SYS_sched_getscheduler, [tid as usize, 0, 0, 0]) as i32
}

/// A kernel thread's real-time priority.
pub fn priority_of(tid: i32) -> i32 {
    let mut priority = 0i32;
    // SAFETY: the kernel writes one number.
    unsafe { call(libc::SYS_sched_getparam, tid as usize, &mut priority as *mut i32 as usize, 0, 0, 0, 0) };
    priority
}

/// A kernel thread's nice value (the kernel's answer is 20 less it).
pub fn nice_of(tid: i32) -> i32 {
    20 - plain(libc::SYS_getpriority, [libc::PRIO_PROCESS as usize, tid as usize, 0, 0]) as i32
}

/// Gives this kernel thread a policy, with its flag, and a real-time priority.
pub fn set_policy(policy: i32, priority: i32) {
    plain(libc::SYS_sched_setscheduler, [0, policy as usize, &priority as *const i32 as usize, 0]);
}

pub fn set_nice(nice: i32) {
    plain(libc::SYS_setpriority, [libc::PRIO_PROCESS as usize, 0, nice as usize, 0]);
}

/// A soft limit of this process.
pub fn limit(resource: libc::__rlimit_resource_t) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes into `limit`.
    unsafe { call(libc::SYS_prlimit64, 0, resource as usize, 0, &mut limit as *mut _ as usize, 0, 0) };
    limit.rlim_cur
}

/// linux/capability.h.
pub const CAP_SYS_NICE: u32 = 23;

/// Has this kernel thread the capability (of the first 32) in effect?
pub fn has_capability(capability: u32) -> bool {
    const VERSION: u32 = 0x2008_0522;
    let header = [VERSION, 0];
    let mut sets = [0u32; 6];
    // SAFETY: the kernel reads two words and writes twice {effective, permitted, inheritable}.
    let result = unsafe { call(libc::SYS_capget, header.as_ptr() as usize, sets.as_mut_ptr() as usize, 0, 0, 0, 0) };
    result == 0 && sets[0] >> capability & 1 != 0
}

/// Lets another kernel thread run.
pub fn yield_processor() {
    plain(libc::SYS_sched_yield, [0; 4]);
}

/// Signals that no kernel thread may block.
static KEPT_OPEN: AtomicU64 = AtomicU64::new(0);

/// From now on no mask that this library sets holds these signals.
pub fn keep_open(signals: u64) {
    KEPT_OPEN.store(signals, Ordering::Relaxed);
}

/// The mask without what must stay open: what the kernel is to get.
#[inline]
pub fn open(mask: u64) -> u64 {
    mask & !KEPT_OPEN.load(Ordering::Relaxed)
}

/// Sets this kernel thread's signal mask; the one before.
pub fn set_signal_mask(mask: u64) -> u64 {
    let (mask, mut old) = (open(mask), 0u64);
    let (new, old_at) = (&mask as *const _ as usize, &mut old as *mut _ as usize);
    // SAFETY: the kernel reads `mask` and writes `old`, 8 bytes each.
    unsafe { call(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK as usize, new, old_at, 8, 0, 0) };
    old
}

/// This kernel thread's signal mask.
pub fn signal_mask() -> u64 {
    let mut old = 0u64;
    // SAFETY: the kernel writes 8 bytes into `old`.
    unsafe { call(libc::SYS_rt_sigprocmask, 0, 0, &mut old as *mut _ as usize, 8, 0, 0) };
    old
}

/// Fills `room` with this process's memory from `address` on, which may go away meanwhile; false: it is not there, or a filter forbids to
/// ask.
pub fn read_own_memory(address: usize, room: &mut [u8]) -> bool {
    let (to, from) = ([room.as_mut_ptr() as usize, room.len()], [address, room.len()]);
    let (to, from, me) = (&to as *const _ as usize, &from as *const _ as usize, process_id() as usize);
    // SAFETY: the kernel writes into `room`, by the first of the two pairs.
    let read = unsafe { call(libc::SYS_process_vm_readv, me, to, 1, from, 1, 0) };
    read == room.len() as isize
}

/// Is there memory to read at `address`? The kernel is asked to read a signal mask at either end, and then refuses the
/// way of setting it that no kernel knows.
pub fn can_read(address: usize, bytes: usize) -> bool {
    const NO_WAY: usize = 99;
    address != 0
        && ends(address, bytes).all(|at| plain(libc::SYS_rt_sigprocmask, [NO_WAY, at, 0, 8]) != -libc::EFAULT as isize)
}

/// Is there memory to write at `address`? What was at either end is gone then: the kernel has written there.
pub fn can_write(address: usize, bytes: usize) -> bool {
    address != 0 && ends(address, bytes).all(|at| plain(libc::SYS_rt_sigprocmask, [0, 0, at, 8]) == 0)
}

/// The first and the last 8 of at least 8 bytes; once if both are on one page.
fn ends(address: usize, bytes: usize) -> impl Iterator<Item = usize> {
    const PAGE: usize = 4096;
    let (first, last) = (address, address.wrapping_add(bytes - 8));
    std::iter::once(first).chain((first / PAGE != last.wrapping_add(7) / PAGE).then_some(last))
}

/// Sends a signal to a kernel thread of this process.
pub fn signal_thread(tid: i32, signal: i32) -> Result<(), i32> {
    checked(plain(libc::SYS_tgkill, [process_id() as usize, tid as usize, signal as usize, 0])).map(|_| ())
}

/// Are these two numbers of one open file? (A kernel may be built without the call: no.)
pub fn is_same_file(one: i32, other: i32) -> bool {
    const KCMP_FILE: usize = 0;
    let (process, arguments) = (process_id() as usize, (one as usize, other as usize));
    // SAFETY: the call touches no memory.
    one >= 0 && unsafe { call(libc::SYS_kcmp, process, process, KCMP_FILE, arguments.0, arguments.1, 0) } == 0
}

/// Has this kernel thread itself a child, alive or not yet waited for?
pub fn has_children() -> bool {
    const WNOTHREAD: i32 = 0x2000_0000;
    let options = (libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL | WNOTHREAD) as usize;
    plain(libc::SYS_waitid, [libc::P_ALL as usize, 0, 0, options]) == 0
}

/// Sends a signal to a process.
pub fn kill_process(pid: i32, signal: i32) {
    plain(libc::SYS_kill, [pid as usize, signal as usize, 0, 0]);
}

/// Queues a signal with its information to this process; the kernel lets nobody repeat another's code, so it must be negative.
pub fn queue_signal_to_process(signal: i32, info: &libc::siginfo_t) -> Result<(), i32> {
    let arguments = (process_id() as usize, signal as usize, info as *const _ as usize);
    // SAFETY: the kernel reads `info`.
    checked(unsafe { call(libc::SYS_rt_sigqueueinfo, arguments.0, arguments.1, arguments.2, 0, 0, 0) }).map(|_| ())
}

/// Takes a signal of `set` that is blocked and pending for this kernel thread or the process; EAGAIN when there is none.
pub fn take_signal(set: u64) -> Result<libc::siginfo_t, i32> {
    let now = timespec(0);
    // SAFETY: all-zero is a value of siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let (set_at, info_at, now_at) =
        (&set as *const u64 as usize, &mut info as *mut _ as usize, &now as *const _ as usize);
    // SAFETY: the kernel reads `set` and `now`, and writes `info`.
    checked(unsafe { call(libc::SYS_rt_sigtimedwait, set_at, info_at, now_at, 8, 0, 0) }).map(|_| info)
}

/// The blocked signals that are pending for this kernel thread or the process.
pub fn pending_signals() -> u64 {
    let mut set = 0u64;
    // SAFETY: the kernel writes 8 bytes into `set`.
    unsafe { call(libc::SYS_rt_sigpending, &mut set as *mut u64 as usize, 8, 0, 0, 0, 0) };
    set
}

/// May the stack that the process began with be executed, as the kernel says? (/proc/self is empty once main has ended.)
pub fn may_execute_first_stack() -> bool {
    const LONGEST_LINE: usize = 256;
    let mut text = [0u8; 4096];
    let path = c"/proc/thread-self/maps".as_ptr() as usize;
    // SAFETY: the kernel reads the path, and writes into `text` behind what was kept.
    unsafe {
        let Ok(fd) = checked(call(libc::SYS_openat, libc::AT_FDCWD as usize, path, libc::O_CLOEXEC as usize, 0, 0, 0))
        else {
            return false;
        };
        let (mut kept, mut found) = (0, None);
        while found.is_none() {
            let room = text.as_mut_ptr().add(kept) as usize;
            let more = call(libc::SYS_read, fd, room, text.len() - kept, 0, 0, 0);
            if more <= 0 {
                break;
            }
            let length = kept + more as usize;
            let mut lines = text[..length].split(|&byte| byte == b'\n');
            found = lines.find(|line| line.ends_with(b"[stack]")).map(|line| line.contains(&b'x'));
            kept = length.min(LONGEST_LINE);
            text.copy_within(length - kept..length, 0);
        }
        close(fd as i32);
        found == Some(true)
    }
}

/// The signals that are pending for the process, not for one of its kernel threads. `None`: /proc does not tell.
pub fn pending_for_process() -> Option<u64> {
    const LINE: &[u8] = b"\nShdPnd:\t";
    const DIGITS: usize = 16;
    let mut text = [0u8; 4096];
    let path = c"/proc/self/status".as_ptr() as usize;
    // SAFETY: the kernel reads the path, and writes into `text` what fits.
    let bytes = unsafe {
        let fd =
            checked(call(libc::SYS_openat, libc::AT_FDCWD as usize, path, libc::O_CLOEXEC as usize, 0, 0, 0)).ok()?;
        let bytes = call(libc::SYS_read, fd, text.as_mut_ptr() as usize, text.len(), 0, 0, 0);
        close(fd as i32);
        checked(bytes).ok()?
    };
    let at = text[..bytes].windows(LINE.len()).position(|window| window == LINE)? + LINE.len();
    let digits = std::str::from_utf8(text[..bytes].get(at..at + DIGITS)?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

/// A descriptor that is readable when the process has ended; closed on exec.
pub fn process_fd(pid: i32) -> Result<i32, i32> {
    checked(plain(libc::SYS_pidfd_open, [pid as usize, 0, 0, 0])).map(|fd| fd as i32)
}

/// The job of a shell that this process belongs to.
pub fn process_group() -> i32 {
    plain(libc::SYS_getpgid, [0; 4]) as i32
}

pub fn user_id() -> u32 {
    plain(libc::SYS_getuid, [0; 4]) as u32
}

/// Cuts every thread of the kernel's that ties this kernel thread to its TCB: rseq area, robust list; its end zeroes `gone`.
///
/// Returns the robust list's head that glibc had registered.
pub fn loosen(gone: &AtomicU32) -> usize {
    let head = robust_list();
    set_robust_list(0);
    plain(libc::SYS_set_tid_address, [gone.as_ptr() as usize, 0, 0, 0]);
    head
}

/// The word that the kernel clears when this kernel thread ends, where it can say so.
pub fn tid_address() -> Option<usize> {
    const PR_GET_TID_ADDRESS: usize = 40;
    let mut address = 0usize;
    let answer = plain(libc::SYS_prctl, [PR_GET_TID_ADDRESS, &mut address as *mut usize as usize, 0, 0]);
    (answer == 0 && address != 0).then_some(address)
}

/// The head of this kernel thread's robust list.
pub fn robust_list() -> usize {
    let (mut head, mut length) = (0usize, 0usize);
    // SAFETY: the kernel writes one word into each.
    unsafe {
        call(libc::SYS_get_robust_list, 0, &mut head as *mut _ as usize, &mut length as *mut _ as usize, 0, 0, 0)
    };
    head
}

pub fn set_robust_list(head: usize) {
    plain(libc::SYS_set_robust_list, [head, 24, 0, 0]);
}

/// Registers this kernel thread's rseq area, or unregisters it (glibc's signature, RSEQ_FLAG_UNREGISTER = 1).
pub fn rseq(area: usize, bytes: usize, register: bool) -> bool {
    const SIGNATURE: usize = 0x53053053;
    plain(libc::SYS_rseq, [area, bytes, !register as usize, SIGNATURE]) == 0
}

/// Sets an alternate signal stack for this kernel thread.
pub fn alternate_stack(new: *const libc::stack_t, old: *mut libc::stack_t) -> isize {
    // SAFETY: the kernel checks both pointers.
    unsafe { call(libc::SYS_sigaltstack, new as usize, old as usize, 0, 0, 0, 0) }
}

/// The kernel's own sigaction (it needs the restorer that libc gives); handlers are addresses.
///
/// # Safety
/// The handler must be fit to run on any thread of the process.
pub unsafe fn signal_action(signal: i32, new: *const [usize; 4], old: *mut [usize; 4]) -> isize {
    call(libc::SYS_rt_sigaction, signal as usize, new as usize, old as usize, 8, 0, 0)
}

/// Writes all of `bytes` to `fd`, as far as it goes.
pub fn write_all(fd: i32, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        // SAFETY: the kernel reads `bytes`.
        let result = unsafe { call(libc::SYS_write, fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0) };
        if result == -libc::EINTR as isize {
            continue;
        }
        if result <= 0 {
            return false;
        }
        bytes = &bytes[result as usize..];
    }
    true
}

/// An impossible thing: says which, on stderr, and ends the process.
#[cold]
pub fn abort(reason: &str) -> ! {
    write_all(2, b"greenpatch: impossible: ");
    write_all(2, reason.as_bytes());
    write_all(2, b"\n");
    signal_thread(kernel_thread_id(), libc::SIGABRT).ok();
    // SAFETY: ends the process; nothing comes after.
    unsafe { call(libc::SYS_exit_group, 134, 0, 0, 0, 0, 0) };
    loop {
        std::hint::spin_loop();
    }
}

/// The kernel zeroes `alive` and wakes its waiter when this kernel thread has ended.
pub fn watch_end(alive: &AtomicU32) {
    plain(libc::SYS_set_tid_address, [alive.as_ptr() as usize, 0, 0, 0]);
}

/// This process's working directory, unless it has none that can be named.
pub fn working_directory(room: &mut [u8]) -> Option<&[u8]> {
    // SAFETY: the kernel writes at most the given size, and counts the final NUL.
    let result = unsafe { call(libc::SYS_getcwd, room.as_mut_ptr() as usize, room.len(), 0, 0, 0, 0) };
    let length = checked(result).ok().filter(|&length| length > 1 && room[0] == b'/')?;
    Some(&room[..length - 1])
}

const PR_SET_SYSCALL_USER_DISPATCH: usize = 59;

/// Whose system calls are dispatched (source: linux/prctl.h; the second is known from Linux 6.17 on).
#[derive(Clone, Copy)]
pub enum Dispatch {
    From = 2,
    NotFrom = 1,
}

/// From here on this kernel thread's system calls from (or not from) `start..start + bytes` raise SIGSYS while `selector` is 1.
pub fn dispatch_calls(whose: Dispatch, start: usize, bytes: usize, selector: &'static AtomicU8) -> bool {
    let selector = selector.as_ptr() as usize;
    // SAFETY: the kernel reads the selector, which is static.
    unsafe { call(libc::SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, whose as usize, start, bytes, selector, 0) == 0 }
}

pub fn dispatch_off() {
    plain(libc::SYS_prctl, [PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0]);
}

/// Takes the robust list that glibc registered for a thread from this kernel thread: its head.
pub fn take_robust_list() -> usize {
    let (mut head, mut length) = (0usize, 0usize);
    // SAFETY: the kernel writes one word into each.
    unsafe {
        call(libc::SYS_get_robust_list, 0, &mut head as *mut _ as usize, &mut length as *mut _ as usize, 0, 0, 0)
    };
    set_robust_list(0);
    head
}
