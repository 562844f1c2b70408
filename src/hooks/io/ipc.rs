//! Queues and semaphores between processes, and asynchronous transfers.
//!
//! - *POSIX message queues* are descriptors that epoll knows: their waiters park. The try without waiting is the call with a moment
//!   that has passed. A parked receiver is not in the kernel's queue of receivers, and mq_notify would tell of a message that it gets:
//!   so receivers wait in the kernel from this process's first mq_notify on, and where a queue, read like a file, says that there is a
//!   registration. A registration of another process's that comes while a receiver is parked here is not seen.
//! - *System V's* have no descriptor: tried without waiting, then in the kernel, the slot offered.
//! - *aio* is glibc's own, on kernel threads of its own: its waits are libc's, in slices, so that a cancellation comes through.
//!
//! A receiver and the notification of its own process:
//!
//! 1. mq_notify sets NOTIFIED, and wakes the parked receivers of all queues (`descriptor::stir_queues`).
//! 2. They try again, find nothing, see NOTIFIED, and wait in the kernel, which counts them from then on.
//! 3. mq_notify yields once before the registration, so that a receiver of its slot gets as far as 2. A receiver on another slot may
//!    be later: a message that comes in between is told of by a notification, and received as well.

use crate::base::kept::Kept;
use crate::base::own_fds;
use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::io::attempt::{Attempt, Blocking};
use crate::hooks::io::descriptor;
use crate::hooks::io::kernel::{long, long_call, long_uncancelled, WOULD_BLOCK};
use crate::hooks::moment::{self, Until, SLICE_NS};
use crate::hooks::{memory, real};
use crate::runtime::news::record::{self, IN, OUT};
use crate::runtime::waiting::readiness;
use crate::runtime::{self, Deadline};
use crate::why::Why;
use crate::{glibc, sys};
use libc::*;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// A moment that has passed; as a time's length: none.
const PAST: timespec = timespec { tv_sec: 0, tv_nsec: 0 };

/// Returns until when a call on a message queue waits: a moment of CLOCK_REALTIME as a deadline, or no end for a null one. EFAULT,
/// then EINVAL for a bad moment, even when there is nothing to wait for: the kernel reads it first (ipc/mqueue.c, prepare_timeout).
unsafe fn deadline(until: *const timespec) -> Answer<Deadline> {
    if until.is_null() {
        return Ok(None);
    }
    let time = memory::read(until)?;
    Until { clock: CLOCK_REALTIME, time: &time }.deadline()
}

/// Makes a transfer through a message queue by `call`, which takes the number and the moment: tries with a moment that has passed,
/// and parks while that says ETIMEDOUT. EAGAIN with O_NONBLOCK, ETIMEDOUT; EINTR after a handler without SA_RESTART. All other
/// errors are the kernel's. A cancellation point.
unsafe fn transfer<T: TryFrom<isize>>(
    queue: mqd_t,
    interest: u32,
    until: *const timespec,
    call: impl Fn(c_int, *const timespec) -> isize,
) -> Answer<T> {
    runtime::cancellation_point();
    let deadline = deadline(until)?;
    let record = record::record(queue).ok_or(Miss::Libc)?;
    if interest == IN {
        descriptor::note_queue(record);
    }
    let mut attempt = Attempt::queue(queue, record, interest, deadline);
    let result = attempt.complete(|queue, blocking| match blocking {
        Blocking::No => match call(queue, &PAST) {
            TOO_LATE if interest == IN && notifies(queue) => long_call(|| call(queue, until)),
            TOO_LATE => WOULD_BLOCK,
            // EBADF for the number may hide EINVAL for the moment, which the kernel looks at first.
            NO_QUEUE if !until.is_null() => call(queue, until),
            done => done,
        },
        Blocking::Yes => call(queue, until),
    });
    attempt.end();
    answer(result)
}

/// True once this process, or one that it was forked from, has registered for a notification: from then on receivers wait in the
/// kernel. Never false again, for a registration may be made anew at any time.
static NOTIFIED: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// May there be a registration for a notification by this queue? Reads the queue's text, which says NOTIFY_PID:0 where there is none
/// (mq_overview(7)). True as well where this process has registered once (NOTIFIED). A text that cannot be read says no.
fn notifies(queue: c_int) -> bool {
    if NOTIFIED.load(SeqCst) {
        return true;
    }
    const NOBODY: &[u8] = b"NOTIFY_PID:0 ";
    let mut text = [0u8; 128];
    // SAFETY: the kernel writes at most so many bytes into `text`.
    let bytes = unsafe { sys::call(SYS_pread64, queue as usize, text.as_mut_ptr() as usize, text.len(), 0, 0, 0) };
    bytes > 0 && !text[..bytes as usize].windows(NOBODY.len()).any(|window| window == NOBODY)
}

