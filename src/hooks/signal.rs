//! Signals: masks per green thread, dispositions behind our entry (see runtime/signal.rs), and signals to threads.
//!
//! Waiting for a signal (sigwait, sigsuspend, …) happens in the kernel, with the slot handed over: the kernel thread's mask is
//! the thread's own while it runs, so the kernel's queue is the right one to ask.

use super::{answer, errno, real, Answer, Miss};
use crate::runtime::capture;
use crate::runtime::green::{life, Green};
use crate::runtime::signal::{self, Action};
use crate::runtime::{self, block, current};
use crate::sys;
use libc::*;
use std::sync::atomic::Ordering::Relaxed;

fn me() -> Result<&'static Green, Miss> {
    current().ok_or(Miss::Libc)
}

/// SIGCANCEL and SIGSETXID are glibc's own and never blocked by a program.
const GLIBC_OWN: u64 = 1 << 31 | 1 << 32;

unsafe fn change_mask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> Answer<c_int> {
    let me = me()?;
    let before = me.mask.get();
    if !set.is_null() {
        let set = *(set as *const u64) & !GLIBC_OWN;
        let mask = match how {
            SIG_BLOCK => before | set,
            SIG_UNBLOCK => before & !set,
            SIG_SETMASK => set,
            _ => return errno(EINVAL),
        };
        // In a handler the kernel's mask has more bits than ours: it is the one to change.
        answer::<c_int>(sys::call(SYS_rt_sigprocmask, how as usize, &set as *const u64 as usize, 0, 8, 0, 0))?;
        if me.pinned.get() == 0 {
            signal::set_mask(me, mask & !(1 << (SIGKILL - 1) | 1 << (SIGSTOP - 1)));
        }
    }
    if !old.is_null() {
        *(old as *mut u64) = before;
    }
    Ok(0)
}

pub unsafe fn sigprocmask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> Answer<c_int> {
    change_mask(how, set, old)
}

pub unsafe fn pthread_sigmask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> Answer<c_int> {
    change_mask(how, set, old)
}

/// glibc's struct sigaction (bits/sigaction.h): handler, mask of 1024 bits, flags.
unsafe fn action_of(new: *const sigaction) -> Action {
    let new = &*new;
    Action { handler: new.sa_sigaction, flags: new.sa_flags as usize, mask: *(&new.sa_mask as *const sigset_t as *const u64) }
}

unsafe fn write_action(old: *mut sigaction, action: Action) {
    let old = &mut *old;
    old.sa_sigaction = action.handler;
    old.sa_flags = action.flags as c_int;
    *(&mut old.sa_mask as *mut sigset_t as *mut u64) = action.mask;
}

/// SIGSYS is ours while births are caught: what is the program's is passed on to what it has set.
fn is_ours(number: c_int) -> bool {
    number == SIGSYS && capture::possible()
}

/// Puts our entry before the program's handler, or the program's SIG_DFL or SIG_IGN in its place.
unsafe fn install(number: c_int, action: Action) -> c_int {
    if is_ours(number) {
        return 0;
    }
    let mut actual: sigaction = std::mem::zeroed();
    write_action(&mut actual, action);
    if signal::is_handler(action.handler) {
        actual.sa_sigaction = signal::entry_address();
        actual.sa_flags |= SA_SIGINFO;
    } else if number == SIGSEGV && action.handler == SIG_DFL {
        // A stack overflow is told before it ends the process.
        actual.sa_sigaction = signal::entry_address();
        actual.sa_flags = SA_SIGINFO | SA_ONSTACK;
    }
    real::sigaction(number, &actual, std::ptr::null_mut())
}

pub unsafe fn sigaction(number: c_int, new: *const sigaction, old: *mut sigaction) -> Answer<c_int> {
    if !runtime::started() || !(1..=64).contains(&number) {
        return Err(Miss::Libc);
    }
    if new.is_null() {
        if !old.is_null() {
            write_action(old, signal::action(number));
        }
        return Ok(0);
    }
    let action = action_of(new);
    if number == SIGKILL || number == SIGSTOP {
        return errno(EINVAL);
    }
    let before = signal::set_action(number, action);
    let failed = install(number, action);
    if failed != 0 {
        signal::set_action(number, before);
        return Ok(failed);
    }
    if !old.is_null() {
        write_action(old, before);
    }
    Ok(0)
}

/// BSD's signal: restarts, and blocks its own signal while its handler runs.
pub unsafe fn signal(number: c_int, handler: usize) -> Answer<usize> {
    if !runtime::started() || !(1..=64).contains(&number) || number == SIGKILL || number == SIGSTOP {
        return Err(Miss::Libc);
    }
    let action = Action { handler, flags: SA_RESTART as usize, mask: 1 << (number - 1) };
    let before = signal::set_action(number, action);
    install(number, action);
    Ok(before.handler)
}

