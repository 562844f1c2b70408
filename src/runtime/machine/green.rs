//! The green thread: what a pthread became. Its stack, TCB and TLS are the vessel; the rest of what it is stands here.
//!
//! Green threads are never freed: a vessel that is finished serves the next one, and a word that an old waker still looks at
//! stays a word of that kind (type-stable). `current` reads the vessel's own TLS, so it is right after every switch.

use crate::arch;
use crate::runtime::births::vessel::Stack;
use crate::runtime::machine::alternate::Alternate;
use crate::runtime::machine::pending::Pending;
use crate::runtime::machine::schedule::Schedule;
use crate::runtime::machine::settings::Settings;
use crate::runtime::news::record::Record;
use crate::runtime::sched::slots::Worker;
use crate::runtime::signal::handler::Place;
use crate::runtime::waiting::wait::Waiter;
use crate::sys::Processors;
use crate::why::{self, Why};
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// Where a thread's life stands (bits of `life`).
pub mod life {
    pub const FINISHED: u32 = 1;
    pub const DETACHED: u32 = 2;
    /// Somebody joins it.
    pub const JOINING: u32 = 4;
    /// Nobody's: in the pool, or dead.
    pub const GONE: u32 = 8;
}

/// Why a running or waiting thread should look up (bits of `alerts`).
pub mod alert {
    pub const SIGNAL: u32 = 1;
    pub const CANCEL: u32 = 2;
}

/// A word of its own that others look at.
pub struct Word(AtomicU64);

impl Word {
    pub const fn new(value: u64) -> Word {
        Word(AtomicU64::new(value))
    }

    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(SeqCst)
    }

    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Release);
    }

    pub fn replace(&self, value: u64) -> u64 {
        self.0.swap(value, SeqCst)
    }
}

/// What a green thread waits for, as a word (`why`). Only the thread itself writes it; anybody may read it.
pub struct Reason(AtomicU64);

impl Reason {
    /// A wait begins, and its thread is about to park.
    #[inline]
    pub fn set(&self, why: Why) {
        self.0.store(why.word(), Relaxed);
    }

    /// A call in the kernel comes next that waits for this.
    #[inline]
    pub fn announce(&self, why: Why) {
        self.0.store(why.word() | why::ANNOUNCED, Relaxed);
    }

    /// The thread enters a call that may block: for what was announced, or for what nobody has said.
    #[inline]
    pub fn enter(&self) {
        let word = self.0.load(Relaxed);
        let announced = if word & why::ANNOUNCED != 0 { word & !why::ANNOUNCED } else { Why::InKernel.word() };
        self.0.store(announced | why::IN_KERNEL, Relaxed);
    }

    /// The call is over, or has been left.
    #[inline]
    pub fn leave(&self) {
        self.0.store(Why::Nothing.word(), Relaxed);
    }
}

/// What the program's function looks like.
#[derive(Clone, Copy)]
pub enum Start {
    Posix(extern "C" fn(*mut c_void) -> *mut c_void),
    C11(extern "C" fn(*mut c_void) -> i32),
}

/// The green thread made last. The list is for those who read memory (`table`): it has those of the pool, too.
pub static NEWEST: AtomicPtr<Green> = AtomicPtr::new(std::ptr::null_mut());

/// In a fork child: nobody of these is here.
pub fn after_fork() {
    NEWEST.store(std::ptr::null_mut(), Relaxed);
}

