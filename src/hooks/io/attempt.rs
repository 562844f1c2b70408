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
//! The try is the program's own call, made so that the kernel does not wait (`Blocking::No`). Where the kernel's two
//! opinions disagree, the try saying "would block" and poll saying "ready" (a datagram socket shut down for reading, a peer's
//! full queue, short memory), there is nothing to wait for: then the kernel gets the call as the program made it
//! (`Blocking::Yes`), and the slot is handed over if that takes long.
//!
//! The first try is left out only by calls of which it could find nothing wrong but that they would block (`may_skip`).
//!
//! Signals (signal(7)): an interrupted call starts again when all handlers that ran had SA_RESTART, but never when it has a timeout.

use crate::hooks::io::descriptor::{self, poll_now, Descriptor};
use crate::hooks::io::kernel::WOULD_BLOCK;
use crate::hooks::moment;
use crate::runtime::news::record::{self, FdWait, Hints, Record, IN};
use crate::runtime::news::waiter::Token;
use crate::runtime::waiting::readiness;
use crate::runtime::{self, Deadline, Length, Woken};
use crate::sys;
use crate::why::Why;
use libc::{c_int, EAGAIN, EINTR};

/// May the kernel block in a try?
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Blocking {
    /// The call is to fail with EAGAIN instead.
    No,
    /// The call as the program made it.
    Yes,
}

impl Blocking {
    /// Returns the flag that a socket call gets: MSG_DONTWAIT for `No`, none for `Yes`.
    pub fn flag(self) -> c_int {
        match self {
            Blocking::No => libc::MSG_DONTWAIT,
            Blocking::Yes => 0,
        }
    }
}

/// Notes the record that the call holds on to, or that it holds none: a jump out of a signal handler, past the call's end, lets go of it.
fn note_held(record: Option<&'static Record>) {
    if let Some(me) = runtime::current() {
        me.held.set(record);
    }
}

/// What a call has to ask of its file before it waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Nothing,
    /// O_NONBLOCK, and which way it was opened.
    Flags,
    /// A socket: O_NONBLOCK and its timeout.
    FlagsAndTimeout,
}

/// A call's dealings with one descriptor, from the first try to the answer. `end` is called on each path that returns.
#[must_use]
pub struct Attempt {
    /// The number to use: the program's, or the private duplicate on which a wait goes on after a close.
    fd: c_int,
    interest: u32,
    record: &'static Record,
    /// What was known of it before the last try.
    hints: Hints,
    deadline: Deadline,
    /// What the call answers when its time is up.
    late: c_int,
    /// For this kind of file "would block" and poll never disagree.
    agrees: bool,
    may_skip: bool,
    restarts: bool,
    /// What is to be asked before it waits.
    ask: Ask,
    /// The file was asked, and the call must not wait: O_NONBLOCK, or the wrong direction.
    refuses_to_wait: bool,
    /// The file was not asked: the hints say that it blocks, and for how long.
    trusting: bool,
    waited: bool,
    moved: bool,
    /// The call holds on to the file between its tries, so that a close of the number leaves it that.
    holds: bool,
    /// The kernel did the waiting: its answer is final, however few bytes it moved.
    by_kernel: bool,
}

impl Attempt {
    /// A call that only looks (poll, epoll_wait): O_NONBLOCK means nothing to it, it never restarts, and no time is no error.
    #[inline]
    pub fn looking(fd: c_int, record: &'static Record, interest: u32, deadline: Deadline) -> Attempt {
        Attempt {
            fd,
            interest,
            record,
            hints: record.look(),
            deadline,
            late: 0,
            agrees: true,
            may_skip: true,
            restarts: false,
            ask: Ask::Nothing,
            refuses_to_wait: false,
            trusting: false,
            waited: false,
            moved: false,
            holds: false,
            by_kernel: false,
        }
    }

    /// Begins a call that waits for `interest`, as long as the file says: for ever, for its timeout, or not at all with O_NONBLOCK. Of a
    /// file of which that is not known it is asked before the first wait.
    #[inline]
    pub fn new(descriptor: &Descriptor, interest: u32) -> Attempt {
        let mut attempt = Attempt {
            late: EAGAIN,
            agrees: interest == IN && descriptor.kind().agrees(),
            may_skip: false,
            ..Attempt::looking(descriptor.fd, descriptor.record, interest, None)
        };
        attempt.begin_anew(descriptor);
        attempt
    }

    /// Begins the call's time anew, for the next of several messages. A socket of which all is known is not asked.
    #[inline]
    pub fn begin_anew(&mut self, descriptor: &Descriptor) {
        match descriptor.blocks_for(self.interest) {
            Some(timeout_ns) => {
                self.trusting = true;
                self.limit(timeout_ns);
            }
            None => {
                self.restarts = true;
                self.ask = if descriptor.kind().socket() { Ask::FlagsAndTimeout } else { Ask::Flags };
            }
        }
    }

