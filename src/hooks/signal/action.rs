//! Signals: masks per green thread, dispositions behind our entry, signals to threads, and waiting for them (see
//! runtime/signal.rs).

use crate::base::own_fds;
use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::real;
use crate::hooks::time::sleep;
use crate::runtime::machine::alternate::Alternate;
use crate::runtime::machine::disposition::{self, bit, Action};
use crate::runtime::machine::green::{life, Green};
use crate::runtime::machine::{counts, roll};
use crate::runtime::news::record::{self, FdWait, IN};
use crate::runtime::signal::{delivery, sweep};
use crate::runtime::trap::capture;
use crate::runtime::waiting::readiness;
use crate::runtime::{self, current, Deadline, Woken};
use crate::sys::{self, older};
use crate::why::Why;
use libc::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

fn me() -> Result<&'static Green, Miss> {
    current().ok_or(Miss::Libc)
}

const MASK_BYTES: usize = 8;

/// The mask that the program points to, or EFAULT.
unsafe fn read_mask(set: *const sigset_t) -> Answer<u64> {
    if !sleep::is_callers(set) && !sys::can_read(set as usize, MASK_BYTES) {
        return errno(EFAULT);
    }
    Ok((set as *const u64).read_unaligned())
}

unsafe fn write_mask(set: *mut sigset_t, mask: u64) -> Answer<()> {
    if !sleep::is_callers(set) && !sys::can_write(set as usize, MASK_BYTES) {
        return errno(EFAULT);
    }
    (set as *mut u64).write_unaligned(mask);
    Ok(())
}

/// glibc reads the new mask itself, the kernel writes the old one.
pub unsafe fn sigprocmask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> Answer<c_int> {
    let me = me()?;
    let before = me.mask.get();
    if !set.is_null() {
        let set = (set as *const u64).read_unaligned();
        delivery::set_mask(
            me,
            match how {
                SIG_BLOCK => before | set,
                SIG_UNBLOCK => before & !set,
                SIG_SETMASK => set,
                _ => return errno(EINVAL),
            },
        );
    }
    if !old.is_null() {
        write_mask(old, before)?;
    }
    Ok(0)
}

pub unsafe fn sigpending(set: *mut sigset_t) -> Answer<c_int> {
    let pending = delivery::waiting(me()?);
    write_mask(set, pending).map(|()| 0)
}

/// The program reads signals from a descriptor.
pub unsafe fn signalfd(fd: c_int, set: *const sigset_t, flags: c_int) -> Answer<c_int> {
    let made = real::signalfd(fd, set, flags);
    if made >= 0 {
        sweep::leave_to_descriptor(*(set as *const u64) & delivery::CLOSED);
    }
    Ok(made)
}

