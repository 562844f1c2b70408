//! The three parts of the machine: the green thread (`Green`), the worker (`Worker`) and the slot (`Slot`), as data.
//!
//! A green thread is what a pthread became. Its stack, TCB and TLS are its vessel; the rest stands here. Green threads, workers and slots
//! are never freed: a vessel whose thread has ended serves the next one, and a word that a late waker still looks at stays a word of that
//! kind (type-stable). `current` reads the vessel's own TLS, so it is right after every switch.
//!
//! Which thread may touch a field: a `Cell` only the kernel thread that runs the green thread (or, for a worker, its own kernel thread), or
//! the creator before the thread is made ready; an atomic any thread. What a switch touches stands first.

use crate::arch;
use crate::audit::green;
use crate::base::kept::Kept;
use crate::figures::Counters;
use crate::runtime::machine::groups::{Beginning, Signals, Thread, Vessel, Wait};
use crate::runtime::machine::owner::{Owner, Seen, WorkerId};
use crate::runtime::machine::stack::Stack;
use crate::runtime::machine::words::{idle, life, Word};
use crate::runtime::news::poller::Poller;
use crate::runtime::news::timer::Timers;
use crate::runtime::news::verify::Verify;
use crate::runtime::news::waiter::Waiter;
use crossbeam_queue::ArrayQueue;
use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::AtomicI32;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// The list of all green threads.
pub struct Newest {
    /// The green thread made last; `older` leads to the others. The list is for `table`, whose readers look at memory from outside: it has
    /// the green threads in the pool, too.
    pub green: AtomicPtr<Green>,
}

/// The only value of `Newest`.
pub static NEWEST: Newest = Newest { green: AtomicPtr::new(std::ptr::null_mut()) };

/// Empties the list in a fork child: the parent's green threads are not here.
pub fn after_fork() {
    let Newest { green } = &NEWEST;
    green.store(std::ptr::null_mut(), Relaxed);
}

/// A green thread. Made with its first vessel, and reused with it for later threads. Fields whose values end earlier stand in groups
/// (`machine::groups`). A field that stands here by itself either is in the first line, which every switch touches, or lives for ever.
#[repr(C, align(64))]
pub struct Green {
    // What every switch touches comes first: one line of the cache.
    /// Saved stack pointer, valid while suspended. The vessel's.
    pub sp: UnsafeCell<*mut u8>,
    /// The TCB: fs base and pthread_t. The vessel's.
    pub fs: Cell<usize>,
    /// The worker that runs it, or ran it last; written by the worker that resumes it.
    pub worker: AtomicPtr<Worker>,
    /// The wait it is in. Its number goes on from thread to thread, so that a late waker of an earlier wait loses.
    pub waiter: Waiter,
    /// The next in whatever list it is in (injector, pool, a batch of the woken).
    pub link: AtomicPtr<Green>,
    /// The signals that the thread blocks.
    pub mask: Word,
    /// What the thread is to look at (bits: `words::alert`).
    pub alerts: AtomicU32,
    /// What the switch must see to for the thread, beside the mask (`kernel_state`).
    pub unusual: AtomicU32,

    /// The wait or call that the thread is in.
    pub wait: Wait,
    /// Where the thread's life stands (bits and transitions: `words::life`). Late wakers and joiners look at it for ever.
    pub life: AtomicU32,
    /// How many handlers have run on it, whichever thread it was: compared only.
    pub handled: AtomicU32,
    /// What is one thread's.
    pub thread: Thread,
    /// The thread's signals.
    pub signals: Signals,
    /// What is one vessel's.
    pub vessel: Vessel,

    // What lives for ever.
    /// Is it the process's main thread?
    pub is_main: bool,
    /// It is in the list of threads for which a bell was sent in vain.
    pub rings_again: AtomicBool,
    /// The next in that list.
    pub next_to_ring: AtomicPtr<Green>,
    /// A stack for its own system calls' hooks, where it has no room for them (`inline`): lowest address, or 0.
    pub inline_stack: Cell<usize>,
    /// The green thread made before this one: the whole list begins at `NEWEST.green`.
    pub older: Cell<*const Green>,
}

