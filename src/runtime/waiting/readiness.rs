//! Readiness of descriptors: an epoll per slot, each descriptor registered once and edge-triggered, and a record per
//! descriptor number that remembers what the last edge said.
//!
//! `record` keeps the hints on which system calls are left out; this file is how waits begin and end. A wait for a descriptor:
//!
//! ```text
//!   from      to         by
//!   (begun)   linked     arm, under the record's lock, if no event came since the try began
//!   linked    fired      the reactor, a peer's send, a close: dismissed from the list first, under the lock
//!   linked    moved      vacate: to the record of a private duplicate, under both locks
//!   moved     fired      as a linked one is, by the duplicate's record
//!   linked    (over)     disarm, by the waiting thread: unlinked under the lock of the record that the wait is in by then
//!   fired     (over)     disarm, without a lock where the waiter outlives the wait
//! ```
//!
//! Events carry the record's generation: an epoll keeps a registration while any duplicate of the file lives, and a stale event
//! must not wake the number's next owner. A close moves parked waits to a private duplicate (`vacate`), because natively a
//! blocked call keeps its file.

use crate::base::own_fds::{self, is_own, own_lowest};
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::news::peer;
use crate::runtime::news::reactor::stir_all;
use crate::runtime::news::record::{known_record, known_stretches, record, FdWait, Hints, Record, IN, OUT};
use crate::runtime::news::waiter::{Batch, News, Ticket, Token};
use crate::runtime::sched::slots;
use crate::runtime::signal::frames;
use crate::runtime::waiting::call::{announce, Length};
use crate::runtime::waiting::lending::{self, Context};
use crate::runtime::waiting::wait::{wait as wait_for, Cancel, Deadline, End, Woken};
use crate::runtime::waiting::{cancel, yielding};
use crate::sys;
use crate::why::Why;

use std::cell::Cell;
use std::sync::atomic::Ordering::*;

/// The outcome of `arm`.
enum Armed {
    /// The wait is linked, and an event will fire it.
    Waiting,
    /// An event came since the try began: try again.
    TryAgain,
    /// Epoll does not take this descriptor.
    Refused,
}

/// Links one wait into its descriptor's record, and registers the descriptor if need be. Called by the waiting thread, with its waiter
/// armed and the guard up. `before`: the hints when its try began; `None`: the caller looks at the file once more by itself.
fn arm(wait: &FdWait, ticket: Ticket, before: Option<Hints>) -> Armed {
    let Some(record) = record(wait.fd) else { return Armed::Refused };
    wait.ticket.set(ticket);
    record.lock.with(|| {
        if !record.register(wait.fd, wait.interest, slots::slot_number) {
            return Armed::Refused;
        }
        // SAFETY: under the lock; the wait stays in place until `disarm`.
        unsafe { record.link(wait) };
        slots::verify_later(wait.fd, record.guesses());
        match before {
            Some(before) if !record.is_as(before, wait.interest) => Armed::TryAgain,
            _ => Armed::Waiting,
        }
    })
}

/// Takes a wait out of whatever record it is in by now, if it still is in one. Called by the waiting thread, before its frame ends.
fn disarm(wait: &FdWait) {
    loop {
        // SAFETY: records are never freed; a wait's record changes only under the lock of the one it is in (`vacate`).
        let Some(record) = (unsafe { wait.record.get().as_ref() }) else { return };
        // A dismissed wait of a waiter that outlives it (a green thread's): no other thread touches the wait any more.
        if !wait.queued.load(Acquire) && wait.ticket.get().outlives() {
            return;
        }
        let done = record.lock.with(|| {
            if !std::ptr::eq(wait.record.get(), record) {
                return false;
            }
            if wait.queued.load(Relaxed) {
                // SAFETY: under the lock of its record.
                unsafe { record.unlink(wait) };
            }
            true
        });
        if done {
            return;
        }
    }
}

/// Waits until a descriptor may be ready, after a try that began when the hints were `before`.
///
/// Called on any thread, with no lock held; a foreign or bound one waits in the kernel. Returns how the wait ended, and the private
/// duplicate on which the call goes on where the number was closed meanwhile (-1: none), which the caller gives to `release_duplicate`. For
/// a descriptor that epoll refuses the answer is `NotNeeded` at once. A pending cancellation is told, not acted on.
#[inline]
pub fn wait(why: Why, one: FdWait, before: Hints, deadline: Deadline) -> (Woken, i32) {
    if current().is_none_or(frames::is_bound) {
        announce(why);
        return (wait_in_kernel(one.fd, one.interest, deadline), -1);
    }
    if let Some(context) = lending::context(why) {
        return wait_in_context(context, one, before, deadline);
    }
    let mut early = None;
    let enqueue = |ticket| arm_after(&one, ticket, before, &mut early);
    let woken = wait_for(why, Cancel::Tell, deadline, enqueue, || disarm(&one));
    (early.unwrap_or(woken), one.moved.get())
}

