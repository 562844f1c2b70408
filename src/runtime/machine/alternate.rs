//! Alternate signal stacks: a thread's own, which its kernel thread does not know, and a worker's, which that does.
//!
//! The kernel comes to the worker's with a signal whose handler has SA_ONSTACK, or with a stack overflow. It does not stay there: the
//! frame (context, siginfo, state of the floating-point unit) is moved to where the kernel would have put it for the thread, and the
//! handler's end is that frame's (`handler`). So the worker's stack is free again before the program's own code runs, whether
//! that comes back or not; all signals are blocked until then (hooks/signal/action.rs).

use libc::{c_int, c_void, stack_t};

/// The size of a worker's alternate stack.
pub const STACK_BYTES: usize = 64 << 10;
/// linux/signal.h: forgotten while a handler runs there.
const SS_AUTODISARM: c_int = 1 << 31;

/// An alternate stack as sigaltstack has set it: a value, read and changed by the green thread itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Alternate {
    /// Its lowest address.
    pub lowest: usize,
    /// SS_DISABLE, SS_AUTODISARM, or none.
    pub flags: c_int,
    /// Its size; 0: there is none.
    pub bytes: usize,
}

impl Alternate {
    /// No alternate stack.
    pub const NONE: Alternate = Alternate { lowest: 0, flags: libc::SS_DISABLE, bytes: 0 };

    /// The stack that a `stack_t` describes, unchecked.
    pub fn of(stack: &stack_t) -> Alternate {
        Alternate { lowest: stack.ss_sp as usize, flags: stack.ss_flags, bytes: stack.ss_size }
    }

    /// The stack that sigaltstack is asked for, by the kernel's rules; or its error number (ENOMEM, EINVAL).
    pub fn wanted(new: &stack_t) -> Result<Alternate, c_int> {
        match new.ss_flags & !SS_AUTODISARM {
            libc::SS_DISABLE => Ok(Alternate { flags: new.ss_flags, ..Alternate::NONE }),
            0 | libc::SS_ONSTACK if new.ss_size < libc::MINSIGSTKSZ => Err(libc::ENOMEM),
            0 | libc::SS_ONSTACK => Ok(Alternate::of(new)),
            _ => Err(libc::EINVAL),
        }
    }

    /// The `stack_t` that the kernel notes in a signal's frame.
    pub fn noted(self) -> stack_t {
        stack_t { ss_sp: self.lowest as *mut c_void, ss_flags: self.flags, ss_size: self.bytes }
    }

    /// The `stack_t` that sigaltstack returns as the old one.
    pub fn told(self, in_use: bool) -> stack_t {
        let state = match in_use {
            _ if self.bytes == 0 => libc::SS_DISABLE,
            true => libc::SS_ONSTACK,
            false => 0,
        };
        stack_t { ss_flags: state | self.flags & SS_AUTODISARM, ..self.noted() }
    }

    /// Does this stack pointer stand on it? Its top belongs to it, for an empty stack points there; its lowest address does not.
    pub fn holds(self, stack_pointer: usize) -> bool {
        stack_pointer > self.lowest && stack_pointer - self.lowest <= self.bytes
    }

    /// Does this stack pointer stand on it, so that further handlers nest there and sigaltstack refuses to change it? Not with
    /// SS_AUTODISARM.
    pub fn is_in_use(self, stack_pointer: usize) -> bool {
        self.flags & SS_AUTODISARM == 0 && self.holds(stack_pointer)
    }

    /// The alternate stack that the thread has while a handler runs on this one.
    pub fn while_used(self) -> Alternate {
        if self.flags & SS_AUTODISARM == 0 {
            self
        } else {
            Alternate::NONE
        }
    }

    /// The address behind it, from which it is used downwards.
    pub fn top(self) -> usize {
        self.lowest + self.bytes
    }
}