// A switch touches the first line of the cache, and a wait reads the second.
const _: () = assert!(
    std::mem::offset_of!(Green, wait) == 64
        && std::mem::offset_of!(Green, thread) + std::mem::offset_of!(Thread, program_list) < 128
);

// SAFETY: the cells are touched by the kernel thread that runs the green thread, or by the one that prepares it before it is
// made ready (the run queue orders both); what others touch is atomic.
unsafe impl Sync for Green {}
// SAFETY: a green thread moves between kernel threads by a switch only, and the run queue orders the two.
unsafe impl Send for Green {}

impl Green {
    /// How many handlers have run on it.
    #[inline]
    pub fn handlers(&self) -> u32 {
        self.handled.load(Relaxed)
    }

    /// A green thread in the state GONE, on a vessel with this stack. Never freed. Allocates; called by `births` and the start.
    pub fn new(stack: Stack, is_main: bool) -> &'static Green {
        let green = Box::leak(Box::new(Green {
            sp: UnsafeCell::new(std::ptr::null_mut()),
            fs: Cell::new(0),
            worker: AtomicPtr::new(std::ptr::null_mut()),
            waiter: Waiter::new(),
            link: AtomicPtr::new(std::ptr::null_mut()),
            mask: Word::new(0),
            alerts: AtomicU32::new(0),
            unusual: AtomicU32::new(0),
            wait: Wait::new(),
            life: AtomicU32::new(life::GONE),
            handled: AtomicU32::new(0),
            thread: Thread::new(),
            signals: Signals::new(),
            vessel: Vessel::new(stack),
            is_main,
            rings_again: AtomicBool::new(false),
            next_to_ring: AtomicPtr::new(std::ptr::null_mut()),
            inline_stack: Cell::new(0),
            older: Cell::new(std::ptr::null()),
        }));
        green.enlist();
        green
    }

    /// Puts the green thread into the list that readers of memory walk (`table`). It is never freed, nor taken out.
    fn enlist(&'static self) {
        let link = |newest: *mut Green| {
            self.older.set(newest);
            Some(self as *const Green as *mut Green)
        };
        let _ = NEWEST.green.fetch_update(Release, Relaxed, link);
    }

    /// Begins a new thread on the vessel. Called by its creator (`births::thread::create`), which alone knows it yet: `life` is GONE, and
    /// the creator stores it afterwards.
    pub fn begin(&self, new: &Beginning) {
        let Green {
            // The vessel serves on.
            sp: _,
            fs: _,
            vessel: _,
            // The next resume writes it. A bell at the last worker finds another thread there.
            worker: _,
            // Each list that it comes into writes it.
            link: _,
            // Stored last, by the creator.
            life: _,
            // For ever.
            waiter: _,
            handled: _,
            rings_again: _,
            next_to_ring: _,
            is_main: _,
            inline_stack: _,
            older: _,
            // The thread's.
            mask,
            alerts,
            unusual,
            wait,
            thread,
            signals,
        } = self;
        thread.begin(new);
        // Before the queue is emptied: a sender that puts a signal into the empty queue alerts after this.
        alerts.store(0, Relaxed);
        signals.begin();
        wait.begin();
        mask.set(new.mask);
        unusual.store(0, Relaxed);
    }

    /// Begins a new vessel on this stack, in place of the one that has died. Called by the birth, before any thread is on it.
    pub fn begin_anew(&self, stack: Stack) {
        self.worker.store(std::ptr::null_mut(), SeqCst);
        self.vessel.begin(stack);
    }

    /// The green thread whose waiter this is.
    #[inline]
    pub fn of_waiter(waiter: &'static Waiter) -> &'static Green {
        let place = waiter as *const Waiter as usize - std::mem::offset_of!(Green, waiter);
        // SAFETY: only green threads' waiters are ever parked, and green threads are never freed.
        unsafe { &*(place as *const Green) }
    }

    /// The worker that runs it. Called by the green thread itself, or by the worker that resumes it; another thread's answer is out of
    /// date, and a thread that never ran has none.
    #[inline]
    pub fn worker(&self) -> &'static Worker {
        // SAFETY: a green thread that runs has a worker; workers are never freed.
        unsafe { &*self.worker.load(Relaxed) }
    }

    /// Prefetches what a resume will touch first: the saved registers, the TLS below the TCB and the TCB.
    #[inline]
    pub fn warm(&self) {
        const LINES: usize = 10;
        // SAFETY: a thread that is being made ready is suspended: no code writes its saved stack pointer.
        let sp = unsafe { *self.sp.get() } as usize;
        let fs = self.fs.get();
        for line in 0..LINES {
            arch::prefetch(sp + line * 64);
        }
        arch::prefetch(fs - 64);
        arch::prefetch(fs);
    }

    /// The head of its robust list: glibc's, or the program's own.
    pub fn robust_list(&self) -> usize {
        match self.thread.program_list.get() {
            0 => self.vessel.robust_head.get(),
            list => list,
        }
    }

    /// The tid that it and glibc believe in.
    pub fn tid(&self) -> i32 {
        self.thread.tid.get()
    }

    /// Is its start routine over? The result is there then.
    pub fn has_ended(&self) -> bool {
        self.life.load(Acquire) & life::FINISHED != 0
    }

    /// The green thread whose pthread_t this is; `None`: a thread that is not green. The thread must live, as libc demands of its callers.
    pub fn of(pthread: usize) -> Option<&'static Green> {
        // SAFETY: libc demands a live (or, of ours, pooled) thread: its static TLS holds our word at the same offset.
        unsafe {
            let word = *(pthread.wrapping_add_signed(arch::identity_offset()) as *const usize);
            (word as *const Green).as_ref()
        }
    }
}

