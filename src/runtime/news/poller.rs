//! The pollers: an epoll for each slot, with an eventfd that wakes the worker that sleeps in it.
//!
//! A poller is made with its slot's number, before the slot, and lives as long as the process. Its slot's owner sleeps in it
//! (`reactor::poll`), or the monitor looks into it where the slot is vacant; any thread registers descriptors and wakes the sleeper.

use crate::base::kept::Kept;
use crate::base::own_fds;
use crate::sys::{self, older};
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::*;

/// An epoll, and its wake-up.
pub struct Poller {
    epoll: i32,
    wake: i32,
}

impl Poller {
    /// The mark of the wake-up among the events.
    pub const WAKE: u64 = u64::MAX;
    /// The mark of the descriptor that says that there are signals to hand out.
    pub const SIGNAL: u64 = u64::MAX - 1;

    /// A poller that `signals`, a descriptor, wakes as well; an error number otherwise. Its descriptors are among the library's own.
    pub fn new(signals: i32) -> Result<Poller, i32> {
        let epoll = own_fds::keep(older::epoll_create()?);
        let wake = own_fds::keep(older::event_fd()?);
        sys::epoll_control(epoll, libc::EPOLL_CTL_ADD, wake, libc::EPOLLIN as u32, Poller::WAKE)?;
        // An edge for each signal that comes, at one of the pollers that sleep.
        let edges = (libc::EPOLLIN | libc::EPOLLET | libc::EPOLLEXCLUSIVE) as u32;
        sys::epoll_control(epoll, libc::EPOLL_CTL_ADD, signals, edges, Poller::SIGNAL)?;
        Ok(Poller { epoll, wake })
    }

    /// The epoll's descriptor: where descriptors are registered, and readable when there are events.
    #[inline]
    pub fn epoll(&self) -> i32 {
        self.epoll
    }

    /// Makes the eventfd unreadable again. Called by the sleeper that has seen the wake-up.
    pub fn clear(&self) {
        sys::event_clear(self.wake);
    }

    /// Ends a sleep in `reactor::poll`, or the next one. Called on any thread: one system call.
    pub fn wake(&self) {
        sys::event_signal(self.wake);
    }
}

/// All pollers, by their slots' numbers; made when the runtime starts. A fork child makes others when it starts.
static POLLERS: Kept<AtomicPtr<Vec<Poller>>> = Kept::new(AtomicPtr::new(std::ptr::null_mut()));

/// Makes `count` pollers; an error number where descriptors are not to be had. Called by the start, while there is one thread.
pub fn make_all(count: usize, signals: i32) -> Result<(), i32> {
    let pollers: Result<Vec<Poller>, i32> = (0..count).map(|_| Poller::new(signals)).collect();
    POLLERS.store(Box::into_raw(Box::new(pollers?)), Release);
    Ok(())
}

/// Frees the pollers of a start that has failed. Their descriptors are among the library's own, which `own_fds::close_all` closes.
pub fn unmake_all() {
    let pollers = POLLERS.swap(std::ptr::null_mut(), AcqRel);
    if !pollers.is_null() {
        // SAFETY: `make_all` has boxed them, and there is one thread, which uses none.
        drop(unsafe { Box::from_raw(pollers) });
    }
}

/// The poller of slot `number`. Called once they are made; aborts for a number that no slot has.
#[inline]
pub fn of(number: usize) -> &'static Poller {
    // SAFETY: made by the start, before there is a slot, and never freed after that.
    unsafe { &(&(*POLLERS.load(Acquire)))[number] }
}
