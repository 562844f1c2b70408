//! `system`. glibc's own waits inside libc, where a green thread's cancellation cannot end it, so `system` here follows glibc's
//! (sysdeps/posix/system.c) by hooked calls.
//!
//! ```text
//! 1. COMMANDS counts one more; the first has SIGINT and SIGQUIT ignored in the process     begin
//! 2. SIGCHLD is blocked for the caller
//! 3. the shell is made, with the mask and the two dispositions from before                 spawn
//! 4. parks until the shell ends; a handler of the program's does not end the wait          child::park
//! 5. COMMANDS counts one less; after the last the two dispositions are put back; the mask  end
//! ```
//!
//! A cancellation in 4 kills the shell, waits for its end, and does 5 before the unwinding begins, as glibc's cancel_handler.

use crate::base::lock::Rank;
use crate::base::lock::RawLock;
use crate::base::signal_set::bit;
use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::process::child::{self, Child, End};
use crate::hooks::signal::action as dispositions;
use crate::runtime::machine::disposition::Action;
use crate::runtime::machine::parts::Green;
use crate::runtime::signal::delivery;
use crate::runtime::waiting::cancel;
use crate::runtime::{self, announce, block, current, Length};
use crate::why::Why;
use crate::{glibc, sys};
use libc::*;
use std::cell::UnsafeCell;

/// How many commands run, and what SIGINT and SIGQUIT were before the first. glibc keeps such a count, too, for a foreign thread's
/// `system`; the two do not know each other.
struct Commands {
    /// Guards `running`. Held while dispositions are changed, so that a first and a last command do not mix.
    lock: RawLock,
    /// The number of commands; the dispositions of QUIET's signals before the first.
    running: UnsafeCell<(usize, [Action; 2])>,
}

// SAFETY: only touched under the lock.
unsafe impl Sync for Commands {}

/// The commands that run now.
static COMMANDS: Commands =
    Commands { lock: RawLock::new(Rank::Process), running: UnsafeCell::new((0, [Action::DEFAULT; 2])) };
/// The signals that a terminal's keys send. They are for the command while it runs.
const QUIET: [c_int; 2] = [SIGINT, SIGQUIT];
/// The disposition of QUIET's signals while a command runs.
const IGNORE: Action = Action { handler: SIG_IGN, flags: 0, mask: 0 };

/// In a fork child: forgets the commands that run, which are its parent's. Called by `fork` of this folder, with one thread.
pub fn after_fork() {
    let Commands { lock, running } = &COMMANDS;
    lock.after_fork();
    // SAFETY: the child has one thread.
    unsafe { (*running.get()).0 = 0 };
}

/// Counts one more command. The first has SIGINT and SIGQUIT ignored in the whole process. Returns what the two were before the
/// first. Called by `system`, which calls `end` on every path. A disposition that cannot be changed counts as the default.
unsafe fn begin() -> [Action; 2] {
    COMMANDS.lock.with(|| {
        let (count, before) = &mut *COMMANDS.running.get();
        if *count == 0 {
            *before = QUIET.map(|number| dispositions::change(number, IGNORE).unwrap_or_default());
        }
        *count += 1;
        *before
    })
}

/// Counts one command less. After the last SIGINT and SIGQUIT are as before. Sets the caller's mask to `mask`, which may run
/// handlers: so that is the last step, after the lock is given back.
unsafe fn end(me: &'static Green, mask: u64) {
    COMMANDS.lock.with(|| {
        let (count, before) = &mut *COMMANDS.running.get();
        *count -= 1;
        if *count == 0 {
            for (&number, before) in QUIET.iter().zip(before) {
                dispositions::change(number, *before).ok();
            }
        }
    });
    delivery::set_mask(me, mask);
}

/// Makes the shell by the hooked posix_spawn, with the signal mask `mask`; returns its pid, or posix_spawn's error number. SIGINT and
/// SIGQUIT are at their defaults in it, but for one that was ignored before the first command (system(3)).
unsafe fn spawn(command: *const c_char, before: [Action; 2], mask: u64) -> Result<pid_t, c_int> {
    extern "C" {
        static environ: *const *mut c_char;
    }
    let (mut attributes, mut default, mut set): (posix_spawnattr_t, sigset_t, sigset_t) = std::mem::zeroed();
    let heard = QUIET.iter().zip(before).filter(|(_, action)| action.handler != SIG_IGN);
    *(&mut default as *mut sigset_t as *mut u64) = heard.map(|(&number, _)| bit(number)).sum();
    *(&mut set as *mut sigset_t as *mut u64) = mask;
    posix_spawnattr_init(&mut attributes);
    posix_spawnattr_setsigdefault(&mut attributes, &default);
    posix_spawnattr_setsigmask(&mut attributes, &set);
    posix_spawnattr_setflags(&mut attributes, (POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK) as c_short);
    let arguments =
        [c"sh".as_ptr() as *mut c_char, c"-c".as_ptr() as *mut c_char, command as *mut c_char, std::ptr::null_mut()];
    let mut pid = 0;
    let failed = posix_spawn(&mut pid, c"/bin/sh".as_ptr(), std::ptr::null(), &attributes, arguments.as_ptr(), environ);
    posix_spawnattr_destroy(&mut attributes);
    if failed == 0 {
        Ok(pid)
    } else {
        Err(failed)
    }
}

/// Calls `wait`, a wait for the shell in the kernel, until its result is not EINTR. Returns that result.
fn again_if_interrupted(wait: impl Fn() -> isize) -> isize {
    loop {
        let result = wait();
        if result != -EINTR as isize {
            return result;
        }
    }
}

/// `system`: runs `/bin/sh -c command`. Returns the shell's status; 127 << 8 and errno where the shell cannot be made, as if the
/// shell had ended by `_exit(127)` (system(3)); -1 and ECHILD where its status is lost (SIGCHLD ignored). A null command, and a
/// foreign thread's call, are libc's.
///
/// Parks until the shell ends, and goes on after a handler. Where the wait cannot park the kernel waits, with the slot offered. A
/// cancellation point: see the top.
pub unsafe fn system(command: *const c_char) -> Answer<c_int> {
    let me = current().filter(|_| !command.is_null()).ok_or(Miss::Libc)?;
    let (before, mask) = (begin(), me.mask.get());
    delivery::set_mask(me, mask | bit(SIGCHLD));
    let pid = match block(|| spawn(command, before, mask)) {
        Ok(pid) => pid,
        Err(number) => {
            end(me, mask);
            glibc::set_errno(number);
            return Ok(127 << 8);
        }
    };
    let mut status = 0;
    let status_at = &mut status as *mut c_int;
    let nothing = std::ptr::null_mut();
    let wait = || child::call(pid, status_at, 0, nothing);
    let undo = || {
        sys::kill_process(pid, SIGKILL);
        again_if_interrupted(wait);
        end(me, mask);
    };
    let result = loop {
        match child::park(Child::Pid(pid), Why::Child(pid), || child::ask(pid, status_at, 0, nothing)) {
            End::Answer(result) => break result,
            End::Interrupted => {}
            End::Cancelled => {
                undo();
                runtime::cancellation_point();
            }
            End::Kernel => {
                announce(Why::Child(pid));
                break again_if_interrupted(|| cancel::block_or(Length::Long, wait, undo));
            }
        }
    };
    end(me, mask);
    if result == pid as isize {
        Ok(status)
    } else {
        errno(-result as c_int)
    }
}
