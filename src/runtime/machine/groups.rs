//! The groups of a green thread's fields, by how long a value lives: one thread, one wait, the signals of one thread, one vessel.
//!
//! ```text
//!   group     its values live                                        begun anew by
//!   Thread    from pthread_create to the thread's end                begin, called by Green::begin
//!   Signals   as long as Thread: pending, blocked, handled           begin, called by Green::begin
//!   Wait      one wait or call, or until the next                    begin, called by Green::begin
//!   Vessel    from a vessel's birth to its death: many threads       begin, called by Green::begin_anew
//! ```
//!
//! Each `begin` takes its group apart without `..`: a new field does not compile until it is decided with what the next thread, or the next
//! vessel, finds it. Only its creator knows the thread then. But a late sender of a signal, or a late caller of pthread_cancel, may still
//! look at the thread before, by way of the same words: so those are atomics, and `Green::begin` keeps their order.

use crate::arch;
use crate::runtime::machine::alternate::Alternate;
use crate::runtime::machine::pending::Pending;
use crate::runtime::machine::place::Place;
use crate::runtime::machine::schedule::Schedule;
use crate::runtime::machine::settings::Settings;
use crate::runtime::machine::stack::Stack;
use crate::runtime::machine::words::{Reason, Start, Word};
use crate::runtime::news::lent::Loop;
use crate::runtime::news::record::Record;
use crate::sys::Processors;
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What a new thread begins with, of what differs from thread to thread. Put together by its creator (`births::thread::create`).
pub struct Beginning<'creator> {
    /// The start routine, and what it is called with.
    pub start: Start,
    pub argument: *mut c_void,
    /// The mask: the creator's, or what an attribute asks for.
    pub mask: u64,
    /// The creator's name.
    pub name: [u8; 16],
    /// The creator's registers: rights of protection keys, and the base of the GS segment (`kernel_state::registers`).
    pub rights: u32,
    pub segment: usize,
    /// The creator's, if it is green; else the process's.
    pub schedule: Option<&'creator Schedule>,
    pub settings: Option<&'creator Settings>,
}

/// What belongs to one wait or one call: written as it begins, or while it lasts.
#[repr(C)]
pub struct Wait {
    /// What the thread waits for: written as a wait begins, and kept until the next one.
    pub why: Reason,
    /// The file that the thread's call holds on to from one try to the next.
    pub held: Cell<Option<&'static Record>>,
    /// A descriptor of the library's on which the thread waits for what has none: signals of the process's, a child's end; or -1.
    pub private_fd: Cell<i32>,
    /// Does the SA_RESTART of the handlers that interrupted it last allow the call to go on?
    pub restart: Cell<bool>,
    /// The thread is in a call that is a cancellation point (`cancel::block`).
    pub in_call: AtomicBool,
    /// That call was cut short.
    pub cut: Cell<bool>,
}

/// What belongs to one thread, of what pthreads and the kernel keep of a thread.
#[repr(C)]
pub struct Thread {
    /// The low half greater than 0: the thread stays on its kernel thread, and waits happen in the kernel (`pins`). The bit `LENDS`: it
    /// lends a loop.
    pub pinned: Word,
    /// The tid that the thread and glibc believe in.
    pub tid: Cell<i32>,
    /// PTHREAD_CANCEL_DISABLE.
    pub cancel_disabled: AtomicBool,
    /// PTHREAD_CANCEL_ASYNCHRONOUS.
    pub cancel_asynchronous: AtomicBool,
    /// The thread has its kernel thread for itself (`alone`).
    pub alone: Cell<bool>,
    /// The thread stays on its kernel thread for ever, alone or not (`alone`).
    pub bound: Cell<bool>,
    /// The robust list that the program has set in place of glibc's, or 0 (`pin::set_robust_list`).
    pub program_list: Cell<usize>,
    /// The kernel thread knows the thread's robust list.
    pub robust_registered: Cell<bool>,
    /// The thread ends by unwinding (pthread_exit, cancellation).
    pub unwinding: Cell<bool>,
    /// The start routine; `None`: main's.
    pub start: Cell<Option<Start>>,
    /// The start routine's argument.
    pub argument: Cell<*mut c_void>,
    /// The control words that the thread starts with: its creator's.
    pub control: Cell<arch::ControlWords>,
    /// What the start routine has returned, for the joiner; written before FINISHED.
    pub result: Cell<*mut c_void>,
    /// The name (PR_SET_NAME), ended by a zero.
    pub name: UnsafeCell<[u8; 16]>,
    /// The processors of the thread's own, if it has any (`kernel_state`).
    pub processors: UnsafeCell<Processors>,
    /// The rights to pages with protection keys, while suspended (`kernel_state`).
    pub rights: Cell<u32>,
    /// The base of the GS segment, while suspended (`kernel_state`).
    pub segment: Cell<usize>,
    /// The CPU time, as far as it has been charged.
    pub cpu_ns: AtomicU64,
    /// Policy, priority and nice value.
    pub schedule: Schedule,
    /// The thread's own of the settings that the kernel keeps for each kernel thread.
    pub settings: Settings,
    /// The loop that the thread lends; null: none (`waiting::lending`).
    pub lends: Cell<*const Loop>,
}

/// The signals of one thread, beside its mask, which every switch looks at (`Green::mask`).
#[repr(C)]
pub struct Signals {
    /// The mask outside of the handlers that run; all signals, where none runs.
    pub outer_mask: Word,
    /// The signals that the thread waits for itself (sigwait).
    pub waits_for: Word,
    /// Signals that wait for the thread.
    pub pending: Pending,
    /// The places of the handlers that have not ended, the outermost first.
    pub handlers: UnsafeCell<Vec<Place>>,
    /// The alternate signal stack.
    pub alternate: Cell<Alternate>,
}

