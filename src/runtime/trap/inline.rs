//! System call instructions of the program's own (`inline=1`): Syscall User Dispatch, turned round (Linux 6.17), makes a SIGSYS of each
//! system call that a worker makes from a range of addresses, and what may wait goes the way of libc's functions: it parks.
//!
//! *Where.* A kernel thread has one range. It must leave out this library's text, whose own calls would come back here, and should
//! leave out libc's: its calls have hooks, and 3 µs for each of the others is dear. So it is chosen, once, when the runtime starts, by what
//! seems to have such instructions (`has_calls`: a guess too many costs time, one too few is the monitor's as ever):
//!
//! ```text
//!     0x5… the program │ what dlopen brings │ libc │ libraries, loaded at the start │ this library │ C │ the loader
//!     ├──────────── A ──────────────────────┤      ├────────── B ───────────────────┤              ├───┤
//!     nothing in B:  A, all of it: what dlopen brings later is seen, too
//!     only in B:     B's libraries, from the first to the last
//!     in both:       A and B, and so libc: its own calls are made as they are (`answer`), 3 µs dearer
//!     in C:          all but this library, and so libc and the loader; but C's libraries alone where they are such as lie in B elsewhere
//! ```
//!
//! What dlopen brings must come to lie below, so the holes above are filled: the loader leaves one as large as its cache of names.
//! C is such a hole, too: of up to 2 MiB, where the kernel gives this library an address that is a multiple of them, as it does with files
//! of that size (Linux 6.7), or the loader does. Any library that is loaded after this one may lie there.
//!
//! *How.* The handler runs on the worker's alternate stack and does next to nothing: it changes the frame, so that its end leads
//! to a way on (arch/inline.rs) with every register as the instruction left it. There the thread is where it was, on its own stack,
//! outside of any handler: the hook that it calls may park it, a signal's handler may run, a thread's end may unwind, and no frame of
//! the kernel's ties it to its kernel thread. A call that is no hook's is made by a bridge, as natively in all it does.
//! "Its own stack" is one that libc or the program's sigaltstack knows: another (a coroutine's, a goroutine's) may end after some
//! hundred bytes, and the hook is called on one that the thread has for this (`top_for`).
//!
//! *SIGSYS must come through.* The kernel ends a process that blocks it: so no mask that the kernel gets holds it (`sys::keep_open`),
//! though the thread's own mask may say so. The dispatch is a kernel thread's: each worker sets it for itself, clone and fork clear it.
//! What cannot be served here (a thirty-two bit call, more places than bridges) ends the dispatch for the whole process, by its selector.

use crate::arch::registers::Registers;
use crate::arch::{self, inline};
use crate::base::kept::Kept;
use crate::base::signal_set;
use crate::glibc::{self, objects};
use crate::runtime::machine::parts::{self, current, Green};
use crate::sys::{self, Dispatch};
use libc::siginfo_t;
use once_cell::race::OnceBox;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicU8, AtomicUsize, Ordering::*};

/// The hooks' part.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// Has a system call of this number a hook that takes it?
    pub take: fn(i64) -> bool,
    /// The address at which it goes on then (`called_inline`).
    pub way: extern "C" fn(),
    /// Makes a futex call that only wakes, with these arguments: see `wake_from_kernel`.
    pub wake: fn([usize; 6]) -> Option<isize>,
}

static TAKE: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));
static WAY: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));
static WAKE: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));

/// Whether system call instructions of the program's own are caught.
pub struct Catch {
    /// Are such calls caught? Read by the list of threads; else by `is_on`.
    pub is_on: AtomicBool,
    /// How many have been caught.
    pub calls: AtomicU64,
}

/// The only value of `Catch`.
pub static CATCH: Catch = Catch { is_on: AtomicBool::new(false), calls: AtomicU64::new(0) };
/// The addresses whose calls are dispatched, or are not: start and bytes.
static RANGE: Kept<[AtomicUsize; 2]> = Kept::new([const { AtomicUsize::new(0) }; 2]);
/// Are the calls dispatched that do not come from `RANGE`?
static IS_OUTSIDE: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
/// The texts of libc and the loader: start and end of each.
static LIBCS: Kept<[[AtomicUsize; 2]; 2]> = Kept::new([const { [const { AtomicUsize::new(0) }; 2] }; 2]);
/// The kernel's selector: 1, dispatch; 0, no more, in a fork child neither: it has its parent's bridges, and these are used up.
static SELECTOR: Kept<AtomicU8> = Kept::new(AtomicU8::new(1));
/// The address at which main's stack begins.
static MAINS_TOP: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));

/// Why a program stays native: its threads' state would be mixed up.
const NOT_CAUGHT: &str =
    "its own system call instructions set a thread's state, and this kernel cannot catch them (Linux 6.17 can)";

