//! The pollers: an epoll for each slot, with an eventfd that wakes who sleeps in it, and what is done when the process was stopped.

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
    /// The marks of the wake descriptor and of that which tells of signals, among the events.
    pub const WAKE: u64 = u64::MAX;
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

    /// The wake-up has been seen.
    pub fn clear(&self) {
        sys::event_clear(self.wake);
    }

    /// Ends a sleep in `reactor::poll`, or the next one.
    pub fn wake(&self) {
        sys::event_signal(self.wake);
    }
}

/// All pollers, by their slots' numbers; made when the runtime starts.
static POLLERS: AtomicPtr<Vec<Poller>> = AtomicPtr::new(std::ptr::null_mut());

/// Makes `count` pollers; an error number where descriptors are not to be had. Called by the start, while there is one thread.
pub fn make_all(count: usize, signals: i32) -> Result<(), i32> {
    let pollers: Result<Vec<Poller>, i32> = (0..count).map(|_| Poller::new(signals)).collect();
    POLLERS.store(Box::into_raw(Box::new(pollers?)), Release);
    Ok(())
}

/// The start has failed. (The pollers' descriptors are among the library's own, which are closed.)
pub fn unmake_all() {
    let pollers = POLLERS.swap(std::ptr::null_mut(), AcqRel);
    if !pollers.is_null() {
        // SAFETY: made by `make_all`, and nothing runs that knows them.
        drop(unsafe { Box::from_raw(pollers) });
    }
}

/// The poller of slot `number`, once they are made.
#[inline]
pub fn of(number: usize) -> &'static Poller {
    // SAFETY: made by the start, before there is a slot, and never freed after that.
    unsafe { &(&(*POLLERS.load(Acquire)))[number] }
}
