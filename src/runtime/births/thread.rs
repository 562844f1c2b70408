//! A green thread's life as pthreads sees it: creation, end, join, detach, cancellation, and the end of the last one.
//!
//! `life` is one word of bits. Whoever sets the second of {FINISHED, DETACHED or JOINING's success} recycles the vessel: the end sets
//! FINISHED and looks for DETACHED; detach sets DETACHED and looks for FINISHED; both by fetch_or, so exactly one sees the other.

use crate::runtime::births::vessel;
use crate::runtime::kernel::{reserve, worker};
use crate::runtime::machine::alternate::Alternate;
use crate::runtime::machine::green::{current, life, Green, Start};
use crate::runtime::machine::{counts, kernel_state, roll, settings};
use crate::runtime::news::lot;
use crate::runtime::sched::slots;
use crate::runtime::signal::delivery;
use crate::runtime::waiting::call;
use crate::runtime::waiting::wait::{Deadline, Woken};
use crate::sys::{self, Processors};
use crate::why::Why;
use crate::{arch, glibc};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

/// What a new thread is to be.
pub struct Wish {
    pub start: Start,
    pub argument: *mut c_void,
    pub detached: bool,
    pub stack: WishedStack,
    pub processors: Option<Processors>,
    /// Policy and priority.
    pub schedule: Option<(i32, i32)>,
    /// A mask asked for by attribute.
    pub mask: Option<u64>,
}

pub enum WishedStack {
    /// Lowest address and bytes.
    Given(usize, usize),
    /// Bytes, and bytes of guard.
    Ours(usize, usize),
}

/// Green threads alive, main not counted.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Creates a green thread: `publish` gets its pthread_t before it can run.
pub fn create(wish: Wish, publish: impl FnOnce(usize)) -> Result<(), i32> {
    let green = match wish.stack {
        WishedStack::Given(lowest, bytes) => vessel::take_on(lowest, bytes)?,
        WishedStack::Ours(bytes, guard) => vessel::take(bytes, guard)?,
    };
    if roll::enter(green).is_none() {
        vessel::recycle(green);
        return Err(libc::EAGAIN);
    }
    // SAFETY: the descriptor of a vessel that does not run.
    unsafe { *glibc::tid_field(green.fs.get()) = green.tid() };
    green.start.set(Some(wish.start));
    green.argument.set(wish.argument);
    green.control.set(arch::control_words());
    green.result.set(std::ptr::null_mut());
    green.alerts.store(0, Relaxed);
    green.alone.set(false);
    green.bound.set(false);
    green.pending.clear();
    green.waits_for.set(0);
    green.cancel_disabled.store(false, Relaxed);
    green.cancel_asynchronous.store(false, Relaxed);
    glibc::forget_exit(green.fs.get());
    green.alternate.set(Alternate::NONE);
    let creator = current();
    green.mask.set(wish.mask.unwrap_or_else(|| creator.map_or_else(sys::signal_mask, |green| green.mask.get())));
    // SAFETY: nobody else knows the new thread yet; the creator's name is read by itself.
    unsafe { *green.name.get() = creator.map_or_else(sys::thread_name, |creator| *creator.name.get()) };
    kernel_state::inherit(green, creator, wish.processors);
    green.schedule.inherit(creator.map(|creator| &creator.schedule));
    green.settings.inherit(creator.map(|creator| &creator.settings));
    if let Some((policy, priority)) = wish.schedule {
        green.schedule.set(policy, priority).ok();
    }
    green.life.store(if wish.detached { life::DETACHED } else { 0 }, Release);
    let live = LIVE.fetch_add(1, AcqRel) + 1;
    counts::green_thread_created(creator.map(|creator| creator.worker()), live as u64);
    // SAFETY: the word is ours in the vessel's static TLS, and the vessel does not run: pthread_t leads to the thread from now on.
    unsafe {
        *(green.fs.get().wrapping_add_signed(arch::identity_offset()) as *mut usize) = green as *const Green as usize
    };
    reserve::provide(live);
    publish(green.fs.get());
    slots::ready_last(green);
    Ok(())
}

/// The last act of a thread, on another's stack: its own is free from here on.
pub fn ended(green: &'static Green) {
    kernel_state::end(green);
    settings::end(green);
    roll::leave(green);
    let before = green.life.fetch_or(life::FINISHED, SeqCst);
    delivery::hand_on(green);
    if before & life::DETACHED != 0 {
        vessel::recycle(green);
    } else {
        lot::wake_all(green.life.as_ptr() as usize);
    }
    LAST_MASK.store(green.mask.get(), Relaxed);
    if LIVE.fetch_sub(1, AcqRel) == 1 && MAIN_ENDS.load(Acquire) {
        crate::runtime::monitor::call();
    }
}

