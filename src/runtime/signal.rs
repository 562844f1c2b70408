//! Signals: a handler runs on the green thread that it is for, never on a worker's own stack and never in the middle of the runtime.
//!
//! The kernel delivers to kernel threads; every handler of the program's is therefore behind `entry`, which asks: whose context is
//! this? In the program's code of a thread that may take the signal the handler runs at once, as natively. In the runtime
//! (`guard` is up), on a worker's own stack, or when a process-directed signal should go to main, the signal is noted
//! as pending for its thread and the monitor is called, which ends that thread's wait; the thread sends the signal to the kernel
//! thread it then runs on, and so takes it with its own stack, TLS, mask and a real signal frame.
//!
//! Masks are kept per green thread and applied to the kernel thread where they differ (`sched::prepare`).

use super::green::{alert, current, Green};
use super::raw_lock::RawLock;
use super::sched::{self, Worker};
use super::{monitor, start};
use crate::{arch, sys};
use libc::{c_int, c_void, siginfo_t};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::*};

/// A worker's alternate stack: where a stack overflow is told, and handlers with SA_ONSTACK run.
pub const STACK_BYTES: usize = 64 << 10;
const SIGNALS: usize = 65;

/// A disposition as the kernel and the program see it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Action {
    pub handler: usize,
    pub flags: usize,
    pub mask: u64,
}

struct Table {
    lock: RawLock,
    actions: UnsafeCell<[Action; SIGNALS]>,
}

// SAFETY: written under the lock; a reader in a handler takes a copy that may be of either side of a change, as natively.
unsafe impl Sync for Table {}

const NO_ACTION: Action = Action { handler: 0, flags: 0, mask: 0 };
static TABLE: Table = Table { lock: RawLock::new(), actions: UnsafeCell::new([NO_ACTION; SIGNALS]) };

static MAIN: AtomicPtr<Green> = AtomicPtr::new(std::ptr::null_mut());
/// The information of signals that are pending for main because they were sent to the process.
struct Informations(UnsafeCell<[Option<siginfo_t>; SIGNALS]>);
// SAFETY: a slot is written before its pending bit is set and read after it is seen; two of one kind may merge, as natively.
unsafe impl Sync for Informations {}
static INFORMATION: Informations = Informations(UnsafeCell::new([None; SIGNALS]));
/// The monitor is to look at main.
static HAND_OUT: AtomicBool = AtomicBool::new(false);
static MAIN_MASK: AtomicU64 = AtomicU64::new(0);

fn bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

/// What the program has set for a signal.
pub fn action(signal: c_int) -> Action {
    // SAFETY: see Table.
    unsafe { (*TABLE.actions.get())[signal as usize] }
}

/// Notes what the program sets for a signal; what it was.
pub fn set_action(signal: c_int, new: Action) -> Action {
    // SAFETY: under the lock.
    TABLE.lock.with(|| unsafe { std::mem::replace(&mut (*TABLE.actions.get())[signal as usize], new) })
}

/// The address of the handler that stands before the program's.
pub fn entry_address() -> usize {
    entry as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize
}

/// Is this a handler, not SIG_DFL or SIG_IGN?
pub fn is_handler(handler: usize) -> bool {
    handler > 1
}

/// Sent with tgkill, as pthread_kill does (source: asm-generic/siginfo.h).
const SI_TKILL: c_int = -6;
/// A code of our own: the kernel lets one thread send SI_TKILL with a value to itself only.
const SI_OURS: c_int = -77;

/// What marks a signal that one of us sent to the kernel thread of a green one: the value is its address.
fn sender_of_ours(info: &siginfo_t) -> usize {
    if info.si_code != SI_OURS {
        return 0;
    }
    // SAFETY: an unknown negative code has a value field, and who else would use this one leaves it as sigqueue does.
    unsafe { info.si_value().sival_ptr as usize }
}

