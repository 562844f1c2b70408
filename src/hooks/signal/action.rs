//! Dispositions: the program sets them, and the kernel is told others in their place.
//!
//! A handler of the program's stands behind the runtime's entry (`entry::entry_address`), which finds the thread that a signal is for.

use crate::base::signal_set::{self, bit};
use crate::hooks::answer::{Answer, Miss};
use crate::hooks::memory::{self, MASK_BYTES};
use crate::hooks::named::me;
use crate::hooks::real;
use crate::hooks::signal::mask::{sighold, sigrelse};
use crate::runtime::machine::disposition::{self, Action};
use crate::runtime::machine::{counts, roll};
use crate::runtime::signal::{entry, shelf};
use crate::runtime::trap::capture;
use crate::runtime::{self, dump};
use crate::sys;
use libc::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The signals that main borrows while it waits for a set.
struct Borrowed {
    /// Signals without a handler that meet the runtime's entry all the same, because main waits for them (`borrow`). A bit a signal.
    /// Empty in a fork child (`after_fork`).
    signals: AtomicU64,
}

static BORROWED: Borrowed = Borrowed { signals: AtomicU64::new(0) };

/// Reads glibc's struct sigaction (bits/sigaction.h): a handler, a mask of 1024 bits of which 64 are used, flags.
unsafe fn action_of(new: *const sigaction) -> Action {
    let new = &*new;
    Action {
        handler: new.sa_sigaction,
        flags: new.sa_flags as u32 as usize,
        mask: *(&new.sa_mask as *const sigset_t as *const u64),
    }
}

/// Writes a disposition as glibc's struct sigaction, of whose mask the kernel knows the first word.
unsafe fn write_action(old: *mut sigaction, action: Action) {
    let old = &mut *old;
    old.sa_sigaction = action.handler;
    old.sa_flags = action.flags as c_int;
    *(&mut old.sa_mask as *mut sigset_t as *mut u64) = action.mask;
}

/// Is the signal SIGSYS, while system calls that make threads are caught? Then the kernel's disposition is the library's, and a
/// SIGSYS of the program's goes on to what the program has set.
fn is_ours(number: c_int) -> bool {
    number == SIGSYS && capture::possible()
}

/// Does the signal meet the runtime's entry where its disposition is the default?
fn meets_entry(number: c_int) -> bool {
    matches!(number, SIGSEGV | SIGBUS)
}

/// Tells the kernel what stands for a disposition (`entered`). Returns 0, or -1 and errno as libc's sigaction. A handler with
/// SA_RESETHAND is not reset by the kernel, for not every delivery to a kernel thread runs the handler: the runtime resets it when
/// it does. SIGSYS is left alone where it `is_ours`.
unsafe fn install(number: c_int, action: Action) -> c_int {
    if is_ours(number) {
        return 0;
    }
    let mut actual: sigaction = std::mem::zeroed();
    write_action(&mut actual, entered(number, action));
    real::sigaction(number, &actual, std::ptr::null_mut())
}

/// Returns what the kernel is told instead of what the program has set:
/// - a handler: the runtime's entry, with SA_SIGINFO and without SA_RESETHAND;
/// - SIG_DFL of SIGSEGV and SIGBUS: the runtime's entry, on the alternate stack;
/// - SIG_DFL of a signal in BORROWED.signals: the runtime's entry;
/// - SIG_DFL of a signal that ends the process, where statistics are written: `counts::end`, which writes them first;
/// - the dump's signal: `dump::handler`, whatever the program has set;
/// - all else: the program's own.
///
/// SA_RESTART is set for BORROWED.signals, `counts::end` and the dump where the program has no handler: natively its calls would not fail
/// with EINTR.
fn entered(number: c_int, action: Action) -> Action {
    const SIGINFO: usize = SA_SIGINFO as usize;
    const RESTART: usize = SA_RESTART as usize;
    const ONSTACK: usize = SA_ONSTACK as usize;
    let mut actual = Action { mask: sys::without_kept_open(action.mask), ..action };
    if action.is_handler() {
        actual.handler = entry::entry_address();
        actual.flags = (actual.flags | SIGINFO) & !(SA_RESETHAND as u32 as usize);
    } else if meets_entry(number) && action.handler == SIG_DFL {
        // A stack overflow is told before it ends the process, and a futex word that cannot be read is no fault of the program's
        // (arch::load_word).
        actual.handler = entry::entry_address();
        actual.flags = SIGINFO | ONSTACK;
    } else if BORROWED.signals.load(Relaxed) & bit(number) != 0 && action.handler == SIG_DFL {
        actual.handler = entry::entry_address();
        actual.flags |= SIGINFO | RESTART;
    } else if action.handler == SIG_DFL && counts::precedes(number) {
        // Statistics are written before it ends the process.
        actual.handler = counts::end as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
        actual.flags = SIGINFO | RESTART | ONSTACK;
    }
    if dump::is_signal(number) {
        // `dump::handler` writes the list, and then does what the program has set. A default action is left out.
        actual.handler = dump::handler();
        actual.flags |= SIGINFO | if action.is_handler() { 0 } else { RESTART | ONSTACK };
    }
    if actual.flags & ONSTACK != 0 {
        // No signal may be delivered while the handler's frame is on the worker's alternate stack: see runtime/signal/handler.rs.
        actual.mask = signal_set::CLOSED;
    }
    actual
}

