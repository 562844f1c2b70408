//! Threads: create, join, detach, end, cancel, and what a thread is asked about itself.
//!
//! A pthread_t is a TCB, and ours has a word in its TLS that leads to the green thread; for a foreign thread the real function answers.
//! Where glibc would ask the kernel about the thread's own kernel thread (affinity, scheduling, CPU clock) we answer: a green thread has
//! none of its own (room `schedule`).

use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::real;
use crate::hooks::time::sleep::{self, Until};
use crate::runtime::births::thread::{self, Wish, WishedStack};
use crate::runtime::machine::green::{life, Green, Start};
use crate::runtime::machine::schedule::Schedule;
use crate::runtime::machine::{kernel_state, roll};
use crate::runtime::waiting::cancel;
use crate::runtime::{self, current};
use crate::{glibc, sys};
use libc::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

/// GREENPATCH_OPTIONS stack_size, or 0.
static DEFAULT_STACK: AtomicUsize = AtomicUsize::new(0);

pub fn set_default_stack(bytes: Option<usize>) {
    DEFAULT_STACK.store(bytes.unwrap_or(0), Relaxed);
}

/// Starts the runtime at the first thread; false: this program (or this call) stays native.
fn running() -> bool {
    if runtime::started() {
        return !runtime::kernel::alone::stays();
    }
    let done = runtime::start::start(crate::hooks::inside::entries::take);
    if done {
        crate::hooks::signal::action::take_over();
    }
    done
}

