//! State that the kernel keeps for a task, a kernel thread by itself, and the place of that state here:
//!
//! ```text
//!     GS base                                         goes with the thread                       kernel_state
//!     no new privileges, timer slack, keep capabilities,
//!     I/O priority, the signal at the parent's end    kept for the thread, true in its children  settings
//!     tracing                                         asked of the kernel thread that traces     errand
//!     a ring that one task submits to, registered rings, a thread keyring, to be traced
//!                                                     the thread is bound to its kernel thread   alone::bind
//!     ids of one thread, capabilities, securebits, persona, other keyrings, namespaces, filters, memory policy, I/O ports,
//!     what the processor is to trap, the group that may share a core
//!                                                     it is alone with its kernel thread         alone::stay
//! ```
//!
//! A call that changes nothing (it only asks, or sets the present value) binds nothing: the state is looked at before and after. Calls
//! about the whole process by the kernel's rules (dumpable, subreaper, MDWE, no huge pages, memory merging, …) are not here.

use crate::glibc;
use crate::hooks::answer::{answer, errno, Answer, Arguments, Miss};
use crate::hooks::inside::entries;
use crate::hooks::io::kernel;
use crate::hooks::named::{by_tid, is_me};
use crate::hooks::real;
use crate::hooks::thread::tid;
use crate::runtime::kernel::{alone, errand};
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::{death_signal, kernel_state, roll};
use crate::runtime::{self, current};
use crate::sys::{self, task};
use libc::*;

/// Returns the running green thread, if its kernel thread may serve others, too: it is not bound. `None` on a foreign thread.
pub fn shared() -> Option<&'static Green> {
    current().filter(|me| !me.thread.bound.get())
}

// prctl's options and their values (source: linux/prctl.h).
const PR_GET_SPECULATION_CTRL: c_int = 52;
const PR_SET_SPECULATION_CTRL: c_int = 53;
const PR_SET_IO_FLUSHER: c_int = 57;
const PR_GET_IO_FLUSHER: c_int = 58;
const PR_SET_SYSCALL_USER_DISPATCH: c_int = sys::thread::PR_SET_SYSCALL_USER_DISPATCH as c_int;
const PR_SCHED_CORE: c_int = 62;
const PR_SCHED_CORE_CREATE: usize = 1;
const PR_SCHED_CORE_SHARE_FROM: usize = 3;
const PR_CAP_AMBIENT_IS_SET: usize = 1;

