//! Children: a thread that waits for a child parks until the child has ended, and then asks once more.
//!
//! A process has a descriptor that is readable once the process has ended, and that tells no more. So
//! - *A wait for the end of one child* parks on that descriptor. If another thread's wait was faster the answer is ECHILD, as natively.
//! - *A wait for any of several children, or for stops and continues*, stays in the kernel, with the slot offered. Of a context of a lent
//!   loop it is another thread's, and the context is left.
//! - *A child that is traced* stops, and its stops are told to a waiter that did not ask for them. So a parked waiter asks again now and
//!   then, after growing intervals: a stop that comes after the time T of waiting is found before 2 T.
//!
//! Signals: EINTR unless every handler that ran restarts.

use crate::base::own_fds;
use crate::hooks::answer::{answer, errno, Answer};
use crate::hooks::io::descriptor::poll_now;
use crate::hooks::io::kernel::long;
use crate::runtime::births::offload;
use crate::runtime::machine::parts::Green;
use crate::runtime::news::record::{self, FdWait, IN};
use crate::runtime::signal::frames;
use crate::runtime::waiting::readiness;
use crate::runtime::{self, current, Woken};
use crate::sys::{self, older};
use crate::why::Why;
use libc::*;

/// The child that is waited for, as far as a descriptor can stand for it (a pidfd: pidfd_open(2)).
#[derive(Clone, Copy)]
pub enum Child {
    /// One child by its pid.
    Pid(pid_t),
    /// A descriptor of the program's, made by pidfd_open.
    Fd(c_int),
    /// No descriptor can: several children, or their stops.
    Other,
}

impl Child {
    /// Returns the child of a wait4. A group, any child, and a child's stops have no descriptor.
    fn by_pid(pid: pid_t, options: c_int) -> Child {
        if pid > 0 && options & (WUNTRACED | WCONTINUED) == 0 {
            Child::Pid(pid)
        } else {
            Child::Other
        }
    }

    /// Returns the child of a waitid, as `by_pid`: only a wait for ends alone (WEXITED) has a descriptor.
    fn by_id(kind: idtype_t, id: id_t, options: c_int) -> Child {
        match kind {
            _ if options & (WEXITED | WSTOPPED | WCONTINUED) != WEXITED => Child::Other,
            P_PID => Child::Pid(id as pid_t),
            // waitid does not wait on a descriptor with O_NONBLOCK: EAGAIN, by the kernel.
            P_PIDFD if older::status_flags(id as c_int) & O_NONBLOCK as isize == 0 => Child::Fd(id as c_int),
            _ => Child::Other,
        }
    }

    /// Returns a descriptor of the library's own that becomes readable when the child ends. `None`: no descriptor can stand for the
    /// child, or no room is left for one; then the kernel waits. The caller closes it.
    fn descriptor(self) -> Option<c_int> {
        let fd = match self {
            Child::Pid(pid) => sys::process_fd(pid).ok()?,
            Child::Fd(fd) => {
                let own = sys::duplicate_high(fd, own_fds::own_lowest()).ok()?;
                own_fds::insert(own);
                return Some(own);
            }
            Child::Other => return None,
        };
        let kept = own_fds::keep_high(fd);
        if kept.is_none() {
            sys::close(fd);
        }
        kept
    }
}

/// How a wait ended that could park.
pub enum End {
    /// The kernel's answer.
    Answer(isize),
    /// A handler has run, or a lent loop has ended the wait, and the child has not changed. `runtime::restart` says whether the wait may go
    /// on.
    Interrupted,
    /// A cancellation is due: the caller puts its things right, and acts.
    Cancelled,
    /// The wait cannot park: the kernel is to wait.
    Kernel,
}

/// Asks by `ask`, and parks until there is an answer. `ask` does not wait, and says `None` if there is nothing yet; its answer is the
/// kernel's result. Called on any thread, with no lock held; a foreign one, and one that may not leave its kernel thread, gets
/// `End::Kernel`. Also called by `command`.
pub fn park(child: Child, why: Why, ask: impl Fn() -> Option<isize>) -> End {
    if let Some(result) = ask() {
        return End::Answer(result);
    }
    let Some(me) = current().filter(|me| !frames::is_bound(me)) else { return End::Kernel };
    readiness::release_private(me);
    let Some(fd) = child.descriptor() else { return End::Kernel };
    me.wait.private_fd.set(fd);
    let end = park_on(me, fd, why, ask);
    readiness::release_private(me);
    end
}

