//! Settings that the kernel keeps for each kernel thread, kept here for each green thread.
//!
//! These settings matter where a process or a program begins, not where a thread runs: "no new privileges", the timer slack, "keep
//! capabilities", the I/O priority. The kernel threads have the process's. A green thread's are made true (`apply`)
//! - in what the thread forks, vforks or spawns, before anything else runs there;
//! - when it becomes alone: before it executes a program, sets a filter or user ids, or changes what cannot be kept.
//!
//! A thread begins with its creator's. A thread that is alone has its settings in the kernel, and these are not looked at any more.
//!
//! The signal at the parent's end is kept here and shared by all kernel threads (`death_signal`).

use crate::sys::task;
use libc::{PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS, PR_SET_TIMERSLACK};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::*};

/// The bits of `own`, each a setting that the thread has of its own: "no new privileges".
pub const NO_NEW_PRIVILEGES: u32 = 1;
/// The timer slack.
pub const SLACK: u32 = 2;
/// "Keep capabilities".
pub const CAPABILITIES: u32 = 4;
/// The I/O priority.
pub const IO_PRIORITY: u32 = 8;

/// A green thread's settings. The thread writes them itself; other threads may set the I/O priority and, with a filter for all threads, "no
/// new privileges". A value is stored before its bit in `own` (Release), and read after it (Acquire).
pub struct Settings {
    own: AtomicU32,
    slack_ns: AtomicU64,
    /// The slack that a wish for 0 means: the creator's; 0: the process's.
    usual_slack_ns: AtomicU64,
    keeps_capabilities: AtomicU32,
    io_priority: AtomicI32,
    /// The signal at the parent's end that it has asked for; 0: none.
    pub death_signal: AtomicI32,
}

impl Settings {
    /// Settings of which none is the thread's own.
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

    /// Sets a new thread's: its creator's. Called before the thread is ready.
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

    /// Has it "no new privileges" of its own?
    pub fn has_no_new_privileges(&self) -> bool {
        self.has(NO_NEW_PRIVILEGES)
    }

    /// Sets "no new privileges", which is never taken back.
    pub fn set_no_new_privileges(&self) {
        self.own.fetch_or(NO_NEW_PRIVILEGES, Release);
    }

    /// Its own timer slack in nanoseconds; `None`: the process's.
    pub fn own_slack_ns(&self) -> Option<u64> {
        self.has(SLACK).then(|| self.slack_ns.load(Relaxed))
    }

    /// Sets the timer slack in nanoseconds; 0: the usual one.
    pub fn set_slack_ns(&self, slack_ns: u64) {
        match if slack_ns == 0 { self.usual_slack_ns.load(Relaxed) } else { slack_ns } {
            0 => self.own.fetch_and(!SLACK, Release),
            slack_ns => {
                self.slack_ns.store(slack_ns, Relaxed);
                self.own.fetch_or(SLACK, Release)
            }
        };
    }

    /// Its own "keep capabilities"; `None`: the process's.
    pub fn own_keeps_capabilities(&self) -> Option<bool> {
        self.has(CAPABILITIES).then(|| self.keeps_capabilities.load(Relaxed) != 0)
    }

    /// Sets "keep capabilities".
    pub fn set_keeps_capabilities(&self, keeps: bool) {
        self.keeps_capabilities.store(keeps as u32, Relaxed);
        self.own.fetch_or(CAPABILITIES, Release);
    }

    /// Its own I/O priority; `None`: the process's.
    pub fn own_io_priority(&self) -> Option<i32> {
        self.has(IO_PRIORITY).then(|| self.io_priority.load(Relaxed))
    }

    /// Sets the I/O priority. Called on any thread.
    pub fn set_io_priority(&self, priority: i32) {
        self.io_priority.store(priority, Relaxed);
        self.own.fetch_or(IO_PRIORITY, Release);
    }

    /// The signal at the parent's end that it has asked for; 0: none.
    pub fn death_signal(&self) -> i32 {
        self.death_signal.load(Relaxed)
    }

    /// Has it any setting of its own?
    pub fn differ(&self) -> bool {
        self.own.load(Relaxed) != 0
    }

    /// Gives them to this kernel thread, which is the thread's own: a child's, or one that it is alone with. Makes system calls only, so a
    /// vfork child may call it.
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