/// `mq_notify`: libc's own. Before the first one of the process the parked receivers go to the kernel, which must count them: it
/// notifies only of a message that no receiver waits for (mq_notify(3)).
pub unsafe fn mq_notify(_: mqd_t, _: *const sigevent) -> Answer<c_int> {
    // The first registration: parked receivers go to the kernel, and get the slot for that before the call is made.
    if !NOTIFIED.swap(true, SeqCst) {
        descriptor::stir_queues();
        runtime::yield_now();
    }
    Err(Miss::Libc)
}

/// The kernel's answer when the moment has passed: for the try, "would block".
const TOO_LATE: isize = -(ETIMEDOUT as isize);
/// The kernel's answer for a number that is no message queue's.
const NO_QUEUE: isize = -(EBADF as isize);

/// `mq_timedsend`: parks while the queue is full, until a moment of CLOCK_REALTIME, by `transfer`. EMSGSIZE and EINVAL for the
/// priority are the kernel's. A cancellation point.
pub unsafe fn mq_timedsend(
    queue: mqd_t,
    message: *const c_char,
    bytes: size_t,
    priority: c_uint,
    until: *const timespec,
) -> Answer<c_int> {
    let arguments = (message as usize, bytes, priority as usize);
    transfer(queue, OUT, until, |queue, until| {
        sys::call(SYS_mq_timedsend, queue as usize, arguments.0, arguments.1, arguments.2, until as usize, 0)
    })
}

/// `mq_send`: as `mq_timedsend`, without an end.
pub unsafe fn mq_send(queue: mqd_t, message: *const c_char, bytes: size_t, priority: c_uint) -> Answer<c_int> {
    mq_timedsend(queue, message, bytes, priority, std::ptr::null())
}

/// `mq_timedreceive`: parks while the queue is empty, until a moment of CLOCK_REALTIME, by `transfer`. EMSGSIZE for a buffer below
/// the queue's message size is the kernel's. A cancellation point.
pub unsafe fn mq_timedreceive(
    queue: mqd_t,
    message: *mut c_char,
    bytes: size_t,
    priority: *mut c_uint,
    until: *const timespec,
) -> Answer<ssize_t> {
    let arguments = (message as usize, bytes, priority as usize);
    transfer(queue, IN, until, |queue, until| {
        sys::call(SYS_mq_timedreceive, queue as usize, arguments.0, arguments.1, arguments.2, until as usize, 0)
    })
}

/// `mq_receive`: as `mq_timedreceive`, without an end.
pub unsafe fn mq_receive(queue: mqd_t, message: *mut c_char, bytes: size_t, priority: *mut c_uint) -> Answer<ssize_t> {
    mq_timedreceive(queue, message, bytes, priority, std::ptr::null())
}

/// `mq_close`: parked waits move to duplicates first, then the kernel closes. EBADF for the library's own descriptors, and for a number
/// without a file. Called by any thread. No cancellation point.
pub unsafe fn mq_close(queue: mqd_t) -> Answer<c_int> {
    if own_fds::is_own(queue) {
        return errno(EBADF);
    }
    readiness::vacate(queue);
    let closed = answer(sys::call(SYS_close, queue as usize, 0, 0, 0, 0, 0));
    readiness::closed(queue);
    closed
}

/// `msgsnd`: tried with IPC_NOWAIT, then made in the kernel, with the slot offered. EINTR after any handler: signal(7) lists the
/// System V calls among those that are never restarted. A cancellation point.
pub unsafe fn msgsnd(queue: c_int, message: *const c_void, bytes: size_t, flags: c_int) -> Answer<c_int> {
    runtime::cancellation_point();
    let call = |flags: c_int| sys::call(SYS_msgsnd, queue as usize, message as usize, bytes, flags as usize, 0, 0);
    match call(flags | IPC_NOWAIT) {
        WOULD_BLOCK if flags & IPC_NOWAIT == 0 => {
            runtime::announce(Why::Queue(queue));
            long(|| call(flags))
        }
        done => at_once(done),
    }
}