    /// Begins a call on a message queue: it has a deadline of its own (then ETIMEDOUT), and starts again after a handler all the same.
    pub fn queue(fd: c_int, record: &'static Record, interest: u32, deadline: Deadline) -> Attempt {
        Attempt {
            late: libc::ETIMEDOUT,
            may_skip: false,
            restarts: true,
            ask: Ask::Flags,
            ..Attempt::looking(fd, record, interest, deadline)
        }
    }

    /// Returns the call with another error number for the end of its time.
    pub fn late(self, late: c_int) -> Attempt {
        Attempt { late, ..self }
    }

    /// Returns the call as one whose first try may be left out where the hints say that it would block: nothing else may be wrong with it
    /// (a bad pointer, a bad flag), for that would be found too late.
    #[inline]
    pub fn may_skip(self) -> Attempt {
        Attempt { may_skip: true, ..self }
    }

    /// Returns the call as one that may need several tries for its answer: a close of the number meanwhile leaves it the file.
    pub fn hold(self) -> Attempt {
        self.record.hold();
        note_held(Some(self.record));
        Attempt { holds: true, ..self }
    }

    /// Sets how long the call may wait from now on. A call with a timeout is never restarted.
    fn limit(&mut self, timeout_ns: Option<u64>) {
        self.deadline = timeout_ns.and_then(moment::after);
        self.restarts = timeout_ns.is_none();
    }

    /// Tries by `call`, and parks between the tries, until the answer is another one than "would block": the kernel's result. `call` gets
    /// the number to use, which may be the private duplicate, and makes the try without blocking, or as the program made it.
    ///
    /// ```text
    ///     hints before the try: looked at first (1), so that an event between (1) and the park (4) is seen there
    ///     1. look at the hints    2. try    3. would block: note "empty", unless an event came since 1    4. park, unless one came since 1
    /// ```
    #[inline]
    pub fn complete(&mut self, mut call: impl FnMut(c_int, Blocking) -> isize) -> isize {
        let mut disagreed = false;
        loop {
            self.hints = self.record.look();
            let skips = self.may_skip && self.hints.say_empty(self.interest);
            if !skips {
                self.may_skip = true;
                let result = call(self.fd, Blocking::No);
                if result != WOULD_BLOCK {
                    if self.interest & IN != 0 {
                        runtime::sweep_unwaited();
                    }
                    return result;
                }
                if !self.agrees && poll_now(self.fd, self.interest) != 0 {
                    if disagreed {
                        return self.leave_to_kernel(call);
                    }
                    disagreed = true;
                    continue;
                }
                self.record.exhausted(self.hints, self.interest);
            }
            if let Err(number) = self.wait() {
                return self.last_try(number, skips, call);
            }
        }
    }

    /// Ends a wait that no event ended (`number`: why it did): tries once more. Data that has arrived meanwhile goes first, and a guess may
    /// have left out the first try. With O_NONBLOCK the wait was refused; then the try is made only if a guess had left it out, for the
    /// program may know from poll what the hints do not.
    #[cold]
    fn last_try(&mut self, number: c_int, skipped: bool, mut call: impl FnMut(c_int, Blocking) -> isize) -> isize {
        if self.refuses_to_wait && !skipped {
            return -(number as isize);
        }
        match call(self.fd, Blocking::No) {
            WOULD_BLOCK => -(number as isize),
            result => result,
        }
    }

    /// For calls that cannot be tried without waiting: poll until ready, then the call as the program made it.
    pub fn complete_asking(&mut self, call: impl FnMut(c_int, Blocking) -> isize) -> isize {
        self.complete_asking_unless(|_| false, call)
    }

    /// As `complete_asking`; the call is made at once where `refuses` says that the kernel does not let it wait.
    pub fn complete_asking_unless(
        &mut self,
        refuses: impl Fn(c_int) -> bool,
        call: impl FnMut(c_int, Blocking) -> isize,
    ) -> isize {
        match self.poll_unless(refuses) {
            Err(number) if !self.refuses_to_wait => -(number as isize),
            _ => self.leave_to_kernel(call),
        }
    }

    /// Makes the call as the program made it.
    #[cold]
    pub fn leave_to_kernel(&mut self, mut call: impl FnMut(c_int, Blocking) -> isize) -> isize {
        self.by_kernel = true;
        // From here on the kernel holds on to the file.
        self.let_go();
        let fd = self.fd;
        runtime::announce(self.why());
        runtime::waiting::cancel::block(|| call(fd, Blocking::Yes))
    }

    /// May a byte stream have more room, or more bytes, after a partial transfer? False once the kernel has done the waiting: its
    /// answer is final.
    pub fn may_go_on(&self) -> bool {
        !self.by_kernel
    }

    /// Waits until poll says that the call would not wait: what it says. An error of EAGAIN is the program's own O_NONBLOCK, or its
    /// timeout.
    pub fn poll(&mut self) -> Result<u32, c_int> {
        self.poll_unless(|_| false)
    }

