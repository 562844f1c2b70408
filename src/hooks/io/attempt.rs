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
//! The try is the program's own call, made so that the kernel does not wait (`Blocking::No`). Where the kernel's two opinions disagree,
//! the try saying "would block" and poll saying "ready" (a datagram socket shut down for reading, a peer's full queue, short memory),
//! there is no event to wait for: then the kernel gets the call as the program made it (`Blocking::Yes`), and the slot is handed over if
//! that takes long.
//!
//! Only a call of which the try could find nothing but "would block" may leave out its first try (`may_skip`).
//!
//! Signals (signal(7)): an interrupted call starts again when all handlers that ran had SA_RESTART, but never when it has a timeout.

use crate::hooks::io::descriptor::{self, poll_now, Descriptor};
use crate::hooks::io::kernel::WOULD_BLOCK;
use crate::hooks::moment;
use crate::runtime::news::record::{self, FdWait, Hints, Record, IN};
use crate::runtime::news::waiter::Token;
use crate::runtime::waiting::readiness;
use crate::runtime::waiting::wait::End;
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

/// Notes in the green thread which record its call holds on to (`hold`), or `None` when the call has let go. A jump out of a signal
/// handler leaves the call without its end: it reads this note, and lets go in the call's place. Does nothing on a foreign thread.
fn note_held(record: Option<&'static Record>) {
    if let Some(me) = runtime::current() {
        me.wait.held.set(record);
    }
}

/// What a call still has to ask the kernel about its file before it may wait. Asked once, by `Attempt::ask`; a call that finds
/// something at its first try never asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// All is known: by the record (`Descriptor::blocks_for`), by the call itself (`looking`), or because it was asked.
    Nothing,
    /// O_NONBLOCK, and whether the file was opened for reading, for writing or for both (`descriptor::ask_file`).
    Flags,
    /// For a socket: O_NONBLOCK, and SO_RCVTIMEO or SO_SNDTIMEO (`descriptor::ask_socket`).
    FlagsAndTimeout,
}

/// A call's dealings with one descriptor, from the first try to the answer.
///
/// Made on the calling thread by `looking`, `new` or `queue`, used by that thread alone, and ended by `end` on every path that
/// returns. It has no destructor, for the door lets none run: a cancellation gives back what the call has by `release`, and a jump
/// out of a signal handler lets go of the file by `note_held`'s note.
#[must_use]
pub struct Attempt {
    /// The number to use: the program's, or the private duplicate on which a wait goes on after a close.
    fd: c_int,
    /// IN or OUT, or both for a call that either readiness ends (`vmsplice`).
    interest: u32,
    /// The record of `fd`: it changes together with `fd` (`move_to`).
    record: &'static Record,
    /// The record's hints as they were right before the last try. An event that comes after that moment ends the next park at once.
    hints: Hints,
    /// The end of the call's time (CLOCK_MONOTONIC, nanoseconds); `None`: the call waits for ever.
    deadline: Deadline,
    /// The error number that the call answers when its time is up: EAGAIN for a file's timeout, ETIMEDOUT for a message queue,
    /// EINPROGRESS or EALREADY for connect, and 0 for poll, which tells of no error then.
    late: c_int,
    /// True: for this kind of file "would block" and poll never disagree (`Kind::agrees`), so poll is not asked after a failed try.
    agrees: bool,
    /// True: a try may be left out where the hints say that it would block. Always true from the second try on, for the first has
    /// found what is wrong with the call.
    may_skip: bool,
    /// True: a handler with SA_RESTART does not end the call (signal(7)). False for calls with a timeout and for calls that only
    /// look.
    restarts: bool,
    /// The question that is left to ask before the call waits.
    ask: Ask,
    /// True: the file was asked, and the call must not wait, because of O_NONBLOCK or of the direction that the file was opened for.
    refuses_to_wait: bool,
    /// True: the file was not asked, because the record says that it blocks and for how long. A verification that finds O_NONBLOCK
    /// set ends such a wait (`Token::DISTRUST`).
    trusting: bool,
    /// True once the call has parked, or was about to: then its slot has had its turn, and `end` does not yield.
    waited: bool,
    /// True: `fd` is a private duplicate, which the call must close.
    moved: bool,
    /// True: the call holds on to the file between its tries (`Record::hold`), so that a close of the number leaves it the file.
    holds: bool,
    /// True: the kernel did the waiting (`leave_to_kernel`), so its answer is final, however few bytes it moved.
    by_kernel: bool,
}

impl Attempt {
    /// Makes the attempt of a call that only looks (poll, epoll_wait). O_NONBLOCK means nothing to such a call, a handler always ends
    /// it with EINTR, and the end of its time is no error: the result is 0 then. `deadline` is in nanoseconds of CLOCK_MONOTONIC.
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

    /// Makes the attempt of a call that waits for `interest` as long as the file says: for ever, for the socket's timeout, or not at
    /// all with O_NONBLOCK. A file of which that is not known is asked before the first wait, and not before the first try.
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