/// `prctl`, by the table at the top; all other options are the kernel's. Called by `fork::prctl`, for green threads. Returns the
/// kernel's or libc's result, and errors as errno. Options that are kept check their arguments as kernel/sys.c does (EINVAL), or have
/// the kernel check them on the kernel thread at hand, and put that back.
pub unsafe fn prctl(option: c_int, a: usize, b: usize, c: usize, d: usize) -> Answer<c_int> {
    let me = current().ok_or(Miss::Libc)?;
    let own = &me.thread.settings;
    let nothing_else = b | c | d == 0;
    match option {
        // Without the entry of execve a posix_spawn inside libc would execute without the thread's settings.
        PR_SET_NO_NEW_PRIVS if !entries::lead_to_execve() => alone_after(me, || real::prctl(option, a, b, c, d)),
        PR_SET_NO_NEW_PRIVS if a != 1 || !nothing_else => errno(EINVAL),
        PR_SET_NO_NEW_PRIVS => {
            own.set_no_new_privileges();
            kept(me, || real::prctl(option, a, b, c, d))
        }
        PR_GET_NO_NEW_PRIVS if own.has_no_new_privileges() && a == 0 && nothing_else => Ok(1),
        PR_SET_TIMERSLACK => {
            own.set_slack_ns(a as u64);
            kept(me, || real::prctl(option, a, b, c, d))
        }
        PR_GET_TIMERSLACK => own.own_slack_ns().map(|slack_ns| slack_ns as c_int).ok_or(Miss::Libc),
        PR_SET_KEEPCAPS if shared().is_some() => {
            let before = task::option(PR_GET_KEEPCAPS, 0);
            answer::<c_int>(task::option(PR_SET_KEEPCAPS, a))?;
            task::option(PR_SET_KEEPCAPS, before as usize);
            own.set_keeps_capabilities(a != 0);
            Ok(0)
        }
        PR_GET_KEEPCAPS if !me.thread.bound.get() => own.own_keeps_capabilities().map(c_int::from).ok_or(Miss::Libc),
        PR_SET_PDEATHSIG => {
            let result = answer(task::option(option, a))?;
            death_signal::set_death_signal(me, a as c_int);
            Ok(result)
        }
        PR_GET_PDEATHSIG => {
            let result = answer(task::option(option, a))?;
            *(a as *mut c_int) = own.death_signal();
            Ok(result)
        }
        PR_SET_SECCOMP => {
            let filtered = || real::prctl(option, a, b, c, d);
            privileged(me, || differs(filtered()))
        }
        PR_CAP_AMBIENT if a == PR_CAP_AMBIENT_IS_SET => Err(Miss::Libc),
        PR_SCHED_CORE if !matches!(a, PR_SCHED_CORE_CREATE | PR_SCHED_CORE_SHARE_FROM) => Err(Miss::Libc),
        PR_SET_TSC | PR_SET_SECUREBITS | PR_MCE_KILL | PR_CAPBSET_DROP | PR_CAP_AMBIENT | PR_SCHED_CORE => {
            alone_if_changed(|| of_option(option, a, b), || real::prctl(option, a, b, c, d) as c_long)
                .map(|r| r as c_int)
        }
        PR_SET_SPECULATION_CTRL | PR_SET_IO_FLUSHER | PR_SET_SYSCALL_USER_DISPATCH => {
            alone_if_changed(|| of_option(option, a, b), || real::prctl(option, a, b, c, d) as c_long)
                .map(|r| r as c_int)
        }
        _ => Err(Miss::Libc),
    }
}

/// Returns what the option is about to change, as far as it can be asked: `alone_if_changed` compares it before and after. `None`: it
/// cannot be asked, and each success counts as a change.
fn of_option(option: c_int, a: usize, b: usize) -> Option<[isize; 2]> {
    let ask = |option, value| Some([task::option(option, value), 0]);
    match option {
        PR_SET_SECUREBITS => ask(PR_GET_SECUREBITS, 0),
        PR_MCE_KILL => ask(PR_MCE_KILL_GET, 0),
        PR_CAPBSET_DROP => ask(PR_CAPBSET_READ, a),
        PR_SET_SPECULATION_CTRL => ask(PR_GET_SPECULATION_CTRL, a),
        PR_SET_IO_FLUSHER => ask(PR_GET_IO_FLUSHER, 0),
        PR_CAP_AMBIENT => Some([task::ambient_capabilities() as isize, 0]),
        PR_SET_TSC => Some([task::time_stamps() as isize, b as isize]),
        _ => None,
    }
}

/// Sets what has been kept on the kernel thread as well, by `set`, if the caller has that for itself. Else returns 0, and the setting
/// becomes true where it matters: in the caller's children and programs (`Settings::apply`).
fn kept(me: &Green, set: impl FnOnce() -> c_int) -> Answer<c_int> {
    if me.thread.bound.get() {
        return Ok(set());
    }
    Ok(0)
}

/// Makes the caller alone with this kernel thread, which a call has changed unless it failed (-1). Returns that call's result.
fn differs(result: c_int) -> Answer<c_int> {
    if result != -1 {
        alone::stay();
    }
    Ok(result)
}

/// Makes a call that changes this kernel thread, and the caller alone with it unless the call fails. Returns libc's result.
fn alone_after(me: &Green, call: impl FnOnce() -> c_int) -> Answer<c_int> {
    if me.thread.alone.get() {
        return Ok(call());
    }
    differs(call())
}