fn marked(signal: c_int, green: &Green) -> siginfo_t {
    // SAFETY: all-zero is a value of siginfo_t.
    let mut info: siginfo_t = unsafe { std::mem::zeroed() };
    info.si_signo = signal;
    info.si_code = SI_OURS;
    // The kernel's layout (asm-generic/siginfo.h): pid and uid at 16 and 20, the value at 24.
    let words = &mut info as *mut siginfo_t as *mut u8;
    // SAFETY: within siginfo_t's 128 bytes.
    unsafe {
        *(words.add(16) as *mut i32) = sys::process_id();
        *(words.add(24) as *mut usize) = green as *const Green as usize;
    }
    info
}

/// A signal that arrived at a handler of ours but is the program's.
pub fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    if is_handler(action(signal).handler) {
        return entry(signal, info, context);
    }
    if action(signal).handler == 0 {
        let default = [0usize; 4];
        // SAFETY: the default disposition, which the signal, sent once more, meets when this handler returns.
        unsafe { sys::signal_action(signal, &default, std::ptr::null_mut()) };
        sys::signal_thread(sys::kernel_thread_id(), signal).ok();
    }
}

/// Every handler of the program's while the runtime runs.
extern "C" fn entry(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid siginfo_t.
    let information = unsafe { &*info };
    let fault = information.si_code > 0 && matches!(signal, libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP);
    let me = current();
    let inside = arch::guard_word() != 0;
    if fault {
        return run(signal, info, context);
    }
    let sender = sender_of_ours(information);
    if sender != 0 {
        let for_me = me.is_some_and(|me| me as *const Green as usize == sender);
        if let (true, false, Some(me)) = (for_me, inside, me) {
            if me.pending.fetch_and(!bit(signal), SeqCst) & bit(signal) != 0 {
                return run_pending(me, signal, info, context);
            }
        }
        return;
    }
    let directed = information.si_code == SI_TKILL || own_doing(signal, information);
    match me {
        Some(me) if !inside && (directed || me.is_main || !main_takes(signal)) => run(signal, info, context),
        None if !inside => run(signal, info, context),
        _ => defer(signal, information),
    }
}

/// Did the call that runs right now bring this about itself? (The kernel says no more of it than of a kill by this process.)
fn own_doing(signal: c_int, info: &siginfo_t) -> bool {
    // SAFETY: SI_USER has a pid field.
    matches!(signal, libc::SIGPIPE | libc::SIGXFSZ)
        && info.si_code == libc::SI_USER
        && unsafe { info.si_pid() } == sys::process_id()
}

fn main_takes(signal: c_int) -> bool {
    // SAFETY: null or main.
    unsafe { MAIN.load(Relaxed).as_ref() }.is_some_and(|main| main.mask.get() & bit(signal) == 0)
}

/// Notes the signal as pending for main; the monitor will wake it.
fn defer(signal: c_int, information: &siginfo_t) {
    // SAFETY: null or main; see Informations.
    unsafe {
        let Some(main) = MAIN.load(Relaxed).as_ref() else { return };
        (*INFORMATION.0.get())[signal as usize] = Some(*information);
        main.pending.fetch_or(bit(signal), SeqCst);
        main.alerts.fetch_or(alert::SIGNAL, SeqCst);
    }
    HAND_OUT.store(true, SeqCst);
    monitor::call();
}

/// The monitor's duty.
pub fn hand_out() {
    if HAND_OUT.load(Relaxed) && HAND_OUT.swap(false, SeqCst) {
        // SAFETY: null or main.
        if let Some(main) = unsafe { MAIN.load(Relaxed).as_ref() } {
            poke(main);
        }
    }
}

/// A thread has something pending: ends its wait, or interrupts the kernel thread that runs it.
fn poke(green: &'static Green) {
    if let Some(parked) = green.waiter.interrupt() {
        return sched::ready(parked);
    }
    let pending = green.pending.load(SeqCst) & !green.mask.get();
    if pending != 0 {
        let signal = pending.trailing_zeros() as c_int + 1;
        // SAFETY: null before its first resume, when it will look by itself; workers are never freed.
        if let Some(worker) = unsafe { green.worker.load(Relaxed).as_ref() } {
            sys::queue_signal(worker.kernel_tid.load(Relaxed), signal, &marked(signal, green)).ok();
        }
    }
}

