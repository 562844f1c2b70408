//! Readiness of descriptors: an epoll per slot, each descriptor registered once and edge-triggered, and a record per
//! descriptor number that remembers what the last edge said.
//!
//! What is left out for speed is left out on hints (`record`); here is how waits begin and end.
//!
//! Events carry the record's generation: an epoll keeps a registration while any duplicate of the file lives, and a stale event
//! must not wake the number's next owner. A close moves parked waits to a private duplicate (`vacate`), because natively a
//! blocked call keeps its file.

use crate::base::own_fds::{self, is_own, own_lowest};
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::news::peer;
use crate::runtime::news::reactor::stir_all;
use crate::runtime::news::record::{self, known_record, known_stretches, record, FdWait, Hints, Record, IN, OUT};
use crate::runtime::news::waiter::{Batch, News, Ticket, Token};
use crate::runtime::sched::slots;
use crate::runtime::signal::frames;
use crate::runtime::waiting::call::{announce, Length};
use crate::runtime::waiting::wait::{wait as wait_for, Cancel, Deadline, Woken};
use crate::runtime::waiting::{cancel, yielding};
use crate::sys;
use crate::why::Why;

use std::cell::Cell;
use std::sync::atomic::Ordering::*;

/// What `arm` found.
enum Armed {
    Waiting,
    /// An event came since the try began: try again.
    TryAgain,
    /// Epoll does not take this descriptor.
    Refused,
}

/// Puts one wait in place, whose try began when the hints were these.
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

