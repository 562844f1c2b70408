//! Policy, priority and nice value of a green thread: kept and told as natively, by the kernel's rules of who may change them, but not
//! applied, for its kernel thread is other threads' too; but a process that it forks has them. What nobody has changed is the
//! process's own.

use crate::sys;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// Nobody has changed it.
const AS_PROCESS: i32 = i32::MIN;

pub struct Schedule {
    policy: AtomicI32,
    priority: AtomicI32,
    nice: AtomicI32,
}

/// sched.h: threads made by this one start ordinary.
pub const RESET_ON_FORK: i32 = 0x4000_0000;
const HIGHEST_PRIORITY: i32 = 99;

pub fn is_real_time(policy: i32) -> bool {
    policy == libc::SCHED_FIFO || policy == libc::SCHED_RR
}

/// A nice value counts only with these.
fn is_fair(policy: i32) -> bool {
    policy == libc::SCHED_OTHER || policy == libc::SCHED_BATCH
}

impl Schedule {
    pub const fn new() -> Schedule {
        Schedule { policy: AtomicI32::new(AS_PROCESS), priority: AtomicI32::new(0), nice: AtomicI32::new(AS_PROCESS) }
    }

    /// A new thread has its creator's, or the process's.
    pub fn inherit(&self, creator: Option<&Schedule>) {
        let [policy, priority, nice] = creator.map_or([AS_PROCESS, 0, AS_PROCESS], |creator| {
            [&creator.policy, &creator.priority, &creator.nice].map(|word| word.load(Relaxed))
        });
        let reset = policy != AS_PROCESS && policy & RESET_ON_FORK != 0;
        self.policy.store(if reset { libc::SCHED_OTHER } else { policy }, Relaxed);
        self.priority.store(if reset { 0 } else { priority }, Relaxed);
        self.nice.store(if reset { nice.max(0) } else { nice }, Relaxed);
    }

    /// In a fork child: its kernel thread is this thread's own.
    pub fn apply(&self) {
        let (policy, nice) = (self.policy.load(Relaxed), self.nice.load(Relaxed));
        if policy != AS_PROCESS {
            sys::set_policy(policy, self.priority.load(Relaxed));
        }
        if nice != AS_PROCESS {
            sys::set_nice(nice);
        }
    }

    /// As sched_getscheduler tells it, with its flag.
    pub fn policy(&self) -> i32 {
        match self.policy.load(Relaxed) {
            AS_PROCESS => sys::policy_of(sys::process_id()),
            policy => policy,
        }
    }

    pub fn priority(&self) -> i32 {
        match self.policy.load(Relaxed) {
            AS_PROCESS => sys::priority_of(sys::process_id()),
            _ => self.priority.load(Relaxed),
        }
    }

    pub fn nice(&self) -> i32 {
        match self.nice.load(Relaxed) {
            AS_PROCESS => sys::nice_of(sys::process_id()),
            nice => nice,
        }
    }

    /// setpriority: what is out of range is the nearest, and only the privileged lower it.
    pub fn set_nice(&self, nice: i32) -> Result<(), i32> {
        let nice = nice.clamp(-20, 19);
        if nice < self.nice() && !may_have_nice(nice) {
            return Err(libc::EACCES);
        }
        self.nice.store(nice, Relaxed);
        Ok(())
    }

    /// sched_setscheduler.
    pub fn set(&self, policy: i32, priority: i32) -> Result<(), i32> {
        self.set_all(policy, priority, None)
    }

    /// sched_setattr: a nice value, too, which counts with an ordinary policy (rules: the kernel's kernel/sched/syscalls.c). What is so
    /// already is not noted: it stays the process's own.
    pub fn set_all(&self, policy: i32, priority: i32, nice: Option<i32>) -> Result<(), i32> {
        let before = self.policy();
        let (plain, now) = (policy & !RESET_ON_FORK, before & !RESET_ON_FORK);
        let known = matches!(
            plain,
            libc::SCHED_OTHER | libc::SCHED_FIFO | libc::SCHED_RR | libc::SCHED_BATCH | libc::SCHED_IDLE
        );
        if !known || !(0..=HIGHEST_PRIORITY).contains(&priority) || is_real_time(plain) != (priority != 0) {
            return Err(libc::EINVAL);
        }
        let nice = nice.filter(|_| is_fair(plain)).map(|nice| nice.clamp(-20, 19));
        let stays_reset = before & RESET_ON_FORK == 0 || policy & RESET_ON_FORK != 0;
        let may = stays_reset
            && self.may_become(plain, priority, now)
            && nice.is_none_or(|nice| nice >= self.nice() || may_have_nice(nice));
        if !may && !sys::has_capability(sys::CAP_SYS_NICE) {
            return Err(libc::EPERM);
        }
        if (policy, priority) != (before, self.priority()) {
            self.priority.store(priority, Relaxed);
            self.policy.store(policy, Relaxed);
        }
        if let Some(nice) = nice.filter(|&nice| nice != self.nice()) {
            self.nice.store(nice, Relaxed);
        }
        Ok(())
    }

    /// The same policy with another priority (sched_setparam).
    pub fn set_priority(&self, priority: i32) -> Result<(), i32> {
        self.set(self.policy(), priority)
    }

    /// Without privileges.
    fn may_become(&self, policy: i32, priority: i32, now: i32) -> bool {
        if is_real_time(policy) {
            let limit = sys::limit(libc::RLIMIT_RTPRIO) as i64;
            return (policy == now || limit != 0) && (priority <= self.priority() || priority as i64 <= limit);
        }
        now != libc::SCHED_IDLE || policy == libc::SCHED_IDLE || may_have_nice(self.nice())
    }
}

/// RLIMIT_NICE counts from 1 (nice 19) to 40 (nice -20).
fn may_have_nice(nice: i32) -> bool {
    (20 - nice) as u64 <= sys::limit(libc::RLIMIT_NICE) || sys::has_capability(sys::CAP_SYS_NICE)
}