#[repr(C, align(64))]
pub struct Green {
    // What every switch touches comes first.
    /// Saved stack pointer, valid while suspended.
    pub sp: UnsafeCell<*mut u8>,
    /// The TCB: fs base and pthread_t.
    pub fs: Cell<usize>,
    /// Where it runs; written by the worker that resumes it.
    pub worker: AtomicPtr<Worker>,
    /// The wait it is in.
    pub waiter: Waiter,
    /// The next in whatever list it is in (injector, pool, a batch of the woken).
    pub link: AtomicPtr<Green>,
    /// The signals that it blocks.
    pub mask: Word,
    pub alerts: AtomicU32,
    /// The vessel is to die instead of serving again.
    pub dying: Cell<bool>,
    /// What the switch must see to for it, beside the mask (`kernel_state`).
    pub unusual: AtomicU32,
    /// The tid that it and glibc believe in.
    pub tid: Cell<i32>,
    pub is_main: bool,
    /// > 0: bound to its kernel thread, waits happen in the kernel.
    pub pinned: Word,
    /// Its mask outside of all handlers that run; all, where none does.
    pub outer_mask: Word,
    /// It has its kernel thread for itself (`alone`).
    pub alone: Cell<bool>,
    /// It stays on its kernel thread for ever, alone or not (`alone`).
    pub bound: Cell<bool>,
    /// What it waits for (`why`): written as a wait begins, and kept until the next one.
    pub why: Reason,
    /// The list that the program has set in its place, or 0 (`pin::set_robust_list`).
    pub program_list: Cell<usize>,
    /// The kernel thread knows that list.
    pub robust_registered: Cell<bool>,
    /// The vessel is not to serve another thread.
    pub spoilt: Cell<bool>,
    pub life: AtomicU32,
    pub cancel_disabled: AtomicBool,
    pub cancel_asynchronous: AtomicBool,
    /// It is in a call that is a cancellation point (`cancel::block`).
    pub in_call: AtomicBool,
    /// That call was cut short.
    pub cut: Cell<bool>,
    /// It ends by unwinding (pthread_exit, cancellation).
    pub unwinding: Cell<bool>,
    pub start: Cell<Option<Start>>,
    pub argument: Cell<*mut c_void>,
    /// The control words that it starts with: its creator's.
    pub control: Cell<arch::ControlWords>,
    pub result: Cell<*mut c_void>,
    pub stack: Cell<Stack>,
    /// Born without a kernel thread (`capture`).
    pub caught: Cell<bool>,
    pub name: UnsafeCell<[u8; 16]>,
    /// Signals that wait for it.
    pub pending: Pending,
    /// Those that it waits for itself (sigwait).
    pub waits_for: Word,
    /// A descriptor of the library's on which it waits for what has none: signals of the process's, a child's end; or -1.
    pub private_fd: Cell<i32>,
    pub handled: AtomicU32,
    /// Where those run that have not ended.
    pub handlers: UnsafeCell<Vec<Place>>,
    /// The file that its call holds on to from one try to the next.
    pub held: Cell<Option<&'static Record>>,
    /// In the list of those for whom a bell rang in vain.
    pub rings_again: AtomicBool,
    pub next_to_ring: AtomicPtr<Green>,
    /// Its own alternate signal stack.
    pub alternate: Cell<Alternate>,
    /// A stack for its own system calls' hooks, where it has no room for them (`inline`): lowest address, or 0.
    pub inline_stack: Cell<usize>,
    /// Does its last interruption's handlers' SA_RESTART allow to go on?
    pub restart: Cell<bool>,
    /// Its own processors, if it has any (`kernel_state`).
    pub processors: UnsafeCell<Processors>,
    /// Its rights to pages with protection keys, while suspended (`kernel_state`).
    pub rights: Cell<u32>,
    /// The base of its GS segment, while suspended (`kernel_state`).
    pub segment: Cell<usize>,
    /// Its CPU time, as far as it has been charged.
    pub cpu_ns: AtomicU64,
    pub schedule: Schedule,
    pub settings: Settings,
    pub robust_head: Cell<usize>,
    /// The green thread made before this one: the whole list begins at `NEWEST`.
    pub older: Cell<*const Green>,
}

// SAFETY: the cells are touched by the kernel thread that runs the green thread, or by the one that prepares it before it is
// made ready (the run queue orders both); what others touch is atomic.
unsafe impl Sync for Green {}
// SAFETY: as above; green threads move between kernel threads by design.
unsafe impl Send for Green {}