    /// As `poll`; 0 where it would wait and `refuses` says that the kernel does not let it.
    fn poll_unless(&mut self, refuses: impl Fn(c_int) -> bool) -> Result<u32, c_int> {
        loop {
            self.hints = self.record.look();
            if !self.hints.say_empty(self.interest) {
                let seen = poll_now(self.fd, self.interest);
                if seen != 0 {
                    return Ok(seen);
                }
                self.record.exhausted(self.hints, self.interest);
            }
            if refuses(self.fd) {
                return Ok(0);
            }
            if let Err(number) = self.wait() {
                let last = if self.refuses_to_wait { 0 } else { poll_now(self.fd, self.interest) };
                return if last != 0 { Ok(last) } else { Err(number) };
            }
        }
    }

    /// After a partial transfer, which is as good as "would block": waits, and begins the next try. What poll says then; it may be
    /// nothing, when another thread has just shut the descriptor down.
    pub fn again(&mut self) -> Result<u32, c_int> {
        if self.hints.say_ended() {
            // The end that was reported with these bytes is not reported again.
            let seen = self.look();
            if seen != 0 {
                return Ok(seen);
            }
        }
        self.wait()?;
        Ok(self.look())
    }

    /// Begins the next try: what poll says now.
    pub fn look(&mut self) -> u32 {
        self.hints = self.record.look();
        poll_now(self.fd, self.interest)
    }

    /// Parks until the descriptor may be ready. `Err`: why the call ends (its time, EINTR, O_NONBLOCK). A cancellation acts here, after the
    /// file has been let go.
    fn wait(&mut self) -> Result<(), c_int> {
        if self.ask != Ask::Nothing {
            self.ask()?;
        }
        self.waited = true;
        let one = FdWait::new(self.fd, self.interest).of_call(self.holds, self.trusting);
        let (woken, duplicate) = readiness::wait(self.why(), one, self.hints, self.deadline);
        if duplicate >= 0 {
            self.move_to(duplicate);
        }
        match woken {
            Woken::Cancelled => {
                self.release();
                runtime::cancellation_point();
                Ok(())
            }
            Woken::TimedOut => Err(self.late),
            Woken::Interrupted if !self.restarts || !runtime::restart() => Err(EINTR),
            Woken::NotNeeded => self.wait_in_kernel(),
            Woken::Ready(Token::DISTRUST) => {
                descriptor::changed(self.fd);
                self.ask = Ask::Flags;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Returns what a dump says of the wait.
    #[inline]
    fn why(&self) -> Why {
        if self.interest & record::OUT == 0 {
            Why::Readable(self.fd)
        } else {
            Why::Writable(self.fd)
        }
    }

    /// Asks the file whether it is one to wait for, and how long.
    #[cold]
    fn ask(&mut self) -> Result<(), c_int> {
        let answer = match std::mem::replace(&mut self.ask, Ask::Nothing) {
            Ask::FlagsAndTimeout => {
                descriptor::ask_socket(self.fd, self.interest).map(|timeout_ns| self.limit(timeout_ns))
            }
            _ => descriptor::ask_file(self.fd, self.interest),
        };
        self.trusting = false;
        self.refuses_to_wait = answer.is_err();
        answer
    }

    /// Waits in the kernel, by poll, for a descriptor that the reactor's epoll does not take. Fails as `wait`. A cancellation point.
    #[cold]
    fn wait_in_kernel(&mut self) -> Result<(), c_int> {
        let mut poll = [libc::pollfd { fd: self.fd, events: self.interest as i16, revents: 0 }];
        let deadline = self.deadline;
        runtime::announce(self.why());
        match runtime::waiting::cancel::block_for(Length::Long, || sys::poll(&mut poll, deadline))? {
            0 => Err(self.late),
            _ => Ok(()),
        }
    }

    /// Goes on with a private duplicate: the program's number was closed, or got another file, during the wait.
    #[cold]
    fn move_to(&mut self, duplicate: c_int) {
        self.release_duplicate();
        self.moved = true;
        self.fd = duplicate;
        if let Some(record) = record::record(duplicate) {
            self.record = record;
            if self.holds {
                note_held(Some(record));
            }
        }
    }

    /// Lets go of the file and closes the private duplicate. Called at the call's end, and before a cancellation acts.
    fn release(&mut self) {
        self.let_go();
        self.release_duplicate();
    }

    /// Lets go of the file, if the call holds on to it.
    fn let_go(&mut self) {
        if std::mem::take(&mut self.holds) {
            note_held(None);
            self.record.let_go();
        }
    }

    /// Closes the private duplicate, if the call has one.
    fn release_duplicate(&mut self) {
        if std::mem::take(&mut self.moved) {
            readiness::release_duplicate(self.fd);
        }
    }

    /// Returns the number to use for this call's own further calls: the program's, or the private duplicate.
    pub fn fd(&self) -> c_int {
        self.fd
    }

    /// Returns the record of that number, and what was known of it before the last try.
    pub fn record(&self) -> (&'static Record, Hints) {
        (self.record, self.hints)
    }

    /// Ends the call. One that never waited lets others run when it is their turn. Must be called on each path that returns.
    #[inline]
    pub fn end(mut self) {
        self.release();
        if !self.waited {
            runtime::breathe();
        }
    }
}