/// Makes a call that may change this kernel thread. `state`, asked before and after, tells whether it has. If it has, or nothing can
/// be asked, the caller is alone with this kernel thread from then on. Returns libc's result, -1 and errno included. Called by green
/// threads, whose kernel thread does not change meanwhile: neither `state` nor `call` parks.
fn alone_if_changed<S: PartialEq>(state: impl Fn() -> Option<S>, call: impl FnOnce() -> c_long) -> Answer<c_long> {
    let me = current().ok_or(Miss::Libc)?;
    if me.thread.alone.get() {
        return Ok(call());
    }
    if me.thread.settings.differ() {
        // The thread's settings would be given to the kernel thread afterwards, over what the call has changed.
        alone::stay();
        return Ok(call());
    }
    let before = state();
    let result = call();
    if result != -1 && (before.is_none() || before != state()) {
        alone::stay();
    }
    Ok(result)
}

/// Makes a call that an unprivileged thread may make only under "no new privileges" (seccomp(2)). That is kept for the green thread,
/// and the kernel looks at its own thread: so a caller that has it is alone first, which gives it to the kernel thread.
fn privileged<T>(me: &Green, call: impl FnOnce() -> Answer<T>) -> Answer<T> {
    if me.thread.settings.has_no_new_privileges() {
        alone::stay();
    }
    call()
}

/// The system call seccomp, for a green thread. Operations that only ask are libc's. Returns libc's result.
///
/// - A filter for this thread makes the thread alone with its kernel thread.
/// - A filter for all threads (SECCOMP_FILTER_FLAG_TSYNC) is every kernel thread's, and nothing becomes alone. "No new privileges",
///   which it may need, goes to all kernel threads with it (kernel/seccomp.c, seccomp_sync_threads), and so to all green threads.
///   Where the filter was refused only the caller's kernel thread has it, and the caller is alone.
unsafe fn seccomp(operation: usize, flags: usize, filter: usize) -> Answer<c_long> {
    let me = current().ok_or(Miss::Libc)?;
    let call = || real::syscall(libc::SYS_seccomp, operation, flags, filter, 0, 0, 0);
    if operation as c_uint > SECCOMP_SET_MODE_FILTER {
        return Err(Miss::Libc);
    }
    if operation as c_uint != SECCOMP_SET_MODE_FILTER || flags & SECCOMP_FILTER_FLAG_TSYNC as usize == 0 {
        return privileged(me, || differs(call() as c_int).map(c_long::from));
    }
    // All kernel threads get the filter, and "no new privileges" with it; so do all green threads.
    let had = task::option(PR_GET_NO_NEW_PRIVS, 0) == 1;
    if me.thread.settings.has_no_new_privileges() && !had {
        task::option(PR_SET_NO_NEW_PRIVS, 1);
    }
    let result = call();
    let everybody = result == 0 || result > 0 && flags & SECCOMP_FILTER_FLAG_NEW_LISTENER as usize != 0;
    if me.thread.settings.has_no_new_privileges() {
        if everybody {
            roll::search(|green| {
                green.thread.settings.set_no_new_privileges();
                false
            });
        } else if !had {
            alone::stay();
        }
    }
    Ok(result)
}

/// Returns the green thread whose I/O priority is meant; 0 is the caller. `Err(Miss::Libc)` for a group's or a user's, and for a tid
/// of no green thread.
fn with_priority(which: usize, who: usize) -> Answer<&'static Green> {
    if which != task::IOPRIO_WHO_PROCESS {
        return Err(Miss::Libc);
    }
    by_tid(who as pid_t)
}