impl Green {
    /// How many handlers have run on it.
    #[inline]
    pub fn handlers(&self) -> u32 {
        self.handled.load(Relaxed)
    }

    pub fn new(stack: Stack, is_main: bool) -> &'static Green {
        let green = Box::leak(Box::new(Green {
            sp: UnsafeCell::new(std::ptr::null_mut()),
            fs: Cell::new(0),
            worker: AtomicPtr::new(std::ptr::null_mut()),
            waiter: Waiter::new(),
            link: AtomicPtr::new(std::ptr::null_mut()),
            tid: Cell::new(0),
            is_main,
            pinned: Word::new(0),
            outer_mask: Word::new(u64::MAX),
            alone: Cell::new(false),
            bound: Cell::new(false),
            program_list: Cell::new(0),
            robust_registered: Cell::new(false),
            spoilt: Cell::new(false),
            life: AtomicU32::new(life::GONE),
            alerts: AtomicU32::new(0),
            cancel_disabled: AtomicBool::new(false),
            cancel_asynchronous: AtomicBool::new(false),
            in_call: AtomicBool::new(false),
            cut: Cell::new(false),
            unwinding: Cell::new(false),
            start: Cell::new(None),
            argument: Cell::new(std::ptr::null_mut()),
            control: Cell::new(arch::control_words()),
            result: Cell::new(std::ptr::null_mut()),
            stack: Cell::new(stack),
            caught: Cell::new(false),
            dying: Cell::new(false),
            name: UnsafeCell::new([0; 16]),
            mask: Word::new(0),
            pending: Pending::new(),
            waits_for: Word::new(0),
            private_fd: Cell::new(-1),
            handled: AtomicU32::new(0),
            handlers: UnsafeCell::new(Vec::new()),
            held: Cell::new(None),
            rings_again: AtomicBool::new(false),
            next_to_ring: AtomicPtr::new(std::ptr::null_mut()),
            alternate: Cell::new(Alternate::NONE),
            inline_stack: Cell::new(0),
            restart: Cell::new(true),
            processors: UnsafeCell::new([0; 16]),
            unusual: AtomicU32::new(0),
            rights: Cell::new(arch::keys::INITIAL),
            segment: Cell::new(0),
            cpu_ns: AtomicU64::new(0),
            schedule: Schedule::new(),
            settings: Settings::new(),
            robust_head: Cell::new(0),
            why: Reason(AtomicU64::new(0)),
            older: Cell::new(std::ptr::null()),
        }));
        green.waiter.belongs_to(green);
        green.enlist();
        green
    }

    /// Into the list that others read: a green thread is never freed, nor taken out.
    fn enlist(&'static self) {
        let link = |newest: *mut Green| {
            self.older.set(newest);
            Some(self as *const Green as *mut Green)
        };
        let _ = NEWEST.fetch_update(Release, Relaxed, link);
    }

    /// Its vessel is dead: it serves for another one. (What each thread begins with `thread::create` sees to.)
    pub fn begin_anew(&self, stack: Stack) {
        self.stack.set(stack);
        self.worker.store(std::ptr::null_mut(), SeqCst);
        self.caught.set(false);
        self.spoilt.set(false);
        self.dying.set(false);
    }

    #[inline]
    pub fn worker(&self) -> &'static Worker {
        // SAFETY: a running green thread has a worker; workers are never freed.
        unsafe { &*self.worker.load(Relaxed) }
    }

    /// Fetches what a resume will touch first: the saved registers, the TLS below the TCB and the TCB.
    #[inline]
    pub fn warm(&self) {
        const LINES: usize = 10;
        // SAFETY: a thread that is being made ready is suspended: nobody writes its saved stack pointer.
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
        match self.program_list.get() {
            0 => self.robust_head.get(),
            list => list,
        }
    }

    pub fn tid(&self) -> i32 {
        self.tid.get()
    }

    pub fn has_ended(&self) -> bool {
        self.life.load(Acquire) & life::FINISHED != 0
    }

    /// What the kernel and glibc call the thread at `pthread`, if it is one of ours.
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