pub unsafe fn pthread_create(
    thread: *mut pthread_t,
    attr: *const pthread_attr_t,
    start: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> Answer<c_int> {
    if !running() {
        return Err(Miss::Libc);
    }
    let start = Start::Posix(start);
    let wish = if attr.is_null() { wish_by_default(start, argument)? } else { wish_of(&*attr, start, argument)? };
    thread::create(wish, |pthread| *thread = pthread as pthread_t).map_err(Miss::Errno)?;
    Ok(0)
}

pub unsafe fn thrd_create(
    thread: *mut pthread_t,
    start: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> Answer<c_int> {
    if !running() {
        return Err(Miss::Libc);
    }
    let wish = wish_by_default(Start::C11(start), argument)?;
    // ENOMEM is what C11 calls thrd_nomem; glibc answers that for EAGAIN too.
    thread::create(wish, |pthread| *thread = pthread as pthread_t).map_err(|_| Miss::Errno(ENOMEM))?;
    Ok(0)
}

/// Bytes of stack and guard of a thread without an attribute: read once, for they cost an attribute's making; 0: not read.
static USUAL: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

/// The program has set an attribute for threads that are made without one: it is read each time.
static DEFAULTS_CHANGED: AtomicBool = AtomicBool::new(false);

fn wish_by_default(start: Start, argument: *mut c_void) -> Answer<Wish> {
    if USUAL[0].load(Relaxed) == 0 || DEFAULTS_CHANGED.load(Relaxed) {
        // SAFETY: an attribute of our own.
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

/// The program changes what threads without an attribute are given.
pub unsafe fn pthread_setattr_default_np(attr: *const pthread_attr_t) -> Answer<c_int> {
    let failed = real::pthread_setattr_default_np(attr);
    DEFAULT_STACK.store(0, Relaxed);
    DEFAULTS_CHANGED.store(true, Relaxed);
    Ok(failed)
}

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

unsafe fn wish_of(attr: &pthread_attr_t, start: Start, argument: *mut c_void) -> Answer<Wish> {
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

/// A policy and priority that the program set, if they may be had.
unsafe fn schedule_of(attr: &pthread_attr_t) -> Answer<Option<(c_int, c_int)>> {
    let (mut inherit, mut policy, mut param) = (0, 0, sched_param { sched_priority: 0 });
    pthread_attr_getinheritsched(attr, &mut inherit);
    if inherit != PTHREAD_EXPLICIT_SCHED {
        return Ok(None);
    }
    pthread_attr_getschedpolicy(attr, &mut policy);
    pthread_attr_getschedparam(attr, &mut param);
    let trial = Schedule::new();
    trial.inherit(current().map(|me| &me.schedule));
    trial.set(policy, param.sched_priority).map_err(Miss::Errno)?;
    Ok(Some((policy, param.sched_priority)))
}

/// A stack that the program set. glibc reports (0 - size) as the address of none.
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

/// Processors that the program set, as far as they may be had; glibc reports all ones for none.
unsafe fn processors_of(attr: &pthread_attr_t) -> Answer<Option<sys::Processors>> {
    let mut set: sys::Processors = [0; 16];
    let failed = pthread_attr_getaffinity_np(attr, size_of_val(&set), set.as_mut_ptr() as *mut cpu_set_t);
    if failed != 0 || set == [u64::MAX; 16] {
        return Ok(None);
    }
    kernel_state::possible(size_of_val(&set), set.as_ptr() as usize).map(Some).map_err(Miss::Errno)
}

unsafe fn mask_of(attr: &pthread_attr_t) -> Option<u64> {
    const NO_SIGMASK: c_int = -1;
    let mut mask: sigset_t = std::mem::zeroed();
    (pthread_attr_getsigmask_np(attr, &mut mask) != NO_SIGMASK).then(|| *(&mask as *const sigset_t as *const u64))
}

pub fn green(thread: pthread_t) -> Result<&'static Green, Miss> {
    if !runtime::started() || thread == 0 {
        return Err(Miss::Libc);
    }
    let main = roll::main_or_its_end().filter(|main| main.fs.get() == thread as usize);
    Green::of(thread as usize).or(main).ok_or(Miss::Libc)
}

unsafe fn give(result: *mut *mut c_void, value: *mut c_void) -> Answer<c_int> {
    if !result.is_null() {
        *result = value;
    }
    Ok(0)
}

pub unsafe fn pthread_join(thread: pthread_t, result: *mut *mut c_void) -> Answer<c_int> {
    let green = green(thread)?;
    runtime::cancellation_point();
    let value = thread::join(green, || Ok(None)).map_err(Miss::Errno)?;
    give(result, value)
}

pub unsafe fn pthread_tryjoin_np(thread: pthread_t, result: *mut *mut c_void) -> Answer<c_int> {
    let green = green(thread)?;
    if green.life.load(Acquire) & (life::FINISHED | life::GONE) == 0 {
        return errno(EBUSY);
    }
    let value = thread::join(green, || Err(EBUSY)).map_err(Miss::Errno)?;
    give(result, value)
}

pub unsafe fn pthread_timedjoin_np(
    thread: pthread_t,
    result: *mut *mut c_void,
    until: *const timespec,
) -> Answer<c_int> {
    pthread_clockjoin_np(thread, result, CLOCK_REALTIME, until)
}

pub unsafe fn pthread_clockjoin_np(
    thread: pthread_t,
    result: *mut *mut c_void,
    clock: clockid_t,
    until: *const timespec,
) -> Answer<c_int> {
    let green = green(thread)?;
    sleep::waitable(clock)?;
    if until.is_null() {
        return pthread_join(thread, result);
    }
    runtime::cancellation_point();
    if glibc::version::join_checks_time() {
        sleep::valid(until)?;
    }
    let deadline = || Until { clock, time: until }.deadline().map_err(|_| EINVAL);
    let value = thread::join(green, deadline).map_err(Miss::Errno)?;
    give(result, value)
}

pub unsafe fn pthread_detach(thread: pthread_t) -> Answer<c_int> {
    thread::detach(green(thread)?).map_err(Miss::Errno)?;
    Ok(0)
}

pub unsafe fn thrd_join(thread: pthread_t, result: *mut c_int) -> Answer<c_int> {
    let joined = thread::join(green(thread)?, || Ok(None));
    // glibc writes whatever came of it.
    if !result.is_null() {
        *result = joined.unwrap_or(std::ptr::null_mut()) as isize as c_int;
    }
    joined.map(|_| 0).map_err(Miss::Errno)
}

pub unsafe fn thrd_detach(thread: pthread_t) -> Answer<c_int> {
    pthread_detach(thread)
}

pub unsafe fn pthread_exit(result: *mut c_void) -> Answer<()> {
    match current() {
        Some(me) => thread::exit(me, result),
        None => Err(Miss::Libc),
    }
}

pub unsafe fn thrd_exit(result: c_int) -> Answer<()> {
    pthread_exit(result as isize as *mut c_void)
}

pub unsafe fn pthread_cancel(thread: pthread_t) -> Answer<c_int> {
    let target = green(thread)?;
    cancel::cancel(target).map_err(Miss::Errno)?;
    let own = current().is_some_and(|me| std::ptr::eq(me, target));
    if own && target.cancel_asynchronous.load(Relaxed) {
        runtime::cancellation_point();
    }
    Ok(0)
}

pub unsafe fn pthread_testcancel() -> Answer<()> {
    runtime::cancellation_point();
    Ok(())
}

fn me() -> Result<&'static Green, Miss> {
    current().ok_or(Miss::Libc)
}

pub unsafe fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> Answer<c_int> {
    let me = me()?;
    if state != PTHREAD_CANCEL_ENABLE && state != PTHREAD_CANCEL_DISABLE {
        return errno(EINVAL);
    }
    let before = me.cancel_disabled.swap(state == PTHREAD_CANCEL_DISABLE, SeqCst);
    glibc::set_cancel_state(state);
    if !old.is_null() {
        *old = if before { PTHREAD_CANCEL_DISABLE } else { PTHREAD_CANCEL_ENABLE };
    }
    runtime::waiting::cancel::asynchronous_point();
    Ok(0)
}

pub unsafe fn pthread_setcanceltype(kind: c_int, old: *mut c_int) -> Answer<c_int> {
    let me = me()?;
    if kind != PTHREAD_CANCEL_DEFERRED && kind != PTHREAD_CANCEL_ASYNCHRONOUS {
        return errno(EINVAL);
    }
    let before = me.cancel_asynchronous.swap(kind == PTHREAD_CANCEL_ASYNCHRONOUS, SeqCst);
    if !old.is_null() {
        *old = if before { PTHREAD_CANCEL_ASYNCHRONOUS } else { PTHREAD_CANCEL_DEFERRED };
    }
    runtime::waiting::cancel::asynchronous_point();
    Ok(0)
}

// From libc's bits/pthread.h.
const PTHREAD_CANCEL_ENABLE: c_int = 0;
const PTHREAD_CANCEL_DISABLE: c_int = 1;
const PTHREAD_CANCEL_DEFERRED: c_int = 0;
const PTHREAD_CANCEL_ASYNCHRONOUS: c_int = 1;
const PTHREAD_EXPLICIT_SCHED: c_int = 1;

pub unsafe fn pthread_getattr_np(thread: pthread_t, attr: *mut pthread_attr_t) -> Answer<c_int> {
    let green = green(thread)?;
    if green.is_main {
        // glibc's answer for the initial thread needs its real tid, which main keeps.
        return Err(Miss::Libc);
    }
    let detached = green.life.load(Relaxed) & life::DETACHED != 0;
    pthread_attr_init(attr);
    pthread_attr_setstack(attr, green.stack.get().lowest as *mut c_void, green.stack.get().bytes);
    pthread_attr_setguardsize(attr, green.stack.get().guard);
    pthread_attr_setdetachstate(attr, if detached { PTHREAD_CREATE_DETACHED } else { PTHREAD_CREATE_JOINABLE });
    let processors = kernel_state::processors(green);
    pthread_attr_setaffinity_np(attr, size_of_val(&processors), processors.as_ptr() as *const cpu_set_t);
    Ok(0)
}

pub unsafe fn pthread_key_create(
    key: *mut pthread_key_t,
    destructor: Option<unsafe extern "C" fn(*mut c_void)>,
) -> Answer<c_int> {
    let failed = real::pthread_key_create(key, destructor);
    if failed == 0 {
        glibc::note_key(*key);
    }
    Ok(failed)
}