/// The hooks, where the start decides whether they are needed (`decide`).
static HOOKS: Kept<OnceBox<Hooks>> = Kept::new(OnceBox::new());

/// Leaves it to the start whether such calls are caught (`decide`). Called by the front door.
pub fn want_if_needed(hooks: Hooks) {
    HOOKS.set(Box::new(hooks)).ok();
}

/// Decides whether such calls are caught, where the front door has left that to the start: they are if there are instructions that set, or
/// ask for, what the kernel keeps of a thread (the alternate stack, the mask, the tid). Past the hooks those would reach whichever kernel
/// thread runs the green one. Where they cannot be caught the program must stay native: returns why. Called by the start.
pub fn decide() -> Option<&'static str> {
    let hooks = HOOKS.get().filter(|_| WAY.load(Relaxed) == 0)?;
    (objects::set_thread_state() && !want(*hooks)).then_some(NOT_CAUGHT)
}

/// Asks for such calls to be caught: the option is set. False: this kernel, or this processor, cannot. Called by the front door.
pub fn want(hooks: Hooks) -> bool {
    const NOT_MAPPED: usize = 4096;
    if !inline::possible() || !sys::dispatch_calls(Dispatch::From, NOT_MAPPED, NOT_MAPPED, &SELECTOR) {
        return false;
    }
    sys::dispatch_off();
    TAKE.store(hooks.take as usize, Relaxed);
    WAY.store(hooks.way as usize, Relaxed);
    WAKE.store(hooks.wake as usize, Relaxed);
    true
}

/// Are such calls caught?
pub fn is_on() -> bool {
    CATCH.is_on.load(Relaxed)
}

/// Chooses whose calls are caught. Called by the start, after it has tried to take SIGSYS.
pub fn prepare(sigsys_is_ours: bool) {
    if WAY.load(Relaxed) == 0 || !sigsys_is_ours {
        return;
    }
    let (Some(own), Some(libc)) = (glibc::own_text(), glibc::text()) else { return };
    let loader = glibc::loader_text().unwrap_or_default();
    let [own, libc, loader] = [own, libc, loader].map(|(start, bytes)| start..start + bytes);
    let (whose, chosen) = choose(&own, &libc);
    if chosen.start == LOWEST {
        sys::fill_above(chosen.end);
    }
    let keep = |values: [usize; 2], places: &[AtomicUsize; 2]| {
        values.into_iter().zip(places).for_each(|(value, place)| place.store(value, Relaxed));
    };
    IS_OUTSIDE.store(matches!(whose, Dispatch::NotFrom), Relaxed);
    keep([chosen.start, chosen.len()], &RANGE);
    keep([libc.start, libc.end], &LIBCS[0]);
    keep([loader.start, loader.end], &LIBCS[1]);
    MAINS_TOP.store(glibc::main_stack().unwrap_or(usize::MAX), Relaxed);
    sys::keep_open(signal_set::bit(libc::SIGSYS));
    // main's kernel thread may have it in its mask since before.
    sys::set_signal_mask(sys::signal_mask());
    CATCH.is_on.store(true, Relaxed);
}

/// Has this kernel thread's calls caught from now on (again, after a birth), if it is a worker's.
pub fn arm() {
    if is_on() && parts::here().is_some() {
        dispatch();
    }
}

/// Has this kernel thread's calls caught from now on. Called on a kernel thread of the library's own: what it makes and ends of glibc's
/// takes locks of the program's allocator, and those must be given back to parked threads, too (`wake_from_kernel`). SIGSYS is opened:
/// the kernel thread may have had it in its mask since before `prepare`.
pub fn arm_own() {
    if is_on() {
        sys::set_signal_mask(sys::signal_mask());
        dispatch();
    }
}

/// Turns the dispatch on for this kernel thread.
fn dispatch() {
    let whose = if IS_OUTSIDE.load(Relaxed) { Dispatch::NotFrom } else { Dispatch::From };
    sys::dispatch_calls(whose, RANGE[0].load(Relaxed), RANGE[1].load(Relaxed), &SELECTOR);
}

/// In a fork child, which runs natively: the kernel has forgotten the dispatch as well.
pub fn after_fork() {
    let Catch { is_on, calls } = &CATCH;
    is_on.store(false, Relaxed);
    sys::signal::after_fork();
    calls.store(0, Relaxed);
}

/// The lowest address at which a program can be mapped.
const LOWEST: usize = 0x1000;

