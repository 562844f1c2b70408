//! Settings that the kernel keeps for each kernel thread, and that matter where a process or a program begins, not where a thread runs: "no
//! new privileges", the timer slack, "keep capabilities", the I/O priority. A green thread's are kept here and told back; the kernel
//! threads have the process's. They are made true (`apply`)
//! - in what the thread forks, vforks or spawns, before anything else runs there;
//! - when it becomes alone: before it executes a program, sets a filter or user ids, or changes what cannot be kept.
//!
//! A thread begins with its creator's. Who is alone has its own in the kernel, and these are not looked at any more.
//!
//! The signal at the parent's end is another matter: the kernel sends each one that any thread of the process has asked for, to the
//! process. So all kernel threads have the one that was asked for last, as long as a thread lives that asked for one.

use crate::sys::task;
use libc::{PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS, PR_SET_TIMERSLACK};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::*};

// Bits: which of them a thread has of its own.
pub const NO_NEW_PRIVILEGES: u32 = 1;
pub const SLACK: u32 = 2;
pub const CAPABILITIES: u32 = 4;
pub const IO_PRIORITY: u32 = 8;

/// A thread's. It writes them itself, but for the I/O priority and a filter for all, which others may set.
pub struct Settings {
    own: AtomicU32,
    slack_ns: AtomicU64,
    /// What a timer slack of 0 means: its creator's; 0: the process's.
    usual_slack_ns: AtomicU64,
    keeps_capabilities: AtomicU32,
    io_priority: AtomicI32,
    pub death_signal: AtomicI32,
}

impl Settings {
    pub const fn new() -> Settings {
        Settings {
            own: AtomicU32::new(0),
            slack_ns: AtomicU64::new(0),
            usual_slack_ns: AtomicU64::new(0),
            keeps_capabilities: AtomicU32::new(0),
            io_priority: AtomicI32::new(0),
            death_signal: AtomicI32::new(0),
        }
    }

    /// A new thread's.
    pub fn inherit(&self, creator: Option<&Settings>) {
        self.own.store(creator.map_or(0, |creator| creator.own.load(Acquire)), Relaxed);
        self.death_signal.store(0, Relaxed);
        let Some(creator) = creator.filter(|_| self.own.load(Relaxed) != 0) else {
            return self.usual_slack_ns.store(0, Relaxed);
        };
        let slack_ns = creator.own_slack_ns().unwrap_or(0);
        self.slack_ns.store(slack_ns, Relaxed);
        self.usual_slack_ns.store(slack_ns, Relaxed);
        self.keeps_capabilities.store(creator.keeps_capabilities.load(Relaxed), Relaxed);
        self.io_priority.store(creator.io_priority.load(Relaxed), Relaxed);
    }

    fn has(&self, setting: u32) -> bool {
        self.own.load(Acquire) & setting != 0
    }

    pub fn has_no_new_privileges(&self) -> bool {
        self.has(NO_NEW_PRIVILEGES)
    }

    pub fn set_no_new_privileges(&self) {
        self.own.fetch_or(NO_NEW_PRIVILEGES, Release);
    }

    pub fn own_slack_ns(&self) -> Option<u64> {
        self.has(SLACK).then(|| self.slack_ns.load(Relaxed))
    }

    /// 0: the usual one.
    pub fn set_slack_ns(&self, slack_ns: u64) {
        match if slack_ns == 0 { self.usual_slack_ns.load(Relaxed) } else { slack_ns } {
            0 => self.own.fetch_and(!SLACK, Release),
            slack_ns => {
                self.slack_ns.store(slack_ns, Relaxed);
                self.own.fetch_or(SLACK, Release)
            }
        };
    }

    pub fn own_keeps_capabilities(&self) -> Option<bool> {
        self.has(CAPABILITIES).then(|| self.keeps_capabilities.load(Relaxed) != 0)
    }

    pub fn set_keeps_capabilities(&self, keeps: bool) {
        self.keeps_capabilities.store(keeps as u32, Relaxed);
        self.own.fetch_or(CAPABILITIES, Release);
    }

    pub fn own_io_priority(&self) -> Option<i32> {
        self.has(IO_PRIORITY).then(|| self.io_priority.load(Relaxed))
    }

    pub fn set_io_priority(&self, priority: i32) {
        self.io_priority.store(priority, Relaxed);
        self.own.fetch_or(IO_PRIORITY, Release);
    }

    pub fn death_signal(&self) -> i32 {
        self.death_signal.load(Relaxed)
    }

    /// Has it any of its own?
    pub fn differ(&self) -> bool {
        self.own.load(Relaxed) != 0
    }

    /// Gives them to this kernel thread, which is the thread's own: a child's, or one that it is alone with. (Also in a vfork child: calls
    /// of the kernel only.)
    pub fn apply(&self) {
        if !self.differ() {
            return;
        }
        if self.has_no_new_privileges() {
            task::option(PR_SET_NO_NEW_PRIVS, 1);
        }
        if let Some(slack_ns) = self.own_slack_ns() {
            task::option(PR_SET_TIMERSLACK, slack_ns as usize);
        }
        if let Some(keeps) = self.own_keeps_capabilities() {
            task::option(PR_SET_KEEPCAPS, keeps as usize);
        }
        if let Some(priority) = self.own_io_priority() {
            task::set_io_priority(priority);
        }
    }
}