/// The green thread that runs here; `None` on a foreign thread, on a worker's own stack, and before the start.
#[inline(always)]
pub fn current() -> Option<&'static Green> {
    // SAFETY: the word is null or a green thread, and those are never freed.
    unsafe { (arch::self_word() as *const Green).as_ref() }
}

/// True: threads submit by instructions that no hook sees (liburing's) to rings that are not one thread's own. A fork child has the same
/// rings.
pub static UNSEEN: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// Sets `UNSEEN`. Called by the hook that sets up such a ring.
pub fn note_unseen_submissions() {
    UNSEEN.store(true, Relaxed);
}

/// The use that a worker's kernel thread may be put to. Touched by that kernel thread.
#[derive(Default)]
pub struct Bond {
    /// The kernel thread is one green thread's alone (`alone`).
    pub spoilt: Cell<bool>,
    /// Requests of threads that are not bound have been submitted from it.
    pub has_submitted: Cell<bool>,
    /// Such requests have been submitted, and the kernel thread is one green thread's alone now.
    pub owes_answers: Cell<bool>,
}

impl Bond {
    /// Notes that a thread that is not bound submits requests from here.
    pub fn note_submission(&self) {
        self.has_submitted.set(true);
    }

    /// Ties the kernel thread to one green thread. It is not to end with that thread where it has submitted requests for others.
    pub fn tie(&self) {
        self.spoilt.set(true);
        self.owes_answers.set(self.has_submitted.get() || UNSEEN.load(Relaxed));
    }

    /// Begins anew, for the worker's new kernel thread.
    pub fn begin_anew(&self) {
        self.spoilt.set(false);
        self.has_submitted.set(false);
        self.owes_answers.set(false);
    }
}

/// The right to run, and what belongs to it. Cells are touched by its owner in Runtime.
#[repr(align(128))]
pub struct Slot {
    /// Its place among the slots, from 0.
    pub number: usize,
    /// The worker that has it, and what that does.
    pub owner: Owner,
    /// The green thread that is first in line; null: none. Only the owner takes it, and the monitor (`spread`).
    pub next: AtomicPtr<Green>,
    /// Ready green threads, by address; any worker takes from it.
    pub queue: ArrayQueue<usize>,
    /// Its epoll and wake-up.
    pub poller: &'static Poller,
    /// Deadlines of waits that began here.
    pub timers: Timers,
    /// Waits that rest on hints.
    pub verify: Verify,
    /// Waits that rest on guesses.
    pub guesses: Verify,
    /// Resumes so far: how the monitor sees whether anything moves.
    pub switches: AtomicU64,
    /// How often in a row `next` has gone before the queue.
    pub turns_of_next: Cell<u32>,
    /// A free vessel, for the next thread that is made here (`vessel`).
    pub vessel: AtomicPtr<Green>,
    /// The monitor asks the green thread that runs here to let others run.
    pub attention: AtomicBool,
    /// The monitor asks for a look into the reactor, though the queue is never empty.
    pub poll_due: AtomicBool,
    /// Whether its worker sleeps in the reactor (`words::idle`).
    pub idle: AtomicU32,
}