    /// Begins the call's time anew: a call on several messages gives each of them the socket's whole timeout. No system call; a
    /// socket of which something is not known is asked before the next wait.
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

    /// Makes the attempt of a call on a message queue. Such a call has a deadline of its own, after which it answers ETIMEDOUT, and
    /// starts again after a handler with SA_RESTART although it has a timeout. O_NONBLOCK is asked before the first wait: EAGAIN.
    pub fn queue(fd: c_int, record: &'static Record, interest: u32, deadline: Deadline) -> Attempt {
        Attempt {
            late: libc::ETIMEDOUT,
            may_skip: false,
            restarts: true,
            ask: Ask::Flags,
            ..Attempt::looking(fd, record, interest, deadline)
        }
    }

    /// Returns the attempt with another error number for the end of its time (`late`). Used by connect, whose first try has the
    /// number.
    pub fn late(self, late: c_int) -> Attempt {
        Attempt { late, ..self }
    }

    /// Returns the attempt as one whose first try may be left out where the hints say that it would block. Only for calls of which
    /// nothing else can be wrong, or nothing that must be found before the wait: a bad flag or pointer is found by the first try that
    /// is made.
    #[inline]
    pub fn may_skip(self) -> Attempt {
        Attempt { may_skip: true, ..self }
    }

    /// Returns the attempt as one that may need several tries for its answer (MSG_WAITALL, a long send). A close of the number waits
    /// until this call is parked, and then moves it to a private duplicate (`readiness::vacate`); natively a blocked call keeps its
    /// file, too.
    pub fn hold(self) -> Attempt {
        self.record.hold();
        note_held(Some(self.record));
        Attempt { holds: true, ..self }
    }

    /// Sets how many nanoseconds the call may wait from now on; `None`: for ever. A call with a timeout is never restarted
    /// (signal(7)).
    fn limit(&mut self, timeout_ns: Option<u64>) {
        self.deadline = timeout_ns.and_then(moment::after);
        self.restarts = timeout_ns.is_none();
    }

    /// Tries by `call`, and parks between the tries, until the answer is another one than "would block". Returns the kernel's result:
    /// 0 or more, or a negated error number. `call` gets the number to use, which may be the private duplicate, and makes the try
    /// without blocking or as the program made it.
    ///
    /// ```text
    /// 1. look at the hints        2. try        3. would block: note "empty", unless an event came since 1
    /// 4. park, unless an event came since 1     5. woken: from 1 again
    /// ```
    ///
    /// The hints are looked at before the try, so that an event between the try and the park is seen by the park (4), which compares
    /// under the record's lock. Data that has arrived may be of a process that sent a signal before: `sweep_unwaited` lets that
    /// signal's handler go first.
    ///
    /// A try that says "would block" while poll says "ready" is made once more, for the data may have come in between. If both say so
    /// again the kernel gets the call. Signals, timeouts and cancellations end the call as `wait` says. A cancellation does not
    /// return.
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

    /// Ends a wait that no event ended; `number` is the reason as an error number. Makes one more try, for two reasons: data that has
    /// arrived meanwhile goes before a timeout or a signal, and a guess may have left out the first try.
    ///
    /// With O_NONBLOCK the wait was refused, not ended. Then the try is made only if a guess had left it out, for the program may
    /// know from poll what the hints do not.
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

    /// Completes a call that cannot be tried without waiting: polls until the descriptor is ready, and then makes the call as the
    /// program made it. Another thread or process may take what poll has seen: then the call waits in the kernel, with the slot
    /// offered. Returns the kernel's result.
    pub fn complete_asking(&mut self, call: impl FnMut(c_int, Blocking) -> isize) -> isize {
        self.complete_asking_unless(|_| false, call)
    }

    /// As `complete_asking`, but makes the call at once where `refuses` says of the number that the kernel would not let it wait (a
    /// background job's terminal). Returns the kernel's result, or a negated error number when the time is up (`late`) and after a
    /// handler without SA_RESTART (EINTR).
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

    /// Makes the call as the program made it, in the kernel, with the slot offered. Its answer is final: `may_go_on` is false from
    /// then on. A cancellation point.
    #[cold]
    pub fn leave_to_kernel(&mut self, mut call: impl FnMut(c_int, Blocking) -> isize) -> isize {
        self.by_kernel = true;
        // From here on the kernel holds on to the file.
        self.let_go();
        let fd = self.fd;
        runtime::announce(self.why());
        runtime::waiting::cancel::block(|| call(fd, Blocking::Yes))
    }

    /// May the call go on after a part of a transfer, with more bytes or more room? False once the kernel has done the waiting: it
    /// returns early only for a reason of its own (a signal, a timeout, an error).
    pub fn may_go_on(&self) -> bool {
        !self.by_kernel
    }

    /// Waits until poll says that the call would not wait. Returns the events that poll tells (`revents`). `Err(EAGAIN)`: the
    /// program's own O_NONBLOCK, or the end of the socket's timeout; `Err(EINTR)`: a handler without SA_RESTART. A cancellation does
    /// not return.
    pub fn poll(&mut self) -> Result<u32, c_int> {
        self.poll_unless(|_| false)
    }

