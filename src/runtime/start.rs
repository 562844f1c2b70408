//! The start: a program runs natively until its first pthread_create; then this turns main green and makes the machine.
//!
//! main keeps its stack and its TCB and becomes a green thread of its own kind; the kernel thread that it ran on, the leader, becomes a
//! worker. A worker needs a stack and a TCB of its own while main is switched away: the leader's are a vessel made for it.
//! If anything is not to be had, what was taken is given back, and the program stays native; the statistics say why (`native`).
//! So the steps that may fail come first, each with what undoes it:
//!
//! ```text
//!   step                                       undone by
//!   memory and descriptors are counted         (nothing is taken)
//!   the signals' descriptor (shelf::watch)     unwatch
//!   the slots, with their epolls               unmake_slots, own_fds::close_all
//!   stacks for workers                         (kept for a later start)
//!   the handler of SIGSYS (capture::prepare)   capture::give_up
//!   the monitor's kernel thread                dismiss
//!   the leader's vessel                        (never undone: it stays where this libc's end of a thread is not known)
//! ```
//!
//! `STARTED.has_started` is stored last, and with it every hook changes over. Until then the hooks of the program's other threads run
//! natively.
//!
//! What every thread may see of the start (`machine::started`):
//!
//! ```text
//!   STARTING  STARTED  REFUSED   how hooks serve
//!   0         false    false     natively; the next pthread_create on the first kernel thread starts
//!   1         false    false     natively; other threads' pthread_create makes native threads meanwhile
//!   any       true     false     green
//!   0         false    true      natively for ever (in a fork child, too)
//! ```

use crate::arch::{self, segment};
use crate::base::kept::Kept;
use crate::base::{guard, own_fds};
use crate::runtime::births::{duties, end, vessel};
use crate::runtime::kernel::caretaker::{self, Duties};
use crate::runtime::kernel::{alone, bell, filters, identity, small_stacks};
use crate::runtime::machine::parts::{current, Green, Worker};
use crate::runtime::machine::stack::Stack;
use crate::runtime::machine::started::{is_refused, refuse, started, REFUSED, STARTED, WHY};
use crate::runtime::machine::{alternate, counts, death_signal, kernel_state, roll, started as machine_started};
use crate::runtime::sched::slots::{self, UNUSED};
use crate::runtime::signal::{delivery, frames, shelf, sweep, worker_stack};
use crate::runtime::trap::{capture, inline};
use crate::runtime::waiting::{cancel, pin};
use crate::runtime::{births, dump, kernel, machine, monitor, news, sched, signal, trap, waiting};
use crate::{glibc, sys};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering::*};

/// How far the start has come.
struct Starting {
    /// 1 while the start is under way: a thread that finds 1 goes on natively.
    is_under_way: AtomicU32,
}

static STARTING: Starting = Starting { is_under_way: AtomicU32::new(0) };
/// How many workers were asked for, of a fork child as well. Written by `configure`, read by the statistics by its address.
pub static WORKERS: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(1));

/// How many workers were asked for: as many slots there are. Any thread asks.
pub fn workers() -> usize {
    WORKERS.load(Relaxed)
}

/// Notes what the front door knows from the environment. Called once, at load, before the first thread is made. `fast_switch`: the
/// processor and the kernel allow the FSGSBASE instructions.
pub fn configure(workers: usize, fast_switch: bool) {
    WORKERS.store(workers, Relaxed);
    segment::set_fast_switch(fast_switch);
}

/// Returns why this program stays native, if that is known: for the statistics. Called at any time, on any thread, in handlers too.
pub fn why_native() -> Option<&'static str> {
    let own = machine_started::OWN.load(Relaxed) && !started();
    own.then_some(filters::OWN_SET).or_else(|| WHY.get().copied().filter(|_| REFUSED.load(Relaxed)))
}

