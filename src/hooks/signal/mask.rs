//! A thread's own signal state: its mask, the signals that are queued for it, its alternate stack.
//!
//! The kernel thread's mask is the runtime's (`delivery::set_mask`); here only the green thread's is changed and told. None of these calls
//! waits, and none is a cancellation point.

use crate::arch;
use crate::base::signal_set::{self, bit};
use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::memory::{self, write_mask};
use crate::hooks::named::me;
use crate::hooks::real;
use crate::runtime::machine::alternate::Alternate;
use crate::runtime::signal::{delivery, shelf};
use libc::*;

/// `sigprocmask` and `pthread_sigmask`: change the mask of the green thread; the kernel thread's follows. A signal that the change
/// opens runs its handler before this returns.
/// The order is kernel/signal.c's: EINVAL for `how` only if `set` is not null, then the change, then EFAULT for a bad `old`, after
/// the change. A bad `set` crashes, as natively: glibc reads it itself (pthread_sigmask.c). pthread_sigmask returns the error
/// number. No cancellation point.
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
    memory::write_if_wanted(old as *mut u64, before).map(|()| 0)
}

/// `sigpending`: writes the set of the signals that are queued for the thread and for the process. Returns 0; EFAULT for a bad pointer.
/// On a foreign thread libc answers.
pub unsafe fn sigpending(set: *mut sigset_t) -> Answer<c_int> {
    let pending = delivery::waiting(me()?);
    write_mask(set, pending).map(|()| 0)
}

/// `signalfd`: libc's own call and errors. From its success on, signals of `set` that are for the process are left in the kernel for
/// the descriptor's readers (`shelf::leave_to_descriptor`); they are no longer moved into a green thread's queue.
pub unsafe fn signalfd(fd: c_int, set: *const sigset_t, flags: c_int) -> Answer<c_int> {
    let made = real::signalfd(fd, set, flags);
    if made >= 0 {
        shelf::leave_to_descriptor(*(set as *const u64) & signal_set::CLOSED);
    }
    Ok(made)
}

/// System V's `sighold`: adds one signal to the mask. EINVAL by `change_mask`.
pub unsafe fn sighold(number: c_int) -> Answer<c_int> {
    change_mask(number, |mask| mask | bit(number))
}

/// System V's `sigrelse`: takes one signal from the mask. If that signal is queued, its handler runs before this returns. EINVAL by
/// `change_mask`.
pub unsafe fn sigrelse(number: c_int) -> Answer<c_int> {
    change_mask(number, |mask| mask & !bit(number))
}

/// Changes the caller's mask by `change`. EINVAL for a number below 1 or above 64, and for 32 and 33, which glibc's sigaddset and
/// sigdelset refuse. A foreign thread's call is libc's.
fn change_mask(number: c_int, change: impl FnOnce(u64) -> u64) -> Answer<c_int> {
    let me = me()?;
    if !(1..=64).contains(&number) || number == 32 || number == 33 {
        return errno(EINVAL);
    }
    delivery::set_mask(me, change(me.mask.get()));
    Ok(0)
}

/// BSD's `sigblock`: adds `mask` to the first 32 signals. Returns those 32 as they were. Differs from glibc's
/// (sysdeps/posix/sigblock.c), which leaves the signals above 32 as they are: here they are opened, as by `sigsetmask`.
pub unsafe fn sigblock(mask: c_int) -> Answer<c_int> {
    sigsetmask(me()?.mask.get() as c_int | mask)
}

/// BSD's `sigsetmask`: sets the mask of the first 32 signals and opens all others. Returns the first 32 as they were. Never fails
/// for a green thread.
pub unsafe fn sigsetmask(mask: c_int) -> Answer<c_int> {
    let me = me()?;
    let before = me.mask.get();
    delivery::set_mask(me, mask as u32 as u64);
    Ok(before as c_int)
}

/// `sigaltstack`: notes the green thread's alternate stack. The kernel thread keeps the worker's, on which the kernel begins each
/// handler; runtime/signal/handler.rs moves it to the green thread's.
/// The kernel's order (kernel/signal.c, do_sigaltstack): EFAULT for `new`, EPERM while the caller runs on that very stack, EINVAL
/// for unknown flags, ENOMEM for less than MINSIGSTKSZ, then EFAULT for `old`, after the change.
pub unsafe fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> Answer<c_int> {
    let me = me()?;
    let now = me.signals.alternate.get();
    let on_it = now.is_in_use(arch::stack_pointer());
    if !new.is_null() {
        let new = memory::read(new)?;
        if on_it {
            return errno(EPERM);
        }
        me.signals.alternate.set(Alternate::wanted(&new).map_err(Miss::Errno)?);
    }
    memory::write_if_wanted(old, now.told(on_it)).map(|()| 0)
}