/// `msgrcv`: tried with IPC_NOWAIT, then made in the kernel, with the slot offered. ENOMSG is the try's answer of an empty queue, and the
/// program's with IPC_NOWAIT of its own. EINTR after any handler, as for `msgsnd`; EIDRM when the queue is removed, E2BIG. A cancellation
/// point.
pub unsafe fn msgrcv(queue: c_int, to: *mut c_void, bytes: size_t, kind: c_long, flags: c_int) -> Answer<ssize_t> {
    const NOTHING: isize = -(ENOMSG as isize);
    runtime::cancellation_point();
    let call =
        |flags: c_int| sys::call(SYS_msgrcv, queue as usize, to as usize, bytes, kind as usize, flags as usize, 0);
    match call(flags | IPC_NOWAIT) {
        NOTHING if flags & IPC_NOWAIT == 0 => {
            runtime::announce(Why::Queue(queue));
            long(|| call(flags))
        }
        done => at_once(done),
    }
}

/// Makes an answer of a try's result, without a wait. Other green threads run if the monitor asks for it.
fn at_once<T: TryFrom<isize>>(done: isize) -> Answer<T> {
    runtime::breathe();
    answer(done)
}

/// `semop`: as `semtimedop`, without an end. No cancellation point.
pub unsafe fn semop(set: c_int, operations: *mut sembuf, count: size_t) -> Answer<c_int> {
    semtimedop(set, operations, count, std::ptr::null())
}

/// `semtimedop`: tried with a time of 0, then made in the kernel, with the slot offered. The second call decides which error comes first:
/// the kernel looks at the time before the operations. EINTR after any handler (signal(7)). EAGAIN when the time is up. No cancellation
/// point.
pub unsafe fn semtimedop(set: c_int, operations: *mut sembuf, count: size_t, time: *const timespec) -> Answer<c_int> {
    let call = |time: *const timespec| {
        sys::call(SYS_semtimedop, set as usize, operations as usize, count, time as usize, 0, 0)
    };
    match call(&PAST) {
        done if done >= 0 => at_once(done),
        // A failed try has changed nothing: semaphore operations are done together or not at all (semop(2)).
        _ => {
            runtime::announce(Why::Queue(set));
            long_uncancelled(|| call(time))
        }
    }
}

/// `aio_suspend`: libc's own, in slices of SLICE_NS, between which a cancellation acts. A green thread's cancellation is the
/// library's own, and does not reach into libc's wait. EAGAIN when the time is up, EINTR after a handler of the caller's; a signal of
/// another thread's only ends a slice. A bad time is libc's to refuse. A cancellation point.
pub unsafe fn aio_suspend(list: *const *const aiocb, count: c_int, time: *const timespec) -> Answer<c_int> {
    let until = match time.as_ref().map(moment::nanoseconds) {
        None => None,
        Some(Ok(ns)) => moment::after(ns),
        Some(Err(_)) => return Err(Miss::Libc),
    };
    loop {
        runtime::cancellation_point();
        let left = until.map_or(SLICE_NS, |until| until.saturating_sub(sys::now_ns()));
        let slice = sys::timespec(left.min(SLICE_NS));
        let handled = runtime::current().map(|me| me.handlers());
        let result = runtime::in_libc(|| real::aio_suspend(list, count, &slice));
        let goes_on = match (result, glibc::errno()) {
            (-1, EAGAIN) => left > SLICE_NS || until.is_none(),
            (-1, EINTR) => runtime::current().map(|me| me.handlers()) == handled,
            _ => false,
        };
        if !goes_on {
            return Ok(result);
        }
    }
}

/// `lio_listio`: libc's own, with its errors. Only LIO_WAIT waits: inside libc, with the thread kept on its kernel thread and its
/// slot offered (`in_libc`). LIO_NOWAIT is libc's at once.
pub unsafe fn lio_listio(mode: c_int, list: *const *mut aiocb, count: c_int, event: *mut sigevent) -> Answer<c_int> {
    if mode == LIO_WAIT {
        Ok(runtime::in_libc(|| real::lio_listio(mode, list, count, event)))
    } else {
        Err(Miss::Libc)
    }
}