/// A kernel thread that runs green threads.
#[repr(align(128))]
pub struct Worker {
    /// Its own context while it runs a green thread.
    pub sp: UnsafeCell<*mut u8>,
    pub fs: Cell<usize>,
    /// The slot it believes it has. Written by its own kernel thread, or, while it sleeps as a spare, by the thread that wakes it.
    pub slot: Cell<*const Slot>,
    /// The wish of the context that was left, from the switch to `finish`.
    pub leaving: Cell<Leaving>,
    /// Its kernel thread's tid; 0: it has none.
    pub kernel_tid: AtomicI32,
    /// Is its kernel thread the process's first?
    pub is_leader: bool,
    /// What the kernel thread's signal mask is now; its own kernel thread writes it.
    pub mask: AtomicU64,
    /// The lowest address of its alternate signal stack; 0: none.
    pub signal_stack: Cell<usize>,
    /// What its kernel thread may be used for.
    pub bond: Bond,
    /// The worker does not retire: it is the leader, a child of its own lives, or the program has rings. Written before it waits among the
    /// spares.
    pub stays: Cell<bool>,
    /// The word that it sleeps on as a spare (states: `sched::spares`), and at rest.
    pub bell: AtomicU32,
    /// A worker at rest: 1 until the kernel has let its last kernel thread go (`reserve`).
    pub kernel_thread_alive: AtomicU32,
    /// Its pthread_t.
    pub thread: Cell<usize>,
    /// What a switch must see to, beside the mask (`kernel_state`).
    pub unusual: AtomicU32,
    /// The green thread that runs here, or ran here last, and that has used the CPU time since `since_ns`.
    pub charged: AtomicPtr<Green>,
    /// The kernel thread's CPU time, in nanoseconds, when it was charged last.
    pub since_ns: AtomicU64,
    /// What it counts, for the statistics.
    pub counters: Counters,
}

/// A wish of the context that is left, about itself. `sched::slots::finish` does it on the next stack.
#[derive(Clone, Copy)]
pub enum Leaving {
    /// Nothing: it is a worker's own stack.
    Nothing,
    /// To be parked, unless its waiter has been fired meanwhile.
    Park(&'static Green),
    /// To be put last in line.
    Yield(&'static Green),
    /// To be put first in line.
    Return(&'static Green),
    /// To be ended: the function publishes the end.
    End(&'static Green, fn(&'static Green)),
}

/// The worker on whose kernel thread this runs, if any: a green thread's, or the one whose own stack this is.
#[inline]
pub fn here() -> Option<&'static Worker> {
    match current() {
        Some(green) => Some(green.worker()),
        // SAFETY: null or a worker; workers are never freed.
        None => unsafe { (arch::worker_word() as *const Worker).as_ref() },
    }
}

// SAFETY: `turns_of_next`, the only cell, is touched by the slot's owner in Runtime, of which there is one; the rest is atomic or Sync.
unsafe impl Sync for Slot {}

// SAFETY: the cells are touched by the worker's own kernel thread, or, while that sleeps as a spare, by the thread that assigns it a slot:
// the bell orders the two.
unsafe impl Sync for Worker {}
// SAFETY: a worker is never moved; its address is handed to its kernel thread before that begins.
unsafe impl Send for Worker {}

impl Worker {
    /// A worker without a kernel thread. Never freed. The caller takes it into the list (`counts::enlist`).
    pub fn new(is_leader: bool) -> &'static Worker {
        Box::leak(Box::new(Worker {
            sp: UnsafeCell::new(std::ptr::null_mut()),
            fs: Cell::new(0),
            slot: Cell::new(std::ptr::null()),
            leaving: Cell::new(Leaving::Nothing),
            kernel_tid: AtomicI32::new(0),
            is_leader,
            mask: AtomicU64::new(0),
            signal_stack: Cell::new(0),
            bond: Bond::default(),
            stays: Cell::new(false),
            bell: AtomicU32::new(0),
            kernel_thread_alive: AtomicU32::new(0),
            thread: Cell::new(0),
            unusual: AtomicU32::new(0),
            charged: AtomicPtr::new(std::ptr::null_mut()),
            since_ns: AtomicU64::new(0),
            counters: Counters::new(),
        }))
    }