/// Waits for a thread's end: its result. EDEADLK, EINVAL and ESRCH as glibc gives them; ETIMEDOUT past the deadline, which is asked
/// for only if there is something to wait for: its error is then the answer.
pub fn join(green: &'static Green, deadline: impl Fn() -> Result<Deadline, i32>) -> Result<*mut c_void, i32> {
    if current().is_some_and(|me| std::ptr::eq(me, green)) {
        let is_detached = green.life.load(Relaxed) & life::DETACHED != 0;
        let looks_at_that = is_detached && !glibc::version::join_knows_itself_first();
        return Err(if looks_at_that { libc::EINVAL } else { libc::EDEADLK });
    }
    let before = green.life.fetch_or(life::JOINING, AcqRel);
    if before & life::GONE != 0 {
        return Err(libc::ESRCH);
    }
    if before & (life::DETACHED | life::JOINING) != 0 {
        if before & life::JOINING == 0 {
            green.life.fetch_and(!life::JOINING, AcqRel);
        }
        return Err(libc::EINVAL);
    }
    let finished = || green.life.load(Acquire) & life::FINISHED != 0;
    let why = Why::Join(green.tid());
    while !finished() {
        let waited = deadline().map(|deadline| {
            let woken = lot::park_cancellable(why, green.life.as_ptr() as usize, 0, deadline, || !finished());
            match finished() {
                true => Woken::Ready(0),
                false => woken,
            }
        });
        if !matches!(waited, Ok(Woken::Ready(_) | Woken::Interrupted)) {
            green.life.fetch_and(!life::JOINING, AcqRel);
            if waited == Ok(Woken::Cancelled) {
                crate::runtime::waiting::cancel::cancellation_point();
            }
            return Err(waited.err().unwrap_or(libc::ETIMEDOUT));
        }
    }
    let result = green.result.get();
    if green.is_main {
        green.life.store(life::GONE, Release);
    } else if green.stack.get().foreign {
        call::block(|| vessel::bury(green));
    } else {
        vessel::recycle(green);
    }
    Ok(result)
}

/// EINVAL when it is detached already, ESRCH when it is gone.
pub fn detach(green: &'static Green) -> Result<(), i32> {
    let before = green.life.fetch_or(life::DETACHED, AcqRel);
    if before & life::GONE != 0 {
        green.life.store(life::GONE, Release);
        return Err(libc::ESRCH);
    }
    if before & (life::DETACHED | life::JOINING) != 0 {
        if before & life::DETACHED == 0 {
            green.life.fetch_and(!life::DETACHED, AcqRel);
        }
        return Err(libc::EINVAL);
    }
    if before & life::FINISHED != 0 {
        vessel::recycle(green);
    }
    Ok(())
}

/// Ends the running thread with `result`, unwinding its stack.
///
/// # Safety
/// Nothing with a destructor of ours may be alive on this stack.
pub unsafe fn exit(me: &'static Green, result: *mut c_void) -> ! {
    me.result.set(result);
    me.cancel_disabled.store(true, SeqCst);
    me.in_call.store(false, Relaxed);
    me.cut.set(false);
    if me.is_main {
        leave_main(me);
    } else {
        me.unwinding.set(true);
    }
    glibc::exit_thread()
}

/// The signals that the thread which ended last has blocked.
static LAST_MASK: AtomicU64 = AtomicU64::new(0);
static MAIN_ENDS: AtomicBool = AtomicBool::new(false);
/// 1 until the kernel thread on which main ends has gone.
static MAIN_ALIVE: AtomicU32 = AtomicU32::new(0);

/// pthread_exit of main: the kernel thread that runs it leaves the workers, hands its slot on, unwinds main's stack natively, and
/// ends in glibc's own epilogue. The process lives on until the last green thread ends.
pub fn leave_main(me: &'static Green) {
    let worker = me.worker();
    MAIN_ALIVE.store(1, Relaxed);
    sys::watch_end(&MAIN_ALIVE);
    me.mask.set(delivery::CLOSED);
    arch::set_self_word(0);
    MAIN_ENDS.store(true, Release);
    worker::resign(worker);
    crate::runtime::monitor::call();
}

/// The monitor's duty when main leaves by pthread_exit: tells who joins it once its kernel thread has gone, and ends the process
/// after the last green thread. True: main's kernel thread still lives, and nobody will say when it goes.
pub fn see_main_off() -> bool {
    if !MAIN_ENDS.load(Acquire) {
        return false;
    }
    if MAIN_ALIVE.load(Acquire) != 0 {
        return true;
    }
    if let Some(main) = roll::main() {
        main.life.fetch_or(life::FINISHED, AcqRel);
        lot::wake_all(main.life.as_ptr() as usize);
    }
    if LIVE.load(Acquire) == 0 {
        // The exit handlers run as the last thread would run them.
        sys::set_signal_mask(LAST_MASK.load(Relaxed) & delivery::CLOSED);
        glibc::exit_process(0);
    }
    false
}

/// In a fork child: one thread, and it is its main.
pub fn after_fork() {
    LIVE.store(0, Relaxed);
    MAIN_ENDS.store(false, Relaxed);
}
