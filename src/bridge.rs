//! What a program may ask of the library: the functions of include/greenpatch.h, which says what each does.

use crate::audit::stack;
use crate::hooks::answer::{Answer, Miss};
use crate::hooks::io::poll;
use crate::hooks::real;
use crate::hooks::thread::create;
use crate::hooks::time::sleep;
use crate::runtime;
use crate::runtime::births::offload;
use crate::runtime::current;
use crate::runtime::machine::groups::Thread;
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::started::is_refused;
use crate::runtime::news::lent::{CurrentContext, Leave, Loop, Stacks, Ways};
use crate::runtime::waiting::lending;
use crate::why::Why;
use crate::{audit, glibc, sys};
use libc::{pollfd, timespec};
use std::ffi::{c_int, c_void};

/// GP_VERSION.
const VERSION: c_int = 1;

/// `struct gp_loop_ops`.
#[repr(C)]
pub struct Ops {
    size: usize,
    leave: Option<Leave>,
    flags: u64,
    stacks: [usize; 2],
    current: Option<CurrentContext>,
}

impl Ops {
    /// The size that the structure had at first.
    const FIRST_SIZE: usize = std::mem::offset_of!(Ops, flags);

    /// Reads a program's structure, of which the fields that it does not know are 0. `None`: null, or too small for any version.
    ///
    /// # Safety
    /// `ops` is null or a struct of its `size`.
    unsafe fn read(ops: *const Ops) -> Option<Ops> {
        // SAFETY: the caller's; the size is in the structure's first version.
        let size = unsafe { (!ops.is_null()).then(|| (*ops).size) }.filter(|size| *size >= Ops::FIRST_SIZE)?;
        let mut read = Ops { size: 0, leave: None, flags: 0, stacks: [0; 2], current: None };
        // SAFETY: the caller's; fields of a later version are left out.
        unsafe {
            std::ptr::copy_nonoverlapping(ops as *const u8, &raw mut read as *mut u8, size.min(size_of::<Ops>()))
        };
        Some(read)
    }

    /// Returns what a loop says of itself with this; `None`: nonsense.
    fn ways(self, data: *mut c_void) -> Option<Ways> {
        const STACKS_STAY: u64 = 1;
        let stacks = match (self.flags, self.stacks) {
            (STACKS_STAY, [0, 0]) => Stacks::Stay,
            (0, [0, 0]) => Stacks::Thread,
            (0, [from, to]) if from < to => Stacks::Copied(from, to),
            _ => return None,
        };
        Some(Ways { leave: self.leave?, data, stacks, current: self.current })
    }
}

/// `struct gp_loop_statistics`.
#[repr(C)]
pub struct Statistics {
    size: usize,
    lent: u64,
    blocked: u64,
    taken: u64,
    offloaded: u64,
}

impl Statistics {
    /// The size that the structure had at first.
    const FIRST_SIZE: usize = std::mem::offset_of!(Statistics, offloaded);
}

/// Has the process green threads, or may it?
fn is_open() -> bool {
    glibc::ready() && (runtime::started() || !is_refused())
}

/// Returns `GP_VERSION`. Any thread.
#[no_mangle]
pub extern "C" fn gp_version() -> c_int {
    VERSION
}

/// Returns how the process runs (`enum gp_mode`). Any thread.
#[no_mangle]
pub extern "C" fn gp_mode() -> c_int {
    const NATIVE: c_int = 0;
    const GREEN: c_int = 1;
    const AUDIT: c_int = 2;
    if audit::recording::of_process().is_some() {
        AUDIT
    } else if is_open() {
        GREEN
    } else {
        NATIVE
    }
}

/// Lends the running thread's loop: 0, EINVAL (`ops`), EBADF, EBUSY (it lends one), ENOTSUP (the process, or this thread, stays native).
///
/// # Safety
/// As include/greenpatch.h says: `ops` is null or a struct of its `size`.
#[no_mangle]
pub unsafe extern "C" fn gp_lend(ops: *const Ops, eventfd: c_int, data: *mut c_void) -> c_int {
    // SAFETY: the caller's.
    let Some(ways) = unsafe { Ops::read(ops) }.and_then(|ops| ops.ways(data)) else { return libc::EINVAL };
    if sys::older::status_flags(eventfd) < 0 {
        return libc::EBADF;
    }
    if !is_open() || !create::start_or_refuse() {
        return libc::ENOTSUP;
    }
    let Some(me) = current() else { return libc::ENOTSUP };
    if lending::of(me).is_some() {
        return libc::EBUSY;
    }
    // Never freed: who fires a late clause may look at it.
    me.thread.lends.set(Box::leak(Box::new(Loop::new(ways, eventfd))));
    me.thread.pinned.set(me.thread.pinned.get() | Thread::LENDS);
    0
}

/// Returns the running thread and its loop.
fn here() -> Option<(&'static Green, &'static Loop)> {
    let me = current()?;
    lending::of(me).map(|home| (me, home))
}

/// Takes the running thread's loop back: 0, EINVAL (it lends none), EBUSY (contexts wait).
#[no_mangle]
pub extern "C" fn gp_unlend() -> c_int {
    let Some((me, home)) = here() else { return libc::EINVAL };
    if home.waiting.get() > 0 {
        return libc::EBUSY;
    }
    me.thread.pinned.set(me.thread.pinned.get() & !Thread::LENDS);
    me.thread.lends.set(std::ptr::null());
    0
}

/// Writes up to `most` contexts whose waits are over, and returns how many. Called by the loop's thread.
///
/// # Safety
/// `users` has room for `most` pointers.
#[no_mangle]
pub unsafe extern "C" fn gp_take(users: *mut *mut c_void, most: usize) -> usize {
    let Some((_, home)) = here() else { return 0 };
    home.hush();
    let mut count = 0;
    while count < most {
        let Some(user) = home.next() else { break };
        // SAFETY: the caller's room.
        unsafe { users.add(count).write(user) };
        count += 1;
    }
    home.remind();
    count
}