/// Starts the runtime, once: true when it runs. Called by the first pthread_create, and by each one after a refusal, on any thread, with no
/// lock held. Only the process's first kernel thread starts it, for that becomes the leader. `prepare` is called once there is memory
/// enough, before the first green thread is made. False: the program's thread is to be made natively; `why_native` tells why.
#[cold]
pub fn start(prepare: fn()) -> bool {
    if started() {
        return true;
    }
    filters::look();
    if is_refused() || sys::kernel_thread_id() != sys::process_id() || STARTING.is_under_way.swap(1, Acquire) != 0 {
        return started();
    }
    let built = inline::decide().map_or_else(|| build(prepare), Err);
    let done = built.is_ok();
    built.unwrap_or_else(refuse);
    STARTED.has_started.store(done, Release);
    if done {
        counts::after_start();
        dump::after_start();
        // The leader's own stack begins, so that no call that asks all threads has to wait until it does (`identity`).
        current().inspect(|main| slots::begin_leader(main));
        alone::begin();
    }
    STARTING.is_under_way.store(0, Release);
    done
}

/// Bytes that the machine's parts take, and some more.
const ENOUGH_MEMORY: usize = 16 << 20;
/// How many descriptors the program is to have left, beside those that the slots take. Below that it stays native: natively it had all of
/// them.
const DESCRIPTORS_LEFT: usize = 16;
/// Why a start fails, for the statistics (`why_native`).
const NO_MEMORY: &str = "there was not enough memory when the first thread was made";
const NO_DESCRIPTORS: &str = "there were not enough free descriptors when the first thread was made";
const UNKNOWN_LIBC: &str = "this libc tells the end of a thread in a way that is not known";
const NO_KERNEL_THREAD: &str = "no kernel thread was to be had for the monitor when the first thread was made";

/// Builds all that runs, or returns why that cannot be, with nothing left behind. Called by `start`, on the leader-to-be. Memory and
/// descriptors are asked for before anything is taken, so that a program near its limits does not meet a half-built machine.
fn build(prepare: fn()) -> Result<(), &'static str> {
    if !sys::has_memory(ENOUGH_MEMORY) || !crate::base::pages::has_reserve() {
        return Err(NO_MEMORY);
    }
    if !sys::has_descriptors(slots::descriptors(workers()) + DESCRIPTORS_LEFT) {
        return Err(NO_DESCRIPTORS);
    }
    let made = shelf::watch().and_then(|signals| slots::make_slots(workers(), signals));
    let built = match made {
        Ok(()) => build_on_slots(prepare),
        Err(libc::ENOMEM) => Err(NO_MEMORY),
        Err(_) => Err(NO_DESCRIPTORS),
    };
    if built.is_err() {
        shelf::unwatch();
        slots::unmake_slots();
        own_fds::close_all();
    }
    built
}

