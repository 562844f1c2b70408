//! Vessels: stack, TCB and TLS made by glibc's own pthread_create, whose kernel thread then retires.
//!
//! A vessel's memory, from a region of stacks of one size (addresses grow upward):
//!
//! ```text
//!   │ guard │ stack … ← sp │ static TLS │ TCB (struct pthread) │ guard │ next stack …
//!           └── the size asked for, what pthread_getattr_np reports ──┴─┘ less than a page more
//! ```
//!
//! The little more is so much that the TCB's first line, which every switch and every hook reads, is the last line of a page: that
//! page then also holds thread-locals and some 1,800 bytes of stack, all that a thread needs which waits and goes on (a page less to
//! translate per switch: with thousands of threads a miss each).
//!
//! The guard lies below the reported range, for runtimes put guards of their own at its lower end. It is made by
//! MADV_GUARD_INSTALL where the kernel has it, which does not split the mapping: 100,000 stacks are few mappings.
//!
//! Its life:
//!
//! ```text
//!   birth: real pthread_create, its clone caught (`capture`): the context is there, and never was a kernel thread; or,
//!          where that cannot be: real pthread_create → vessel_main → loosen (rseq, robust list, tid address) → retire: the
//!          kernel thread is gone, the context stays
//!   serve: a worker resumes it → run the program's function → destructors → TLS as new → end → pool → serve …
//!   death: a new kernel thread (raw clone on its TCB) resumes it → vessel_main returns → glibc's own epilogue
//! ```
//!
//! A vessel is pooled only when its thread is finished *and* joined or detached, else two threads would share a pthread_t. One
//! on a stack of the program's dies before join returns: the program may free it.

use crate::base::lock::RawLock;
use crate::base::pages;
use crate::runtime::births::stacks::{self, Stacks, PAGE};
use crate::runtime::kernel::worker::GATE;
use crate::runtime::kernel::{caretaker, identity, reserve};
use crate::runtime::machine::green::{current, life, Green, Start};
use crate::runtime::machine::{counts, roll};
use crate::runtime::sched::slots;
use crate::runtime::signal::{delivery, handler, sweep};
use crate::runtime::trap::capture;
use crate::runtime::waiting::pin;
use crate::{arch, glibc, sys};
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};

/// Where a vessel's stack is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stack {
    /// Lowest usable address.
    pub lowest: usize,
    pub bytes: usize,
    /// The bytes below `lowest` that fault.
    pub guard: usize,
    /// The program gave it.
    pub foreign: bool,
}

impl Stack {
    /// The stack that the process started with.
    pub const MAIN: Stack = Stack { lowest: 0, bytes: 0, guard: 0, foreign: true };

    /// Ours above the guard; nothing of a stack of the program's.
    pub fn mapped(&self) -> Range<usize> {
        let bytes = if self.foreign { 0 } else { self.bytes + PAGE };
        self.lowest..self.lowest + bytes
    }

    /// Does this address lie in the guard?
    pub fn guards(&self, address: usize) -> bool {
        (self.lowest.wrapping_sub(self.guard)..self.lowest).contains(&address)
    }
}

const LINE: usize = 64;

/// Stacks of one size, and the vessels on them.
struct Class {
    stacks: Stacks,
    /// Vessels that wait to serve, the last one first.
    pool: Vec<&'static Green>,
    /// The fewest that waited since the pool was last shrunk.
    least: usize,
}

struct Yard {
    lock: RawLock,
    classes: UnsafeCell<Vec<Class>>,
    dying: UnsafeCell<Vec<&'static Green>>,
    /// Those on stacks of the program's, until they are dead.
    guests: UnsafeCell<Vec<&'static Green>>,
    /// Those whose vessels are dead: they serve for the next ones born.
    dead: UnsafeCell<Vec<&'static Green>>,
    /// For how many green threads the lists have room.
    made: UnsafeCell<usize>,
    /// How many wait in all pools; written under the lock.
    pooled: AtomicUsize,
    dying_count: AtomicUsize,
}