/// Sets a signal's disposition, for the runtime and for the kernel. Returns the one before. `Err(EINVAL)`: the kernel refuses it,
/// and the runtime's is put back. Called by any thread after the start, for a number that is not fixed.
pub unsafe fn change(number: c_int, action: Action) -> Result<Action, c_int> {
    change_by(number, |_| action)
}

/// As `change`, by a function of the present disposition. Two threads' changes come in the same order for the runtime and for the
/// kernel (`disposition::settle`). In order:
///
/// 1. The runtime's table gets the new disposition.
/// 2. The monitor closes the signal if it is to have no handler and main blocks it: else the default action would happen on the
///    monitor.
/// 3. The kernel gets what stands for the disposition; a refusal takes 1 back.
/// 4. The shelf watches other signals if a handler came or went.
unsafe fn change_by(number: c_int, new: impl FnOnce(Action) -> Action) -> Result<Action, c_int> {
    let changed = disposition::change(number, new);
    let [before, action] = changed;
    // Step 2 comes before the kernel knows the default.
    if !action.is_handler() && roll::main().is_some_and(|main| main.mask.get() & bit(number) != 0) {
        shelf::spare_main(bit(number));
    }
    if !disposition::settle(number, changed, |now| install(number, now) == 0) {
        return Err(EINVAL);
    }
    if before.is_handler() != action.is_handler() {
        shelf::watch_anew();
    }
    Ok(before)
}

/// Is it a signal whose disposition nothing may change: SIGKILL, SIGSTOP, glibc's own 32 and 33, or a number that is no signal's?
/// The handlers leave those to libc, whose answer is EINVAL.
pub fn is_fixed(number: c_int) -> bool {
    !(1..=64).contains(&number) || signal_set::NEVER_BLOCKED & bit(number) != 0
}

/// `sigaction`: keeps what the program sets, and tells the kernel what `entered` says. Any thread may call it. Before the start, and
/// for a fixed signal, libc answers (EINVAL).
/// `new` and `old` are read and written without asking: glibc copies both itself (libc_sigaction.c), so a bad pointer crashes, as
/// natively. A null `new` only asks. Async-signal-safe, as signal-safety(7) demands.
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

/// The system call rt_sigaction, whose structure is the kernel's: handler, flags, restorer, mask. The restorer is not kept: libc's
/// serves, and `old` is told 0. A set size other than 8, a fixed signal, and a call before the start go to the kernel. EFAULT for
/// `new` before the change, for `old` after it (kernel/signal.c).
pub unsafe fn rt_sigaction(number: c_int, new: *const [usize; 4], old: *mut [usize; 4], bytes: usize) -> Answer<c_int> {
    if !runtime::started() || is_fixed(number) || bytes != MASK_BYTES {
        return Err(Miss::Libc);
    }
    let before = if new.is_null() {
        disposition::of(number)
    } else {
        let [handler, flags, _, mask] = memory::read(new)?;
        change(number, Action { handler, flags, mask: mask as u64 & signal_set::CLOSED }).map_err(Miss::Errno)?
    };
    memory::write_if_wanted(old, [before.handler, before.flags, 0, before.mask as usize]).map(|()| 0)
}

/// Sets a handler with these flags, and this mask to block while it runs. Returns the handler before. libc answers before the start,
/// for a fixed signal, and for SIG_ERR (EINVAL).
unsafe fn set_handler(number: c_int, handler: usize, flags: c_int, mask: u64) -> Answer<usize> {
    if !runtime::started() || is_fixed(number) || handler == SIG_ERR {
        return Err(Miss::Libc);
    }
    let action = Action { handler, flags: flags as u32 as usize, mask };
    change(number, action).map(|before| before.handler).map_err(Miss::Errno)
}

/// `signal`, BSD's in glibc (sysdeps/posix/signal.c): the handler stays, its calls restart (SA_RESTART), and its own signal is
/// blocked while it runs. Returns the handler before, or SIG_ERR and EINVAL.
pub unsafe fn signal(number: c_int, handler: usize) -> Answer<usize> {
    set_handler(number, handler, SA_RESTART, if is_fixed(number) { 0 } else { bit(number) })
}