/// Builds what stands on the slots: the leader, main, the monitor. Fails by why it cannot be; the caller takes the slots away then. The
/// order is that of the table above. What cannot fail comes last: there main is given its identity, and `start` stores `STARTED` after
/// that.
fn build_on_slots(prepare: fn()) -> Result<(), &'static str> {
    let leader = counts::enlist(Worker::new(true));
    if !small_stacks::reserve_small_stacks(workers()) {
        return Err(NO_MEMORY);
    }
    prepare();
    glibc::note_all_keys();
    cancel::act_by(bell::handler(), end::exit);
    caretaker::set_duties(Duties { work: duties::work, has_worked: duties::has_worked });
    guard::answer_by(sweep::answer_knock);
    let main = Green::new(Stack::MAIN, true);
    main.fs.set(arch::tcb());
    main.thread.tid.set(sys::process_id());
    main.mask.set(sys::signal_mask());
    main.vessel.robust_head.set(sys::robust_list());
    pin::begin(main);
    // Threads made from here on never register an rseq area: a vessel's would follow its first kernel thread, not the thread.
    glibc::unregister_rseq();
    let sigsys = capture::prepare();
    if !monitor::start() {
        capture::give_up(sigsys);
        return Err(NO_KERNEL_THREAD);
    }
    let Ok(own) = vessel::birth_small() else {
        monitor::dismiss();
        capture::give_up(sigsys);
        return Err(NO_MEMORY);
    };
    own.worker.store(leader as *const Worker as *mut Worker, Relaxed);
    if !glibc::version::knows_end() {
        monitor::dismiss();
        capture::give_up(sigsys);
        return Err(UNKNOWN_LIBC);
    }
    // Nothing from here on fails.
    leader.fs.set(own.fs.get());
    // SAFETY: the vessel does not run; its context is now the leader's.
    unsafe { *leader.sp.get() = *own.sp.get() };
    leader.kernel_tid.store(sys::kernel_thread_id(), Relaxed);
    leader.mask.store(main.mask.get(), Relaxed);
    // SAFETY: main is in no list yet: only this thread has it.
    unsafe { *main.thread.name.get() = sys::thread_name() };
    main.signals.alternate.set(worker_stack::take());
    leader.signal_stack.set(own.vessel.stack.get().lowest - alternate::STACK_BYTES);
    worker_stack::give(leader);
    kernel_state::begin(main);
    death_signal::begin(main);
    kernel_state::arrive(leader);
    leader.take_up(slots::slot(0));
    inline::prepare(capture::possible());
    UNUSED.vacant.store(workers() - 1, Relaxed);
    identity::begin();
    main.worker.store(leader as *const Worker as *mut Worker, Relaxed);
    main.life.store(0, Relaxed);
    roll::set_main(main);
    delivery::adopt(main);
    shelf::accept(main, main.mask.get());
    arch::set_self_word(main as *const Green as usize);
    arch::set_identity_word(main as *const Green as usize);
    slots::begin(main);
    monitor::begin();
    Ok(())
}

/// The process id of the process that forks at this moment; 0: it does not. A child reads its parent's id here until `forked`.
static FORKING: Kept<AtomicI32> = Kept::new(AtomicI32::new(0));

/// Notes that this process forks. Called right before a fork, on the forking thread; forks exclude each other (hooks/process).
pub fn before_fork() {
    FORKING.store(sys::process_id(), Relaxed);
}

/// Notes that the fork is over. Called after it in the parent, also where it failed, and in the child after `after_fork`.
pub fn forked() {
    FORKING.store(0, Relaxed);
}

/// Is this a fork child in which `after_fork` has not run yet? Any lock of the runtime may be held by a thread of the parent's, which is
/// not here. Asked by the hooks of libc's own locks.
pub fn is_new_child() -> bool {
    let parent = FORKING.load(Relaxed);
    parent != 0 && parent != sys::process_id()
}

/// Puts the runtime's state right in a fork child, before anything else runs there: the calling thread is all there is, and the child runs
/// natively until it makes a thread. Called on that thread by the hooks of fork. Every part forgets what was the parent's; a part below
/// comes before the parts that use it.
pub fn after_fork() {
    let me = current();
    arch::set_self_word(0);
    arch::set_worker_word(0);
    let Starting { is_under_way } = &STARTING;
    is_under_way.store(0, Relaxed);
    // The wings, in their order (tests/layers).
    crate::base::after_fork();
    news::after_fork();
    machine::after_fork();
    sched::after_fork();
    signal::after_fork(me);
    trap::after_fork();
    kernel::after_fork();
    births::after_fork();
    monitor::after_fork();
    dump::after_fork();
    if let Some(me) = me {
        waiting::after_fork(me, frames::running(me));
        keep_own(me);
    }
}

/// Gives a fork child's kernel thread what the green thread that forked had as its own: scheduling, settings and name. Called last,
/// when the parts are in order: it makes system calls on the child's only kernel thread.
fn keep_own(me: &Green) {
    me.wait.private_fd.set(-1);
    me.thread.schedule.apply();
    me.thread.settings.apply();
    // SAFETY: a copy that may be of either side of a change by another thread, as natively.
    sys::set_thread_name(&unsafe { *me.thread.name.get() });
}
