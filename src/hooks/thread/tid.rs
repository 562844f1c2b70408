//! Calls that name a thread by its tid and belong to no other family. The kernel knows no green thread's tid; the ways of answering are
//! those of `number/by_tid.rs`.

use crate::hooks::answer::{answer, errno, Answer, Arguments, Miss};
use crate::hooks::memory;
use crate::hooks::named::{by_tid, is_me, kernel_thread_of, stand_in};
use crate::runtime::kernel::alone;
use crate::runtime::{self, current};
use crate::sys;
use libc::*;

/// Makes the system call with the stand-ins' tids at the places `tids` among its arguments (`named::stand_in`). Numbers that are no
/// green thread's go as they are. Errors are the kernel's. Called by any thread after the start.
pub unsafe fn for_stand_in(number: c_long, mut arguments: Arguments, tids: &[usize]) -> Answer<c_long> {
    for &at in tids {
        arguments[at] = stand_in(arguments[at] as pid_t) as usize;
    }
    let [a, b, c, d, e, f] = arguments;
    answer(sys::call(number, a, b, c, d, e, f))
}

/// The system call perf_event_open: a counter belongs to a kernel thread. Returns the counter's descriptor, or the kernel's error.
///
/// - A thread that counts itself stays alone with its own kernel thread from then on.
/// - For another green thread it is ESRCH, unless that has a kernel thread for itself: no kernel thread does that thread's work
///   alone.
/// - A cgroup's counter, and one for all threads (tid -1), are the kernel's.
pub unsafe fn perf_event_open([attributes, tid, processor, group, flags, last]: Arguments) -> Answer<c_long> {
    const PERF_FLAG_PID_CGROUP: usize = 4;
    if flags & PERF_FLAG_PID_CGROUP != 0 || (tid as pid_t) < 0 {
        return Err(Miss::Libc);
    }
    let named = by_tid(tid as pid_t)?;
    let Some(kernel_tid) = kernel_thread_of(named) else { return errno(ESRCH) };
    let arguments = (attributes, kernel_tid as usize, processor, group, flags, last);
    let (attributes, tid, processor, group, flags, last) = arguments;
    let counter = answer(sys::call(SYS_perf_event_open, attributes, tid, processor, group, flags, last))?;
    if is_me(named) {
        alone::stay();
    }
    Ok(counter)
}

/// The bytes of a robust list's head (struct robust_list_head).
const ROBUST_HEAD_BYTES: usize = 24;

/// The system call get_robust_list: tells the list that is kept for the thread. Returns 0. EFAULT; the length is written before the
/// head, as by the kernel (kernel/futex/syscalls.c). A tid of no green thread's is the kernel's (ESRCH, EPERM).
pub unsafe fn get_robust_list(tid: pid_t, head: usize, bytes: usize) -> Answer<c_long> {
    let list = by_tid(tid)?.robust_list();
    for (at, value) in [(bytes, ROBUST_HEAD_BYTES), (head, list)] {
        memory::write(at as *mut usize, value)?;
    }
    Ok(0)
}

/// The system call set_robust_list: the caller's list is kept for it, registered while it holds a lock of the kernel's, and walked
/// when it ends (`pin`). EINVAL for another size than the kernel's. On a foreign thread the kernel's.
pub unsafe fn set_robust_list(head: usize, bytes: usize) -> Answer<c_long> {
    let me = current().ok_or(Miss::Libc)?;
    if bytes != ROBUST_HEAD_BYTES {
        return errno(EINVAL);
    }
    runtime::waiting::pin::set_robust_list(me, head);
    Ok(0)
}

/// The system call set_tid_address: returns the caller's tid, and notes nothing. The kernel would zero the word when the kernel
/// thread ends, which is not when the green thread does.
pub unsafe fn set_tid_address() -> Answer<c_long> {
    current().map(|me| me.tid() as c_long).ok_or(Miss::Libc)
}

/// `getpgid`: the process group of the thread's stand-in, which is the process's. ESRCH by the kernel.
pub unsafe fn getpgid(pid: pid_t) -> Answer<pid_t> {
    answer(sys::call(SYS_getpgid, stand_in(pid) as usize, 0, 0, 0, 0, 0))
}

/// `getsid`: the session of the thread's stand-in, which is the process's. ESRCH and EPERM by the kernel.
pub unsafe fn getsid(pid: pid_t) -> Answer<pid_t> {
    answer(sys::call(SYS_getsid, stand_in(pid) as usize, 0, 0, 0, 0, 0))
}

/// `setpgid`: EINVAL for another thread than main, which the kernel would refuse as no leader of a process (kernel/sys.c). Main's tid
/// is the process's, and 0 the caller's process: both are libc's, and so is all else.
pub unsafe fn setpgid(pid: pid_t, _: pid_t) -> Answer<c_int> {
    match by_tid(pid) {
        Ok(green) if pid != 0 && !green.is_main => errno(EINVAL),
        _ => Err(Miss::Libc),
    }
}

