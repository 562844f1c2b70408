//! Processes: fork, commands, and the ends that bypass `exit`.
//!
//! A fork runs the real one on the kernel thread at hand; the child has this one thread, so the runtime there is forgotten before
//! anything else runs, and is made anew when the child makes a thread. Anything else: the program's atfork handlers unlock locks
//! for which copies of parked threads wait. So ours is registered before theirs, and forks inside libc (daemon, forkpty) find it too.

use super::{answer, descriptor, real, Answer, Miss};
use crate::runtime::{self, current, signal};
use crate::sys;
use crate::{arch, glibc, statistics};
use libc::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Registers our handler; before any other library can register one.
pub fn prepare() {
    // SAFETY: the handlers take nothing and may run in any process.
    unsafe { pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

/// The one that forks holds the loader back: not before the start, when nothing keeps out a signal handler, which may fork as well.
static HOLDS_LOADER: AtomicBool = AtomicBool::new(false);

/// The mask of the one that forks. No signal comes from before the fork until all is put right after it: what comes is for the parent or
/// for the child, and is neither lost with what the child forgets, nor seen to by a runtime that is not its own.
static MASK: AtomicU64 = AtomicU64::new(0);

extern "C" fn before() {
    if runtime::started() {
        let mask = sys::set_signal_mask(signal::CLOSED);
        glibc::before_fork();
        MASK.store(mask, Relaxed);
        runtime::start::before_fork();
        HOLDS_LOADER.store(true, Relaxed);
    }
}

extern "C" fn in_parent() {
    if HOLDS_LOADER.swap(false, Relaxed) {
        let mask = MASK.load(Relaxed);
        runtime::start::forked();
        glibc::after_fork();
        sys::set_signal_mask(mask);
    }
    // What was opened by others while it forked.
    descriptor::forked();
}

/// The child runs natively from here on. What the loader's lock has kept out (a signal of the parent's) is forgotten before it is given
/// back.
extern "C" fn in_child() {
    statistics::after_fork();
    if !runtime::started() {
        return in_parent();
    }
    runtime::start::after_fork();
    super::signal::give_back();
    super::command::after_fork();
    super::sync::learn_generation();
    in_parent();
}

pub unsafe fn fork() -> Answer<pid_t> {
    descriptor::forked();
    Err(Miss::Libc)
}

/// The one that runs no handlers.
pub unsafe fn raw_fork() -> Answer<pid_t> {
    Ok(fork_by(|| real::_Fork() as isize) as pid_t)
}

/// A fork that libc knows nothing of.
pub unsafe fn fork_inline(fork: impl FnOnce() -> isize) -> isize {
    fork_by(|| {
        let pid = fork();
        if pid == 0 {
            *glibc::tid_field(arch::tcb()) = sys::kernel_thread_id();
        }
        pid
    })
}

unsafe fn fork_by(fork: impl FnOnce() -> isize) -> isize {
    let forked = || {
        before();
        let pid = fork();
        if pid == 0 {
            in_child();
        } else {
            in_parent();
        }
        pid
    };
    descriptor::forked();
    if runtime::started() {
        runtime::worker::GATE.while_closed(forked)
    } else {
        forked()
    }
}

/// The child runs on this thread's memory and thread pointer until it executes, and calls sigaction, dup2 and more by libc's entries: all
/// that passes through, as in a vfork child.
pub unsafe fn posix_spawn(
    pid: *mut pid_t,
    path: *const c_char,
    actions: *const posix_spawn_file_actions_t,
    attributes: *const posix_spawnattr_t,
    arguments: *const *mut c_char,
    environment: *const *mut c_char,
) -> Answer<c_int> {
    spawned(|| real::posix_spawn(pid, path, actions, attributes, arguments, environment))
}

pub unsafe fn posix_spawnp(
    pid: *mut pid_t,
    file: *const c_char,
    actions: *const posix_spawn_file_actions_t,
    attributes: *const posix_spawnattr_t,
    arguments: *const *mut c_char,
    environment: *const *mut c_char,
) -> Answer<c_int> {
    spawned(|| real::posix_spawnp(pid, file, actions, attributes, arguments, environment))
}

fn spawned(spawn: impl FnOnce() -> c_int) -> Answer<c_int> {
    descriptor::forked();
    let done = arch::vfork::as_nobody(spawn);
    // What was opened by others meanwhile.
    descriptor::forked();
    Ok(done)
}

pub unsafe fn pclose(file: *mut FILE) -> Answer<c_int> {
    let fd = super::fd::vacate_stream(file);
    let status = runtime::in_libc(|| real::pclose(file));
    runtime::reactor::closed(fd);
    Ok(status)
}

pub unsafe fn daemon(_nochdir: c_int, _noclose: c_int) -> Answer<c_int> {
    descriptor::forked();
    Err(Miss::Libc)
}

pub unsafe fn exit_now(_: c_int) -> Answer<()> {
    statistics::write();
    Err(Miss::Libc)
}

pub unsafe fn quick_exit(_: c_int) -> Answer<()> {
    statistics::write();
    Err(Miss::Libc)
}

pub unsafe fn gettid() -> Answer<pid_t> {
    current().map(|me| me.tid()).ok_or(Miss::Libc)
}

/// prctl's options that change the kernel thread and not the process (source: the kernel's kernel/sys.c).
const OF_ONE_THREAD: [c_int; 13] = [
    PR_SET_PDEATHSIG,
    PR_SET_KEEPCAPS,
    PR_SET_SECCOMP,
    PR_CAPBSET_DROP,
    PR_SET_TSC,
    PR_SET_SECUREBITS,
    PR_SET_TIMERSLACK,
    PR_MCE_KILL,
    PR_SET_NO_NEW_PRIVS,
    PR_CAP_AMBIENT,
    PR_SET_SPECULATION_CTRL,
    PR_SET_IO_FLUSHER,
    PR_SCHED_CORE,
];

// From the kernel's prctl.h.
const PR_SET_SPECULATION_CTRL: c_int = 53;
const PR_SET_IO_FLUSHER: c_int = 57;
const PR_SCHED_CORE: c_int = 62;

pub unsafe fn prctl(option: c_int, a: usize, b: usize, c: usize, d: usize) -> Answer<c_int> {
    match option {
        PR_SET_NAME => super::schedule::set_own_name(a),
        PR_GET_NAME => super::schedule::own_name(a),
        _ if OF_ONE_THREAD.contains(&option) => changed(real::prctl(option, a, b, c, d)),
        _ => Err(Miss::Libc),
    }
}

/// A call has changed this kernel thread only, if it did not fail: its green thread stays alone with it.
fn changed(result: c_int) -> Answer<c_int> {
    if result != -1 {
        runtime::alone::stay();
    }
    Ok(result)
}

/// From now on a switch takes each thread's rights along.
pub unsafe fn pkey_alloc(flags: c_uint, rights: c_uint) -> Answer<c_int> {
    let key = answer(sys::call(SYS_pkey_alloc, flags as usize, rights as usize, 0, 0, 0, 0))?;
    runtime::kernel_state::begin_keys();
    Ok(key)
}

pub unsafe fn unshare(flags: c_int) -> Answer<c_int> {
    changed(real::unshare(flags))
}

pub unsafe fn setns(fd: c_int, kind: c_int) -> Answer<c_int> {
    changed(real::setns(fd, kind))
}

/// The one before is the answer, whether there is a change or not.
pub unsafe fn setfsuid(id: uid_t) -> Answer<c_int> {
    let before = real::setfsuid(id);
    if before as uid_t == id {
        Ok(before)
    } else {
        changed(before)
    }
}

pub unsafe fn setfsgid(id: gid_t) -> Answer<c_int> {
    let before = real::setfsgid(id);
    if before as gid_t == id {
        Ok(before)
    } else {
        changed(before)
    }
}

pub unsafe fn capset(header: *mut c_void, sets: *const c_void) -> Answer<c_int> {
    let own = super::tid::own_header(header);
    changed(match own {
        Some(mut own) => real::capset(own.as_mut_ptr() as *mut c_void, sets),
        None => real::capset(header, sets),
    })
}

/// All ones only ask.
pub unsafe fn personality(persona: c_ulong) -> Answer<c_int> {
    const ASK: c_ulong = 0xffff_ffff;
    if persona == ASK {
        Err(Miss::Libc)
    } else {
        changed(real::personality(persona))
    }
}

/// vfork's failure, from its assembly.
#[no_mangle]
extern "C" fn gp_fail_errno(number: c_int) -> c_int {
    glibc::set_errno(number);
    -1
}