/// glibc's struct sigaction (bits/sigaction.h): handler, mask of 1024 bits, flags.
unsafe fn action_of(new: *const sigaction) -> Action {
    let new = &*new;
    Action {
        handler: new.sa_sigaction,
        flags: new.sa_flags as u32 as usize,
        mask: *(&new.sa_mask as *const sigset_t as *const u64),
    }
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

/// Does the signal meet our entry where the program has left it its default?
fn meets_entry(number: c_int) -> bool {
    matches!(number, SIGSEGV | SIGBUS)
}

/// Puts our entry before the program's handler, or the program's SIG_DFL or SIG_IGN in its place. A handler that is to run once
/// stays in the kernel: not every delivery is one.
unsafe fn install(number: c_int, action: Action) -> c_int {
    if is_ours(number) {
        return 0;
    }
    let mut actual: sigaction = std::mem::zeroed();
    write_action(&mut actual, entered(number, action));
    real::sigaction(number, &actual, std::ptr::null_mut())
}

/// What the kernel is told instead of what the program has set.
fn entered(number: c_int, action: Action) -> Action {
    const SIGINFO: usize = SA_SIGINFO as usize;
    const RESTART: usize = SA_RESTART as usize;
    const ONSTACK: usize = SA_ONSTACK as usize;
    let mut actual = Action { mask: sys::open(action.mask), ..action };
    if action.is_handler() {
        actual.handler = delivery::entry_address();
        actual.flags = (actual.flags | SIGINFO) & !(SA_RESETHAND as u32 as usize);
    } else if meets_entry(number) && action.handler == SIG_DFL {
        // A stack overflow is told before it ends the process, and what a futex cannot read is no fault (arch::load_word).
        actual.handler = delivery::entry_address();
        actual.flags = SIGINFO | ONSTACK;
    } else if BORROWED.load(Relaxed) & bit(number) != 0 && action.handler == SIG_DFL {
        actual.handler = delivery::entry_address();
        actual.flags |= SIGINFO | RESTART;
    } else if action.handler == SIG_DFL && counts::precedes(number) {
        // Statistics are written before it ends the process.
        actual.handler = counts::end as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
        actual.flags = SIGINFO | RESTART | ONSTACK;
    }
    if actual.flags & ONSTACK != 0 {
        // Nothing comes while we are on the worker's alternate stack: see runtime/handler.rs.
        actual.mask = delivery::CLOSED;
    }
    actual
}

/// Sets a disposition: the one before, or the error number.
pub unsafe fn change(number: c_int, action: Action) -> Result<Action, c_int> {
    change_by(number, |_| action)
}

unsafe fn change_by(number: c_int, new: impl FnOnce(Action) -> Action) -> Result<Action, c_int> {
    let changed = disposition::change(number, new);
    let [before, action] = changed;
    // The monitor, too, takes what main does not block: it is to stop before the kernel knows the default.
    if !action.is_handler() && roll::main().is_some_and(|main| main.mask.get() & bit(number) != 0) {
        sweep::spare_main(bit(number));
    }
    if !disposition::settle(number, changed, |now| install(number, now) == 0) {
        return Err(EINVAL);
    }
    if before.is_handler() != action.is_handler() {
        sweep::watch_anew();
    }
    Ok(before)
}

/// Signals of which the kernel lets nobody change anything, and glibc's own.
fn is_fixed(number: c_int) -> bool {
    !(1..=64).contains(&number) || delivery::NEVER_BLOCKED & bit(number) != 0
}

pub unsafe fn sigaction(number: c_int, new: *const sigaction, old: *mut sigaction) -> Answer<c_int> {
    if !runtime::started() || is_fixed(number) {
        return Err(Miss::Libc);
    }
    let before =
        if new.is_null() { disposition::of(number) } else { change(number, action_of(new)).map_err(Miss::Errno)? };
    if !old.is_null() {
        write_action(old, before);
    }
    Ok(0)
}

/// The kernel's own: handler, flags, the way back from it (libc's serves as well), mask.
pub unsafe fn rt_sigaction(number: c_int, new: *const [usize; 4], old: *mut [usize; 4], bytes: usize) -> Answer<c_int> {
    const SIZE: usize = size_of::<[usize; 4]>();
    if !runtime::started() || is_fixed(number) || bytes != MASK_BYTES {
        return Err(Miss::Libc);
    }
    let before = if new.is_null() {
        disposition::of(number)
    } else if sys::can_read(new as usize, SIZE) {
        let [handler, flags, _, mask] = new.read_unaligned();
        change(number, Action { handler, flags, mask: mask as u64 & delivery::CLOSED }).map_err(Miss::Errno)?
    } else {
        return errno(EFAULT);
    };
    if !old.is_null() {
        if !sys::can_write(old as usize, SIZE) {
            return errno(EFAULT);
        }
        old.write_unaligned([before.handler, before.flags, 0, before.mask as usize]);
    }
    Ok(0)
}

/// The handler before, of one that is set with these flags and blocks this mask.
unsafe fn set_handler(number: c_int, handler: usize, flags: c_int, mask: u64) -> Answer<usize> {
    if !runtime::started() || is_fixed(number) || handler == SIG_ERR {
        return Err(Miss::Libc);
    }
    let action = Action { handler, flags: flags as u32 as usize, mask };
    change(number, action).map(|before| before.handler).map_err(Miss::Errno)
}

/// BSD's signal: restarts, and blocks its own signal while its handler runs.
pub unsafe fn signal(number: c_int, handler: usize) -> Answer<usize> {
    set_handler(number, handler, SA_RESTART, if is_fixed(number) { 0 } else { bit(number) })
}

/// System V's: once, interrupting, and open to itself.
pub unsafe fn sysv_signal(number: c_int, handler: usize) -> Answer<usize> {
    set_handler(number, handler, SA_RESETHAND | SA_NODEFER, 0)
}

/// System V's: one signal more in the mask, or one less.
pub unsafe fn sighold(number: c_int) -> Answer<c_int> {
    change_mask(number, |mask| mask | bit(number))
}

pub unsafe fn sigrelse(number: c_int) -> Answer<c_int> {
    change_mask(number, |mask| mask & !bit(number))
}

fn change_mask(number: c_int, change: impl FnOnce(u64) -> u64) -> Answer<c_int> {
    let me = me()?;
    if !(1..=64).contains(&number) || number == 32 || number == 33 {
        return errno(EINVAL);
    }
    delivery::set_mask(me, change(me.mask.get()));
    Ok(0)
}

pub unsafe fn sigignore(number: c_int) -> Answer<c_int> {
    set_handler(number, SIG_IGN, 0, 0).map(|_| 0)
}

/// Sets a handler and opens the mask for it, or closes the mask only (SIG_HOLD).
pub unsafe fn sigset(number: c_int, handler: usize) -> Answer<usize> {
    const SIG_HOLD: usize = 2;
    let me = me()?;
    if is_fixed(number) {
        return Err(Miss::Libc);
    }
    let held = me.mask.get() & bit(number) != 0;
    let before = if handler == SIG_HOLD {
        sighold(number)?;
        disposition::of(number).handler
    } else {
        let before = set_handler(number, handler, 0, 0)?;
        sigrelse(number)?;
        before
    };
    Ok(if held { SIG_HOLD } else { before })
}

/// BSD's: the first word of the mask, and what it was.
pub unsafe fn sigblock(mask: c_int) -> Answer<c_int> {
    sigsetmask(me()?.mask.get() as c_int | mask)
}

pub unsafe fn sigsetmask(mask: c_int) -> Answer<c_int> {
    let me = me()?;
    let before = me.mask.get();
    delivery::set_mask(me, mask as u32 as u64);
    Ok(before as c_int)
}

pub unsafe fn siginterrupt(number: c_int, interrupts: c_int) -> Answer<c_int> {
    if !runtime::started() || is_fixed(number) {
        return Err(Miss::Libc);
    }
    let restarts = if interrupts != 0 { 0 } else { SA_RESTART as usize };
    change_by(number, |now| Action { flags: now.flags & !(SA_RESTART as usize) | restarts, ..now })
        .map_err(Miss::Errno)?;
    Ok(0)
}

/// The runtime has started: every handler that the program has is put behind the entry.
pub fn take_over() {
    for number in (1..=64).filter(|&number| !is_fixed(number) && !is_ours(number)) {
        let Some(action) = disposition::in_kernel(number) else { continue };
        disposition::set(number, action);
        if action.is_handler() || meets_entry(number) || counts::precedes(number) {
            // SAFETY: our entry before the program's own disposition.
            unsafe { disposition::tell_kernel(number, entered(number, action)) };
        }
    }
    sweep::watch_anew();
}

/// In a fork child: it runs natively, so its handlers stand for themselves again.
pub fn give_back() {
    for number in (1..=64).filter(|&number| !is_fixed(number) && !is_ours(number)) {
        let action = disposition::of(number);
        let borrowed = BORROWED.load(Relaxed) & bit(number) != 0;
        if action.is_handler() || meets_entry(number) || borrowed || counts::precedes(number) {
            // SAFETY: the program's own disposition.
            unsafe { disposition::tell_kernel(number, action) };
        }
    }
    BORROWED.store(0, Relaxed);
}

/// A thread's alternate stack is noted; the kernel thread keeps the worker's, from which a handler goes on to the thread's own.
pub unsafe fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> Answer<c_int> {
    let me = me()?;
    let now = me.alternate.get();
    let on_it = now.is_in_use(crate::arch::stack_pointer());
    if !new.is_null() {
        if !sys::can_read(new as usize, size_of::<stack_t>()) {
            return errno(EFAULT);
        }
        let new = new.read_unaligned();
        if on_it {
            return errno(EPERM);
        }
        me.alternate.set(Alternate::wanted(&new).map_err(Miss::Errno)?);
    }
    if !old.is_null() {
        if !sys::can_write(old as usize, size_of::<stack_t>()) {
            return errno(EFAULT);
        }
        old.write_unaligned(now.told(on_it));
    }
    Ok(0)
}

/// Sends to a green thread what the kernel would send it.
fn send(green: &'static Green, info: siginfo_t) -> Answer<c_int> {
    if green.life.load(Relaxed) & life::GONE != 0 {
        return errno(ESRCH);
    }
    if info.si_signo == SIGKILL || info.si_signo == SIGSTOP {
        sys::signal_thread(sys::kernel_thread_id(), info.si_signo).map_err(Miss::Errno)?;
    } else if info.si_signo != 0 && green.life.load(Relaxed) & life::FINISHED == 0 {
        if delivery::takes_default(green, info.si_signo) {
            // What ends or stops the process does so before this returns, whichever thread it was sent to.
            delivery::act_at_once(info.si_signo);
        } else {
            delivery::post(green, &info);
        }
    }
    Ok(0)
}

/// glibc keeps 32 and 33 to itself.
fn sendable(number: c_int) -> Answer<()> {
    if (0..=64).contains(&number) && number != 32 && number != 33 {
        Ok(())
    } else {
        errno(EINVAL)
    }
}

fn target(thread: pthread_t) -> Result<&'static Green, Miss> {
    if !runtime::started() {
        return Err(Miss::Libc);
    }
    crate::hooks::thread::create::green(thread)
}