/// The system call ioprio_set: kept for the thread, and applied where it has its kernel thread for itself. Returns 0; EINVAL and
/// EPERM as by the kernel (block/ioprio.c), ESRCH by the kernel for an unknown tid. Groups and users are the kernel's. Called by any
/// thread.
pub unsafe fn ioprio_set(which: usize, who: usize, priority: usize) -> Answer<c_long> {
    let green = with_priority(which, who)?;
    task::check_io_priority(priority).map_err(Miss::Errno)?;
    green.thread.settings.set_io_priority(priority as c_int);
    if alone::is_bound() && is_me(green) {
        task::set_io_priority(priority as c_int);
    }
    Ok(0)
}

/// The system call ioprio_get: what is kept, or else what the kernel thread at hand has. Errors and other targets as for
/// `ioprio_set`.
pub fn ioprio_get(which: usize, who: usize) -> Answer<c_long> {
    let green = with_priority(which, who)?;
    match green.thread.settings.own_io_priority() {
        Some(priority) => Ok(priority as c_long),
        None => answer(task::io_priority()),
    }
}

// keyctl's operations (source: linux/keyctl.h).
const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
const KEYCTL_SET_REQKEY_KEYRING: usize = 14;
const KEYCTL_ASSUME_AUTHORITY: usize = 16;

/// The system calls keyctl, add_key and request_key. A thread's, a process's and a session's keyring belong to a kernel thread's
/// credentials (keyrings(7)), and the kernel makes the first two when they are first used:
///
/// - a call that has changed the thread's keyring only binds the caller;
/// - a call that has changed another one, or has assumed an authority, leaves the caller alone with its kernel thread;
/// - a call that names no special keyring (numbers -8 to -1), and sets nothing, is libc's.
///
/// Before the start the only thread's keyring is noted, too (`alone::bind`). Returns libc's result.
unsafe fn keys(number: c_long, arguments: [usize; 6]) -> Answer<c_long> {
    let [a, b, c, d, e, f] = arguments;
    let operation = if number == libc::SYS_keyctl { a } else { usize::MAX };
    let special = arguments.iter().any(|&key| (-8..0).contains(&(key as c_int)));
    let changes = special
        || matches!(operation, KEYCTL_JOIN_SESSION_KEYRING | KEYCTL_SET_REQKEY_KEYRING | KEYCTL_ASSUME_AUTHORITY);
    let call = || real::syscall(number, a, b, c, d, e, f);
    if !changes {
        return Err(Miss::Libc);
    }
    let before = task::keyrings();
    let result = call();
    if result == -1 {
        return Ok(result);
    }
    let after = task::keyrings();
    if before[1..] != after[1..] || operation == KEYCTL_ASSUME_AUTHORITY {
        alone::stay();
    } else if before != after {
        alone::bind();
    }
    Ok(result)
}

// io_uring (source: linux/io_uring.h).
const IORING_SETUP_R_DISABLED: u32 = 1 << 6;
const IORING_SETUP_SINGLE_ISSUER: u32 = 1 << 12;
const IORING_REGISTER_ENABLE_RINGS: usize = 12;
const IORING_REGISTER_RING_FDS: usize = 20;

/// The place of the flags in `struct io_uring_params`, counted in words of 4 bytes.
const FLAGS: usize = 2;

/// Notes that a ring has been made with these flags. A ring for a single issuer binds the caller, unless it begins disabled: then the
/// thread that enables it is bound (io_uring_setup(2)). Called by the hook of the system call, and by `ring` for liburing's
/// functions, after the ring was made.
pub fn ring_made(flags: u32) {
    runtime::kernel::worker::note_rings();
    if flags & IORING_SETUP_SINGLE_ISSUER != 0 && flags & IORING_SETUP_R_DISABLED == 0 {
        alone::bind();
    }
}

/// Notes that a ring is known to this kernel thread by a number (io_uring_register(2), IORING_REGISTER_RING_FDS), or takes
/// submissions from it alone from now on: binds the caller. Called after the call, as `ring_made`.
pub fn ring_registered() {
    alone::bind();
}