/// Waits as `wait` does, in a context.
#[cold]
fn wait_in_context(context: Context, one: FdWait, before: Hints, deadline: Deadline) -> (Woken, i32) {
    let one = context.place.put_fd(one);
    let mut early = None;
    let woken = context.wait(deadline, |ticket| arm_after(one, ticket, before, &mut early), |_| disarm(one));
    (early.unwrap_or(woken), one.moved.get())
}

/// Arms a wait whose try began when the hints were `before`. False: there is nothing to wait for, and `early` says so where an event came
/// since.
#[inline]
fn arm_after(one: &FdWait, ticket: Ticket, before: Hints, early: &mut Option<Woken>) -> bool {
    match arm(one, ticket, Some(before)) {
        Armed::Waiting => true,
        Armed::TryAgain => {
            *early = Some(Woken::Ready(Token::PLAIN));
            false
        }
        Armed::Refused => false,
    }
}

/// Closes the private duplicate that a wait on several descriptors was moved to, if it was. The number was closed meanwhile: the poll's
/// next look finds that.
fn release_move(wait: &FdWait) {
    let duplicate = wait.moved.replace(-1);
    if duplicate >= 0 {
        release_duplicate(duplicate);
    }
}

/// Waits for any of `count` descriptors; `must_wait` looks at them once everything is in place. A cancellation point. Called on any thread,
/// with no lock held. `NotNeeded` although `must_wait` said yes: epoll does not take one of them, or there is no memory.
///
/// Up to `FEW` waits are made on the stack, more of them in memory of the library's, as they are put in place. That memory is given back
/// when they are taken away, before the program's code can run: that code may not come back (a cancellation, a jump out of a handler).
pub fn wait_many<I: Iterator<Item = FdWait>>(
    count: usize,
    waits: impl Fn() -> I,
    deadline: Deadline,
    must_wait: impl FnOnce() -> bool,
) -> Woken {
    const FEW: usize = 16;
    let context = lending::context(Why::Poll(count));
    match count {
        _ if context.is_some() => wait_on_heap(context, count, waits, deadline, must_wait),
        0..=1 => wait_in(Why::Poll(count), [waits().next().unwrap_or(FdWait::new(-1, 0))], deadline, must_wait),
        2..=FEW => {
            let mut waits = waits();
            let few: [FdWait; FEW] = std::array::from_fn(|_| waits.next().unwrap_or(FdWait::new(-1, 0)));
            wait_in(Why::Poll(count), few, deadline, must_wait)
        }
        _ => wait_on_heap(None, count, waits, deadline, must_wait),
    }
}

/// Waits as `wait_many` does, with waits in memory of the library's; in a context, if one is given.
fn wait_on_heap<I: Iterator<Item = FdWait>>(
    context: Option<Context>,
    count: usize,
    waits: impl Fn() -> I,
    deadline: Deadline,
    must_wait: impl FnOnce() -> bool,
) -> Woken {
    let many = Cell::new(Vec::new());
    let enqueue = |ticket| {
        let mut made = Vec::new();
        // Without memory the kernel waits.
        let room = made.try_reserve_exact(count).is_ok();
        if room {
            made.extend(waits().take(count));
        }
        let waits_on = arm_all(&made, ticket, must_wait);
        many.set(made); // The waits themselves stay where they are.
        waits_on && room
    };
    let Some(context) = context else {
        return wait_for(Why::Poll(count), Cancel::Act, deadline, enqueue, || disarm_all(&many.take()));
    };
    let mut is_shut = false;
    let woken = context.wait(deadline, enqueue, |end| {
        let many = many.take();
        if end == Some(End::Shutdown) {
            is_shut = shut_all(&many);
        }
        disarm_all(&many);
    });
    if is_shut {
        Woken::FalseAlarm
    } else {
        woken
    }
}