/// Parks on the descriptor of a child's end. The descriptor is the green thread's private one meanwhile: a handler that jumps away
/// gives it back, and a handler that waits for another child closes it, which ends the loop.
///
/// 1. The descriptor's hints are noted, then poll is asked whether the child has ended, then `ask`: an end that comes between shows
///    in 2.
/// 2. Parks, until the child's end or for the interval, 1, 2, 4 ms … 1 s: a traced child's stops make no descriptor readable.
/// 3. From 1 again. A child that has ended and of which `ask` still says nothing must be reaped by its tracer first: `End::Kernel`.
fn park_on(me: &Green, fd: c_int, why: Why, ask: impl Fn() -> Option<isize>) -> End {
    const SECOND_NS: u64 = 1_000_000_000;
    let mut interval_ns = 1_000_000;
    while let Some(record) = record::record(fd).filter(|_| me.wait.private_fd.get() == fd) {
        let known = record.look();
        let has_ended = poll_now(fd, IN) != 0;
        if let Some(result) = ask() {
            return End::Answer(result);
        }
        if has_ended {
            // The child has ended, but wait4 gives nothing: a tracer must reap it first. The kernel waits.
            break;
        }
        let woken = readiness::wait(why, FdWait::new(fd, IN), known, Some(sys::now_ns() + interval_ns)).0;
        match woken {
            Woken::Interrupted | Woken::Ended(_) => return ask().map_or(End::Interrupted, End::Answer),
            Woken::Cancelled => return End::Cancelled,
            Woken::NotNeeded => break,
            _ => interval_ns = (interval_ns * 2).min(SECOND_NS),
        }
    }
    End::Kernel
}

/// Waits for a child: as `park`, and a wait that cannot park is made in the kernel by `block`, with the slot offered. `why` is shown
/// in a dump. ECHILD, EINVAL and EFAULT are the kernel's. EINTR after a handler without SA_RESTART. A cancellation point, before the
/// first question and while parked, which takes no child.
fn wait_for<T: TryFrom<isize>>(
    child: Child,
    which: Which,
    why: Why,
    ask: impl Fn() -> Option<isize>,
    block: impl Fn() -> isize,
) -> Answer<T> {
    runtime::cancellation_point();
    loop {
        match park(child, why, &ask) {
            End::Answer(result) => return told(result),
            End::Interrupted if !runtime::restart() => return errno(EINTR),
            End::Interrupted => {}
            End::Cancelled => runtime::cancellation_point(),
            End::Kernel => {
                if let Some(result) = wait_elsewhere(which, why, &ask) {
                    return told(result);
                }
                runtime::announce(why);
                return long(block);
            }
        }
    }
}

/// Children as waitid names them: the kind of number, the number, and the options, which say what changes count.
type Which = (idtype_t, id_t, c_int);

/// Returns the children of a wait4.
fn which(pid: pid_t, options: c_int) -> Which {
    let (kind, id) = match pid {
        -1 => (P_ALL, 0),
        0 => (P_PGID, sys::process_group() as id_t),
        1.. => (P_PID, pid as id_t),
        group => (P_PGID, group.unsigned_abs()),
    };
    (kind, id, options | WEXITED)
}

/// Waits in a context of a lent loop, which is left: another thread waits until one of the children has changed, and leaves it to be waited
/// for; then `ask` is asked here. `None`: no context may be left, or the wait is about the children of this kernel thread alone.
#[cold]
fn wait_elsewhere((kind, id, options): Which, why: Why, ask: impl Fn() -> Option<isize>) -> Option<isize> {
    if options & __WNOTHREAD != 0 {
        return None;
    }
    loop {
        // SAFETY: the kernel writes nothing where there is no place for it.
        let wait =
            move || unsafe { sys::call(SYS_waitid, kind as usize, id as usize, 0, (options | WNOWAIT) as usize, 0, 0) };
        if offload::in_kernel(why, wait)? == -(EINTR as isize) {
            return Some(ask().unwrap_or(-(EINTR as isize)));
        }
        // Another thread's wait may have been faster.
        if let Some(result) = ask() {
            return Some(result);
        }
    }
}

