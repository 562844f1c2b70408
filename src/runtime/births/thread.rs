//! A green thread's life as pthreads sees it: creation, end, join, detach, cancellation, and the end of the last one.
//!
//! `life` is one word of bits, each set by a fetch_or:
//!
//! ```text
//!   bit        set by                          and then
//!   FINISHED   the thread's end (end::ended)   DETACHED was set: recycle; else wake the thread that joins
//!   DETACHED   detach, or create               FINISHED was set: recycle
//!   JOINING    join                            once FINISHED is set: recycle; taken back where the join fails
//!   GONE       recycle, alone but for DETACHED until the vessel serves again (create)
//! ```
//!
//! The end and a detach race: each sets its own bit and reads the other's in the same step, so exactly one of them sees both, and recycles
//! the vessel.

use crate::runtime::births::end::ENDS;
use crate::runtime::births::{vessel, yard};
use crate::runtime::kernel::supply;
use crate::runtime::machine::groups::Beginning;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::machine::words::{life, Start};
use crate::runtime::machine::{counts, kernel_state, roll};
use crate::runtime::news::waiter::Token;
use crate::runtime::sched::slots;
use crate::runtime::waiting::wait::{Deadline, Woken};
use crate::runtime::waiting::{call, park};
use crate::sys::{self, Processors};
use crate::why::Why;
use crate::{arch, glibc};
use std::ffi::c_void;
use std::sync::atomic::Ordering::*;

/// The attributes of a new thread.
pub struct Wish {
    /// The program's function.
    pub start: Start,
    /// The function's argument.
    pub argument: *mut c_void,
    /// The thread is created detached.
    pub detached: bool,
    pub stack: WishedStack,
    /// The processors it may run on; `None`: its creator's.
    pub processors: Option<Processors>,
    /// Policy and priority.
    pub schedule: Option<(i32, i32)>,
    /// A mask asked for by attribute.
    pub mask: Option<u64>,
}

/// The stack of a new thread.
pub enum WishedStack {
    /// Lowest address and bytes.
    Given(usize, usize),
    /// Bytes, and bytes of guard.
    Ours(usize, usize),
}

/// Creates a green thread: `publish` gets its pthread_t before it can run. Called on any thread of a started runtime, with no lock held;
/// fails by pthread_create's error number, and nothing is left of the thread then. May call the program's allocator, by glibc. In order:
///
/// 1. A vessel is taken or born, and entered in the roll, which gives the tid.
/// 2. All that is one thread's alone is written (`Green::begin`); no other thread knows the vessel yet.
/// 3. `life` is stored (Release): from here on joins and detaches count. The identity word makes pthread_t lead to the green thread.
/// 4. `publish` writes pthread_t into the program's memory; the new thread may read it there, so it is made ready only after that.
pub fn create(wish: Wish, publish: impl FnOnce(usize)) -> Result<(), i32> {
    let green = match wish.stack {
        WishedStack::Given(lowest, bytes) => vessel::take_on(lowest, bytes)?,
        WishedStack::Ours(bytes, guard) => vessel::take(bytes, guard)?,
    };
    if roll::enter(green).is_none() {
        yard::recycle(green);
        return Err(libc::EAGAIN);
    }
    // SAFETY: the descriptor of a vessel that does not run.
    unsafe { *glibc::tid_field(green.fs.get()) = green.tid() };
    glibc::forget_exit(green.fs.get());
    let creator = current();
    let (rights, segment) = kernel_state::registers();
    green.begin(&Beginning {
        start: wish.start,
        argument: wish.argument,
        mask: wish.mask.unwrap_or_else(|| creator.map_or_else(sys::signal_mask, |creator| creator.mask.get())),
        // SAFETY: the creator's name, read by the creator.
        name: creator.map_or_else(sys::thread_name, |creator| unsafe { *creator.thread.name.get() }),
        rights,
        segment,
        schedule: creator.map(|creator| &creator.thread.schedule),
        settings: creator.map(|creator| &creator.thread.settings),
    });
    kernel_state::inherit(green, creator, wish.processors);
    if let Some((policy, priority)) = wish.schedule {
        green.thread.schedule.set(policy, priority).ok();
    }
    green.life.store(if wish.detached { life::DETACHED } else { 0 }, Release);
    let live = ENDS.live.fetch_add(1, AcqRel) + 1;
    counts::green_thread_created(creator.map(|creator| creator.worker()), live as u64);
    // SAFETY: the word is ours in the vessel's static TLS, and the vessel does not run: pthread_t leads to the thread from now on.
    unsafe {
        *(green.fs.get().wrapping_add_signed(arch::identity_offset()) as *mut usize) = green as *const Green as usize
    };
    supply::provide(live);
    publish(green.fs.get());
    slots::ready_last(green);
    Ok(())
}