    /// As `poll`; returns 0 where the call would wait and `refuses` says that the kernel does not let it.
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

    /// Waits after a partial transfer, which is as good as "would block", and begins the next try. Returns what poll says then: it
    /// may be 0 when another thread has just shut the descriptor down. Fails as `poll`.
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

    /// Begins the next try without a wait: notes the hints, and returns what poll says now.
    pub fn look(&mut self) -> u32 {
        self.hints = self.record.look();
        poll_now(self.fd, self.interest)
    }

    /// Parks until the descriptor may be ready; `Ok` says no more than "try again". Called after a try that found nothing. How the
    /// wait ends:
    ///
    /// | `woken` | answer |
    /// |---|---|
    /// | an event, a false alarm | `Ok` |
    /// | DISTRUST: a verification found O_NONBLOCK | `Ok`, after the record was told; the next `wait` asks the file |
    /// | `NotNeeded`: epoll does not take the descriptor | `wait_in_kernel` |
    /// | the deadline | `late` |
    /// | handlers, one of them without SA_RESTART, or a call that never restarts | EINTR |
    /// | a lent loop ends the wait | `end_early` |
    /// | a cancellation | does not return, once the file and the duplicate are given back |
    ///
    /// The file itself may refuse the wait before all that: EAGAIN (`ask`).
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
            Woken::Ended(end) => self.end_early(end),
            Woken::Ready(Token::DISTRUST) => {
                descriptor::changed(self.fd);
                self.ask = Ask::Flags;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Does what a lent loop wants where it ends the wait: shuts the connection down (`Ok`: the next try finds that), or fails. A call that
    /// may tell of a connection's own timeout answers ETIMEDOUT, for programs make a call again after EINTR; others answer that. A connect
    /// that is under way always fails, for a socket that is shut down would begin another.
    #[cold]
    fn end_early(&mut self, end: End) -> Result<(), c_int> {
        let connects = matches!(self.late, libc::EINPROGRESS | libc::EALREADY);
        if end == End::Shutdown && !connects && readiness::shut(self.fd, false) {
            return Ok(());
        }
        let is_connection = sys::socket_option(self.fd, libc::SO_TYPE, 0) == Ok(libc::SOCK_STREAM);
        let only_looks = self.late == 0;
        Err(if is_connection && !only_looks { libc::ETIMEDOUT } else { EINTR })
    }

    /// Returns the words by which a dump tells of the wait: "readable" or "writable", with the number that the call uses.
    #[inline]
    fn why(&self) -> Why {
        if self.interest & record::OUT == 0 {
            Why::Readable(self.fd)
        } else {
            Why::Writable(self.fd)
        }
    }

    /// Asks the file whether it is one to wait for, and how long (`Ask`). Called once a call, before its first park. Fails with
    /// EAGAIN for O_NONBLOCK and for the wrong direction, and with EBADF where the number was closed meanwhile.
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

    /// Waits in the kernel, by poll, for a descriptor that the reactor's epoll does not take (an epoll nested too deep: ELOOP in
    /// epoll_ctl(2)). Offers the slot at once. Fails with `late` when the time is up, and with the error number of poll, EINTR among
    /// them. A cancellation point.
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

    /// Goes on with a private duplicate: the program's number was closed, or got another file, during the wait (`readiness::vacate`).
    /// `vacate` has moved this call's hold to the duplicate's record, so only the note of it follows here.
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

    /// Lets go of the file and closes the private duplicate. Called at the call's end, and before a cancellation acts, for that runs
    /// no destructor.
    fn release(&mut self) {
        self.let_go();
        self.release_duplicate();
    }

    /// Lets go of the file, if the call holds on to it. The note goes first: a handler's jump must not let go a second time.
    fn let_go(&mut self) {
        if std::mem::take(&mut self.holds) {
            note_held(None);
            self.record.let_go();
        }
    }

    /// Closes the private duplicate, if the call has one. The record of the program's number is not touched: it is another file's by
    /// now.
    fn release_duplicate(&mut self) {
        if std::mem::take(&mut self.moved) {
            readiness::release_duplicate(self.fd);
        }
    }

    /// Returns the number to use for this call's own further calls: the program's, or the private duplicate.
    pub fn fd(&self) -> c_int {
        self.fd
    }

    /// Returns the record of that number, and its hints as they were before the last try. A caller hands both to `Record::took_all` and
    /// its relatives.
    pub fn record(&self) -> (&'static Record, Hints) {
        (self.record, self.hints)
    }

    /// Ends the call: gives back the file and the duplicate. A call that never waited lets other green threads run if the monitor
    /// asks for that (`breathe`). Must be called on each path that returns, on the thread that made the attempt.
    #[inline]
    pub fn end(mut self) {
        self.release();
        if !self.waited {
            runtime::breathe();
        }
    }
}