    /// The worker whose counters these are.
    pub fn of_counters(counters: &'static Counters) -> &'static Worker {
        let place = counters as *const Counters as usize - std::mem::offset_of!(Worker, counters);
        // SAFETY: only workers have enlisted counters, and workers are never freed.
        unsafe { &*(place as *const Worker) }
    }

    /// Its name in a slot's owner word.
    #[inline]
    pub fn id(&self) -> WorkerId {
        WorkerId(self as *const Worker as usize)
    }

    /// The worker that has the slot; `None`: the slot was vacant.
    pub fn of_seen(seen: Seen) -> Option<&'static Worker> {
        // SAFETY: null, or a worker's address; workers are never freed.
        unsafe { (seen.worker().0 as *const Worker).as_ref() }
    }

    /// The slot it believes it has: the monitor may have taken it. Called on its own kernel thread.
    #[inline]
    pub fn slot(&self) -> Option<&'static Slot> {
        // SAFETY: null or a slot; slots are never freed.
        unsafe { self.slot.get().as_ref() }
    }

    /// Enters the scheduler: the slot cannot be taken until `leave`. `None`: it was taken, or there is none. Called on its own kernel
    /// thread, from any mode: a call that was said to block may reach a hook inside libc, and park.
    #[inline]
    pub fn enter(&self) -> Option<&'static Slot> {
        let slot = self.slot()?;
        if slot.owner.enter(self.id()) {
            return Some(slot);
        }
        self.lost_slot();
        None
    }

    /// Notes that the slot is another worker's. Called on its own kernel thread, by the green thread that finds that out.
    #[cold]
    fn lost_slot(&self) {
        self.slot.set(std::ptr::null());
        green::came_back(self.kernel_tid.load(Relaxed));
    }

    /// Leaves the scheduler for the green thread that was resumed. Called on its own kernel thread.
    #[inline]
    pub fn leave(&self) {
        if let Some(slot) = self.slot() {
            slot.owner.leave(self.id());
        }
    }

    /// Takes up a vacant slot. Called on its own kernel thread, or by the thread that gives it the slot before it rings.
    pub fn take_up(&self, slot: &'static Slot) {
        self.slot.set(slot);
        slot.owner.assign(self.id());
    }
}

impl Slot {
    /// Its epoll's descriptor.
    pub fn epoll(&self) -> i32 {
        self.poller.epoll()
    }

    /// Takes the green thread that is first in line. Called by the owner in Runtime, or by the monitor.
    #[inline]
    pub fn take_next(&self) -> Option<&'static Green> {
        if self.next.load(Relaxed).is_null() {
            return None;
        }
        // SAFETY: null or a green thread, which is never freed; out of the place, it is the caller's alone.
        unsafe { self.next.swap(std::ptr::null_mut(), AcqRel).as_ref() }
    }

    /// Takes the green thread that has waited longest in the queue. Called by any worker in Runtime.
    #[inline]
    pub fn pop(&self) -> Option<&'static Green> {
        if self.queue.is_empty() {
            return None; // Saves the fence of a `pop` in vain.
        }
        // SAFETY: only addresses of green threads are pushed, and green threads are never freed.
        self.queue.pop().map(|green| unsafe { &*(green as *const Green) })
    }

    /// Is a green thread ready here? May be out of date.
    pub fn has_ready(&self) -> bool {
        !self.queue.is_empty() || !self.next.load(Relaxed).is_null()
    }

    /// Does its worker sleep in the reactor? May be out of date.
    pub fn is_idle(&self) -> bool {
        self.idle.load(Relaxed) != idle::BUSY
    }

    /// Is it vacant, and was it in use? Then the monitor minds its descriptors and deadlines (`sched::slots::mind`).
    pub fn is_left(&self) -> bool {
        self.owner.glance().is_vacant() && self.switches.load(Relaxed) > 0
    }
}