pub unsafe fn pthread_kill(thread: pthread_t, number: c_int) -> Answer<c_int> {
    let green = target(thread)?;
    // The kernel is not asked about one that has ended.
    if !green.has_ended() || matches!(number, 32 | 33) {
        sendable(number)?;
    }
    send(green, delivery::by_thread(number))
}

pub unsafe fn pthread_sigqueue(thread: pthread_t, number: c_int, value: usize) -> Answer<c_int> {
    let green = target(thread)?;
    if green.has_ended() {
        return errno(ESRCH);
    }
    sendable(number)?;
    send(green, delivery::information(number, SI_QUEUE, value))
}

pub unsafe fn tgkill(pid: pid_t, tid: pid_t, number: c_int) -> Answer<c_int> {
    if !runtime::started() || pid != sys::process_id() {
        return Err(Miss::Libc);
    }
    let green = roll::find(tid).ok_or(Miss::Libc)?;
    if !(0..=64).contains(&number) {
        return errno(libc::EINVAL);
    }
    send(green, delivery::by_thread(number))
}

/// The signal's description that the program points to. The kernel reads it before it looks at anything else.
unsafe fn read_information(info: usize, number: c_int) -> Answer<siginfo_t> {
    if !sys::can_read(info, size_of::<siginfo_t>()) {
        return errno(EFAULT);
    }
    let mut info = (info as *const siginfo_t).read_unaligned();
    info.si_signo = number;
    Ok(info)
}

