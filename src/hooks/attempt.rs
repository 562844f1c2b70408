//! Try, park, try again: the one shape of every call that waits for one descriptor.
//!
//! ```text
//!            ┌──────────────────────── ready ───────────────────────┐
//!            ▼                                                      │
//!     known empty? ──no──► try without waiting ──would block──► park in the reactor ──► timed out, interrupted: the answer
//!            │                    │                                 ▲
//!            └──────yes───────────┼─────────────────────────────────┘
//!                                 └── anything else is the answer
//! ```
//!
//! The try is the program's own call, made so that the kernel does not wait (`Manner::AtOnce`). Where the kernel's two
//! opinions disagree, the try saying "would block" and poll saying "ready" (a datagram socket shut down for reading, a peer's
//! full queue, short memory), or where epoll does not take the descriptor, there is nothing to wait for: then the kernel gets
//! the call as the program made it (`Manner::Blocking`), and the slot is handed over if that takes long.
//!
//! Signals (signal(7)): an interrupted call starts again when all handlers that ran had SA_RESTART, but never when it has a timeout.

use super::{answer, Answer};
use super::descriptor::{has_nonblock, poll_now, Descriptor};
use crate::runtime::reactor::{self, Record, IN};
use crate::runtime::{self, Deadline, Woken};
use crate::sys;
use libc::{c_int, EAGAIN, EINTR};

const WOULD_BLOCK: isize = -(EAGAIN as isize);

/// How a try is to be made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    AtOnce,
    Blocking,
}

impl Manner {
    /// For the flags of a socket call.
    pub fn flag(self) -> c_int {
        match self {
            Manner::AtOnce => libc::MSG_DONTWAIT,
            Manner::Blocking => 0,
        }
    }
}

/// The program's call as it is: the kernel answers, and may take its time.
#[inline]
pub fn plain<T: TryFrom<isize>>(call: impl FnOnce() -> isize) -> Answer<T> {
    let result = runtime::block(call);
    runtime::breathe();
    answer(result)
}

fn deadline(timeout_ns: Option<u64>) -> Deadline {
    timeout_ns.map(|ns| sys::now_ns().saturating_add(ns))
}

/// One call's dealings with one descriptor.
pub struct Attempt {
    /// The number to use: the program's, or the private duplicate on which a wait goes on after a close.
    fd: c_int,
    interest: u32,
    record: &'static Record,
    deadline: Deadline,
    /// What the call answers when its time is up.
    late: c_int,
    agrees: bool,
    /// O_NONBLOCK is still to be asked for.
    ask_flags: bool,
    /// O_NONBLOCK was asked for, and is set.
    refuses_to_wait: bool,
    waited: bool,
    moved: bool,
    /// The kernel did the waiting: what it answered is final, however little.
    by_kernel: bool,
}

impl Attempt {
    /// A call that waits for `interest` for at most `timeout_ns`.
    #[inline]
    pub fn new(descriptor: &Descriptor, interest: u32, timeout_ns: Option<u64>) -> Attempt {
        Attempt {
            fd: descriptor.fd,
            interest,
            record: descriptor.record,
            deadline: deadline(timeout_ns),
            late: EAGAIN,
            agrees: interest == IN && descriptor.kind().agrees(),
            ask_flags: !descriptor.kind().socket(),
            refuses_to_wait: false,
            waited: false,
            moved: false,
            by_kernel: false,
        }
    }

    /// The same, answering `late` when its time is up.
    pub fn late(self, late: c_int) -> Attempt {
        Attempt { late, ..self }
    }

    /// Its time begins anew.
    pub fn limit(&mut self, timeout_ns: Option<u64>) {
        self.deadline = deadline(timeout_ns);
    }

    /// Tries until the answer is another one than "would block": the kernel's result.
    #[inline]
    pub fn complete(&mut self, mut call: impl FnMut(c_int, Manner) -> isize) -> isize {
        let mut disagreed = false;
        loop {
            if !self.record.skip_try(self.interest) {
                self.record.begin_try(self.interest);
                let result = call(self.fd, Manner::AtOnce);
                if result != WOULD_BLOCK {
                    return result;
                }
                if !self.agrees && poll_now(self.fd, self.interest) != 0 {
                    if disagreed {
                        return self.leave_to_kernel(call);
                    }
                    disagreed = true;
                    continue;
                }
                self.record.exhausted(self.interest);
            }
            match self.wait() {
                Ok(true) => {}
                Ok(false) => return self.leave_to_kernel(call),
                Err(number) => return -(number as isize),
            }
        }
    }

    /// For calls that cannot be tried without waiting: poll until ready, then the call as the program made it.
    pub fn complete_asking(&mut self, call: impl FnMut(c_int, Manner) -> isize) -> isize {
        match self.poll() {
            Err(number) if !self.refuses_to_wait => -(number as isize),
            _ => self.leave_to_kernel(call),
        }
    }

    /// Makes the call as the program made it.
    #[cold]
    pub fn leave_to_kernel(&mut self, mut call: impl FnMut(c_int, Manner) -> isize) -> isize {
        self.by_kernel = true;
        let fd = self.fd;
        runtime::block(|| call(fd, Manner::Blocking))
    }

    /// May a byte stream have more room, or more bytes, after a partial transfer?
    pub fn may_go_on(&self) -> bool {
        !self.by_kernel
    }

    /// Waits until poll says that the call would not wait: what it says, 0 where there is nothing to wait for. An error of EAGAIN
    /// is the program's own O_NONBLOCK, or its timeout.
    pub fn poll(&mut self) -> Result<u32, c_int> {
        loop {
            if !self.record.skip_try(self.interest) {
                self.record.begin_try(self.interest);
                let seen = poll_now(self.fd, self.interest);
                if seen != 0 {
                    return Ok(seen);
                }
                self.record.exhausted(self.interest);
            }
            if !self.wait()? {
                return Ok(0);
            }
        }
    }

    /// Parks until the descriptor may be ready. False: epoll does not take it.
    fn wait(&mut self) -> Result<bool, c_int> {
        if std::mem::take(&mut self.ask_flags) && has_nonblock(self.fd) {
            self.refuses_to_wait = true;
            return Err(EAGAIN);
        }
        self.waited = true;
        let woken = reactor::wait(self.fd, self.interest, self.deadline);
        if let Some(duplicate) = reactor::waited_fd() {
            self.move_to(duplicate);
        }
        match woken {
            Woken::TimedOut => Err(self.late),
            Woken::Interrupted if self.deadline.is_some() || !runtime::restart() => Err(EINTR),
            Woken::NotNeeded => Ok(false),
            _ => Ok(true),
        }
    }

    #[cold]
    fn move_to(&mut self, duplicate: c_int) {
        if self.moved {
            reactor::release_duplicate(self.fd);
        }
        self.moved = true;
        self.fd = duplicate;
        if let Some(record) = reactor::record(duplicate) {
            self.record = record;
        }
    }

    /// The number to use for this call's own further calls.
    pub fn fd(&self) -> c_int {
        self.fd
    }

    /// The last try took all there was (it got less than it had room for, from a byte stream).
    #[inline]
    pub fn took_all(&self) {
        self.record.took_all(self.interest);
    }

    /// The last try got as much as it asked for.
    #[inline]
    pub fn took_its_fill(&self) {
        self.record.took_its_fill(self.interest);
    }

    /// The call is over; one that never waited lets others run when it is their turn.
    #[inline]
    pub fn end(self) {
        if self.moved {
            reactor::release_duplicate(self.fd);
        }
        if !self.waited {
            runtime::breathe();
        }
    }
}
