//! Signals sent to threads and to the process: what the kernel would do with them, done by the runtime for green threads.

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

/// Sends a signal to a green thread. ESRCH when it has gone; SIGKILL and SIGSTOP are the process's, and what has no handler acts before
/// this returns. Signal 0 only asks.
fn send(green: &'static Green, info: siginfo_t) -> Answer<c_int> {
    if green.life.load(Relaxed) & life::GONE != 0 {
        return errno(ESRCH);
    }
    if info.si_signo == SIGKILL || info.si_signo == SIGSTOP {
        sys::signal_thread(sys::kernel_thread_id(), info.si_signo).map_err(Miss::Errno)?;
    } else if info.si_signo != 0 && green.life.load(Relaxed) & life::FINISHED == 0 {
        if takers::takes_default(green, info.si_signo) {
            // What ends or stops the process does so before this returns, whichever thread it was sent to.
            delivery::act_at_once(info.si_signo);
        } else {
            delivery::post(green, &info);
        }
    }
    Ok(0)
}

/// EINVAL for a number that is no signal's, or one of the two (32, 33) that glibc keeps to itself.
pub fn sendable(number: c_int) -> Answer<()> {
    if (0..=64).contains(&number) && number != 32 && number != 33 {
        Ok(())
    } else {
        errno(EINVAL)
    }
}

/// `pthread_kill`: to a green thread by its queue, by any caller; to a foreign thread libc's own. An ended thread that is not joined gets
/// 0, as natively.
pub unsafe fn pthread_kill(thread: pthread_t, number: c_int) -> Answer<c_int> {
    let green = named::by_pthread(thread)?;
    // For a thread that has ended glibc does not ask the kernel, whose answer EINVAL would be.
    if !green.has_ended() || matches!(number, 32 | 33) {
        sendable(number)?;
    }
    send(green, siginfo::by_thread(number))
}

/// `pthread_sigqueue`: as `pthread_kill`, with a value; ESRCH for a thread that has ended.
pub unsafe fn pthread_sigqueue(thread: pthread_t, number: c_int, value: usize) -> Answer<c_int> {
    let green = named::by_pthread(thread)?;
    if green.has_ended() {
        return errno(ESRCH);
    }
    sendable(number)?;
    send(green, siginfo::information(number, SI_QUEUE, value))
}

/// `tgkill`: by tid, in this process; EINVAL for a number that is no signal's. What names no green thread is the kernel's to answer.
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

/// The signal's description that the program points to. The kernel reads it before it looks at anything else.
unsafe fn read_information(info: usize, number: c_int) -> Answer<siginfo_t> {
    let mut info = memory::read(info as *const siginfo_t)?;
    info.si_signo = number;
    Ok(info)
}

/// EPERM where a caller's siginfo_t claims to be the kernel's, or another call's: only to itself a thread may send that.
fn may_pretend(info: &siginfo_t, to_itself: bool) -> Answer<()> {
    const SI_TKILL: c_int = -6;
    if (info.si_code >= 0 || info.si_code == SI_TKILL) && !to_itself {
        return errno(EPERM);
    }
    Ok(())
}

/// The system call of that name: as `tgkill`, with a siginfo_t of the caller's, which is read before anything else (EFAULT).
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

/// The system call of that name: to the process, whichever of its threads is named. A siginfo_t that claims to be the kernel's is taken
/// from main alone, whose tid is the process's.
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

/// `raise`: to the caller itself; a handler runs before this returns, unless the signal is blocked.
pub unsafe fn raise(number: c_int) -> Answer<c_int> {
    sendable(number)?;
    send(me()?, siginfo::by_thread(number))
}

/// `kill`: a signal to the own process that has a handler goes to a green thread's queue; if that is the caller's, the handler runs before
/// this returns. All others, and those of foreign threads, go by the kernel.
pub unsafe fn kill(pid: pid_t, number: c_int) -> Answer<c_int> {
    let process = process_of(pid);
    match to_process(process, number, || siginfo::information(number, SI_USER, 0)) {
        Err(Miss::Libc) if process != pid => Ok(real::kill(process, number)),
        answer => answer,
    }
}

/// `sigqueue`: as `kill`, with a value.
pub unsafe fn sigqueue(pid: pid_t, number: c_int, value: usize) -> Answer<c_int> {
    let process = process_of(pid);
    match to_process(process, number, || siginfo::information(number, SI_QUEUE, value)) {
        Err(Miss::Libc) if process != pid => Ok(real::sigqueue(process, number, value)),
        answer => answer,
    }
}

/// Queues a signal with a handler to this process, for a thread of its own choice. libc answers where another process is meant, the signal
/// has no handler, or the caller is no green thread.
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