/// `prlimit`: of the thread's stand-in, which is to say the process's. EFAULT, EINVAL, EPERM and ESRCH by the kernel. `new` and `old`
/// may be null.
pub unsafe fn prlimit(pid: pid_t, resource: c_uint, new: *const rlimit, old: *mut rlimit) -> Answer<c_int> {
    let (new, old) = (new as usize, old as usize);
    answer(sys::call(SYS_prlimit64, stand_in(pid) as usize, resource as usize, new, old, 0, 0))
}

/// `prlimit64`: `prlimit`, whose structure is the same here.
pub unsafe fn prlimit64(pid: pid_t, resource: c_uint, new: *const rlimit64, old: *mut rlimit64) -> Answer<c_int> {
    prlimit(pid, resource, new as *const rlimit, old as *mut rlimit)
}

/// Makes process_vm_readv or process_vm_writev for the thread's stand-in, whose memory is the thread's. The vectors are the kernel's
/// to check: EFAULT, EINVAL. Arguments: own vectors, their count, its vectors, their count, flags.
unsafe fn process_vm(
    number: c_long,
    pid: pid_t,
    [own, own_count, its, its_count, flags]: [usize; 5],
) -> Answer<ssize_t> {
    answer(sys::call(number, stand_in(pid) as usize, own, own_count, its, its_count, flags))
}

/// `process_vm_readv`: from the memory that the thread's stand-in shares with it.
pub unsafe fn process_vm_readv(
    pid: pid_t,
    own: *const iovec,
    own_count: c_ulong,
    its: *const iovec,
    its_count: c_ulong,
    flags: c_ulong,
) -> Answer<ssize_t> {
    let vectors = [own as usize, own_count as usize, its as usize, its_count as usize, flags as usize];
    process_vm(SYS_process_vm_readv, pid, vectors)
}

/// `process_vm_writev`: as `process_vm_readv`, the other way.
pub unsafe fn process_vm_writev(
    pid: pid_t,
    own: *const iovec,
    own_count: c_ulong,
    its: *const iovec,
    its_count: c_ulong,
    flags: c_ulong,
) -> Answer<ssize_t> {
    let vectors = [own as usize, own_count as usize, its as usize, its_count as usize, flags as usize];
    process_vm(SYS_process_vm_writev, pid, vectors)
}

/// Returns capget's or capset's header (version and tid, linux/capability.h) with the stand-in's tid; `None` if it names no green
/// thread, or cannot be read.
unsafe fn translated_header(header: *mut c_void) -> Option<[u32; 2]> {
    if !runtime::started() || !memory::can_read(header as usize, size_of::<[u32; 2]>()) {
        return None;
    }
    let [version, tid] = (header as *const [u32; 2]).read_unaligned();
    let kernel_tid = stand_in(tid as pid_t) as u32;
    (kernel_tid != tid).then_some([version, kernel_tid])
}

/// `capget`: asks of the thread's stand-in. A header of another version gets the one that the kernel knows, as natively (capget(2)):
/// EINVAL then. All other headers are libc's, also bad ones (EFAULT).
pub unsafe fn capget(header: *mut c_void, sets: *mut c_void) -> Answer<c_int> {
    let mut translated = translated_header(header).ok_or(Miss::Libc)?;
    let told = sys::call(SYS_capget, translated.as_mut_ptr() as usize, sets as usize, 0, 0, 0, 0);
    (header as *mut u32).write_unaligned(translated[0]);
    answer(told)
}

/// Returns the header for a capset that names the caller by its green tid, with its kernel thread's; `None` for all others, which are
/// the kernel's to judge: capset changes the caller only (EPERM). Called by the hook of capset.
pub unsafe fn own_header(header: *mut c_void) -> Option<[u32; 2]> {
    translated_header(header).filter(|[_, tid]| *tid as pid_t == sys::kernel_thread_id())
}

/// `pidfd_open`, for a green thread's tid; main's, 0 and every other number are the kernel's. A descriptor of a thread (PIDFD_THREAD)
/// tells when its kernel thread ends, so only a thread that is alone with its own has one: EINVAL for others. Without the flag the
/// kernel refuses each thread that does not stand for its process.
pub unsafe fn pidfd_open(pid: pid_t, flags: c_uint) -> Answer<c_int> {
    const PIDFD_THREAD: c_uint = O_EXCL as c_uint;
    let named = by_tid(pid)?;
    if pid == 0 || named.is_main {
        return Err(Miss::Libc);
    }
    let kernel_tid = match kernel_thread_of(named) {
        Some(kernel_tid) if named.thread.alone.get() || flags & PIDFD_THREAD == 0 => kernel_tid,
        _ => return errno(EINVAL),
    };
    if kernel_tid == sys::process_id() {
        return errno(EINVAL);
    }
    answer(sys::call(SYS_pidfd_open, kernel_tid as usize, flags as usize, 0, 0, 0, 0))
}