/// Leaves no context of this thread until `gp_resume`, as often as it was called.
#[no_mangle]
pub extern "C" fn gp_pause() {
    if let Some((_, home)) = here() {
        home.paused.set(home.paused.get() + 1);
    }
}

/// Ends one `gp_pause`.
#[no_mangle]
pub extern "C" fn gp_resume() {
    if let Some((_, home)) = here() {
        home.paused.set(home.paused.get().saturating_sub(1));
    }
}

/// Says something of the addresses from `from` to before `to`, for the running thread's loop: 0, EINVAL (it lends none, `meaning`, or there
/// is no address between them), ENOMEM, ENOTSUP (callers cannot be found with this glibc).
#[no_mangle]
pub extern "C" fn gp_range(meaning: c_int, from: *const c_void, to: *const c_void) -> c_int {
    const BLOCKING_OBJECTS: c_int = 0;
    const BLOCKING_CALLERS: c_int = 1;
    const CONDITION_CALLERS: c_int = 2;
    let Some((_, home)) = here() else { return libc::EINVAL };
    let ranges = match meaning {
        BLOCKING_OBJECTS => &home.blocking_objects,
        BLOCKING_CALLERS => &home.blocking_callers,
        CONDITION_CALLERS => &home.condition_callers,
        _ => return libc::EINVAL,
    };
    if from >= to {
        return libc::EINVAL;
    }
    if meaning != BLOCKING_OBJECTS {
        stack::prepare();
        if !stack::can_walk() {
            return libc::ENOTSUP;
        }
    }
    match ranges.add(from as usize..to as usize) {
        true => 0,
        false => libc::ENOMEM,
    }
}

/// Calls a function on another kernel thread while the context that runs here is left: 1; or here, where no context may be left: 0.
///
/// # Safety
/// As include/greenpatch.h says: the function may be called with the argument on any thread.
#[no_mangle]
pub unsafe extern "C" fn gp_offload(function: unsafe extern "C" fn(*mut c_void), argument: *mut c_void) -> c_int {
    // SAFETY: the caller's.
    let call = move || unsafe { function(argument) };
    match offload::native(Why::InKernel, call) {
        Some(()) => 1,
        None => {
            call();
            0
        }
    }
}

/// Fills in what was counted of the running thread's loop: 0, or EINVAL.
///
/// # Safety
/// `statistics` is null or a struct of its `size`.
#[no_mangle]
pub unsafe extern "C" fn gp_loop_statistics(statistics: *mut Statistics) -> c_int {
    let Some((_, home)) = here() else { return libc::EINVAL };
    // SAFETY: the caller's.
    let size = if statistics.is_null() { 0 } else { unsafe { (*statistics).size } };
    if size < Statistics::FIRST_SIZE {
        return libc::EINVAL;
    }
    let counts = &home.counts;
    let (lent, blocked, taken) = (counts.lent.get(), counts.blocked.get(), counts.taken.get());
    let told = Statistics { size, lent, blocked, taken, offloaded: counts.offloaded.get() };
    // SAFETY: the caller's; a program that knows fewer fields gets those.
    unsafe {
        std::ptr::copy_nonoverlapping(
            &raw const told as *const u8,
            statistics as *mut u8,
            size.min(size_of::<Statistics>()),
        )
    };
    0
}

/// Returns a hook's answer as C does: an error number goes to errno, and the result is -1. `real`: what libc is asked where the hook leaves
/// it to libc, and by a thread that is not green.
fn told(answer: impl FnOnce() -> Answer<c_int>, real: impl FnOnce() -> c_int) -> c_int {
    let answer = if current().is_some() { answer() } else { Err(Miss::Libc) };
    match answer {
        Ok(value) => value,
        Err(Miss::Libc) => real(),
        Err(Miss::Errno(number)) => {
            glibc::set_errno(number);
            -1
        }
    }
}

/// Returns a length of time as the kernel has it; `None`: for ever.
fn length(ns: i64) -> Option<timespec> {
    u64::try_from(ns).ok().map(sys::timespec)
}

/// Waits for a descriptor, as poll does: what is ready, 0 (the time is up), or -1 and errno. A negative time has no end.
#[no_mangle]
pub extern "C" fn gp_wait_fd(fd: c_int, events: c_int, timeout_ns: i64) -> c_int {
    let mut one = pollfd { fd, events: events as i16, revents: 0 };
    let time = length(timeout_ns);
    let (one, time) = (&raw mut one, time.as_ref().map_or(std::ptr::null(), |time| time as *const timespec));
    // SAFETY: both lie in this frame.
    let count =
        unsafe { told(|| poll::ppoll(one, 1, time, std::ptr::null()), || real::ppoll(one, 1, time, std::ptr::null())) };
    match count {
        // SAFETY: as above.
        1 => c_int::from(unsafe { (*one).revents }),
        other => other,
    }
}

/// Sleeps for so many nanoseconds: 0, or -1 and errno (EINTR).
#[no_mangle]
pub extern "C" fn gp_sleep(ns: u64) -> c_int {
    let (time, left) = (sys::timespec(ns), std::ptr::null_mut());
    // SAFETY: the time lies in this frame.
    unsafe { told(|| sleep::nanosleep(&time, left), || real::nanosleep(&time, left)) }
}

/// Lets other contexts run, or, where no context may be left, other green threads.
#[no_mangle]
pub extern "C" fn gp_yield() {
    if lending::lends() {
        runtime::sleep_until(Some(sys::now_ns()));
    } else {
        runtime::yield_now();
    }
}