// SAFETY: the lists are only touched under the lock.
unsafe impl Sync for Yard {}

static YARD: Yard = Yard {
    lock: RawLock::new(),
    classes: UnsafeCell::new(Vec::new()),
    dying: UnsafeCell::new(Vec::new()),
    guests: UnsafeCell::new(Vec::new()),
    dead: UnsafeCell::new(Vec::new()),
    made: UnsafeCell::new(0),
    pooled: AtomicUsize::new(0),
    dying_count: AtomicUsize::new(0),
};

/// How far below the end of its stack glibc lays a TCB.
static TCB_BELOW_END: AtomicUsize = AtomicUsize::new(0);

/// What glibc is told of a stack: from where, and how many bytes.
fn given(stack: &Stack) -> (usize, usize) {
    let more = if stack.foreign { 0 } else { (PAGE - LINE + TCB_BELOW_END.load(Relaxed)) % PAGE };
    (stack.lowest, stack.bytes + more)
}

static PUBLISHED: AtomicU32 = AtomicU32::new(0);

impl Yard {
    /// One has left its pool; under the lock.
    fn fewer_pooled(&self) {
        self.pooled.store(self.pooled.load(Relaxed) - 1, Relaxed);
    }

    fn with_dead<R>(&self, work: impl FnOnce(&mut Vec<&'static Green>) -> R) -> R {
        // SAFETY: under the lock.
        self.lock.with(|| work(unsafe { &mut *self.dead.get() }))
    }

    fn with<R>(&self, bytes: usize, guard: usize, work: impl FnOnce(&mut Class) -> R) -> R {
        self.lock.with(|| {
            // SAFETY: under the lock.
            let classes = unsafe { &mut *self.classes.get() };
            let place =
                match classes.iter().position(|class| class.stacks.bytes == bytes && class.stacks.guard == guard) {
                    Some(place) => place,
                    None => {
                        classes.push(Class { stacks: Stacks::new(bytes, guard), pool: Vec::new(), least: 0 });
                        classes.len() - 1
                    }
                };
            work(&mut classes[place])
        })
    }
}

impl Class {
    /// A stack's lowest usable address; there is room in the pool for one vessel more, too.
    fn take_stack(&mut self) -> Option<usize> {
        let lowest = self.stacks.take()?;
        if pages::reserve(&mut self.pool, self.stacks.count()) {
            return Some(lowest);
        }
        self.stacks.give_back(lowest);
        None
    }
}

/// The program is about to lock its memory, all that there is or all that comes: what no thread has is given back before.
pub fn before_lock(future: bool) {
    stacks::note_locked(future);
    YARD.lock.with(|| {
        // SAFETY: under the lock.
        for class in unsafe { &mut *YARD.classes.get() } {
            class.stacks.unmap_free(0);
        }
    });
}

/// A vessel with a stack of the given size and guard (whole pages), pooled or new; an error number otherwise.
pub fn take(bytes: usize, guard: usize) -> Result<&'static Green, i32> {
    let (bytes, guard) = (bytes.next_multiple_of(PAGE), guard.next_multiple_of(PAGE));
    if let Some(green) = take_here(bytes, guard) {
        return Ok(green);
    }
    enum Found {
        Vessel(&'static Green),
        Stack(Option<usize>),
    }
    let found = YARD.with(bytes, guard, |class| match class.pool.pop() {
        Some(green) => {
            class.least = class.least.min(class.pool.len());
            YARD.fewer_pooled();
            Found::Vessel(green)
        }
        None => Found::Stack(class.take_stack()),
    });
    match found {
        Found::Vessel(green) => Ok(green),
        Found::Stack(None) => Err(libc::EAGAIN),
        Found::Stack(Some(lowest)) => {
            let born = birth(Stack { lowest, bytes, guard, foreign: false });
            if born.is_err() {
                YARD.with(bytes, guard, |class| class.stacks.give_back(lowest));
            }
            born
        }
    }
}

/// The vessel that is kept at this slot, if it is like that: whoever joins a thread often makes the next one, and takes no lock.
fn take_here(bytes: usize, guard: usize) -> Option<&'static Green> {
    let place = &current()?.worker().slot()?.vessel;
    if place.load(Relaxed).is_null() {
        return None;
    }
    // SAFETY: null or a free vessel's green thread, whose taker owns it.
    let green = unsafe { place.swap(std::ptr::null_mut(), Acquire).as_ref() }?;
    let stack = green.stack.get();
    if (stack.bytes, stack.guard) != (bytes, guard) {
        pool(green);
        return None;
    }
    Some(green)
}