/// A thread that goes on after others have run: has a signal come meanwhile, which no kernel thread could bring it?
#[inline]
pub fn look(me: &'static Green) {
    if me.alerts.load(Relaxed) & alert::SIGNAL != 0 {
        deliver(me);
    }
}

/// Sends a signal that has a handler to a green thread.
pub fn send(green: &'static Green, signal: c_int) {
    green.pending.fetch_or(bit(signal), SeqCst);
    green.alerts.fetch_or(alert::SIGNAL, SeqCst);
    if current().is_some_and(|me| std::ptr::eq(me, green)) {
        deliver(green);
    } else {
        poke(green);
    }
}

/// The running thread takes what is pending for it and not blocked: the kernel delivers it right here. Did a handler run?
#[cold]
pub fn deliver(me: &'static Green) -> bool {
    me.alerts.fetch_and(!alert::SIGNAL, SeqCst);
    me.restart.set(true);
    let mut ran = false;
    loop {
        let pending = me.pending.load(SeqCst) & !me.mask.get();
        if pending == 0 {
            return ran;
        }
        let signal = pending.trailing_zeros() as c_int + 1;
        let handler = action(signal);
        if !is_handler(handler.handler) {
            me.pending.fetch_and(!bit(signal), SeqCst);
            continue;
        }
        me.restart.set(me.restart.get() && handler.flags & libc::SA_RESTART as usize != 0);
        let tid = sys::kernel_thread_id();
        if sys::queue_signal(tid, signal, &marked(signal, me)).is_err() || me.pending.load(SeqCst) & bit(signal) != 0 {
            // The kernel thread's mask is not what we think: it comes with the next change of mask.
            return ran;
        }
        ran = true;
    }
}

/// Runs the program's handler for a signal that was pending, with the information it came with.
fn run_pending(me: &Green, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the frame's siginfo is ours to change before the handler sees it.
    unsafe {
        let kept = if me.is_main { (*INFORMATION.0.get())[signal as usize].take() } else { None };
        match kept {
            Some(kept) => *info = kept,
            None => {
                (*info).si_code = SI_TKILL;
                *((info as *mut u8).add(24) as *mut usize) = 0;
            }
        }
    }
    run(signal, info, context);
}

/// Calls the program's handler. Until it returns the thread stays on its kernel thread: the mask in force is the handler's.
fn run(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let handler = action(signal);
    if handler.flags & libc::SA_RESETHAND as usize != 0 {
        set_action(signal, NO_ACTION);
    }
    let me = current();
    if let Some(me) = me {
        me.pinned.set(me.pinned.get() + 1);
    }
    // SAFETY: the program's own handler, called with what the kernel gave.
    unsafe {
        match handler.handler {
            0 | 1 => fatal(signal, &*info),
            function if handler.flags & libc::SA_SIGINFO as usize != 0 => {
                std::mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(function)(signal, info, context)
            }
            function => std::mem::transmute::<usize, extern "C" fn(c_int)>(function)(signal),
        }
    }
    if let Some(me) = me {
        me.pinned.set(me.pinned.get().saturating_sub(1));
    }
}

/// A fault for which the program has no handler: says so if it is a stack overflow, then lets it end natively.
fn fatal(signal: c_int, info: &siginfo_t) {
    // SAFETY: a fault's siginfo has an address.
    let address = unsafe { info.si_addr() } as usize;
    if let Some(me) = current().filter(|me| signal == libc::SIGSEGV && me.stack.guards(address)) {
        tell_overflow(me);
    }
    let default = [0usize; 4];
    // SAFETY: the default disposition; the faulting instruction runs again and meets it.
    unsafe { sys::signal_action(signal, &default, std::ptr::null_mut()) };
}