/// `sysv_signal`: the handler runs once (SA_RESETHAND), its calls fail with EINTR, and its own signal is open while it runs
/// (SA_NODEFER).
pub unsafe fn sysv_signal(number: c_int, handler: usize) -> Answer<usize> {
    set_handler(number, handler, SA_RESETHAND | SA_NODEFER, 0)
}

/// System V's `sigignore`: ignores the signal from now on, in the whole process. Returns 0, or EINVAL by libc.
pub unsafe fn sigignore(number: c_int) -> Answer<c_int> {
    set_handler(number, SIG_IGN, 0, 0).map(|_| 0)
}

/// System V's `sigset`: sets a handler and takes its signal out of the mask. With SIG_HOLD it only adds the signal to the mask.
/// Returns SIG_HOLD if the signal was blocked, else the handler before. libc answers for a fixed signal and on a foreign thread.
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

/// `siginterrupt`: takes SA_RESTART from a disposition (`interrupts` is not 0), or gives it back. Handler, mask and other flags
/// stay, also where another thread changes them meanwhile.
pub unsafe fn siginterrupt(number: c_int, interrupts: c_int) -> Answer<c_int> {
    if !runtime::started() || is_fixed(number) {
        return Err(Miss::Libc);
    }
    let restarts = if interrupts != 0 { 0 } else { SA_RESTART as usize };
    change_by(number, |now| Action { flags: now.flags & !(SA_RESTART as usize) | restarts, ..now })
        .map_err(Miss::Errno)?;
    Ok(0)
}

/// Puts every handler that the program has behind the runtime's entry, and the entries that `entered` lists before defaults. Called
/// once, by the first thread, right after the start: later changes come by `change`.
pub fn take_over() {
    for number in (1..=64).filter(|&number| !is_fixed(number) && !is_ours(number)) {
        let Some(action) = disposition::in_kernel(number) else { continue };
        // `dump::handler` may be the kernel's since load: the program's own disposition is the default then.
        let stands_before = dump::is_signal(number);
        let is_dumps = stands_before && action.handler == dump::handler();
        let action = if is_dumps { Action::DEFAULT } else { action };
        disposition::set(number, action);
        if action.is_handler() || meets_entry(number) || counts::precedes(number) || stands_before {
            // SAFETY: the runtime's entry before the program's own disposition.
            unsafe { disposition::tell_kernel(number, entered(number, action)) };
        }
    }
    shelf::watch_anew();
}

/// Has the kernel call the program's handlers themselves again. Called in a fork child, which runs natively, before its signals are opened.
pub fn after_fork() {
    let Borrowed { signals } = &BORROWED;
    for number in (1..=64).filter(|&number| !is_fixed(number) && !is_ours(number)) {
        let action = disposition::of(number);
        let borrowed = signals.load(Relaxed) & bit(number) != 0;
        if action.is_handler() || meets_entry(number) || borrowed || counts::precedes(number) {
            // SAFETY: the program's own disposition.
            unsafe { disposition::tell_kernel(number, action) };
        }
        if dump::is_signal(number) {
            dump::stand_before_default(number);
        }
    }
    signals.store(0, Relaxed);
}

/// Has main meet every signal of the set that has no handler, while main waits for the set; returns those. Natively the kernel prefers main
/// as a process's waiter to every other thread that does not block the signal. Here main may be parked, and the default must not happen on
/// another thread's kernel thread: so these signals meet the runtime's entry meanwhile, which hands them to main.
pub fn borrow(set: u64) -> u64 {
    let unhandled = |number: &c_int| set & bit(*number) != 0 && disposition::of(*number).handler == SIG_DFL;
    let borrowed = (1..=64).filter(|&number| !is_fixed(number)).filter(unhandled).map(bit).sum();
    BORROWED.signals.fetch_or(borrowed, Relaxed);
    install_all(borrowed);
    borrowed
}

/// Gives back what `borrow` has returned: these signals meet their default again. Called by main, when its wait is over.
pub fn return_borrowed(borrowed: u64) {
    BORROWED.signals.fetch_and(!borrowed, Relaxed);
    install_all(borrowed);
}

/// Tells the kernel anew what stands for these signals' dispositions.
fn install_all(signals: u64) {
    for number in (1..=64).filter(|&number| signals & bit(number) != 0) {
        let now = disposition::of(number);
        // SAFETY: the program's own disposition, or the runtime's entry before it.
        disposition::settle(number, [now, now], |now| unsafe { install(number, now) } == 0);
    }
}