/// The system call io_uring_setup: libc's own result. A ring that takes submissions of one task only binds the caller to its kernel
/// thread.
unsafe fn io_uring_setup(entries: usize, parameters: usize) -> Answer<c_long> {
    let made = real::syscall(libc::SYS_io_uring_setup, entries, parameters, 0, 0, 0, 0);
    if made >= 0 {
        ring_made(*(parameters as *const u32).add(FLAGS));
    }
    Ok(made)
}

/// The system call io_uring_register: libc's own result. Binds the caller if it has registered a ring's number, or has enabled a
/// ring.
unsafe fn io_uring_register(arguments: [usize; 6]) -> Answer<c_long> {
    let [ring, operation, argument, count, ..] = arguments;
    let result = real::syscall(libc::SYS_io_uring_register, ring, operation, argument, count, 0, 0);
    if result != -1 && matches!(operation, IORING_REGISTER_ENABLE_RINGS | IORING_REGISTER_RING_FDS) {
        ring_registered();
    }
    Ok(result)
}

/// The system call io_uring_enter, which waits in the kernel, with the slot offered. A submission binds the kernel thread to the
/// ring's work until that is done (`Bond`): the kernel cancels what a kernel thread has submitted when that ends. Errors are the
/// kernel's; EINTR after any handler, for the kernel never restarts this call by itself.
unsafe fn io_uring_enter([ring, submitted, least, flags, mask, bytes]: Arguments) -> Answer<c_long> {
    runtime::kernel::worker::note_rings();
    if submitted > 0 && !alone::is_bound() {
        current().inspect(|me| me.worker().bond.note_submission());
    }
    // The kernel never restarts this call by itself.
    kernel::uncancelled(|| sys::call(SYS_io_uring_enter, ring, submitted, least, flags, mask, bytes))
}

// arch_prctl's codes (source: the kernel's asm/prctl.h).
const ARCH_SET_GS: c_int = 0x1001;
const ARCH_GET_CPUID: c_int = 0x1011;
const ARCH_SET_CPUID: c_int = 0x1012;
const ARCH_SHSTK_ENABLE: c_int = 0x5001;
const ARCH_SHSTK_LOCK: c_int = 0x5003;

/// `arch_prctl`: the kernel's own, with its errors. Once a base of GS is set a switch takes each thread's along; a thread whose CPUID
/// traps, or that uses shadow stacks, is alone from then on (arch_prctl(2)).
pub unsafe fn arch_prctl(code: c_int, address: usize) -> Answer<c_int> {
    let call = || sys::call(libc::SYS_arch_prctl, code as usize, address, 0, 0, 0, 0);
    let traps = || sys::call(libc::SYS_arch_prctl, ARCH_GET_CPUID as usize, 0, 0, 0, 0, 0);
    let before = if code == ARCH_SET_CPUID { traps() } else { 0 };
    let result = answer(call())?;
    match code {
        ARCH_SET_GS => kernel_state::begin_segments(),
        ARCH_SET_CPUID if traps() != before => alone::stay(),
        ARCH_SHSTK_ENABLE..=ARCH_SHSTK_LOCK => alone::stay(),
        _ => {}
    }
    Ok(result)
}

/// `iopl`: libc's own, with its errors. A thread that is given the right to all I/O ports is alone from then on: a thread begins
/// without it (iopl(2)). For level 0 the thread stays as it is.
pub unsafe fn iopl(level: c_int) -> Answer<c_int> {
    let result = real::iopl(level);
    if level != 0 {
        return differs(result);
    }
    Ok(result)
}

/// `ioperm`: libc's own; a thread that is given ports is alone from then on.
pub unsafe fn ioperm(from: c_ulong, count: c_ulong, allow: c_int) -> Answer<c_int> {
    let result = real::ioperm(from, count, allow);
    if allow != 0 {
        return differs(result);
    }
    Ok(result)
}

