//! Signals sent to threads and to the process. The runtime does for green threads what the kernel does for its own.
//!
//! None of these calls waits, and none is a cancellation point. A handler that runs in the caller before the call returns does so
//! inside the call, as natively on the way out of the kernel.

use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::named::{self, is_me, me, process_of};
use crate::hooks::signal::action::is_fixed;
use crate::hooks::{memory, real};
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::words::life;
use crate::runtime::machine::{disposition, roll, siginfo};
use crate::runtime::signal::{delivery, sweep, takers};
use crate::runtime::{self, current};
use crate::sys;
use libc::*;
use std::sync::atomic::Ordering::Relaxed;

/// Sends a signal to a green thread. ESRCH when the thread has gone. Signal 0 sends nothing: only ESRCH or 0 comes of it. A thread that
/// has finished, but is not joined, gets nothing, and the caller 0. SIGKILL and SIGSTOP go by the kernel to the whole process. A default
/// action that ends or stops the process happens before this returns. A signal with a handler is queued (`delivery::post`); if the target
/// is the caller, the handler runs before this returns.
fn send(green: &'static Green, info: siginfo_t) -> Answer<c_int> {
    if green.life.load(Relaxed) & life::GONE != 0 {
        return errno(ESRCH);
    }
    if info.si_signo == SIGKILL || info.si_signo == SIGSTOP {
        sys::signal_thread(sys::kernel_thread_id(), info.si_signo).map_err(Miss::Errno)?;
    } else if info.si_signo != 0 && green.life.load(Relaxed) & life::FINISHED == 0 {
        if takers::takes_default(green, info.si_signo) {
            // A default action that ends or stops the process happens before this returns, whichever thread the signal was sent to.
            delivery::act_at_once(info.si_signo);
        } else {
            delivery::post(green, &info);
        }
    }
    Ok(0)
}

/// Checks a signal's number: EINVAL below 0, above 64, and for 32 and 33, which glibc keeps to itself (internal-signals.h) and
/// refuses in pthread_kill and raise.
pub fn sendable(number: c_int) -> Answer<()> {
    if (0..=64).contains(&number) && number != 32 && number != 33 {
        Ok(())
    } else {
        errno(EINVAL)
    }
}

/// `pthread_kill`: queues for a green thread; for a foreign thread libc answers. Returns the error number: EINVAL for a number that
/// `sendable` refuses. A thread that has ended and is not joined gets 0, as since glibc 2.34 (nptl/pthread_kill.c). No cancellation
/// point.
pub unsafe fn pthread_kill(thread: pthread_t, number: c_int) -> Answer<c_int> {
    let green = named::by_pthread(thread)?;
    // For a thread that has ended glibc does not ask the kernel, which would say EINVAL.
    if !green.has_ended() || matches!(number, 32 | 33) {
        sendable(number)?;
    }
    send(green, siginfo::by_thread(number))
}

/// `pthread_sigqueue`: as `pthread_kill`, with `value` and SI_QUEUE for the handler. ESRCH for a thread that has ended comes before
/// EINVAL for the number.
pub unsafe fn pthread_sigqueue(thread: pthread_t, number: c_int, value: usize) -> Answer<c_int> {
    let green = named::by_pthread(thread)?;
    if green.has_ended() {
        return errno(ESRCH);
    }
    sendable(number)?;
    send(green, siginfo::information(number, SI_QUEUE, value))
}

/// `tgkill`, and by number tkill: to a green thread by its tid. A tid of no green thread, and another process's pid, are the
/// kernel's to answer. EINVAL for a number above 64; 32 and 33 are sent, for the kernel knows nothing of glibc's two.
pub unsafe fn tgkill(pid: pid_t, tid: pid_t, number: c_int) -> Answer<c_int> {
    if !runtime::started() || pid != sys::process_id() {
        return Err(Miss::Libc);
    }
    let green = roll::find(tid).ok_or(Miss::Libc)?;
    if !(0..=64).contains(&number) {
        return errno(libc::EINVAL);
    }
    send(green, siginfo::by_thread(number))
}

/// Reads the siginfo_t that the program points to, with `number` in its si_signo, as the kernel does (kernel/signal.c,
/// __copy_siginfo_from_user). EFAULT where it cannot be read: before every other error, for the kernel copies first.
unsafe fn read_information(info: usize, number: c_int) -> Answer<siginfo_t> {
    let mut info = memory::read(info as *const siginfo_t)?;
    info.si_signo = number;
    Ok(info)
}