/// Nobody pretends to others to be the kernel, or another call.
fn may_pretend(info: &siginfo_t, to_itself: bool) -> Answer<()> {
    const SI_TKILL: c_int = -6;
    if (info.si_code >= 0 || info.si_code == SI_TKILL) && !to_itself {
        return errno(EPERM);
    }
    Ok(())
}

pub unsafe fn rt_tgsigqueueinfo(pid: pid_t, tid: pid_t, number: c_int, info: usize) -> Answer<c_long> {
    if pid != sys::process_id() {
        return Err(Miss::Libc);
    }
    let green = roll::find(tid).ok_or(Miss::Libc)?;
    let info = read_information(info, number)?;
    may_pretend(&info, current().is_some_and(|me| std::ptr::eq(me, green)))?;
    if !(0..=64).contains(&number) {
        return errno(EINVAL);
    }
    send(green, info).map(c_long::from)
}

/// To the process, whichever of its threads is named. Only main pretends: its tid is the process's.
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

pub unsafe fn raise(number: c_int) -> Answer<c_int> {
    sendable(number)?;
    send(me()?, delivery::by_thread(number))
}

/// To the own process, for a handler: whoever takes it does so before this returns if it is the caller. From a kernel thread that is no
/// green one it goes by the kernel.
pub unsafe fn kill(pid: pid_t, number: c_int) -> Answer<c_int> {
    let process = process_of(pid);
    match to_process(process, number, || delivery::information(number, SI_USER, 0)) {
        Err(Miss::Libc) if process != pid => Ok(real::kill(process, number)),
        answer => answer,
    }
}