/// Chooses a range, and whether the calls from it are to be caught or all others. What it chooses does not depend on whether a library that
/// is loaded after libc found a hole above this library.
fn choose(own: &Range<usize>, libc: &Range<usize>) -> (Dispatch, Range<usize>) {
    let (mut lower, mut upper): (Option<Range<usize>>, Option<Range<usize>>) = (None, None);
    let (mut is_behind_libc, mut is_upper_behind) = (false, false);
    glibc::each_text(&mut |text, is_libcs| {
        is_behind_libc |= text.start == libc.start;
        // SAFETY: the loader has mapped it, readable as code is.
        if !is_libcs && text.start != own.start && unsafe { has_calls(text) } {
            let is_lower = text.end <= own.start;
            is_upper_behind |= !is_lower && is_behind_libc;
            let hull = if is_lower { &mut lower } else { &mut upper };
            let before = hull.clone().unwrap_or(text.clone());
            *hull = Some(before.start.min(text.start)..before.end.max(text.end));
        }
    });
    match (lower, upper) {
        (None, Some(upper)) if !is_upper_behind => (Dispatch::From, upper),
        (_, Some(_)) => (Dispatch::NotFrom, own.clone()),
        (Some(lower), None) if lower.start >= libc.end => (Dispatch::From, lower),
        (lower, None) => (Dispatch::From, LOWEST..lower.map_or(0, |lower| lower.end).max(libc.start.min(own.start))),
    }
}

/// Does a text seem to have system call instructions? Their bytes are found in other instructions' constants and distances too, but those
/// mostly go on with a zero. (As disassembled, of 40 libraries and programs: none of 877 instructions is followed by a zero, 130 of the
/// 147 other places are.) Number 15 before them is no call that waits: a signal's return, which libgcc_s has as a constant, to know it by.
///
/// # Safety
/// The text can be read.
unsafe fn has_calls(text: &Range<usize>) -> bool {
    const RETURN: [u8; 4] = (libc::SYS_rt_sigreturn as u32).to_le_bytes();
    // SAFETY: the caller's text.
    let code = unsafe { std::slice::from_raw_parts(text.start as *const u8, text.len()) };
    code.windows(3)
        .enumerate()
        .any(|(at, three)| three[..2] == [0x0f, 0x05] && three[2] != 0 && !code[..at].ends_with(&RETURN))
}

/// Changes the frame of a trapped system call, so that the call goes on at a hook, at a bridge, or as answered.
///
/// # Safety
/// `info` and `registers` are what the kernel passed to the handler of a dispatched call's SIGSYS.
#[cold]
pub unsafe fn answer(info: *const siginfo_t, registers: &Registers) {
    CATCH.calls.fetch_add(1, Relaxed);
    let back = registers.instruction();
    let hooked = current().filter(|_| !is_libcs(back) && arch::guard_word() == 0);
    // SAFETY: what the kernel passed to the handler.
    let (kind, is_of_this_machine) = unsafe { (kind(registers), is_of_this_machine(info)) };
    match (kind, hooked) {
        _ if !is_of_this_machine => give_up(registers),
        (Kind::Taken, Some(me)) => registers.go_on_below(WAY.load(Relaxed), top_for(me, registers.stack_pointer())),
        (Kind::Vfork, Some(_)) => registers.go_on(inline::vfork()),
        // SAFETY: the registers of this very call.
        _ if registers.number() == libc::SYS_rt_sigprocmask => registers.set_result(unsafe { change_mask(registers) }),
        _ => match wake_from_kernel(registers) {
            Some(result) => registers.set_result(result),
            None => inline::bridge(back).map_or_else(|| give_up(registers), |bridge| registers.go_on(bridge)),
        },
    }
}

/// Is this the address of an instruction of libc's, or of the loader's?
fn is_libcs(instruction: usize) -> bool {
    LIBCS.iter().any(|[start, end]| (start.load(Relaxed)..end.load(Relaxed)).contains(&instruction))
}

/// Makes a trapped futex call that only wakes where the thread cannot go on at the hook, and wakes the parked threads, too: those sleep in
/// no kernel. Called in the handler of SIGSYS, with no lock of the library's held. Returns the result; `None`: any other call, or libc's
/// own, whose words nothing parks at by an instruction.
pub fn wake_from_kernel(registers: &Registers) -> Option<isize> {
    if !is_on() || registers.number() != libc::SYS_futex || is_libcs(registers.instruction()) {
        return None;
    }
    // SAFETY: `want` stored a function of this type before anything was caught.
    let wake: fn([usize; 6]) -> Option<isize> = unsafe { std::mem::transmute(WAKE.load(Relaxed)) };
    wake(registers.arguments())
}

/// Ends the dispatch for the whole process, and has this call made once more.
fn give_up(registers: &Registers) {
    SELECTOR.store(0, Relaxed);
    registers.repeat_call();
}

