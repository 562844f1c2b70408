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

/// How far the ends of main and of the process have come.
pub struct Ends {
    /// How many green threads live, main not counted. Counted up by `thread::create`, down by `ended`.
    pub live: AtomicUsize,
    /// The mask of the thread which ended last: the exit handlers of a process that main left run under it.
    pub last_mask: AtomicU64,
    /// Has main left by pthread_exit? False → true by `leave_main`, once.
    pub main_ends: AtomicBool,
    /// 1 until the kernel thread on which main ends has gone: the kernel clears the word then (set_tid_address).
    pub main_alive: AtomicU32,
}

/// The only value of `Ends`.
pub static ENDS: Ends = Ends {
    live: AtomicUsize::new(0),
    last_mask: AtomicU64::new(0),
    main_ends: AtomicBool::new(false),
    main_alive: AtomicU32::new(0),
};

/// Publishes the end of a green thread: the last act for it, on another's stack, since its own is free from here on. Called by the switch
/// that leaves it (`slots::end`), with the guard up and no lock held. In this order:
///
/// 1. The thread leaves the roll: its tid leads to it no more.
/// 2. `FINISHED` is set; what was set before decides who recycles the vessel (`thread`).
/// 3. Signals in its queue that are the process's go to other threads. A sender that missed step 1 sees `FINISHED` and does the same.
/// 4. The vessel is recycled, or the joining thread is woken. From here on the vessel may serve another thread.
/// 5. The count falls last: the process ends only when nothing of this thread is left to do.
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
    ENDS.last_mask.store(green.mask.get(), Relaxed);
    if ENDS.live.fetch_sub(1, AcqRel) == 1 && ENDS.main_ends.load(Acquire) {
        crate::base::summon::call();
    }
}

/// Ends the running thread with `result`, unwinding its stack: pthread_exit, and a cancellation that is acted on. Called by hooks and
/// `cancel::act`, on the thread itself, with no lock held; does not return. No cancellation is acted on from here on.
///
/// # Safety
/// Nothing with a destructor of ours may be alive on this stack.
pub unsafe fn exit(me: &'static Green, result: *mut c_void) -> ! {
    me.thread.result.set(result);
    me.thread.cancel_disabled.store(true, SeqCst);
    me.wait.in_call.store(false, Relaxed);
    me.wait.cut.set(false);
    if me.is_main {
        leave_main(me);
    } else {
        me.thread.unwinding.set(true);
    }
    // SAFETY: the caller's rule: glibc unwinds a stack on which nothing of the library's has a destructor.
    unsafe { glibc::exit_thread() }
}

/// Makes main leave by pthread_exit: its kernel thread leaves the workers, hands its slot on, unwinds main's stack natively, and ends in
/// glibc's own epilogue. Called on main, with no lock held, before the unwinding. The process lives on until the last green thread ends:
///
/// 1. `ENDS.main_ends` is stored, then the monitor is called: it ticks from now on (`see_main_off`).
/// 2. The kernel clears `ENDS.main_alive` when the kernel thread has gone. Only then main is finished, and a join of main returns.
/// 3. `ended` calls the monitor when `ENDS.live` falls to 0; the monitor ends the process when both have happened.
pub fn leave_main(me: &'static Green) {
    let worker = me.worker();
    ENDS.main_alive.store(1, Relaxed);
    sys::watch_end(&ENDS.main_alive);
    me.mask.set(signal_set::CLOSED);
    arch::set_self_word(0);
    ENDS.main_ends.store(true, Release);
    worker::resign(worker);
    crate::base::summon::call();
}

/// Sees to the end of main by pthread_exit: wakes the thread that joins main once main's kernel thread has gone, and ends the process after
/// the last green thread. The monitor's duty, at each tick. True: main's kernel thread still lives, and nothing will ring when it goes.
pub fn see_main_off() -> bool {
    if !ENDS.main_ends.load(Acquire) {
        return false;
    }
    if ENDS.main_alive.load(Acquire) != 0 {
        return true;
    }
    if let Some(main) = roll::main() {
        main.life.fetch_or(life::FINISHED, AcqRel);
        park::wake_all(main.life.as_ptr() as usize);
    }
    if ENDS.live.load(Acquire) == 0 {
        // The exit handlers run as the last thread would run them.
        sys::set_signal_mask(ENDS.last_mask.load(Relaxed) & signal_set::CLOSED);
        glibc::exit_process(0);
    }
    false
}

/// In a fork child: one thread, and it is its main.
pub fn after_fork() {
    // `main_alive` and `last_mask` are written before they are asked for.
    let Ends { live, last_mask: _, main_ends, main_alive: _ } = &ENDS;
    live.store(0, Relaxed);
    main_ends.store(false, Relaxed);
}
