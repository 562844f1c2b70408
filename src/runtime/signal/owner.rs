//! Descriptors whose signals go to one thread (F_SETOWN_EX with F_OWNER_TID). The kernel knows no green thread by its tid, so the process
//! owns such a descriptor, and the handler or sweep that gets its signal asks here whose it is. Looked at in signal handlers: no locks.
//!
//! The signal names its descriptor only if the program chose it by F_SETSIG; else it is a SIGIO that names none. So the library chooses
//! SIGIO itself then, and takes the name out again (`plain`). Of those the process keeps one at a time: `others` finds the owners of other
//! descriptors that are readable.
//!
//! A former owner is remembered after the descriptor has got another: a SIGIO sent before that may come later. A closed descriptor's entry
//! stays as it is, for its signals may be on their way: its readers ask the kernel whether the file under that number is still the
//! process's (hooks/io/owner.rs). A place's word `fd`:
//!
//! ```text
//!   from              to          by
//!   FREE or former    TAKEN       direct: a compare-exchange, the thread's own former place first
//!   TAKEN             descriptor  direct, once `tid` and `plain` are written (Release)
//!   descriptor        former      forget
//!   any               FREE        a fork child
//! ```

use crate::runtime::machine::parts::Green;
use crate::runtime::machine::roll;
use crate::sys;
use libc::siginfo_t;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::*};

struct Place {
    /// The descriptor; `former` of one that has got another owner; FREE; TAKEN.
    fd: AtomicI32,
    tid: AtomicI32,
    plain: AtomicBool,
}

const FREE: i32 = -1;
const TAKEN: i32 = -2;

/// Stands for a descriptor whose owner was the place's thread.
const fn former(fd: i32) -> i32 {
    TAKEN - 1 - fd
}

const COUNT: usize = 1024;
/// The descriptors whose signals go to one thread.
struct Owners {
    places: [Place; COUNT],
    /// Places beyond have never been used.
    used: AtomicUsize,
}

static OWNERS: Owners = Owners {
    places: [const { Place { fd: AtomicI32::new(FREE), tid: AtomicI32::new(0), plain: AtomicBool::new(false) } };
        COUNT],
    used: AtomicUsize::new(0),
};

fn used() -> &'static [Place] {
    &OWNERS.places[..OWNERS.used.load(Acquire)]
}

fn place_of(fd: i32) -> Option<&'static Place> {
    used().iter().find(|place| place.fd.load(Acquire) == fd)
}

impl Place {
    fn take_if(&self, is_free: impl Fn(i32) -> bool) -> bool {
        let now = self.fd.load(Relaxed);
        is_free(now) && self.fd.compare_exchange(now, TAKEN, Acquire, Relaxed).is_ok()
    }

    fn fill(&self, tid: i32, plain: bool) {
        self.plain.store(plain, Relaxed);
        self.tid.store(tid, Relaxed);
    }
}

/// Makes the thread `tid` the descriptor's owner; `plain`: by a SIGIO that names none. Called by the hooks of fcntl and ioctl. False: there
/// is no room for one more.
pub fn direct(fd: i32, tid: i32, plain: bool) -> bool {
    // The descriptor has an owner at each moment: a signal may be on its way.
    if let Some(place) = place_of(fd) {
        place.fill(tid, plain);
        return true;
    }
    let take = |is_free: &dyn Fn(i32) -> bool| OWNERS.places.iter().position(|place| place.take_if(is_free));
    let own = |was: i32| was == former(fd);
    let taken = take(&own).or_else(|| take(&|was| was == FREE)).or_else(|| take(&|was| was < TAKEN));
    let Some(at) = taken else { return false };
    OWNERS.places[at].fill(tid, plain);
    OWNERS.places[at].fd.store(fd, Release);
    OWNERS.used.fetch_max(at + 1, Release);
    true
}

/// Notes that the descriptor gets an owner that is no green thread. True: its signal was plain.
pub fn forget(fd: i32) -> bool {
    place_of(fd).is_some_and(|place| {
        // Before the place may be another's.
        let plain = place.plain.load(Relaxed);
        place.fd.store(former(fd), Release);
        plain
    })
}

/// The tid of the green thread that owns the descriptor.
pub fn of(fd: i32) -> Option<i32> {
    place_of(fd).map(|place| place.tid.load(Relaxed))
}

/// Does a green thread own the descriptor, by a SIGIO that names none?
pub fn is_plain(fd: i32) -> bool {
    place_of(fd).is_some_and(|place| place.plain.load(Relaxed))
}

/// Notes whether the signals of a descriptor name it, after F_SETSIG. Does nothing for a descriptor that no green thread owns.
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

/// Returns the thread that a descriptor's signal is for, and changes the signal to what that thread would see natively; `None`: no owned
/// descriptor's signal; `Some(None)`: the thread has ended. Called in signal handlers.
pub fn whose(info: &mut siginfo_t) -> Option<Option<&'static Green>> {
    if used().is_empty() {
        return None;
    }
    let fd = named_by(info)?;
    // The number may be another one of the same file.
    let place = place_of(fd).or_else(|| used().iter().find(|place| sys::is_same_file(place.fd.load(Acquire), fd)));
    let Some(place) = place else {
        return if is_former(info, fd) { Some(former_owner(info, fd)) } else { None };
    };
    let tid = place.tid.load(Relaxed);
    if place.plain.load(Relaxed) && info.si_signo == libc::SIGIO {
        make_plain(info);
    }
    Some(roll::find(tid))
}

/// Was this sent before the descriptor got another owner? Only the library lets a SIGIO name its descriptor, unless the program has
/// chosen that.
fn is_former(info: &siginfo_t, fd: i32) -> bool {
    info.si_signo == libc::SIGIO && sys::task::signal_of(fd) != Some(libc::SIGIO)
}

fn former_owner(info: &mut siginfo_t, fd: i32) -> Option<&'static Green> {
    make_plain(info);
    roll::find(place_of(former(fd))?.tid.load(Relaxed))
}

fn make_plain(info: &mut siginfo_t) {
    const SI_KERNEL: i32 = 0x80;
    let signal = info.si_signo;
    // SAFETY: all-zero is a value of siginfo_t.
    *info = unsafe { std::mem::zeroed() };
    (info.si_signo, info.si_code) = (signal, SI_KERNEL);
}

/// Is this a SIGIO that names no descriptor? The kernel keeps one of those at a time, so other descriptors' may have been dropped.
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

/// Forgets all owners in a fork child: the child runs natively, and the parent's threads own what they owned.
pub fn after_fork() {
    // Free places are found again from the first on, those that have been used among them.
    let Owners { places, used: _ } = &OWNERS;
    for place in places {
        place.fd.store(FREE, Relaxed);
    }
}
