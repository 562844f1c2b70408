//! A thread's own of signals: its mask, what waits for it, its alternate stack.

use crate::arch;
use crate::base::signal_set::{self, bit};
use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::memory::{self, write_mask};
use crate::hooks::named::me;
use crate::hooks::real;
use crate::runtime::machine::alternate::Alternate;
use crate::runtime::signal::{delivery, shelf};
use libc::*;

/// `sigprocmask` and `pthread_sigmask`: the mask is the green thread's own. glibc reads the new mask itself, so a bad `set` crashes, and
/// the kernel writes the old one, so a bad `old` is EFAULT, after the change. What is opened runs its handler before this returns.
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

/// `sigpending`: what waits in the thread's own queue, and for the process. EFAULT for a bad pointer.
pub unsafe fn sigpending(set: *mut sigset_t) -> Answer<c_int> {
    let pending = delivery::waiting(me()?);
    write_mask(set, pending).map(|()| 0)
}

/// `signalfd`: libc's own; signals of the set that are for the process are left to the descriptor's readers from then on.
pub unsafe fn signalfd(fd: c_int, set: *const sigset_t, flags: c_int) -> Answer<c_int> {
    let made = real::signalfd(fd, set, flags);
    if made >= 0 {
        shelf::leave_to_descriptor(*(set as *const u64) & signal_set::CLOSED);
    }
    Ok(made)
}

/// System V's `sighold`: one signal more in the mask.
pub unsafe fn sighold(number: c_int) -> Answer<c_int> {
    change_mask(number, |mask| mask | bit(number))
}

/// System V's `sigrelse`: one signal less in the mask; what waits for that runs its handler before this returns.
pub unsafe fn sigrelse(number: c_int) -> Answer<c_int> {
    change_mask(number, |mask| mask & !bit(number))
}

/// Changes the caller's mask; EINVAL for a number that is no signal's, or glibc's own. A signal that this opens runs its handler at once.
fn change_mask(number: c_int, change: impl FnOnce(u64) -> u64) -> Answer<c_int> {
    let me = me()?;
    if !(1..=64).contains(&number) || number == 32 || number == 33 {
        return errno(EINVAL);
    }
    delivery::set_mask(me, change(me.mask.get()));
    Ok(0)
}

/// BSD's `sigblock`: adds to the mask's first 32 signals; returns those as they were.
pub unsafe fn sigblock(mask: c_int) -> Answer<c_int> {
    sigsetmask(me()?.mask.get() as c_int | mask)
}

/// BSD's `sigsetmask`: the mask's first 32 signals are set, all others opened; returns the first 32 as they were.
pub unsafe fn sigsetmask(mask: c_int) -> Answer<c_int> {
    let me = me()?;
    let before = me.mask.get();
    delivery::set_mask(me, mask as u32 as u64);
    Ok(before as c_int)
}

/// `sigaltstack`: notes the thread's alternate stack. The kernel thread keeps the worker's, from which a handler goes on to the thread's
/// own. EFAULT, EPERM on that very stack, EINVAL, ENOMEM.
pub unsafe fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> Answer<c_int> {
    let me = me()?;
    let now = me.alternate.get();
    let on_it = now.is_in_use(arch::stack_pointer());
    if !new.is_null() {
        let new = memory::read(new)?;
        if on_it {
            return errno(EPERM);
        }
        me.alternate.set(Alternate::wanted(&new).map_err(Miss::Errno)?);
    }
    memory::write_if_wanted(old, now.told(on_it)).map(|()| 0)
}
