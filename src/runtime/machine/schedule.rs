//! Scheduling policy, priority and nice value of a green thread, kept and told by the kernel's rules.
//!
//! The three are not applied, for the kernel thread runs other green threads, too. A process that the thread forks has them applied. What
//! was never changed is the process's own.

use crate::sys;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// The value was never changed.
const AS_PROCESS: i32 = i32::MIN;

/// A green thread's policy, priority and nice value. Read and changed by any thread; each word for itself.
pub struct Schedule {
    policy: AtomicI32,
    priority: AtomicI32,
    nice: AtomicI32,
}

/// The flag of a policy that has threads made by its thread start with an ordinary one (sched.h).
pub const RESET_ON_FORK: i32 = 0x4000_0000;
const HIGHEST_PRIORITY: i32 = 99;

/// Is it a real-time policy?
pub fn is_real_time(policy: i32) -> bool {
    policy == libc::SCHED_FIFO || policy == libc::SCHED_RR
}

/// Is it a policy with which a nice value counts?
fn is_fair(policy: i32) -> bool {
    policy == libc::SCHED_OTHER || policy == libc::SCHED_BATCH
}

impl Schedule {
    /// The process's own.
    pub const fn new() -> Schedule {
        Schedule { policy: AtomicI32::new(AS_PROCESS), priority: AtomicI32::new(0), nice: AtomicI32::new(AS_PROCESS) }
    }

    /// Sets a new thread's: its creator's, or the process's. Called before the thread is ready.
    pub fn inherit(&self, creator: Option<&Schedule>) {
        let [policy, priority, nice] = creator.map_or([AS_PROCESS, 0, AS_PROCESS], |creator| {
            [&creator.policy, &creator.priority, &creator.nice].map(|word| word.load(Relaxed))
        });
        let reset = policy != AS_PROCESS && policy & RESET_ON_FORK != 0;
        self.policy.store(if reset { libc::SCHED_OTHER } else { policy }, Relaxed);
        self.priority.store(if reset { 0 } else { priority }, Relaxed);
        self.nice.store(if reset { nice.max(0) } else { nice }, Relaxed);
    }

    /// Gives them to this kernel thread. Called in a fork child, whose only thread this is.
    pub fn apply(&self) {
        let (policy, nice) = (self.policy.load(Relaxed), self.nice.load(Relaxed));
        if policy != AS_PROCESS {
            sys::set_policy(policy, self.priority.load(Relaxed));
        }
        if nice != AS_PROCESS {
            sys::set_nice(nice);
        }
    }

    /// The policy, as sched_getscheduler tells it, with `RESET_ON_FORK`.
    pub fn policy(&self) -> i32 {
        match self.policy.load(Relaxed) {
            AS_PROCESS => sys::policy_of(sys::process_id()),
            policy => policy,
        }
    }

    /// The priority, as sched_getparam tells it.
    pub fn priority(&self) -> i32 {
        match self.policy.load(Relaxed) {
            AS_PROCESS => sys::priority_of(sys::process_id()),
            _ => self.priority.load(Relaxed),
        }
    }

    /// The nice value, as getpriority tells it.
    pub fn nice(&self) -> i32 {
        match self.nice.load(Relaxed) {
            AS_PROCESS => sys::nice_of(sys::process_id()),
            nice => nice,
        }
    }

    /// Sets the nice value, as setpriority: clamped to -20..=19. EACCES: it is lower, and neither RLIMIT_NICE nor a capability allows that.
    pub fn set_nice(&self, nice: i32) -> Result<(), i32> {
        let nice = nice.clamp(-20, 19);
        if nice < self.nice() && !may_have_nice(nice) {
            return Err(libc::EACCES);
        }
        self.nice.store(nice, Relaxed);
        Ok(())
    }

    /// Sets policy and priority, as sched_setscheduler. EINVAL, EPERM: as the kernel's.
    pub fn set(&self, policy: i32, priority: i32) -> Result<(), i32> {
        self.set_all(policy, priority, None)
    }

    /// Sets policy, priority and nice value, as sched_setattr (rules: the kernel's kernel/sched/syscalls.c). A nice value counts only with
    /// an ordinary policy. A value that is so already is not noted: it stays the process's own.
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

    /// Sets the priority of the same policy, as sched_setparam.
    pub fn set_priority(&self, priority: i32) -> Result<(), i32> {
        self.set(self.policy(), priority)
    }

    /// Does the kernel allow this change without privileges?
    fn may_become(&self, policy: i32, priority: i32, now: i32) -> bool {
        if is_real_time(policy) {
            let limit = sys::limit(libc::RLIMIT_RTPRIO) as i64;
            return (policy == now || limit != 0) && (priority <= self.priority() || priority as i64 <= limit);
        }
        now != libc::SCHED_IDLE || policy == libc::SCHED_IDLE || may_have_nice(self.nice())
    }
}

/// Do RLIMIT_NICE, which counts from 1 (nice 19) to 40 (nice -20), or a capability allow this nice value?
fn may_have_nice(nice: i32) -> bool {
    (20 - nice) as u64 <= sys::limit(libc::RLIMIT_NICE) || sys::has_capability(sys::CAP_SYS_NICE)
}