/// The runtime has started: every handler that the program has is put behind the entry.
pub fn take_over() {
    for number in (1..=64).filter(|&number| !is_ours(number)) {
        // SAFETY: reads a disposition into our own struct, and sets what it stands for.
        unsafe {
            let mut now: sigaction = std::mem::zeroed();
            if real::sigaction(number, std::ptr::null(), &mut now) != 0 {
                continue;
            }
            let action = action_of(&now);
            signal::set_action(number, action);
            if signal::is_handler(action.handler) || number == SIGSEGV {
                install(number, action);
            }
        }
    }
}

/// In a fork child: it runs natively, so its handlers stand for themselves again.
pub fn give_back() {
    for number in (1..=64).filter(|&number| !is_ours(number)) {
        let action = signal::action(number);
        if signal::is_handler(action.handler) || number == SIGSEGV {
            // SAFETY: the program's own disposition.
            unsafe {
                let mut actual: sigaction = std::mem::zeroed();
                write_action(&mut actual, action);
                real::sigaction(number, &actual, std::ptr::null_mut());
            }
        }
    }
}

/// A thread's alternate stack is noted; the kernel thread keeps the worker's, which is there whoever runs.
pub unsafe fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> Answer<c_int> {
    let me = me()?;
    let [sp, flags, size] = me.alternate.get();
    if !new.is_null() {
        let new = &*new;
        let wanted = new.ss_flags & !(1 << 31);
        if wanted != 0 && wanted != SS_DISABLE && wanted != SS_ONSTACK {
            return errno(EINVAL);
        }
        if wanted != SS_DISABLE && new.ss_size < MINSIGSTKSZ {
            return errno(ENOMEM);
        }
        let disabled = wanted == SS_DISABLE;
        me.alternate.set(if disabled { [0, SS_DISABLE as usize, 0] } else { [new.ss_sp as usize, 0, new.ss_size] });
    }
    if !old.is_null() {
        *old = stack_t { ss_sp: sp as *mut c_void, ss_flags: flags as c_int, ss_size: size };
    }
    Ok(0)
}

unsafe fn send(green: &'static Green, number: c_int) -> Answer<c_int> {
    if !(0..=64).contains(&number) {
        return errno(EINVAL);
    }
    if green.life.load(Relaxed) & life::GONE != 0 {
        return errno(ESRCH);
    }
    if number == 0 {
        return Ok(0);
    }
    if signal::is_handler(signal::action(number).handler) {
        signal::send(green, number);
        return Ok(0);
    }
    // Ignored, or its default: that is the process's matter, whichever thread it is sent to. One that waits for it in the
    // kernel (sigwait) is on its kernel thread.
    let tid = if green.worker.load(Relaxed).is_null() { sys::process_id() } else { green.worker().kernel_tid.load(Relaxed) };
    sys::signal_thread(tid, number).map_err(Miss::Errno)?;
    Ok(0)
}

pub unsafe fn pthread_kill(thread: pthread_t, number: c_int) -> Answer<c_int> {
    if !runtime::started() {
        return Err(Miss::Libc);
    }
    send(Green::of(thread as usize).ok_or(Miss::Libc)?, number)
}

pub unsafe fn pthread_sigqueue(thread: pthread_t, number: c_int, _: usize) -> Answer<c_int> {
    pthread_kill(thread, number)
}

pub unsafe fn tgkill(_: pid_t, tid: pid_t, number: c_int) -> Answer<c_int> {
    let me = me()?;
    if tid == me.tid() {
        return send(me, number);
    }
    Err(Miss::Libc)
}

pub unsafe fn raise(number: c_int) -> Answer<c_int> {
    if !(1..=64).contains(&number) {
        return errno(EINVAL);
    }
    // Delivered here and now: this kernel thread is ours until the call returns.
    sys::signal_thread(sys::kernel_thread_id(), number).map_err(Miss::Errno)?;
    Ok(0)
}

pub unsafe fn sigsuspend(mask: *const sigset_t) -> Answer<c_int> {
    runtime::cancellation_point();
    Ok(block(|| real::sigsuspend(mask)))
}

pub unsafe fn sigwait(set: *const sigset_t, number: *mut c_int) -> Answer<c_int> {
    runtime::cancellation_point();
    Ok(block(|| real::sigwait(set, number)))
}

pub unsafe fn sigwaitinfo(set: *const sigset_t, info: *mut siginfo_t) -> Answer<c_int> {
    runtime::cancellation_point();
    Ok(block(|| real::sigwaitinfo(set, info)))
}

pub unsafe fn sigtimedwait(set: *const sigset_t, info: *mut siginfo_t, timeout: *const timespec) -> Answer<c_int> {
    runtime::cancellation_point();
    Ok(block(|| real::sigtimedwait(set, info, timeout)))
}