pub unsafe fn sigqueue(pid: pid_t, number: c_int, value: usize) -> Answer<c_int> {
    let process = process_of(pid);
    match to_process(process, number, || delivery::information(number, SI_QUEUE, value)) {
        Err(Miss::Libc) if process != pid => Ok(real::sigqueue(process, number, value)),
        answer => answer,
    }
}

/// To the kernel a thread's tid stands for its process here, and so does ours.
fn process_of(pid: pid_t) -> pid_t {
    if runtime::started() && roll::find(pid).is_some() {
        sys::process_id()
    } else {
        pid
    }
}

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

/// longjmp in all its names: a buffer made by sigsetjmp with a mask brings it back.
pub unsafe fn jump(to: *const c_void, _: c_int) -> Answer<()> {
    delivery::leave_handlers(me()?, crate::arch::stack_in_jump_buffer(to));
    if let Some(mask) = crate::arch::mask_in_jump_buffer(to) {
        delivery::before_jump(me()?, mask);
    }
    Err(Miss::Libc)
}

/// A context that cannot be read is for libc to refuse, or to fall over.
pub unsafe fn setcontext(to: *const ucontext_t) -> Answer<c_int> {
    if let Ok(mask) = read_mask(&raw const (*to).uc_sigmask) {
        delivery::leave_handlers(me()?, (*to).uc_mcontext.gregs[REG_RSP as usize] as usize);
        delivery::before_jump(me()?, mask);
    }
    Err(Miss::Libc)
}

/// swapcontext saves its caller's frame, to which more than one may come back: it is exported beside the table.
mod swap {
    /// What is to be done before the real one, and its address.
    extern "C" fn before(_: *mut libc::ucontext_t, to: *const libc::ucontext_t) -> usize {
        if crate::runtime::current().is_some() {
            // SAFETY: the program's context, which the real one reads as well.
            unsafe { super::setcontext(to).ok() };
        }
        crate::glibc::swapcontext()
    }

    crate::arch::entered_by_jump!(swapcontext, before);
}

pub unsafe fn sigsuspend(mask: *const sigset_t) -> Answer<c_int> {
    delivery::suspend(me()?, read_mask(mask)?);
    errno(EINTR)
}

/// BSD's sigpause: the mask's first word.
pub unsafe fn sigpause(mask: c_int) -> Answer<c_int> {
    delivery::suspend(me()?, mask as u32 as u64);
    errno(EINTR)
}

/// X/Open's: the mask in force without one signal.
pub unsafe fn xpg_sigpause(number: c_int) -> Answer<c_int> {
    if number == 0 {
        return errno(EINVAL);
    }
    sendable(number)?;
    delivery::suspend(me()?, me()?.mask.get() & !bit(number));
    errno(EINTR)
}

/// Signals without a handler that meet our entry all the same, for main waits for them.
static BORROWED: AtomicU64 = AtomicU64::new(0);

/// The kernel prefers main as a process's waiter, whoever else does not block the signal. Ours may be parked then, so the default must
/// not happen on another's kernel thread: every signal of the set meets our entry meanwhile, which hands it to main.
fn borrow(set: u64) -> u64 {
    let unhandled = |number: &c_int| set & bit(*number) != 0 && disposition::of(*number).handler == SIG_DFL;
    let borrowed = (1..=64).filter(|&number| !is_fixed(number)).filter(unhandled).map(bit).sum();
    BORROWED.fetch_or(borrowed, Relaxed);
    install_all(borrowed);
    borrowed
}