/// `unshare`: libc's own, with its errors. A thread that leaves anything (namespaces, folder, files, …) is alone from then on:
/// threads that it makes are to share what it has then.
pub unsafe fn unshare(flags: c_int) -> Answer<c_int> {
    let result = real::unshare(flags);
    if flags != 0 {
        return differs(result);
    }
    Ok(result)
}

/// `setns`: libc's own, with its errors; the thread is alone from then on, unless it failed.
pub unsafe fn setns(fd: c_int, kind: c_int) -> Answer<c_int> {
    differs(real::setns(fd, kind))
}

/// `setfsuid`: libc's own; the thread is alone from then on if that has changed its id. Returns the id before, also for an id that is
/// refused (setfsuid(2)).
pub unsafe fn setfsuid(id: uid_t) -> Answer<c_int> {
    alone_if_changed(|| Some(task::marks()), || real::setfsuid(id) as c_long).map(|before| before as c_int)
}

/// `setfsgid`: as `setfsuid`.
pub unsafe fn setfsgid(id: gid_t) -> Answer<c_int> {
    alone_if_changed(|| Some(task::marks()), || real::setfsgid(id) as c_long).map(|before| before as c_int)
}

/// `capset`: libc's own, for the caller only; it is alone from then on if that has changed anything.
pub unsafe fn capset(header: *mut c_void, sets: *const c_void) -> Answer<c_int> {
    let own = tid::own_header(header);
    let set = || match own {
        Some(mut own) => real::capset(own.as_mut_ptr() as *mut c_void, sets),
        None => real::capset(header, sets),
    };
    alone_if_changed(|| Some(task::marks()), || set() as c_long).map(|result| result as c_int)
}

/// `personality`: libc's own; the thread is alone from then on if that has changed its persona. 0xffffffff only asks
/// (personality(2)). Returns the persona before.
pub unsafe fn personality(persona: c_ulong) -> Answer<c_int> {
    const ASK: c_ulong = 0xffff_ffff;
    if persona == ASK {
        return Err(Miss::Libc);
    }
    alone_if_changed(|| Some(task::marks()), || real::personality(persona) as c_long).map(|before| before as c_int)
}

/// `ptrace`: by `traced`, with the kernel's errors (ESRCH, EPERM, EIO). The PEEK requests return the word, with errno 0; the system
/// call writes it to where `data` says, and glibc's function has no such place (ptrace(2), "C library/kernel differences").
pub unsafe fn ptrace(request: c_uint, pid: pid_t, address: usize, data: usize) -> Answer<c_long> {
    let mut word: c_long = 0;
    let peeks = matches!(request, PTRACE_PEEKTEXT | PTRACE_PEEKDATA | PTRACE_PEEKUSER);
    let to = if peeks { &mut word as *mut c_long as usize } else { data };
    let result = traced([request as usize, pid as usize, address, to])?;
    if peeks {
        glibc::set_errno(0);
        return Ok(word);
    }
    Ok(result)
}

/// Makes the system call ptrace. The kernel serves only the kernel thread that traces: it has attached, or has forked a child that asked
/// for it.
///
/// 1. The call is made on the kernel thread at hand. Anything but ESRCH is the answer.
/// 2. After ESRCH the child's tracer is looked up. If it is a kernel thread of this process's it is asked to make the call
///    (`errand`), and its result is the answer. It does not end while it has children, traced ones among them.
///
/// PTRACE_ATTACH and PTRACE_SEIZE make a tracer, so they are not passed on. PTRACE_TRACEME binds the caller, which is traced by its
/// kernel thread from then on.
unsafe fn traced(arguments: [usize; 4]) -> Answer<c_long> {
    let [request, pid, address, data] = arguments;
    let result = sys::call(libc::SYS_ptrace, request, pid, address, data, 0, 0);
    if request as c_uint == PTRACE_TRACEME && result == 0 {
        alone::bind();
    }
    if result != -(ESRCH as isize) || matches!(request as c_uint, PTRACE_TRACEME | PTRACE_ATTACH | PTRACE_SEIZE) {
        return answer(result);
    }
    let tracer = task::tracer_of(pid as pid_t).filter(|&tid| tid != sys::kernel_thread_id());
    answer(tracer.and_then(|tid| errand::run(tid, libc::SYS_ptrace, arguments)).unwrap_or(result))
}