/// Waits for a thread's end and returns its result. Called on any thread, with no lock held; a cancellation point.
///
/// Fails by EDEADLK, EINVAL and ESRCH as glibc gives them, and by ETIMEDOUT past the deadline. `deadline` is called only if there is
/// something to wait for; an error of its own is then the answer. A wait that fails takes `JOINING` back, so that another may join.
pub fn join(green: &'static Green, deadline: impl Fn() -> Result<Deadline, i32>) -> Result<*mut c_void, i32> {
    if current().is_some_and(|me| std::ptr::eq(me, green)) {
        let is_detached = green.life.load(Relaxed) & life::DETACHED != 0;
        let looks_at_that = is_detached && !glibc::version::join_knows_itself_first();
        return Err(if looks_at_that { libc::EINVAL } else { libc::EDEADLK });
    }
    let before = green.life.fetch_or(life::JOINING, AcqRel);
    if before & life::GONE != 0 {
        return Err(when_gone(before));
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
            let woken = park::park_cancellable(why, green.life.as_ptr() as usize, 0, deadline, || !finished());
            match woken {
                _ if finished() => Woken::Ready(Token::PLAIN),
                // A lent loop ends the wait: a join without a deadline knows no error for that, and goes on.
                Woken::Ended(_) if deadline.is_none() => Woken::FalseAlarm,
                woken => woken,
            }
        });
        if !matches!(waited, Ok(Woken::Ready(_) | Woken::FalseAlarm | Woken::Interrupted)) {
            green.life.fetch_and(!life::JOINING, AcqRel);
            if waited == Ok(Woken::Cancelled) {
                crate::runtime::waiting::cancel::cancellation_point();
            }
            return Err(waited.err().unwrap_or(libc::ETIMEDOUT));
        }
    }
    let result = green.thread.result.get();
    if green.is_main {
        green.life.store(life::GONE, Release);
    } else if green.vessel.stack.get().foreign {
        call::block(|| yard::bury(green));
    } else {
        yard::recycle(green);
    }
    Ok(result)
}

/// Returns what a join or a detach of a thread that is gone fails by, until its vessel serves another: EINVAL where it was detached, as
/// before its end; ESRCH where it was joined (nptl/pthread_join_common.c: the join sets the tid to -1, an end to 0).
fn when_gone(life: u32) -> i32 {
    if life & life::DETACHED != 0 {
        libc::EINVAL
    } else {
        libc::ESRCH
    }
}

/// Detaches a thread, and recycles its vessel if it has ended. Called on any thread, with no lock held. Fails by EINVAL where the thread is
/// detached already or a thread joins it, by ESRCH where it was joined.
pub fn detach(green: &'static Green) -> Result<(), i32> {
    let before = green.life.fetch_or(life::DETACHED, AcqRel);
    if before & life::GONE != 0 {
        green.life.store(before, Release);
        return Err(when_gone(before));
    }
    if before & (life::DETACHED | life::JOINING) != 0 {
        if before & life::DETACHED == 0 {
            green.life.fetch_and(!life::DETACHED, AcqRel);
        }
        return Err(libc::EINVAL);
    }
    if before & life::FINISHED != 0 {
        yard::recycle(green);
    }
    Ok(())
}