/// Waits for any of the descriptors in `waits`, which lie in this frame; those with a negative number are passed over.
fn wait_in<const N: usize>(
    why: Why,
    waits: [FdWait; N],
    deadline: Deadline,
    must_wait: impl FnOnce() -> bool,
) -> Woken {
    wait_for(why, Cancel::Act, deadline, |ticket| arm_all(&waits, ticket, must_wait), || disarm_all(&waits))
}

/// Arms every wait, then asks `must_wait`. False: there is nothing to wait for, or epoll refused one of them.
fn arm_all(waits: &[FdWait], ticket: Ticket, must_wait: impl FnOnce() -> bool) -> bool {
    let mut refused = false;
    for wait in waits.iter().filter(|wait| wait.fd >= 0) {
        refused |= matches!(arm(wait, ticket, None), Armed::Refused);
    }
    must_wait() && !refused
}

/// Shuts down what a wait about several descriptors waits for. False: none of it can be shut down. A close may have moved some of them.
#[cold]
fn shut_all(waits: &[FdWait]) -> bool {
    let mut is_shut = false;
    for wait in waits {
        let fd = if wait.moved.get() >= 0 { wait.moved.get() } else { wait.fd };
        is_shut |= shut(fd, waits.len() > 1);
    }
    is_shut
}

/// Shuts a connection down in both directions, and wakes who waits for it. False: this is no socket that connects to another and keeps the
/// connection, it listens, or it has no connection. `beside_others`: nor is it one of a pair (socketpair), by which libraries wake
/// themselves. Called by who ends a wait of a context, under no lock.
#[cold]
pub fn shut(fd: i32, beside_others: bool) -> bool {
    let option = |name| sys::socket_option(fd, name, 0);
    let connects = matches!(option(libc::SO_TYPE), Ok(libc::SOCK_STREAM | libc::SOCK_SEQPACKET));
    if !connects || option(libc::SO_ACCEPTCONN) != Ok(0) || beside_others && is_of_pair(fd) {
        return false;
    }
    let is_shut = sys::shut_down(fd);
    if is_shut {
        stir(fd);
    }
    is_shut
}

/// Is this a local socket of which neither end has a name? One end of a connection that was accepted has the listener's.
fn is_of_pair(fd: i32) -> bool {
    /// The bytes of a name that is none: a family.
    const UNNAMED: Result<usize, i32> = Ok(2);
    let mut name = [0; 128];
    sys::socket_address(fd, &mut name) == UNNAMED && sys::socket_peer(fd, &mut name) == UNNAMED
}

/// Disarms every wait first, and closes duplicates only then: a close takes locks of records, and may wake.
fn disarm_all(waits: &[FdWait]) {
    waits.iter().for_each(disarm);
    waits.iter().for_each(release_move);
}

/// Waits by the kernel's poll: for foreign threads and bound green ones. A cancellation point.
#[cold]
fn wait_in_kernel(fd: i32, interest: u32, deadline: Deadline) -> Woken {
    let mut one = [libc::pollfd { fd, events: interest as i16, revents: 0 }];
    match cancel::block_for(Length::Long, || sys::poll(&mut one, deadline)) {
        Ok(0) => Woken::TimedOut,
        Ok(_) => Woken::Ready(Token::PLAIN),
        Err(_) => Woken::Interrupted,
    }
}

/// Closes a private duplicate: the call that went on with it is over. Called by that call, on its thread.
pub fn release_duplicate(fd: i32) {
    forget(fd);
    own_fds::remove(fd);
    sys::close(fd);
}

/// Closes the private duplicate that the thread's call went on with, if there is one. Called at the end of the call. A call that was left
/// by a jump has not done so: then called at the thread's end.
pub fn release_private(me: &Green) {
    let fd = me.wait.private_fd.replace(-1);
    if fd >= 0 {
        release_duplicate(fd);
    }
}

/// Drops all that is known of a number that was closed or reused outside `close`, and wakes the waits that were registered on the old file:
/// they try again. Mostly nothing is known, for the close has seen to that. Called by hooks that return a new descriptor; takes the
/// record's lock only where something is known.
#[inline]
pub fn forget(fd: i32) {
    if let Some(record) = known_record(fd).filter(|record| !record.is_blank(fd)) {
        forget_all(record, fd);
    }
}

/// Resets the record and fires every wait in it, under its lock; the threads are made ready after that.
fn forget_all(record: &'static Record, fd: i32) {
    let batch = Batch::new();
    record.lock.with(|| {
        record.let_all_try(&batch);
        record.reset(fd);
    });
    batch.release(slots::wake);
}