/// Checks the si_code of a caller's siginfo_t: EPERM for one of 0 or more (the kernel's own) and for SI_TKILL, unless the target is
/// the caller itself (kernel/signal.c, do_rt_sigqueueinfo).
fn may_pretend(info: &siginfo_t, to_itself: bool) -> Answer<()> {
    const SI_TKILL: c_int = -6;
    if (info.si_code >= 0 || info.si_code == SI_TKILL) && !to_itself {
        return errno(EPERM);
    }
    Ok(())
}

/// The system call rt_tgsigqueueinfo: as `tgkill`, with a siginfo_t of the caller's. The order for a green thread's tid: EFAULT,
/// EPERM, EINVAL, then `send`'s ESRCH.
pub unsafe fn rt_tgsigqueueinfo(pid: pid_t, tid: pid_t, number: c_int, info: usize) -> Answer<c_long> {
    if pid != sys::process_id() {
        return Err(Miss::Libc);
    }
    let green = roll::find(tid).ok_or(Miss::Libc)?;
    let info = read_information(info, number)?;
    may_pretend(&info, is_me(green))?;
    if !(0..=64).contains(&number) {
        return errno(EINVAL);
    }
    send(green, info).map(c_long::from)
}

/// The system call rt_sigqueueinfo: to the whole process, whichever of its threads is named by `pid`. EFAULT, then EPERM. A
/// siginfo_t that claims to be the kernel's is taken only where `pid` is the caller's own tid, as in the kernel, which compares it
/// with the calling task's.
/// A signal that `to_process` does not take goes by the kernel.
pub unsafe fn rt_sigqueueinfo(pid: pid_t, number: c_int, info: usize) -> Answer<c_long> {
    let process = process_of(pid);
    if process != sys::process_id() {
        return Err(Miss::Libc);
    }
    let told = read_information(info, number)?;
    may_pretend(&told, current().is_some_and(|me| me.tid() == pid))?;
    match to_process(process, number, || told) {
        Ok(_) => Ok(0),
        Err(_) => answer(sys::call(SYS_rt_sigqueueinfo, process as usize, number as usize, info, 0, 0, 0)),
    }
}

/// `raise`: sends to the caller. A handler runs before this returns, unless the signal is blocked. EINVAL by `sendable`. Before the
/// start, and on a foreign thread, libc answers.
pub unsafe fn raise(number: c_int) -> Answer<c_int> {
    sendable(number)?;
    send(me()?, siginfo::by_thread(number))
}

/// `kill`: a signal with a handler, to the own process, goes into a green thread's queue. If that thread is the caller, the handler
/// runs before this returns, as POSIX demands where no other thread has the signal open.
/// All other signals and targets go by libc, with a green thread's tid replaced by its process's, as the kernel takes any thread's
/// tid for its process. No cancellation point.
pub unsafe fn kill(pid: pid_t, number: c_int) -> Answer<c_int> {
    let process = process_of(pid);
    match to_process(process, number, || siginfo::information(number, SI_USER, 0)) {
        Err(Miss::Libc) if process != pid => Ok(real::kill(process, number)),
        answer => answer,
    }
}

/// `sigqueue`: as `kill`, with `value` and SI_QUEUE for the handler. `pid` is one process: groups are no targets of it.
pub unsafe fn sigqueue(pid: pid_t, number: c_int, value: usize) -> Answer<c_int> {
    let process = process_of(pid);
    match to_process(process, number, || siginfo::information(number, SI_QUEUE, value)) {
        Err(Miss::Libc) if process != pid => Ok(real::sigqueue(process, number, value)),
        answer => answer,
    }
}

/// Queues a signal with a handler to this process, for a thread that has it open (`sweep::post_to_process`). `Err(Miss::Libc)`, and
/// nothing is queued: another process is meant, the signal has no handler or a fixed disposition, the caller is no green thread, or
/// the runtime has declined it.
fn to_process(pid: pid_t, number: c_int, info: impl FnOnce() -> siginfo_t) -> Answer<c_int> {
    if pid != sys::process_id()
        || current().is_none()
        || is_fixed(number)
        || !disposition::of(number).is_handler()
        || !sweep::post_to_process(&info())
    {
        return Err(Miss::Libc);
    }
    Ok(0)
}