fn return_borrowed(borrowed: u64) {
    BORROWED.fetch_and(!borrowed, Relaxed);
    install_all(borrowed);
}

fn install_all(signals: u64) {
    for number in (1..=64).filter(|&number| signals & bit(number) != 0) {
        let now = disposition::of(number);
        // SAFETY: the program's own disposition, or our entry before it.
        disposition::settle(number, [now, now], |now| unsafe { install(number, now) } == 0);
    }
}

/// Waits for a signal of the set, which is blocked meanwhile: thread-directed ones come into the queue, those to the process make
/// a private descriptor readable.
unsafe fn wait_for(set: *const sigset_t, deadline: Deadline) -> Answer<siginfo_t> {
    let me = me()?;
    let set = read_mask(set)? & delivery::CLOSED;
    runtime::cancellation_point();
    let before = me.mask.get();
    if set & !before != 0 {
        delivery::set_mask(me, before | set);
    }
    me.waits_for.set(set);
    let taken = match delivery::take(me, set) {
        Some(info) => Ok(info),
        None if deadline == Some(0) => errno(EAGAIN),
        None => wait_to_take(me, set, deadline),
    };
    me.waits_for.replace(0);
    delivery::hand_on(me);
    if set & !before != 0 {
        delivery::set_mask(me, before);
    }
    taken
}

fn wait_to_take(me: &Green, set: u64, deadline: Deadline) -> Answer<siginfo_t> {
    let borrowed = if me.is_main { borrow(set) } else { 0 };
    let taken = take_one(me, set, deadline);
    return_borrowed(borrowed);
    if taken.is_err() {
        runtime::cancellation_point();
    }
    taken
}

fn take_one(me: &Green, set: u64, deadline: Deadline) -> Answer<siginfo_t> {
    let answer = loop {
        let known = record::record(me.private_fd.get()).map(|record| record.look());
        if let Some(info) = delivery::take(me, set) {
            break Ok(info);
        }
        if deadline.is_some_and(|deadline| deadline <= sys::now_ns()) {
            break errno(EAGAIN);
        }
        let Some(known) = known else {
            match older::signal_fd(-1, set) {
                Ok(fd) => me.private_fd.set(own_fds::keep(fd)),
                Err(number) => break errno(number),
            }
            continue;
        };
        match readiness::wait(Why::Signal, FdWait::new(me.private_fd.get(), IN), known, deadline).0 {
            Woken::Interrupted => break delivery::take(me, set).ok_or(Miss::Errno(EINTR)),
            Woken::Cancelled => break errno(EINTR),
            _ => {}
        }
    };
    readiness::release_private(me);
    answer
}

/// sigwait is never interrupted.
pub unsafe fn sigwait(set: *const sigset_t, number: *mut c_int) -> Answer<c_int> {
    loop {
        match wait_for(set, None) {
            Err(Miss::Errno(EINTR)) => {}
            Err(miss) => return Err(miss),
            Ok(info) => {
                *number = info.si_signo;
                return Ok(0);
            }
        }
    }
}

pub unsafe fn sigwaitinfo(set: *const sigset_t, info: *mut siginfo_t) -> Answer<c_int> {
    give(info, wait_for(set, None)?)
}

pub unsafe fn sigtimedwait(set: *const sigset_t, info: *mut siginfo_t, timeout: *const timespec) -> Answer<c_int> {
    if timeout.is_null() {
        return sigwaitinfo(set, info);
    }
    // The kernel reads both before it looks at either.
    read_mask(set)?;
    let ns = sleep::nanoseconds(&sleep::read(timeout)?)?;
    give(info, wait_for(set, if ns == 0 { Some(0) } else { sleep::after(ns) })?)
}

unsafe fn give(info: *mut siginfo_t, taken: siginfo_t) -> Answer<c_int> {
    if !info.is_null() {
        if !sys::can_write(info as usize, size_of::<siginfo_t>()) {
            return errno(EFAULT);
        }
        *info = taken;
        if taken.si_code == SI_TKILL {
            (*info).si_code = SI_USER; // glibc's own habit
        }
    }
    Ok(taken.si_signo)
}