/// Keeps a free vessel at this slot; false: there is one, or no slot.
fn keep_here(green: &'static Green) -> bool {
    current().and_then(|me| me.worker().slot()).is_some_and(|slot| {
        let green = green as *const Green as *mut Green;
        slot.vessel.load(Relaxed).is_null()
            && slot.vessel.compare_exchange(std::ptr::null_mut(), green, Release, Relaxed).is_ok()
    })
}

/// A vessel on a stack of the program's. A detached thread that was given it before, which nobody joins, is gone first.
pub fn take_on(lowest: usize, bytes: usize) -> Result<&'static Green, i32> {
    let in_the_way = |guest: &&Green| {
        guest.stack.get().lowest < lowest + bytes
            && lowest < guest.stack.get().lowest + guest.stack.get().bytes
            && guest.life.load(SeqCst) & (life::DETACHED | life::GONE) != 0
    };
    // SAFETY: under the lock.
    while YARD.lock.with(|| unsafe { &*YARD.guests.get() }.iter().any(in_the_way)) {
        bury_dying();
        sys::yield_processor();
    }
    let green = birth(Stack { lowest, bytes, guard: 0, foreign: true })?;
    // SAFETY: under the lock.
    YARD.lock.with(|| unsafe { (*YARD.guests.get()).push(green) });
    Ok(green)
}

/// A new vessel: glibc makes a thread, whose kernel thread retires.
pub fn birth(stack: Stack) -> Result<&'static Green, i32> {
    let green = green_for(stack).ok_or(libc::EAGAIN)?;
    let born = if capture::possible() { caught_birth(green) } else { uncaught_birth(green) };
    if born.is_err() {
        YARD.with_dead(|dead| dead.push(green));
    }
    born.map(|()| green)
}

/// A dead vessel's green thread, or a new one; `None`: there is no memory for one, or for its places in the lists.
fn green_for(stack: Stack) -> Option<&'static Green> {
    if let Some(green) = YARD.with_dead(|dead| dead.pop()) {
        green.begin_anew(stack);
        return Some(green);
    }
    let room = YARD.lock.with(|| {
        // SAFETY: under the lock.
        let (made, lists) = unsafe { (&mut *YARD.made.get(), [&YARD.dying, &YARD.guests, &YARD.dead]) };
        *made += 1;
        // SAFETY: as above.
        lists.iter().all(|list| pages::reserve(unsafe { &mut *list.get() }, *made))
    });
    (room && pages::has_reserve()).then(|| Green::new(stack, false))
}

/// The long way: a kernel thread is made.
fn uncaught_birth(green: &'static Green) -> Result<(), i32> {
    GATE.enter();
    PUBLISHED.store(0, Relaxed);
    GATE.vessel_alive.store(1, Relaxed);
    counts::kernel_thread_born();
    let (stack, argument) = (given(&green.stack.get()), green as *const Green as *mut c_void);
    // The newborn inherits the mask.
    let old_mask = sys::set_signal_mask(delivery::CLOSED);
    let born = glibc::create_thread(vessel_main, argument, Some(stack));
    if born.is_ok() {
        while PUBLISHED.load(Acquire) == 0 {
            sys::futex_wait(&PUBLISHED, 0, None).ok();
        }
    } else {
        GATE.vessel_alive.store(0, Relaxed);
    }
    sys::set_signal_mask(old_mask);
    counts::kernel_thread_gone();
    GATE.leave();
    born.map(|_| ())
}

