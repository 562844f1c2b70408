//! Descriptors whose signals go to one thread (F_SETOWN_EX with F_OWNER_TID). The kernel knows no green thread by its tid, so the process
//! owns such a descriptor, and whoever gets its signal asks here whose it is. Looked at in signal handlers: no locks.
//!
//! The signal names its descriptor only if the program chose it by F_SETSIG; else it is a SIGIO that names none. So the library chooses
//! SIGIO itself then, and takes the name out again (`plain`). Of those the process keeps one at a time: who gets one looks which other
//! descriptors are readable.
//!
//! An entry is good until the number gets another owner: a new file has none.

use super::green::Green;
use super::roll;
use crate::sys;
use libc::siginfo_t;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::*};

struct Place {
    /// The descriptor; FREE.
    fd: AtomicI32,
    tid: AtomicI32,
    plain: AtomicBool,
}

const FREE: i32 = -1;
const TAKEN: i32 = -2;

const COUNT: usize = 1024;
static PLACES: [Place; COUNT] =
    [const { Place { fd: AtomicI32::new(FREE), tid: AtomicI32::new(0), plain: AtomicBool::new(false) } }; COUNT];
/// Places beyond have never been used.
static USED: AtomicUsize = AtomicUsize::new(0);

fn used() -> &'static [Place] {
    &PLACES[..USED.load(Acquire)]
}

fn place_of(fd: i32) -> Option<&'static Place> {
    used().iter().find(|place| place.fd.load(Acquire) == fd)
}

/// The thread owns the descriptor; `plain`: by a SIGIO that names none. False: there is no room for one more.
pub fn direct(fd: i32, tid: i32, plain: bool) -> bool {
    forget(fd);
    let is_free = |place: &Place| place.fd.compare_exchange(FREE, TAKEN, Acquire, Relaxed).is_ok();
    let Some(at) = PLACES.iter().position(is_free) else { return false };
    PLACES[at].tid.store(tid, Relaxed);
    PLACES[at].plain.store(plain, Relaxed);
    PLACES[at].fd.store(fd, Release);
    USED.fetch_max(at + 1, Release);
    true
}

/// The descriptor gets another owner. True: its signal was plain.
pub fn forget(fd: i32) -> bool {
    place_of(fd).is_some_and(|place| {
        place.fd.store(FREE, Release);
        place.plain.load(Relaxed)
    })
}

/// Who owns the descriptor.
pub fn of(fd: i32) -> Option<i32> {
    place_of(fd).map(|place| place.tid.load(Relaxed))
}

pub fn is_plain(fd: i32) -> bool {
    place_of(fd).is_some_and(|place| place.plain.load(Relaxed))
}

pub fn set_plain(fd: i32, plain: bool) {
    if let Some(place) = place_of(fd) {
        place.plain.store(plain, Relaxed);
    }
}

/// The descriptor that a signal names (asm-generic/siginfo.h: after the band).
fn named_by(info: &siginfo_t) -> Option<i32> {
    const SI_SIGIO: i32 = -5;
    const FD_AT: usize = 24;
    // POLL_IN to POLL_HUP; where the signal has codes of its own, SI_SIGIO.
    let is_of_descriptor =
        info.si_code == SI_SIGIO || (1..=6).contains(&info.si_code) && info.si_signo != libc::SIGCHLD;
    // SAFETY: within siginfo_t's 128 bytes.
    is_of_descriptor.then(|| unsafe { *((info as *const siginfo_t as *const u8).add(FD_AT) as *const i32) })
}

/// Whose signal this is, which is put as its owner would see it; `None`: no owned descriptor's; `Some(None)`: a thread's that has ended.
pub fn whose(info: &mut siginfo_t) -> Option<Option<&'static Green>> {
    if used().is_empty() {
        return None;
    }
    let fd = named_by(info)?;
    // The number may be another one of the same file.
    let place = place_of(fd).or_else(|| used().iter().find(|place| sys::is_same_file(place.fd.load(Acquire), fd)));
    let Some(place) = place else {
        // It was sent before the descriptor got another owner, or was closed: a SIGIO that the program has not chosen names none.
        if info.si_signo == libc::SIGIO && sys::task::signal_of(fd) != Some(libc::SIGIO) {
            make_plain(info);
        }
        return None;
    };
    let tid = place.tid.load(Relaxed);
    if place.plain.load(Relaxed) && info.si_signo == libc::SIGIO {
        make_plain(info);
    }
    Some(roll::find(tid))
}

fn make_plain(info: &mut siginfo_t) {
    const SI_KERNEL: i32 = 0x80;
    let signal = info.si_signo;
    // SAFETY: all-zero is a value of siginfo_t.
    *info = unsafe { std::mem::zeroed() };
    (info.si_signo, info.si_code) = (signal, SI_KERNEL);
}

/// Is it a SIGIO of which others may have come and gone unseen?
pub fn is_plain_one(info: &siginfo_t) -> bool {
    info.si_signo == libc::SIGIO && !used().is_empty()
}

/// The owners, but for one, of readable descriptors whose signals name none.
pub fn others(but: Option<&Green>, mut each: impl FnMut(&'static Green)) {
    let plain = used().iter().filter(|place| place.fd.load(Acquire) >= 0 && place.plain.load(Relaxed));
    for place in plain {
        let green =
            roll::find(place.tid.load(Relaxed)).filter(|green| !but.is_some_and(|but| std::ptr::eq(but, *green)));
        if let Some(green) = green.filter(|_| sys::readable(place.fd.load(Acquire))) {
            each(green);
        }
    }
}

/// In a fork child: it runs natively, and the parent's threads own what they owned.
pub fn after_fork() {
    for place in used() {
        place.fd.store(FREE, Relaxed);
    }
}
