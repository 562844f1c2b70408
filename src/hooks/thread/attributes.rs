//! A thread's attributes: an attribute object as the wish of the thread that is to be made, and a living thread's as an object.
//!
//! An attribute object is read by libc's own functions, which know its form. What is not said in it the thread gets from its maker
//! (policy, processors, mask), from the option `stack_size`, or from glibc's default.

use crate::base::kept::Kept;
use crate::hooks::answer::{Answer, Miss};
use crate::hooks::named::by_pthread;
use crate::hooks::real;
use crate::runtime::births::thread::{Wish, WishedStack};
use crate::runtime::current;
use crate::runtime::machine::kernel_state;
use crate::runtime::machine::schedule::Schedule;
use crate::runtime::machine::words::{life, Start};
use crate::sys;
use libc::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

/// The option `stack_size` in bytes, or 0 for none. As USUAL and DEFAULTS_CHANGED a wish of the program's: a fork child keeps all
/// three. A default that the program sets itself (pthread_setattr_default_np) takes its place.
static DEFAULT_STACK: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));

/// Takes down the option `stack_size`, in bytes; `None`: it was not given. Called once, at load, while there is one thread.
pub fn set_default_stack(bytes: Option<usize>) {
    DEFAULT_STACK.store(bytes.unwrap_or(0), Relaxed);
}

/// Bytes of stack and of guard of a thread without an attribute; 0: not read yet. Read once, because reading makes an attribute
/// object. Two threads may read at the same time, and write the same.
static USUAL: Kept<[AtomicUsize; 2]> = Kept::new([const { AtomicUsize::new(0) }; 2]);

/// True once the program has called pthread_setattr_default_np: then the default attribute is read for each thread.
static DEFAULTS_CHANGED: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// Returns the wish of a thread that is made without an attribute: `start` and `argument`, glibc's default stack or the option's,
/// joinable, all else inherited. Called by `create`, on any thread. Fails as `wish_of`, where the program has changed the default
/// attribute.
pub fn wish_by_default(start: Start, argument: *mut c_void) -> Answer<Wish> {
    if USUAL[0].load(Relaxed) == 0 || DEFAULTS_CHANGED.load(Relaxed) {
        // SAFETY: a local attribute object.
        unsafe {
            let mut attr: pthread_attr_t = std::mem::zeroed();
            let mut guard = 0;
            pthread_getattr_default_np(&mut attr);
            pthread_attr_getguardsize(&attr, &mut guard);
            USUAL[1].store(guard, Relaxed);
            USUAL[0].store(stack_bytes(&attr), Relaxed);
            let wish = wish_of(&attr, start, argument);
            pthread_attr_destroy(&mut attr);
            return wish;
        }
    }
    let [bytes, guard] = [&USUAL[0], &USUAL[1]].map(|size| size.load(Relaxed));
    let stack = WishedStack::Ours(bytes, guard);
    Ok(Wish { start, argument, detached: false, stack, processors: None, schedule: None, mask: None })
}

/// `pthread_setattr_default_np`: libc's own, with its errors (EINVAL). From now on its stack size counts, and no longer the option's,
/// also if it has failed. Called by any thread.
pub unsafe fn pthread_setattr_default_np(attr: *const pthread_attr_t) -> Answer<c_int> {
    let failed = real::pthread_setattr_default_np(attr);
    DEFAULT_STACK.store(0, Relaxed);
    DEFAULTS_CHANGED.store(true, Relaxed);
    Ok(failed)
}

/// Returns the bytes of stack that an attribute wishes; where that is glibc's default, and the option `stack_size` is set, those of the
/// option.
unsafe fn stack_bytes(attr: &pthread_attr_t) -> usize {
    let (mut bytes, mut usual) = (0, 0);
    pthread_attr_getstacksize(attr, &mut bytes);
    let mut fresh: pthread_attr_t = std::mem::zeroed();
    pthread_attr_init(&mut fresh);
    pthread_attr_getstacksize(&fresh, &mut usual);
    pthread_attr_destroy(&mut fresh);
    match DEFAULT_STACK.load(Relaxed) {
        0 => bytes,
        wished if bytes == usual => wished,
        _ => bytes,
    }
}

/// Returns what an attribute object wishes of a thread. EINVAL and EPERM where the kernel would refuse the policy or the processors.
/// The object must be initialised, as for libc: it is read by libc's own functions.
pub unsafe fn wish_of(attr: &pthread_attr_t, start: Start, argument: *mut c_void) -> Answer<Wish> {
    let (mut detached, mut guard) = (0, 0);
    pthread_attr_getdetachstate(attr, &mut detached);
    pthread_attr_getguardsize(attr, &mut guard);
    let stack = match given_stack(attr) {
        Some((lowest, bytes)) => WishedStack::Given(lowest, bytes),
        None => WishedStack::Ours(stack_bytes(attr), guard),
    };
    let (detached, processors, mask) = (detached == PTHREAD_CREATE_DETACHED, processors_of(attr)?, mask_of(attr));
    Ok(Wish { start, argument, detached, stack, processors, schedule: schedule_of(attr)?, mask })
}