/// Vessels that were born and have not begun, and how many want that there is none.
static UNBEGUN: AtomicUsize = AtomicUsize::new(0);
static PAUSES: AtomicUsize = AtomicUsize::new(0);

/// One more, unless somebody wants that there is none.
fn begin_birth() {
    loop {
        UNBEGUN.fetch_add(1, SeqCst);
        if PAUSES.load(SeqCst) == 0 {
            return;
        }
        UNBEGUN.fetch_sub(1, SeqCst);
        slots::yield_now();
    }
}

/// While it runs every vessel has begun: glibc waits for those that have not, and lets nobody make a thread meanwhile.
pub fn without_unbegun<R>(work: impl FnOnce() -> R) -> R {
    PAUSES.fetch_add(1, SeqCst);
    while UNBEGUN.load(SeqCst) > 0 {
        slots::yield_now();
    }
    let result = work();
    PAUSES.fetch_sub(1, SeqCst);
    result
}

/// The short way: no kernel thread is made.
fn caught_birth(green: &'static Green) -> Result<(), i32> {
    // The program's malloc may call hooks: they wait in the kernel meanwhile, for this kernel thread's calls are dispatched.
    let creator = current();
    creator.inspect(|me| me.pinned.set(me.pinned.get() + 1));
    begin_birth();
    let (stack, argument) = (green.stack.get(), green as *const Green as *mut c_void);
    let create = || glibc::create_thread(vessel_main, argument, Some(given(&stack)));
    let unborn = capture::birth(roll::NOBODY, create);
    creator.inspect(|me| me.pinned.set(me.pinned.get() - 1));
    if unborn.is_err() {
        UNBEGUN.fetch_sub(1, SeqCst);
    }
    let unborn = unborn?;
    green.fs.set(unborn.fs);
    green.caught.set(true);
    // SAFETY: the vessel has not begun: its context and its TLS are ours. No handler is to run in it before it has.
    unsafe {
        *green.sp.get() = unborn.sp;
        arch::raise_guard_of(unborn.fs);
    }
    Ok(())
}

/// The function that glibc starts: first on the kernel thread that it was born with, later on whatever worker resumes it.
extern "C" fn vessel_main(argument: *mut c_void) -> *mut c_void {
    // SAFETY: `birth` passes a green thread, which is never freed.
    let me: &'static Green = unsafe { &*(argument as *const Green) };
    if me.caught.get() {
        UNBEGUN.fetch_sub(1, SeqCst);
        // A worker's kernel thread: glibc has just given it this thread's robust list and a mask of all signals.
        me.robust_head.set(sys::take_robust_list());
        me.worker().mask.store(u64::MAX, Relaxed);
    } else {
        me.fs.set(arch::tcb());
        arch::guard_up();
        identity::begin_unasked();
        // No handler may run on a stack that another kernel thread may already use.
        sys::set_signal_mask(u64::MAX);
        // SAFETY: this thread's own descriptor, which is the vessel's.
        unsafe { *glibc::tid_field(arch::tcb()) = roll::NOBODY };
        me.robust_head.set(sys::loosen(&GATE.vessel_alive));
        identity::end_unasked();
        // SAFETY: every signal is blocked, and `loosen` cut what tied the kernel thread to this TCB.
        unsafe { arch::retire(me.sp.get(), PUBLISHED.as_ptr()) };
    }
    if me.start.get().is_none() {
        return serve_as_leader(me);
    }
    if !me.dying.get() {
        arch::set_self_word(me as *const Green as usize);
        slots::arrived(me);
        slots::apply_mask(me.worker(), me);
    }
    while !me.dying.get() {
        serve(me);
        if !still(me) {
            // In a fork child this is the only thread: it ends glibc's own way, and the process with it.
            if let Some(main) = current() {
                crate::runtime::births::thread::leave_main(main);
            }
            return me.result.get();
        }
        glibc::run_destructors();
        handler::forget_all(me);
        crate::runtime::waiting::readiness::release_private(me);
        pin::abandon(me);
        // From here on nothing of the program's runs: no handler either.
        arch::guard_up();
        glibc::restore_thread_locals();
        slots::end(me);
        if !me.dying.get() {
            delivery::leave_runtime();
        }
    }
    arch::set_self_word(0);
    std::ptr::null_mut()
}

