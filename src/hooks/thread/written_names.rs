//! Names that are written into a thread's `comm` in /proc: they arrive in a pipe of the library's, which is looked into whenever a name is
//! asked for.
//!
//! A pipe's way: `await_writer` takes its reading end when the program opens a `comm` for writing, and the program gets the other
//! end. `take` reads what came, whenever a name is asked for. A pipe ends when the program has closed its end, and at the latest in a
//! fork child.

use crate::base::lock::Rank;
use crate::base::lock::RawLock;
use crate::base::own_fds;
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::roll;
use crate::sys;
use libc::*;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// Names that may be written, and how many pipes there are.
struct Awaited {
    /// Guards `all`. Held while pipes are read, none of which waits (O_NONBLOCK).
    lock: RawLock,
    /// Pairs: a thread's tid, and the reading end of a pipe into which its name may be written.
    all: UnsafeCell<Vec<(pid_t, c_int)>>,
    /// The length of `all`, for `take` to read without the lock.
    count: AtomicUsize,
}

static AWAITED: Awaited =
    Awaited { lock: RawLock::new(Rank::Process), all: UnsafeCell::new(Vec::new()), count: AtomicUsize::new(0) };

impl Awaited {
    /// The most pipes at once: each is a descriptor.
    const MOST: usize = 256;

    /// Adds a pipe for the thread's name, after those that are at their end were closed. False: there are MOST of them, and this one
    /// has been closed.
    fn add(&self, green: &Green, fd: c_int) -> bool {
        self.look(|_, _| ());
        let has_room = self.lock.with(|| {
            // SAFETY: under the lock.
            let all = unsafe { &mut *self.all.get() };
            let has_room = all.len() < Awaited::MOST;
            if has_room {
                all.push((green.tid(), fd));
            }
            self.count.store(all.len(), Release);
            has_room
        });
        if !has_room {
            own_fds::remove(fd);
            sys::close(fd);
        }
        has_room
    }

    /// Reads what was written into the pipes, and gives it to `written` with the thread's tid. Closes the pipes whose writers have
    /// closed. Called under no lock; `written` runs under this one.
    fn look(&self, mut written: impl FnMut(pid_t, &[u8])) {
        self.lock.with(|| {
            // SAFETY: under the lock.
            let all = unsafe { &mut *self.all.get() };
            all.retain(|&(tid, fd)| loop {
                let mut name = [0u8; 64];
                // SAFETY: the kernel writes into a local array.
                let read = unsafe { sys::call(SYS_read, fd as usize, name.as_mut_ptr() as usize, name.len(), 0, 0, 0) };
                match read {
                    1.. => written(tid, &name[..read as usize]),
                    // A socket whose other end left the name unread: told once, before what was written.
                    reset if reset == -(ECONNRESET as isize) => {}
                    0 => {
                        own_fds::remove(fd);
                        sys::close(fd);
                        return false;
                    }
                    _ => return true,
                }
            });
            self.count.store(all.len(), Release);
        });
    }
}

// SAFETY: the list is only touched under the lock.
unsafe impl Sync for Awaited {}

/// Takes the pipe's end `fd`, into which the thread's name may be written. False: there are too many, and the pipe has been closed.
/// Called by `proc/task_file.rs` when `comm` is opened for writing.
pub fn await_writer(green: &Green, fd: c_int) -> bool {
    AWAITED.add(green, fd)
}

/// Takes the names that were written into `comm` since the last call. Called before a name is told. One load where no pipe is open.
/// A name is cut to 15 bytes, as by the kernel (fs/proc/base.c, comm_write), and at a line's end.
#[inline]
pub fn take() {
    if AWAITED.count.load(Acquire) == 0 {
        return;
    }
    AWAITED.look(|tid, written| {
        let Some(green) = roll::find(tid) else { return };
        let mut name = [0u8; 16];
        let length = written.len().min(15);
        name[..length].copy_from_slice(&written[..length]);
        if let Some(end) = name.iter().position(|&byte| byte == b'\n') {
            name[end..].fill(0);
        }
        // SAFETY: a copy that may be of either side of a change, as in pthread_setname_np.
        unsafe { *green.thread.name.get() = name };
    });
}

/// In a fork child: the pipes were closed with all that is the library's.
pub fn after_fork() {
    let Awaited { lock, all, count } = &AWAITED;
    lock.after_fork();
    // SAFETY: the child has one thread.
    unsafe { (*all.get()).clear() };
    count.store(0, Relaxed);
}