fn disarm(wait: &FdWait) {
    loop {
        // SAFETY: records are never freed; a wait's record changes only under the lock of the one it is in (`vacate`).
        let Some(record) = (unsafe { wait.record.get().as_ref() }) else { return };
        // Dismissed, and its waiter is a green thread's, which outlives the wait: nobody looks at it any more.
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

/// Waits until a descriptor may be ready, after a try that began when the hints were `before`. For one that epoll refuses the answer
/// is `NotNeeded` at once.
#[inline]
pub fn wait(why: Why, one: FdWait, before: Hints, deadline: Deadline) -> (Woken, i32) {
    if current().is_none_or(frames::is_bound) {
        announce(why);
        return (wait_in_kernel(one.fd, one.interest, deadline), -1);
    }
    let mut early = None;
    let enqueue = |ticket| match arm(&one, ticket, Some(before)) {
        Armed::Waiting => true,
        Armed::TryAgain => {
            early = Some(Woken::Ready(Token::PLAIN));
            false
        }
        Armed::Refused => false,
    };
    let woken = wait_for(why, Cancel::Tell, deadline, enqueue, || disarm(&one));
    (early.unwrap_or(woken), one.moved.get())
}

/// The descriptor was closed during this wait on several: the next look finds that.
fn release_move(wait: &FdWait) {
    let duplicate = wait.moved.replace(-1);
    if duplicate >= 0 {
        release_duplicate(duplicate);
    }
}

/// Waits for any of `count` descriptors; `must_wait` looks at them once everything is in place. `NotNeeded` although it said that
/// there is something to wait for: epoll does not take one of them.
///
/// Few waits are made on the stack, many in memory of ours, as they are put in place: it is given back when they are taken away, before
/// the program's code can run, which may not come back (a cancellation, a jump out of a handler).
pub fn wait_many<I: Iterator<Item = FdWait>>(
    count: usize,
    waits: impl Fn() -> I,
    deadline: Deadline,
    must_wait: impl FnOnce() -> bool,
) -> Woken {
    const FEW: usize = 16;
    match count {
        0..=1 => wait_in(Why::Poll(count), [waits().next().unwrap_or(FdWait::new(-1, 0))], deadline, must_wait),
        2..=FEW => {
            let mut waits = waits();
            let few: [FdWait; FEW] = std::array::from_fn(|_| waits.next().unwrap_or(FdWait::new(-1, 0)));
            wait_in(Why::Poll(count), few, deadline, must_wait)
        }
        _ => {
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
            wait_for(Why::Poll(count), Cancel::Act, deadline, enqueue, || disarm_all(&many.take()))
        }
    }
}

fn wait_in<const N: usize>(
    why: Why,
    waits: [FdWait; N],
    deadline: Deadline,
    must_wait: impl FnOnce() -> bool,
) -> Woken {
    wait_for(why, Cancel::Act, deadline, |ticket| arm_all(&waits, ticket, must_wait), || disarm_all(&waits))
}

fn arm_all(waits: &[FdWait], ticket: Ticket, must_wait: impl FnOnce() -> bool) -> bool {
    let mut refused = false;
    for wait in waits.iter().filter(|wait| wait.fd >= 0) {
        refused |= matches!(arm(wait, ticket, None), Armed::Refused);
    }
    must_wait() && !refused
}

fn disarm_all(waits: &[FdWait]) {
    waits.iter().for_each(disarm);
    waits.iter().for_each(release_move);
}

/// A pinned green thread waits in the kernel.
#[cold]
fn wait_in_kernel(fd: i32, interest: u32, deadline: Deadline) -> Woken {
    let mut one = [libc::pollfd { fd, events: interest as i16, revents: 0 }];
    match cancel::block_for(Length::Long, || sys::poll(&mut one, deadline)) {
        Ok(0) => Woken::TimedOut,
        Ok(_) => Woken::Ready(Token::PLAIN),
        Err(_) => Woken::Interrupted,
    }
}

/// The call that went on with a private duplicate is over.
pub fn release_duplicate(fd: i32) {
    forget(fd);
    own_fds::remove(fd);
    sys::close(fd);
}

/// The descriptor on which a thread waited is not needed any more (if its wait was left by a jump: at its end).
pub fn release_private(me: &Green) {
    let fd = me.private_fd.replace(-1);
    if fd >= 0 {
        release_duplicate(fd);
    }
}

/// Drops all that is known of a number that was closed or reused outside `close`, and wakes the waits that were registered on the old file:
/// they try again. Mostly nothing is known, for the close has seen to that.
#[inline]
pub fn forget(fd: i32) {
    if let Some(record) = known_record(fd).filter(|record| !record.is_blank(fd)) {
        forget_all(record, fd);
    }
}

fn forget_all(record: &'static Record, fd: i32) {
    let batch = Batch::new();
    record.lock.with(|| {
        record.let_all_try(&batch);
        record.reset(fd);
    });
    batch.release(slots::wake);
}

/// The real close is over.
#[inline]
pub fn closed(fd: i32) {
    if let Some(record) = known_record(fd).filter(|record| record.registered.load(SeqCst) != 0) {
        forget_all(record, fd);
    }
}

/// Wakes every wait for a descriptor: something happened to it of which epoll may say nothing.
pub fn stir(fd: i32) {
    if let Some(record) = known_record(fd) {
        let batch = Batch::new();
        record.event(IN | OUT, &batch);
        batch.release(slots::wake);
    }
}

/// The same for every number of which the hooks know this.
pub fn stir_those(known: impl Fn(u64) -> bool) {
    let batch = Batch::new();
    stir_all(known, &batch);
    batch.release(slots::wake);
}

/// Before the real close: parked waits go on on a private duplicate, as natively a blocked call keeps its file. A call that is between two
/// tries parks first, or ends.
pub fn vacate(fd: i32) {
    /// A call that holds on for longer does not come back (its thread left it by an exception out of a signal handler; a jump lets go).
    const PATIENCE_NS: u64 = 20_000_000;
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
            until_ns = sys::now_ns() + PATIENCE_NS;
        }
        yielding::yield_now();
    }
}

/// The same for every number from `first` to `last`.
pub fn vacate_range(first: u32, last: u32) {
    for stretch in known_stretches(first, last) {
        stretch.filter(|&fd| !is_own(fd)).for_each(vacate);
    }
}

/// Under the lock of `from`.
#[cold]
fn move_waits(from: &Record, fd: i32) {
    // SAFETY: under the lock of `from`, and of each duplicate's record: nodes are alive while they are in a list.
    unsafe {
        while let Some(wait) = from.waiting.load(Relaxed).as_ref() {
            from.unlink(wait);
            let Some((duplicate, to)) = private_duplicate(fd) else {
                // No descriptor to be had: the wait ends, and its retry answers EBADF.
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

fn private_duplicate(fd: i32) -> Option<(i32, &'static Record)> {
    let duplicate = sys::duplicate_high(fd, own_lowest()).ok()?;
    own_fds::insert(duplicate);
    Some((duplicate, record(duplicate)?))
}

/// In a fork child: the parent's registrations are not ours, and its waiters are not here.
pub fn after_fork() {
    own_fds::after_fork();
    record::after_fork();
}

/// Something was sent: a reader that waits at the other end is ready. While a slot sleeps, that slot is the one to run the reader, for its
/// reactor wakes it.
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