/// The stack and TCB on which the leader is a worker while main runs elsewhere: see `start`.
fn serve_as_leader(me: &'static Green) -> *mut c_void {
    crate::runtime::kernel::worker::settle(me.worker());
    crate::runtime::kernel::worker::run(me.worker());
    std::ptr::null_mut()
}

/// Is this still the thread that it was? A fork child has another one, or none.
fn still(me: &'static Green) -> bool {
    current().is_some_and(|now| std::ptr::eq(now, me))
}

/// pthread.h: PTHREAD_CANCELED.
pub const CANCELED: *mut c_void = usize::MAX as *mut c_void;

/// Runs the program's function.
fn serve(me: &'static Green) {
    glibc::guarded(call_program, me as *const Green as usize);
    if still(me) {
        if glibc::is_exiting(me.fs.get()) && !me.unwinding.replace(false) {
            // A cancellation point inside libc has acted.
            me.result.set(CANCELED);
        }
        glibc::note_exit();
        if me.cancel_disabled.swap(true, SeqCst) {
            glibc::set_cancel_state(0);
            glibc::note_exit();
        }
    }
}

extern "C" fn call_program(me: usize) {
    // SAFETY: `serve` passes the running green thread.
    let me: &'static Green = unsafe { &*(me as *const Green) };
    // (Its creator may block what it takes.)
    sweep::accept(me, me.mask.get());
    delivery::look(me);
    arch::set_control_words(&me.control.get());
    let argument = me.argument.get();
    let result = match me.start.get() {
        Some(Start::Posix(function)) => function(argument),
        Some(Start::C11(function)) => function(argument) as isize as *mut c_void,
        None => std::ptr::null_mut(),
    };
    me.result.set(result);
}

/// A vessel whose thread is finished and joined or detached: to the pool, or to its death.
pub fn recycle(green: &'static Green) {
    green.life.store(life::GONE, Release);
    if green.stack.get().foreign || green.spoilt.get() {
        YARD.lock.with(|| {
            // SAFETY: under the lock.
            unsafe { (*YARD.dying.get()).push(green) };
            YARD.dying_count.fetch_add(1, Relaxed);
        });
        crate::runtime::monitor::call();
        return;
    }
    if !keep_here(green) {
        pool(green);
    }
}

/// A free vessel to the others like it.
fn pool(green: &'static Green) {
    YARD.with(green.stack.get().bytes, green.stack.get().guard, |class| {
        class.pool.push(green);
        YARD.pooled.store(YARD.pooled.load(Relaxed) + 1, Relaxed);
    });
}

/// The clone of a kernel thread onto a TCB that is there.
pub const REVIVED: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID;

