//! Alternate signal stacks: a thread's own, which its kernel thread does not know, and a worker's, which that does.
//!
//! The kernel comes to the worker's with a signal whose handler has SA_ONSTACK, or with a stack overflow. It does not stay there: the
//! frame (context, siginfo, state of the floating-point unit) is moved to where the kernel would have put it for the thread, and the
//! handler's end is that frame's (`handler`). So the worker's stack is free again before the program's own code runs, whether
//! that comes back or not; all signals are blocked until then (hooks/signal/action.rs).

use libc::{c_int, c_void, stack_t};

/// A worker's alternate stack.
pub const STACK_BYTES: usize = 64 << 10;
/// linux/signal.h: forgotten while a handler runs there.
const SS_AUTODISARM: c_int = 1 << 31;

/// An alternate stack as sigaltstack has set it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Alternate {
    pub lowest: usize,
    pub flags: c_int,
    pub bytes: usize,
}

impl Alternate {
    pub const NONE: Alternate = Alternate { lowest: 0, flags: libc::SS_DISABLE, bytes: 0 };

    pub fn of(stack: &stack_t) -> Alternate {
        Alternate { lowest: stack.ss_sp as usize, flags: stack.ss_flags, bytes: stack.ss_size }
    }

    /// What sigaltstack asks for, by the kernel's rules; or the error.
    pub fn wanted(new: &stack_t) -> Result<Alternate, c_int> {
        match new.ss_flags & !SS_AUTODISARM {
            libc::SS_DISABLE => Ok(Alternate { flags: new.ss_flags, ..Alternate::NONE }),
            0 | libc::SS_ONSTACK if new.ss_size < libc::MINSIGSTKSZ => Err(libc::ENOMEM),
            0 | libc::SS_ONSTACK => Ok(Alternate::of(new)),
            _ => Err(libc::EINVAL),
        }
    }

    /// As the kernel notes it in a signal's frame.
    pub fn noted(self) -> stack_t {
        stack_t { ss_sp: self.lowest as *mut c_void, ss_flags: self.flags, ss_size: self.bytes }
    }

    /// As sigaltstack tells it.
    pub fn told(self, in_use: bool) -> stack_t {
        let state = match in_use {
            _ if self.bytes == 0 => libc::SS_DISABLE,
            true => libc::SS_ONSTACK,
            false => 0,
        };
        stack_t { ss_flags: state | self.flags & SS_AUTODISARM, ..self.noted() }
    }

    /// Does this stack pointer stand on it? (Its end belongs to it, its beginning does not.)
    pub fn holds(self, stack_pointer: usize) -> bool {
        stack_pointer > self.lowest && stack_pointer - self.lowest <= self.bytes
    }

    /// The same for one that handlers nest on, and that nobody may change meanwhile.
    pub fn is_in_use(self, stack_pointer: usize) -> bool {
        self.flags & SS_AUTODISARM == 0 && self.holds(stack_pointer)
    }

    /// What is left of it while a handler runs there.
    pub fn while_used(self) -> Alternate {
        if self.flags & SS_AUTODISARM == 0 {
            self
        } else {
            Alternate::NONE
        }
    }

    pub fn top(self) -> usize {
        self.lowest + self.bytes
    }
}