/// `number => |arguments| answer;`, and before them in `changing` the numbers of calls that change this kernel thread if they change
/// anything.
macro_rules! numbers {
    (changing { $($changing:ident)* } $($number:ident => $answer:expr;)*) => {
        /// The numbers that `by_number` has a row for.
        pub const NUMBERS: &[c_long] = &[$($number,)* $($changing,)*];

        /// Answers a call by the function `syscall`, or by an instruction, that has no function of libc's, or differs from that function.
        /// `None`: it is in no row. Called by green threads, and before the start for `binds_early`.
        #[allow(non_upper_case_globals)]
        pub unsafe fn by_number(number: c_long, arguments: Arguments) -> Option<Answer<c_long>> {
            let way: unsafe fn(Arguments) -> Answer<c_long> = match number {
                $($number => $answer,)*
                $($changing => |[a, b, c, d, e, f]| {
                    alone_if_changed(|| Some(task::marks()), || real::syscall($changing, a, b, c, d, e, f))
                },)*
                _ => return None,
            };
            Some(way(arguments))
        }
    };
}

/// The number of lsm_set_self_attr (linux/lsm.h), which the libc crate does not have.
const SET_SELF_ATTRIBUTE: c_long = 460;

numbers! {
    // Ids and capabilities of one thread, and where its memory is to lie.
    changing {
        SYS_setuid SYS_setgid SYS_setreuid SYS_setregid SYS_setresuid SYS_setresgid SYS_setgroups SYS_set_mempolicy SET_SELF_ATTRIBUTE
    }
    SYS_seccomp => |[operation, flags, filter, ..]| seccomp(operation, flags, filter);
    SYS_ptrace => |[request, pid, address, data, ..]| traced([request, pid, address, data]);
    SYS_landlock_restrict_self => |[a, b, c, d, e, f]| {
        let me = current().ok_or(Miss::Libc)?;
        let restrict = || real::syscall(SYS_landlock_restrict_self, a, b, c, d, e, f) as c_int;
        privileged(me, || differs(restrict()).map(c_long::from))
    };
    SYS_arch_prctl => |[code, address, ..]| arch_prctl(code as c_int, address).map(c_long::from);
    SYS_iopl => |[level, ..]| iopl(level as c_int).map(c_long::from);
    SYS_ioperm => |[from, count, allow, ..]| ioperm(from as c_ulong, count as c_ulong, allow as c_int).map(c_long::from);
    SYS_keyctl => |arguments| keys(SYS_keyctl, arguments);
    SYS_add_key => |arguments| keys(SYS_add_key, arguments);
    SYS_request_key => |arguments| keys(SYS_request_key, arguments);
    SYS_io_uring_setup => |[entries, parameters, ..]| io_uring_setup(entries, parameters);
    SYS_io_uring_register => |arguments| io_uring_register(arguments);
    SYS_io_uring_enter => |arguments| io_uring_enter(arguments);
    SYS_capset => |[header, sets, ..]| capset(header as *mut c_void, sets as *const c_void).map(c_long::from);
}

/// Is `number` one of those that bind the only thread of a program that still runs natively? `by_number` is asked for those before the
/// start, too.
pub fn binds_early(number: c_long) -> bool {
    matches!(
        number,
        libc::SYS_keyctl
            | libc::SYS_add_key
            | libc::SYS_request_key
            | libc::SYS_io_uring_setup
            | libc::SYS_io_uring_register
            | libc::SYS_io_uring_enter
    )
}
