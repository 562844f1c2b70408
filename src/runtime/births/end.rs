//! The end of a thread: of a green one, of main by pthread_exit, and of the process after the last.

use crate::base::signal_set;
use crate::runtime::births::yard;
use crate::runtime::kernel::worker;
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::words::life;
use crate::runtime::machine::{death_signal, kernel_state, roll};
use crate::runtime::signal::shelf;
use crate::runtime::waiting::park;
use crate::{arch, glibc, sys};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

/// How many green threads live, main not counted.
pub static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Ends a green thread in the eyes of others: the last act for it, on another's stack, since its own is free from here on. Called by the
/// switch that leaves it (`slots::end`), with the guard up.
pub fn ended(green: &'static Green) {
    kernel_state::end(green);
    death_signal::end(green);
    roll::leave(green);
    let before = green.life.fetch_or(life::FINISHED, SeqCst);
    shelf::hand_on(green);
    if before & life::DETACHED != 0 {
        yard::recycle(green);
    } else {
        park::wake_all(green.life.as_ptr() as usize);
    }
    LAST_MASK.store(green.mask.get(), Relaxed);
    if LIVE.fetch_sub(1, AcqRel) == 1 && MAIN_ENDS.load(Acquire) {
        crate::base::summon::call();
    }
}

/// Ends the running thread with `result`, unwinding its stack: pthread_exit, and a cancellation that is acted on.
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
    // SAFETY: the caller's rule: glibc unwinds a stack on which nothing of the library's has a destructor.
    unsafe { glibc::exit_thread() }
}

/// The mask of the thread which ended last.
pub static LAST_MASK: AtomicU64 = AtomicU64::new(0);
/// Has main left by pthread_exit?
pub static MAIN_ENDS: AtomicBool = AtomicBool::new(false);
/// 1 until the kernel thread on which main ends has gone.
pub static MAIN_ALIVE: AtomicU32 = AtomicU32::new(0);

/// pthread_exit of main: the kernel thread that runs it leaves the workers, hands its slot on, unwinds main's stack natively, and
/// ends in glibc's own epilogue. The process lives on until the last green thread ends.
pub fn leave_main(me: &'static Green) {
    let worker = me.worker();
    MAIN_ALIVE.store(1, Relaxed);
    sys::watch_end(&MAIN_ALIVE);
    me.mask.set(signal_set::CLOSED);
    arch::set_self_word(0);
    MAIN_ENDS.store(true, Release);
    worker::resign(worker);
    crate::base::summon::call();
}

/// Sees to the end of main by pthread_exit: wakes the thread that joins main once main's kernel thread has gone, and ends the process after
/// the last green thread. The monitor's duty, at each tick. True: main's kernel thread still lives, and nothing will ring when it goes.
pub fn see_main_off() -> bool {
    if !MAIN_ENDS.load(Acquire) {
        return false;
    }
    if MAIN_ALIVE.load(Acquire) != 0 {
        return true;
    }
    if let Some(main) = roll::main() {
        main.life.fetch_or(life::FINISHED, AcqRel);
        park::wake_all(main.life.as_ptr() as usize);
    }
    if LIVE.load(Acquire) == 0 {
        // The exit handlers run as the last thread would run them.
        sys::set_signal_mask(LAST_MASK.load(Relaxed) & signal_set::CLOSED);
        glibc::exit_process(0);
    }
    false
}

/// In a fork child: one thread, and it is its main.
pub fn after_fork() {
    LIVE.store(0, Relaxed);
    MAIN_ENDS.store(false, Relaxed); // `MAIN_ALIVE` and `LAST_MASK` are written before they are asked for.
}
