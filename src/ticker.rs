//! The ticker: a thread of the library's own in the program's process, which does nothing but tick (`ticker=PATH`, `greenpatch ticker`).
//!
//! The thread is made as the program makes its own, by pthread_create: green where the program's threads are green, a kernel thread in a
//! process that stays native. So it shows what becomes of the others while one of them waits. Each tick is a time in a mapped file
//! (`ticks`), so the program's descriptors, and what it prints, are as without it.
//!
//! The thread begins at load, before the program's first instruction: glibc makes threads from then on (its own part was begun by the
//! loader). A fork child has no ticker, nor has a program that a child executes.

use crate::base::kept::Kept;
use crate::config;
use crate::hooks::answer::Miss;
use crate::hooks::real;
use crate::hooks::signal::mask;
use crate::hooks::thread::create;
use crate::runtime;
use crate::sys;
use crate::ticks::{Ticks, MARK, MOST};
use libc::{c_void, pthread_t};
use std::ffi::CStr;
use std::mem::size_of;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};

/// The mapped file; null: there is no ticker.
static TICKS: Kept<AtomicPtr<Ticks>> = Kept::new(AtomicPtr::new(std::ptr::null_mut()));
/// The time between two ticks, in nanoseconds.
static PERIOD_NS: Kept<AtomicU64> = Kept::new(AtomicU64::new(0));

/// The thread's name.
const NAME: &CStr = c"gp-ticker";
/// The longest path, as the kernel has it (PATH_MAX).
const LONGEST: usize = 4096;

/// Begins to tick into the file at `path` (written as a value of `stats`), so many times a second. Called once, at load, as its last step.
/// Fails by an error number: the file is not there, is no file of ticks (EINVAL), or cannot be mapped, or no thread could be made. A file
/// that another process ticks into is left alone, and that is no failure.
pub fn begin(path: &str, per_second: u64) -> Result<(), i32> {
    let mut name = [0u8; LONGEST];
    let mut at = 0;
    config::unescape(path, sys::process_id() as u32, |byte| {
        if at < LONGEST - 1 {
            name[at] = byte;
            at += 1;
        }
    });
    let file = sys::open(CStr::from_bytes_until_nul(&name).unwrap_or(c""), libc::O_RDWR)?;
    let mut mark = [0; 8];
    let is_made = sys::file::read_at(file, &mut mark, 0) == Ok(8) && u64::from_le_bytes(mark) == MARK;
    let mapped = match sys::file::facts_of(file) {
        Ok(facts) if is_made && facts.st_size as u64 >= size_of::<Ticks>() as u64 => {
            sys::map_shared(file, size_of::<Ticks>())
        }
        Ok(_) => Err(libc::EINVAL),
        Err(why) => Err(why),
    };
    sys::close(file);
    let place = mapped?;
    // SAFETY: a new mapping of that size, shared with the command alone, and never taken away; any bytes are values of the fields.
    let ticks = unsafe { &*(place as *const Ticks) };
    let process = sys::process_id();
    if ticks.process.compare_exchange(0, process, AcqRel, Acquire).is_err_and(|other| other != process) {
        sys::unmap(place, size_of::<Ticks>());
        return Ok(());
    }
    ticks.began_ns.store(sys::now_ns(), Relaxed);
    PERIOD_NS.store(1_000_000_000 / per_second, Relaxed);
    TICKS.store(ticks as *const Ticks as *mut Ticks, Release);
    make()
}

/// Makes the thread, by the hook of pthread_create or, where that leaves it to libc, by libc's.
fn make() -> Result<(), i32> {
    let mut thread: pthread_t = 0;
    let (attributes, nothing) = (std::ptr::null(), std::ptr::null_mut());
    // SAFETY: a place for the thread's number, no attributes, and a function of the right type.
    let made = match unsafe { create::pthread_create(&mut thread, attributes, tick, nothing) } {
        Ok(number) => number,
        Err(Miss::Errno(number)) => number,
        // SAFETY: as above.
        Err(Miss::Libc) => unsafe { real::pthread_create(&mut thread, attributes, tick, nothing) },
    };
    if made == 0 {
        Ok(())
    } else {
        Err(made)
    }
}

/// The thread: ticks until the command ends it, or the file is full. Takes none of the program's signals.
extern "C" fn tick(_: *mut c_void) -> *mut c_void {
    /// All signals but libc's own two, 32 and 33.
    const ALL: u64 = !(0b11 << 31);
    // SAFETY: the mapping is never taken away.
    let Some(ticks) = (unsafe { TICKS.load(Acquire).as_ref() }) else { return std::ptr::null_mut() };
    let mut name = [0u8; 16];
    name[..NAME.count_bytes()].copy_from_slice(NAME.to_bytes());
    let me = runtime::current();
    if let Some(me) = me {
        // SAFETY: the name and the mask are this thread's own, and the set has the kernel's size.
        unsafe {
            *me.thread.name.get() = name;
            let _ = mask::sigprocmask(libc::SIG_SETMASK, &ALL as *const u64 as *const _, std::ptr::null_mut());
        }
    } else {
        sys::set_signal_mask(ALL);
        sys::set_thread_name(&name);
        ticks.thread.store(sys::kernel_thread_id(), Relaxed);
    }
    let is_green = me.is_some();
    ticks.green.store(is_green.into(), Relaxed);
    let period = PERIOD_NS.load(Relaxed);
    let mut due = sys::now_ns() + period;
    while ticks.ends.load(Relaxed) == 0 {
        sleep_until(due, is_green);
        let now = sys::now_ns();
        let count = ticks.count.load(Relaxed);
        if count as usize >= MOST {
            break;
        }
        ticks.times[count as usize].store(now, Relaxed);
        ticks.count.store(count + 1, Release);
        // Ticks that were missed are not made up for.
        due = (due + period).max(now);
    }
    std::ptr::null_mut()
}

/// Sleeps until a moment of CLOCK_MONOTONIC: parks as a green thread, or sleeps in the kernel.
fn sleep_until(due: u64, is_green: bool) {
    while sys::now_ns() < due {
        if is_green {
            runtime::sleep_until(Some(due));
        } else {
            sys::sleep_until(due);
        }
    }
}