#[cold]
fn tell_overflow(me: &Green) {
    // SAFETY: only the running thread writes its name.
    let name = unsafe { &*me.name.get() };
    let name = &name[..name.iter().position(|&byte| byte == 0).unwrap_or(name.len())];
    let mut line = Line { bytes: [0; 160], length: 0 };
    for part in [b"greenpatch: stack overflow in green thread ".as_slice(), line_number(me.tid() as usize).as_slice(), b" ("] {
        line.add(part);
    }
    line.add(name);
    line.add(b"): its stack of ");
    line.add(line_number(me.stack.bytes >> 10).as_slice());
    line.add(b" KiB is used up; give the thread a larger one\n");
    sys::write_all(2, &line.bytes[..line.length]);
}

/// A line put together without allocating: this runs in a signal handler.
struct Line {
    bytes: [u8; 160],
    length: usize,
}

impl Line {
    fn add(&mut self, part: &[u8]) {
        for &byte in part.iter().filter(|&&byte| byte != 0) {
            if self.length < self.bytes.len() {
                self.bytes[self.length] = byte;
                self.length += 1;
            }
        }
    }
}

/// A number's digits, behind zero bytes that `Line` passes over.
fn line_number(mut number: usize) -> [u8; 20] {
    let mut digits = [0; 20];
    for place in digits.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits
}

/// Gives a worker's kernel thread an alternate stack.
pub fn give_stack(worker: &Worker) {
    let Some(stack) = sys::map(STACK_BYTES, libc::MAP_STACK) else { return };
    worker.signal_stack.set(stack as usize);
    let stack = libc::stack_t { ss_sp: stack as *mut c_void, ss_flags: 0, ss_size: STACK_BYTES };
    sys::alternate_stack(&stack, std::ptr::null_mut());
}

/// Before a worker sleeps: the kernel thread takes the signals that main takes.
pub fn idle_mask(worker: &Worker) {
    let mask = MAIN_MASK.load(Relaxed);
    if worker.mask.get() != mask {
        sys::set_signal_mask(mask);
        worker.mask.set(mask);
    }
}

/// The running thread's mask is now `mask`.
pub fn set_mask(me: &'static Green, mask: u64) {
    me.mask.set(mask);
    me.worker().mask.set(mask);
    if me.is_main {
        MAIN_MASK.store(mask, Relaxed);
    }
    if me.pending.load(SeqCst) & !mask != 0 {
        deliver(me);
    }
}

/// A call that swaps the mask for the time of its wait, as one step (`mask` is what the kernel gets): what is pending and
/// will be let through goes to the kernel thread, where the old mask still holds it back, and the kernel decides.
pub fn while_masked<R>(mask: u64, call: impl FnOnce() -> R) -> R {
    let Some(me) = current() else { return call() };
    let before = me.mask.replace(mask & !(bit(libc::SIGKILL) | bit(libc::SIGSTOP)));
    let mut pending = me.pending.load(SeqCst) & before & !mask;
    while pending != 0 {
        let signal = pending.trailing_zeros() as c_int + 1;
        sys::queue_signal(sys::kernel_thread_id(), signal, &marked(signal, me)).ok();
        pending &= pending - 1;
    }
    let result = sched::block(|| {
        let result = call();
        me.mask.set(before);
        result
    });
    look(me);
    result
}

/// May the call that was interrupted go on? (All handlers that ran had SA_RESTART.)
pub fn restart() -> bool {
    current().is_some_and(|me| me.restart.get())
}

/// main is green from here on: its signals are ours.
pub fn take_over(main: &'static Green) {
    MAIN_MASK.store(main.mask.get(), Relaxed);
    MAIN.store(main as *const Green as *mut Green, Release);
}

/// In a fork child.
pub fn after_fork() {
    TABLE.lock.reset();
    MAIN.store(std::ptr::null_mut(), Relaxed);
    HAND_OUT.store(false, Relaxed);
    debug_assert!(!start::started());
}