/// Returns the address below which the hook of a call may use the stack.
pub fn top_for(me: &Green, stack_pointer: usize) -> usize {
    const RED_ZONE: usize = 128;
    const BYTES: usize = 64 << 10;
    const GUARD: usize = 4096;
    let alternate = me.signals.alternate.get();
    let known = [
        (me.vessel.stack.get().lowest, me.vessel.stack.get().bytes),
        (alternate.lowest, alternate.bytes),
        (me.inline_stack.get(), BYTES),
    ];
    let is_known = known.iter().any(|(lowest, bytes)| (*lowest..lowest + bytes).contains(&stack_pointer));
    if !is_known && !is_on_mains(me, stack_pointer) {
        if me.inline_stack.get() == 0 {
            let stack = sys::map(BYTES, libc::MAP_STACK).map_or(0, |stack| stack as usize);
            me.inline_stack.set(stack);
            sys::forbid(stack, GUARD);
        }
        if me.inline_stack.get() != 0 {
            return me.inline_stack.get() + BYTES;
        }
    }
    (stack_pointer - RED_ZONE) & !15
}

/// main's stack grows down from where the kernel has put its arguments.
fn is_on_mains(me: &Green, stack_pointer: usize) -> bool {
    const MOST: u64 = 1 << 30;
    let top = MAINS_TOP.load(Relaxed);
    let bytes = sys::limit(libc::RLIMIT_STACK).min(MOST) as usize;
    me.is_main && (top.saturating_sub(bytes)..top).contains(&stack_pointer)
}

/// Is the call made by this machine's own instruction? A call by the instructions for thirty-two bit programs has other numbers.
///
/// # Safety
/// `info` is a SIGSYS's (layout: asm-generic/siginfo.h, the architecture at 28; linux/audit.h).
unsafe fn is_of_this_machine(info: *const siginfo_t) -> bool {
    const X86_64: u32 = 0xc000_003e;
    // SAFETY: within the caller's siginfo_t, at the place of the architecture.
    unsafe { *(info as *const u8).add(28).cast::<u32>() == X86_64 }
}

/// The sort of a call.
enum Kind {
    /// A hook's, or a fork, after which the child is to run natively.
    Taken,
    /// A fork whose child runs on this memory and thread pointer.
    Vfork,
    /// Any other: it is made as it is.
    Other,
}

/// # Safety
/// As for `answer`.
unsafe fn kind(registers: &Registers) -> Kind {
    const IN_PLACE: i32 = libc::CLONE_VM | libc::CLONE_VFORK;
    let [a, b, ..] = registers.arguments();
    let number = registers.number();
    // SAFETY: `want` stored a function of this type.
    let take: fn(i64) -> bool = unsafe { std::mem::transmute(TAKE.load(Relaxed)) };
    let (flags, stack) = match number {
        libc::SYS_fork => (0, 0),
        libc::SYS_vfork => (IN_PLACE, 0),
        libc::SYS_clone => (a as i32, b),
        libc::SYS_clone3 if sys::can_read(a, size_of::<libc::clone_args>()) => {
            // SAFETY: it can be read, as the guard of this arm has asked the kernel.
            let arguments = unsafe { &*(a as *const libc::clone_args) };
            (arguments.flags as i32, arguments.stack as usize)
        }
        _ if take(number) => return Kind::Taken,
        _ => return Kind::Other,
    };
    match flags & IN_PLACE {
        IN_PLACE => Kind::Vfork,
        0 if stack == 0 => Kind::Taken,
        _ => Kind::Other,
    }
}

/// Does rt_sigprocmask, where the kernel thread's own mask is meant: the frame's end brings the new one, without SIGSYS.
///
/// # Safety
/// As the system call's.
unsafe fn change_mask(registers: &Registers) -> isize {
    const BYTES: usize = size_of::<u64>();
    let [how, new, old, bytes, ..] = registers.arguments();
    let readable = |address| address == 0 || sys::can_read(address, BYTES);
    let before = registers.mask();
    if bytes != BYTES {
        return -libc::EINVAL as isize;
    }
    if !readable(new) || old != 0 && !sys::can_write(old, BYTES) {
        return -libc::EFAULT as isize;
    }
    if new != 0 {
        // SAFETY: the kernel has just said that it can be read.
        let set = sys::without_kept_open(unsafe { (new as *const u64).read_unaligned() });
        registers.set_mask(match how as i32 {
            libc::SIG_BLOCK => before | set,
            libc::SIG_UNBLOCK => before & !set,
            libc::SIG_SETMASK => set,
            _ => return -libc::EINVAL as isize,
        });
    }
    if old != 0 {
        // SAFETY: the kernel has just said that it can be written.
        unsafe { (old as *mut u64).write_unaligned(before) };
    }
    0
}