/// Makes an answer of the kernel's. `sweep` comes before: a child that has ended has sent SIGCHLD, whose handler runs before the
/// wait returns, as natively.
fn told<T: TryFrom<isize>>(result: isize) -> Answer<T> {
    runtime::sweep();
    answer(result)
}

/// Makes wait4 with WNOHANG; returns its result, or `None` if no child has changed yet (0). Also called by `command`.
pub unsafe fn ask(pid: pid_t, status: *mut c_int, options: c_int, usage: *mut rusage) -> Option<isize> {
    Some(call(pid, status, options | WNOHANG, usage)).filter(|&result| result != 0)
}

/// Makes wait4 in the kernel as it is; returns its result: a pid, 0 with WNOHANG, or a negated error number. Also called by
/// `command`.
pub unsafe fn call(pid: pid_t, status: *mut c_int, options: c_int, usage: *mut rusage) -> isize {
    sys::call(SYS_wait4, pid as usize, status as usize, options as usize, usage as usize, 0, 0)
}

/// `wait4`: by the rules at the top. WNOHANG does not wait. ECHILD, EINVAL and EFAULT are the kernel's (kernel/exit.c). EINTR after
/// a handler without SA_RESTART. A cancellation point.
pub unsafe fn wait4(pid: pid_t, status: *mut c_int, options: c_int, usage: *mut rusage) -> Answer<pid_t> {
    if options & WNOHANG != 0 {
        runtime::cancellation_point();
        return told(call(pid, status, options, usage));
    }
    let block = || call(pid, status, options, usage);
    let why = if pid > 0 { Why::Child(pid) } else { Why::Children };
    wait_for(Child::by_pid(pid, options), which(pid, options), why, || ask(pid, status, options, usage), block)
}

/// `wait`: `wait4` for any child.
pub unsafe fn wait(status: *mut c_int) -> Answer<pid_t> {
    wait4(-1, status, 0, std::ptr::null_mut())
}

/// `wait3`: `wait4` for any child, with its usage.
pub unsafe fn wait3(status: *mut c_int, options: c_int, usage: *mut rusage) -> Answer<pid_t> {
    wait4(-1, status, options, usage)
}

/// `waitpid`: `wait4` without a usage.
pub unsafe fn waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> Answer<pid_t> {
    wait4(pid, status, options, std::ptr::null_mut())
}

/// `waitid`: as `wait4`, also by a process's descriptor (P_PIDFD), and for states other than ends. Returns 0. WNOWAIT leaves the
/// child to be waited for. A null `info` is allowed, as by the kernel (waitid(2)): then the question goes with one of the library's,
/// for only that tells whether a child has changed. EAGAIN by the kernel for a P_PIDFD with O_NONBLOCK. A cancellation point.
pub unsafe fn waitid(kind: idtype_t, id: id_t, info: *mut siginfo_t, options: c_int) -> Answer<c_int> {
    let call = |info: *mut siginfo_t, options: c_int| {
        sys::call(SYS_waitid, kind as usize, id as usize, info as usize, options as usize, 0, 0)
    };
    if options & WNOHANG != 0 {
        runtime::cancellation_point();
        return told(call(info, options));
    }
    let ask = || {
        let mut unwanted: siginfo_t = std::mem::zeroed();
        let seen = if info.is_null() { &mut unwanted } else { info };
        let result = call(seen, options | WNOHANG);
        // With WNOHANG a result of 0 and an si_signo of 0 say that no child has changed yet (waitid(2)).
        Some(result).filter(|&result| result != 0 || (*seen).si_signo != 0)
    };
    let why = if kind == P_PID { Why::Child(id as pid_t) } else { Why::Children };
    wait_for(Child::by_id(kind, id, options), (kind, id, options), why, ask, || call(info, options))
}