/// What belongs to a vessel, which serves one thread after the other, beside its saved stack pointer and its TCB (`Green::sp`,
/// `Green::fs`).
#[repr(C)]
pub struct Vessel {
    /// The vessel is to die instead of serving again.
    pub dying: Cell<bool>,
    /// The vessel is not to serve another thread.
    pub spoilt: Cell<bool>,
    /// The vessel was born without a kernel thread (`capture`).
    pub caught: Cell<bool>,
    /// The stack.
    pub stack: Cell<Stack>,
    /// The head of glibc's robust list, in the vessel's TCB.
    pub robust_head: Cell<usize>,
}

impl Wait {
    /// A wait that has not begun.
    pub fn new() -> Wait {
        Wait {
            why: Reason(AtomicU64::new(0)),
            held: Cell::new(None),
            private_fd: Cell::new(-1),
            restart: Cell::new(true),
            in_call: AtomicBool::new(false),
            cut: Cell::new(false),
        }
    }

    /// Begins anew for a new thread, which is in no call, whatever call the one before was in when it ended.
    pub fn begin(&self) {
        // The end of the thread before has given back what it held (`serve::vessel_main`).
        let Wait { why, held: _, private_fd: _, restart, in_call, cut } = self;
        why.leave();
        restart.set(true);
        in_call.store(false, Relaxed);
        cut.set(false);
    }
}

impl Thread {
    /// In the word `pinned`: the thread lends a loop.
    pub const LENDS: u64 = 1 << 32;

    /// Returns how often the thread is pinned.
    pub fn pins(&self) -> u64 {
        self.pinned.get() & (Thread::LENDS - 1)
    }

    /// A thread without a start routine: main's, or that of a green thread which has served none.
    pub fn new() -> Thread {
        Thread {
            pinned: Word::new(0),
            tid: Cell::new(0),
            cancel_disabled: AtomicBool::new(false),
            cancel_asynchronous: AtomicBool::new(false),
            alone: Cell::new(false),
            bound: Cell::new(false),
            program_list: Cell::new(0),
            robust_registered: Cell::new(false),
            unwinding: Cell::new(false),
            start: Cell::new(None),
            argument: Cell::new(std::ptr::null_mut()),
            control: Cell::new(arch::control_words()),
            result: Cell::new(std::ptr::null_mut()),
            name: UnsafeCell::new([0; 16]),
            processors: UnsafeCell::new([0; 16]),
            rights: Cell::new(arch::keys::INITIAL),
            segment: Cell::new(0),
            cpu_ns: AtomicU64::new(0),
            schedule: Schedule::new(),
            settings: Settings::new(),
            lends: Cell::new(std::ptr::null()),
        }
    }

    /// Begins anew for the thread that `new` tells of. Called by `Green::begin`.
    pub fn begin(&self, new: &Beginning) {
        let Thread {
            pinned,
            tid: _, // `roll::enter` has given it.
            cancel_disabled,
            cancel_asynchronous,
            alone,
            bound,
            program_list,
            robust_registered,
            unwinding,
            start,
            argument,
            control,
            result,
            name,
            processors: _, // Looked at only with `unusual::PROCESSORS`.
            rights,
            segment,
            cpu_ns,
            schedule,
            settings,
            lends,
        } = self;
        start.set(Some(new.start));
        argument.set(new.argument);
        control.set(arch::control_words());
        result.set(std::ptr::null_mut());
        pinned.set(0);
        alone.set(false);
        bound.set(false);
        program_list.set(0);
        robust_registered.set(false);
        unwinding.set(false);
        cancel_disabled.store(false, Relaxed);
        cancel_asynchronous.store(false, Relaxed);
        // SAFETY: only the creator knows the new thread yet.
        unsafe { *name.get() = new.name };
        rights.set(new.rights);
        segment.set(new.segment);
        cpu_ns.store(0, Relaxed);
        schedule.inherit(new.schedule);
        lends.set(std::ptr::null());
        settings.inherit(new.settings);
    }
}

impl Signals {
    /// Nothing pending, no handler.
    pub fn new() -> Signals {
        Signals {
            outer_mask: Word::new(u64::MAX),
            waits_for: Word::new(0),
            pending: Pending::new(),
            handlers: UnsafeCell::new(Vec::new()),
            alternate: Cell::new(Alternate::NONE),
        }
    }

    /// Begins anew for a new thread. Drops what late senders have sent to the thread before. Called by `Green::begin`.
    pub fn begin(&self) {
        let Signals { outer_mask, waits_for, pending, handlers: _, alternate } = self; // `frames::forget_all` has emptied `handlers`.
        pending.clear();
        waits_for.set(0);
        outer_mask.set(u64::MAX);
        alternate.set(Alternate::NONE);
    }
}

impl Vessel {
    /// A vessel on this stack, which is to be born.
    pub fn new(stack: Stack) -> Vessel {
        Vessel {
            dying: Cell::new(false),
            spoilt: Cell::new(false),
            caught: Cell::new(false),
            stack: Cell::new(stack),
            robust_head: Cell::new(0),
        }
    }

    /// Begins anew: another vessel is to be born on this stack. Called by `Green::begin_anew`, while no thread is on the green thread.
    pub fn begin(&self, on: Stack) {
        let Vessel { dying, spoilt, caught, stack, robust_head: _ } = self; // `vessel_main` writes `robust_head` at the birth.
        stack.set(on);
        caught.set(false);
        spoilt.set(false);
        dying.set(false);
    }
}