/// pthread.h: the attribute's policy and priority count, and not the maker's.
const PTHREAD_EXPLICIT_SCHED: c_int = 1;

/// Returns the policy and priority that the program has set (PTHREAD_EXPLICIT_SCHED), or `None`: they are inherited. EINVAL and
/// EPERM where the kernel would refuse them, which a trial on a schedule of its own finds out.
unsafe fn schedule_of(attr: &pthread_attr_t) -> Answer<Option<(c_int, c_int)>> {
    let (mut inherit, mut policy, mut param) = (0, 0, sched_param { sched_priority: 0 });
    pthread_attr_getinheritsched(attr, &mut inherit);
    if inherit != PTHREAD_EXPLICIT_SCHED {
        return Ok(None);
    }
    pthread_attr_getschedpolicy(attr, &mut policy);
    pthread_attr_getschedparam(attr, &mut param);
    let trial = Schedule::new();
    trial.inherit(current().map(|me| &me.thread.schedule));
    trial.set(policy, param.sched_priority).map_err(Miss::Errno)?;
    Ok(Some((policy, param.sched_priority)))
}

/// Returns the lowest address and the bytes of a stack that the program has set; `None`: it has set none. glibc reports 0 less the
/// size as the address of none.
unsafe fn given_stack(attr: &pthread_attr_t) -> Option<(usize, usize)> {
    let (mut lowest, mut bytes) = (std::ptr::null_mut(), 0);
    pthread_attr_getstack(attr, &mut lowest, &mut bytes);
    let lowest = lowest as usize;
    let set = lowest.wrapping_add(bytes) != 0 && lowest != 0;
    set.then_some((lowest, bytes))
}

extern "C" {
    fn pthread_getattr_default_np(attr: *mut pthread_attr_t) -> c_int;
    fn pthread_attr_getinheritsched(attr: *const pthread_attr_t, inherit: *mut c_int) -> c_int;
    fn pthread_attr_getschedpolicy(attr: *const pthread_attr_t, policy: *mut c_int) -> c_int;
    fn pthread_attr_getschedparam(attr: *const pthread_attr_t, param: *mut sched_param) -> c_int;
    fn pthread_attr_getdetachstate(attr: *const pthread_attr_t, state: *mut c_int) -> c_int;
    fn pthread_attr_getaffinity_np(attr: *const pthread_attr_t, size: size_t, set: *mut cpu_set_t) -> c_int;
    fn pthread_attr_setaffinity_np(attr: *mut pthread_attr_t, size: size_t, set: *const cpu_set_t) -> c_int;
    fn pthread_attr_getsigmask_np(attr: *const pthread_attr_t, mask: *mut sigset_t) -> c_int;
}

/// Returns the processors that the program has set, as far as they may be had; `None`: it has set none, for which glibc reports all
/// ones. EINVAL where none of them may be had.
unsafe fn processors_of(attr: &pthread_attr_t) -> Answer<Option<sys::Processors>> {
    let mut set: sys::Processors = [0; 16];
    let failed = pthread_attr_getaffinity_np(attr, size_of_val(&set), set.as_mut_ptr() as *mut cpu_set_t);
    if failed != 0 || set == [u64::MAX; 16] {
        return Ok(None);
    }
    kernel_state::possible(size_of_val(&set), set.as_ptr() as usize).map(Some).map_err(Miss::Errno)
}

/// Returns the signal mask that the program has set in an attribute; `None`: the thread inherits its maker's.
unsafe fn mask_of(attr: &pthread_attr_t) -> Option<u64> {
    const NO_SIGMASK: c_int = -1;
    let mut mask: sigset_t = std::mem::zeroed();
    (pthread_attr_getsigmask_np(attr, &mut mask) != NO_SIGMASK).then(|| *(&mask as *const sigset_t as *const u64))
}

/// `pthread_getattr_np`: fills an attribute with a green thread's stack, guard, detach state and processors. Policy and priority are
/// those of a fresh attribute. Main's is libc's to answer, and a foreign thread's. Always 0; the caller destroys the object.
pub unsafe fn pthread_getattr_np(thread: pthread_t, attr: *mut pthread_attr_t) -> Answer<c_int> {
    let green = by_pthread(thread)?;
    if green.is_main {
        // glibc's answer for the initial thread needs its real tid, which main keeps.
        return Err(Miss::Libc);
    }
    let detached = green.life.load(Relaxed) & life::DETACHED != 0;
    pthread_attr_init(attr);
    pthread_attr_setstack(attr, green.vessel.stack.get().lowest as *mut c_void, green.vessel.stack.get().bytes);
    pthread_attr_setguardsize(attr, green.vessel.stack.get().guard);
    pthread_attr_setdetachstate(attr, if detached { PTHREAD_CREATE_DETACHED } else { PTHREAD_CREATE_JOINABLE });
    let processors = kernel_state::processors(green);
    pthread_attr_setaffinity_np(attr, size_of_val(&processors), processors.as_ptr() as *const cpu_set_t);
    Ok(0)
}