/// Forgets a number after the real close: a wait may have registered it between `vacate` and the close. Called by the hook of close.
#[inline]
pub fn closed(fd: i32) {
    if let Some(record) = known_record(fd).filter(|record| record.registered.load(SeqCst) != 0) {
        forget_all(record, fd);
    }
}

/// Wakes every wait for a descriptor: something happened to it of which epoll may say nothing. Called by hooks, under no lock.
pub fn stir(fd: i32) {
    if let Some(record) = known_record(fd) {
        let batch = Batch::new();
        record.event(IN | OUT, &batch);
        batch.release(slots::wake);
    }
}

/// Wakes the waits for every descriptor whose `info`, the hooks' word of it, satisfies `known`. Called by hooks, under no lock.
pub fn stir_those(known: impl Fn(u64) -> bool) {
    let batch = Batch::new();
    stir_all(known, &batch);
    batch.release(slots::wake);
}

/// Makes a number free for its real close: parked waits go on on a private duplicate, as natively a blocked call keeps its file. Called by
/// hooks before the close, on a thread that may yield, under no lock. A close and the calls on its file:
///
/// 1. A call that keeps its file between tries has counted itself (`hold`) before its first try.
/// 2. The close moves the waits that are linked, and their counts with them, under the record's lock.
/// 3. While calls are left that are counted and not parked, the close yields and looks again: each parks (2), or ends (`let_go`).
/// 4. After `HELD_NS` the close gives those up, and resets the record.
pub fn vacate(fd: i32) {
    /// How long a call may hold on to the file, in nanoseconds. A call that takes longer does not come back: its thread left it by an
    /// exception out of a signal handler (a jump lets go).
    const HELD_NS: u64 = 20_000_000;
    let Some(record) = known_record(fd) else { return };
    let mut until_ns = 0;
    loop {
        let done = record.lock.with(|| {
            if record.is_waited_for() {
                move_waits(record, fd);
            }
            let done = !record.is_held() || until_ns != 0 && sys::now_ns() > until_ns;
            if done {
                record.reset(fd);
            }
            done
        });
        if done {
            return;
        }
        if until_ns == 0 {
            until_ns = sys::now_ns() + HELD_NS;
        }
        yielding::yield_now();
    }
}

/// Vacates every number from `first` to `last` that is the program's: close_range. Called as `vacate` is.
pub fn vacate_range(first: u32, last: u32) {
    for stretch in known_stretches(first, last) {
        stretch.filter(|&fd| !is_own(fd)).for_each(vacate);
    }
}

/// Moves every wait from the record `from` of `fd` to a private duplicate each. Called under the lock of `from`; takes each duplicate's
/// inside. Where no descriptor is to be had the wait is fired: its call tries again, and answers EBADF.
#[cold]
fn move_waits(from: &Record, fd: i32) {
    // SAFETY: under the lock of `from`, and of each duplicate's record: nodes are alive while they are in a list.
    unsafe {
        while let Some(wait) = from.waiting.load(Relaxed).as_ref() {
            from.unlink(wait);
            let Some((duplicate, to)) = private_duplicate(fd) else {
                let batch = Batch::new();
                batch.take(wait.ticket.get().fire(News::Ready(Token::PLAIN)));
                batch.release(slots::wake);
                continue;
            };
            to.lock.with(|| {
                to.reset(duplicate);
                if wait.holds {
                    from.let_go();
                    to.hold();
                }
                wait.moved.set(duplicate);
                to.link(wait);
                to.register(duplicate, wait.interest, slots::slot_number);
            });
        }
    }
}

/// Duplicates a descriptor among the library's own numbers; `None`: no descriptor, or no memory for its record.
fn private_duplicate(fd: i32) -> Option<(i32, &'static Record)> {
    let duplicate = sys::duplicate_high(fd, own_lowest()).ok()?;
    own_fds::insert(duplicate);
    Some((duplicate, record(duplicate)?))
}

/// Makes a reader ready that waits at the other end of `fd`, into which something was sent. Called by hooks after a send, under no lock.
/// Does nothing while some slot sleeps: its reactor will be woken by the event, and runs the reader there.
#[inline]
pub fn reach_peer(fd: i32) {
    let Some((peer, generation)) = peer::of(fd) else { return };
    let Some(record) = record(peer) else { return };
    if record.generation.load(Relaxed) == generation && record.is_waited_for() && !slots::any_asleep() {
        let batch = Batch::new();
        record.event(IN, &batch);
        batch.release(slots::wake);
    }
}