/// Lets a vessel die glibc's own death, and waits for it. Its context must be saved, and nobody else may resume it. False: there is no
/// kernel thread to be had, and the vessel is as it was.
pub fn bury(green: &'static Green) -> bool {
    green.life.store(life::GONE, Release);
    green.dying.set(true);
    let fs = green.fs.get();
    let (tid, end) = (glibc::tid_field(fs), glibc::version::end_word(fs));
    GATE.enter();
    counts::kernel_thread_born();
    let old_mask = sys::set_signal_mask(delivery::CLOSED);
    // SAFETY: the vessel's context is saved, and this is its last resume; every signal is blocked.
    let born = unsafe { arch::revive(REVIVED as usize, *green.sp.get(), tid, end, fs) };
    sys::set_signal_mask(old_mask);
    if born > 0 {
        glibc::join_thread_by(fs as libc::pthread_t, caretaker::while_it_waits);
    }
    counts::kernel_thread_gone();
    GATE.leave();
    if born <= 0 && !green.stack.get().foreign {
        green.dying.set(false);
        reserve::refuse();
        return false;
    }
    if green.stack.get().foreign {
        // SAFETY: under the lock.
        YARD.lock.with(|| unsafe { (*YARD.guests.get()).retain(|guest| !std::ptr::eq(*guest, green)) });
    } else {
        let Stack { lowest, bytes, guard, .. } = green.stack.get();
        sys::advise(lowest, bytes + PAGE, libc::MADV_DONTNEED);
        YARD.with(bytes, guard, |class| class.stacks.give_back(lowest));
    }
    if born > 0 {
        YARD.with_dead(|dead| dead.push(green));
    }
    true
}

pub fn are_dying() -> bool {
    YARD.dying_count.load(Relaxed) > 0
}

/// The caretaker's duty: vessels of detached threads on the program's stacks die, and spoilt ones.
pub fn bury_dying() {
    while are_dying() {
        // SAFETY: under the lock.
        let Some(green) = YARD.lock.with(|| unsafe { (*YARD.dying.get()).pop() }) else { return };
        if !bury(green) {
            // SAFETY: under the lock.
            return YARD.lock.with(|| unsafe { (*YARD.dying.get()).push(green) });
        }
        YARD.dying_count.fetch_sub(1, Release);
    }
}

/// Are there more free vessels than are kept, or more free stacks?
pub fn pool_is_large() -> bool {
    YARD.lock.with(|| {
        // SAFETY: under the lock.
        let classes = unsafe { &*YARD.classes.get() };
        classes.iter().any(|class| class.pool.len() > class.stacks.kept())
    })
}

/// The caretaker's duty: half of the vessels that nobody needed since the last time die, and free stacks beyond what is kept are unmapped.
pub fn shrink_pool() {
    const AT_ONCE: usize = 256;
    for _ in 0..AT_ONCE {
        let victim = YARD.lock.with(|| {
            // SAFETY: under the lock.
            let classes = unsafe { &mut *YARD.classes.get() };
            let class = classes.iter_mut().find(|class| class.pool.len() > class.stacks.kept() && class.least > 0)?;
            class.least -= 1;
            YARD.fewer_pooled();
            Some(class.pool.remove(0))
        });
        match victim {
            Some(green) if bury(green) => {}
            Some(green) => {
                pool(green);
                break;
            }
            None => break,
        }
    }
    YARD.lock.with(|| {
        // SAFETY: under the lock.
        for class in unsafe { &mut *YARD.classes.get() } {
            class.least = class.pool.len().div_ceil(2);
            class.stacks.unmap_free(class.stacks.kept().saturating_sub(class.pool.len()));
        }
    });
}

/// In a fork child: glibc has forgotten all vessels but the running one. Their stacks are left as they are: the child's one
/// thread may hold pointers into them, as it natively may until they are reused.
pub fn after_fork() {
    YARD.lock.reset();
    // SAFETY: the child has one thread.
    unsafe {
        for class in &mut *YARD.classes.get() {
            class.pool.clear();
        }
        (*YARD.dying.get()).clear();
        (*YARD.guests.get()).clear();
        (*YARD.dead.get()).clear();
    }
    YARD.pooled.store(0, Relaxed);
    YARD.dying_count.store(0, Relaxed);
    UNBEGUN.store(0, Relaxed);
    PAUSES.store(0, Relaxed);
}

/// The leader's own stack and TCB.
pub fn birth_small() -> Result<&'static Green, i32> {
    let (lowest, bytes) = crate::runtime::monitor::small_stack().ok_or(libc::EAGAIN)?;
    let own = birth(Stack { lowest, bytes, guard: 0, foreign: true })?;
    TCB_BELOW_END.store(lowest + bytes - own.fs.get(), Relaxed);
    Ok(own)
}
