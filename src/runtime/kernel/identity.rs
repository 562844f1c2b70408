//! User and group ids belong to the process, but the kernel keeps them per kernel thread: glibc's setuid and its family signal (33)
//! every thread that has a kernel thread, and wait until each has made the system call and said so in its descriptor.
//!
//! Two things are in the way. A worker runs on a vessel's TCB, and glibc's handler would answer there, while the sender waits for
//! the worker's own descriptor: so our handler loads the kernel thread's own TCB, calls glibc's, and puts the vessel's back. And a
//! green caller would be taken for its vessel, and its kernel thread left out: so a thread made for this makes the call.
//!
//! A kernel thread that ends otherwise than glibc ends one could take the signal with it, and the sender would wait for ever. So none
//! ends so while the threads are asked (`begin_unasked`).

use crate::base::lock::RawLock;
use crate::runtime::births::vessel;
use crate::runtime::kernel::errand::{self, SIGNAL};
use crate::runtime::kernel::worker::GATE;
use crate::runtime::machine::green::current;
use crate::runtime::machine::{counts, roll};
use crate::runtime::monitor;
use crate::runtime::news::lot;
use crate::runtime::sched::slots;
use crate::runtime::signal::delivery;
use crate::runtime::waiting::call;
use crate::why::Why;
use crate::{arch, glibc, sys};
use libc::{c_int, c_void, siginfo_t};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::*};

type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// glibc's handler.
static REAL: AtomicUsize = AtomicUsize::new(0);

/// Puts our handler before glibc's, which is there since the first real pthread_create.
pub fn begin() {
    let mut action = [0; 4];
    // SAFETY: asks only.
    unsafe { sys::signal_action(SIGNAL, std::ptr::null(), &mut action) };
    let own = asked as Handler as usize;
    if action[0] <= libc::SIG_IGN || action[0] == own {
        return;
    }
    REAL.store(action[0], Relaxed);
    action[0] = own;
    action[3] = sys::open(action[3] as u64) as usize;
    // SAFETY: glibc's own flags and restorer; the handler is fit for any thread.
    unsafe { sys::signal_action(SIGNAL, &action, std::ptr::null_mut()) };
}

extern "C" fn asked(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's own information.
    if unsafe { (*info).si_code } == libc::SI_QUEUE {
        return errand::look();
    }
    // SAFETY: `begin` stored glibc's handler before ours was there.
    let real: Handler = unsafe { std::mem::transmute(REAL.load(Relaxed)) };
    let dies = current().is_some_and(|me| me.dying.get());
    let own = slots::here().filter(|_| !dies).map(|worker| match roll::main_or_its_end() {
        Some(main) if worker.is_leader => main.fs.get(),
        _ => worker.thread.get(),
    });
    match own {
        // SAFETY: the TCB of this kernel thread. Only main may run on its own meanwhile, and glibc's handler changes nothing there
        // but two words that are for this. What was interrupted is no birth (`without_unbegun`) and finds its own TCB again.
        Some(own) if own != arch::tcb() => unsafe { arch::on_tcb(own, || real(signal, info, context)) },
        _ => real(signal, info, context),
    }
}

/// Held while glibc asks all threads, and by a kernel thread until glibc no longer finds it. Whoever waits for it answers meanwhile.
static ASKING: RawLock = RawLock::new();

/// glibc asks all threads just now.
static IS_ASKING: AtomicBool = AtomicBool::new(false);

/// Is a kernel thread that ends now to wait for long? Whoever can do something else does.
pub fn is_asking() -> bool {
    IS_ASKING.load(Relaxed)
}

/// From here to `end_unasked` no thread is asked: the calling kernel thread is about to end without glibc. The wait may be long: nobody
/// is to wait for that end before this has returned.
pub fn begin_unasked() {
    ASKING.lock();
}

/// Glibc no longer finds the calling kernel thread: its descriptor has no tid, and every signal is blocked.
pub fn end_unasked() {
    ASKING.unlock();
}

/// In a fork child nobody is asked.
pub fn after_fork() {
    ASKING.reset();
    IS_ASKING.store(false, Relaxed);
}

/// What an errand's thread is to do for a green thread.
struct Errand {
    call: *mut dyn FnMut(),
    done: AtomicU32,
}

/// Has a thread with a TCB of its own call it, and waits for that. False: there is no kernel thread to be had.
pub fn by_another(call: &mut dyn FnMut()) -> bool {
    vessel::without_unbegun(|| run_elsewhere(call))
}

fn run_elsewhere(call: &mut dyn FnMut()) -> bool {
    // SAFETY: only the lifetime is forgotten; the errand is over when this returns.
    let call = unsafe { std::mem::transmute::<&mut dyn FnMut(), *mut (dyn FnMut() + 'static)>(call) };
    let errand = Errand { call, done: AtomicU32::new(0) };
    let Some(stack) = monitor::small_stack() else { return false };
    GATE.enter();
    counts::kernel_thread_born();
    let old_mask = sys::set_signal_mask(delivery::CLOSED);
    let born = glibc::create_thread(run_errand, &errand as *const Errand as *mut c_void, Some(stack));
    sys::set_signal_mask(old_mask);
    GATE.leave();
    if let Ok(thread) = born {
        let address = errand.done.as_ptr() as usize;
        while errand.done.load(Acquire) == 0 {
            lot::park_uncancelled(Why::Errand, address, 0, None, || errand.done.load(Acquire) == 0);
        }
        call::block(|| glibc::join_thread(thread));
        monitor::return_small_stack(thread as usize);
    } else {
        monitor::keep_small_stack(stack.0);
    }
    counts::kernel_thread_gone();
    born.is_ok()
}

extern "C" fn run_errand(errand: *mut c_void) -> *mut c_void {
    // SAFETY: `by_another` waits until this is done.
    let errand = unsafe { &*(errand as *const Errand) };
    ASKING.with(|| {
        IS_ASKING.store(true, Relaxed);
        // SAFETY: as above; nobody else calls it.
        unsafe { (*errand.call)() };
        IS_ASKING.store(false, Relaxed);
    });
    errand.done.store(1, Release);
    lot::wake_all(errand.done.as_ptr() as usize);
    std::ptr::null_mut()
}
