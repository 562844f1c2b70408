//! The registers of interrupted code, as they stand in a signal's frame: a system call's number and arguments are read there, its
//! answer and where the code goes on are written there.

use crate::arch::{gp_begin, gp_load_word, gp_load_word_failed, ControlWords};

/// The registers of interrupted code, in a signal frame.
pub struct Registers(*mut libc::ucontext_t);

impl Registers {
    /// # Safety
    /// `context` is what the kernel passed to a handler that has not returned.
    pub unsafe fn of(context: *mut libc::c_void) -> Registers {
        Registers(context as *mut libc::ucontext_t)
    }

    fn get(&self, register: libc::c_int) -> usize {
        // SAFETY: by `of`'s contract.
        unsafe { (*self.0).uc_mcontext.gregs[register as usize] as usize }
    }

    /// Returns rsp as the interrupted code had it; its red zone is the 128 bytes below.
    pub fn stack_pointer(&self) -> usize {
        self.get(libc::REG_RSP)
    }

    /// Returns rip: the instruction that runs next; behind a system call that was trapped, at one that begins again.
    pub fn instruction(&self) -> usize {
        self.get(libc::REG_RIP)
    }

    /// Was the fault that of `load_word`, which could not read its word? Then `load_word` goes on, and answers so.
    pub fn mend_load(&self) -> bool {
        let failed = self.instruction() == gp_load_word as unsafe extern "C" fn(usize) -> u64 as usize;
        if failed {
            let answer = gp_load_word_failed as unsafe extern "C" fn() as usize;
            // SAFETY: by `of`'s contract.
            unsafe { (*self.0).uc_mcontext.gregs[libc::REG_RIP as usize] = answer as i64 };
        }
        failed
    }

    /// Returns the system call's number: rax, as long as the call has not been answered.
    /// After that it is `result`.
    pub fn number(&self) -> i64 {
        self.get(libc::REG_RAX) as i64
    }

    /// The system call's arguments.
    pub fn arguments(&self) -> [usize; 6] {
        [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8, libc::REG_R9]
            .map(|register| self.get(register))
    }

    /// Makes an interrupted system call return EINTR: one that would begin again, or has just returned that itself. False: the interrupted
    /// code is at no such call.
    ///
    /// # Safety
    /// The memory around the interrupted instruction can be read.
    pub unsafe fn interrupt_call(&self) -> bool {
        const SYSCALL: [u8; 2] = [0x0f, 0x05];
        const INTERRUPTED: i64 = -libc::EINTR as i64;
        let at = self.instruction() as *const [u8; 2];
        // SAFETY: two bytes at the interrupted instruction and two before it can be read: a text goes on around what was just run in
        // it. The frame is the kernel's, by `of`'s contract, and only its own handler writes there.
        unsafe {
            if *at == SYSCALL {
                let registers = &mut (*self.0).uc_mcontext.gregs;
                registers[libc::REG_RIP as usize] += SYSCALL.len() as i64;
                registers[libc::REG_RAX as usize] = INTERRUPTED;
                return true;
            }
            *at.sub(1) == SYSCALL && self.get(libc::REG_RAX) as i64 == INTERRUPTED
        }
    }

    /// Is the interrupted code at a system call that would begin again, or has just returned EINTR?
    ///
    /// # Safety
    /// As for `interrupt_call`.
    pub unsafe fn is_at_call(&self) -> bool {
        const SYSCALL: [u8; 2] = [0x0f, 0x05];
        const INTERRUPTED: i64 = -libc::EINTR as i64;
        let at = self.instruction() as *const [u8; 2];
        // SAFETY: two bytes at the interrupted instruction and two before it can be read: a text goes on around what was just run in it.
        unsafe { *at == SYSCALL || *at.sub(1) == SYSCALL && self.get(libc::REG_RAX) as i64 == INTERRUPTED }
    }

    /// Lets the trapped system call go on at `at`, where everything is as the instruction leaves it: rcx is the address behind it.
    pub fn go_on(&self, at: usize) {
        let back = self.instruction();
        // SAFETY: by `of`'s contract.
        let registers = unsafe { &mut (*self.0).uc_mcontext.gregs };
        registers[libc::REG_RCX as usize] = back as i64;
        registers[libc::REG_RIP as usize] = at as i64;
    }

    /// Goes on as `go_on`, and tells the code at `at` by r11 that it is to run on the stack below `top` (`called_inline`).
    pub fn go_on_below(&self, at: usize, top: usize) {
        self.go_on(at);
        // SAFETY: by `of`'s contract.
        unsafe { (*self.0).uc_mcontext.gregs[libc::REG_R11 as usize] = top as i64 };
    }

    /// Has the trapped system call made once more.
    pub fn repeat_call(&self) {
        const SYSCALL_BYTES: i64 = 2;
        // SAFETY: by `of`'s contract.
        unsafe { (*self.0).uc_mcontext.gregs[libc::REG_RIP as usize] -= SYSCALL_BYTES };
    }

    /// The signal mask that the frame's end brings back.
    pub fn mask(&self) -> u64 {
        // SAFETY: by `of`'s contract; the kernel's mask has 64 bits.
        unsafe { *(&raw const (*self.0).uc_sigmask as *const u64) }
    }

    /// Replaces the signal mask that the frame's end brings back (rt_sigreturn). The caller leaves out what must stay open.
    pub fn set_mask(&self, mask: u64) {
        // SAFETY: as above.
        unsafe { *(&raw mut (*self.0).uc_sigmask as *mut u64) = mask };
    }

    /// What an interrupted system call has answered, where the instruction is behind it.
    pub fn result(&self) -> isize {
        self.get(libc::REG_RAX) as isize
    }

    /// What the system call answers.
    pub fn set_result(&self, result: isize) {
        // SAFETY: by `of`'s contract.
        unsafe { (*self.0).uc_mcontext.gregs[libc::REG_RAX as usize] = result as i64 };
    }

    /// Writes these registers below `top` as a suspended context that begins as the child of a clone would: the same registers, result 0,
    /// stack pointer `top`. Returns the context's stack pointer, for `switch`.
    ///
    /// # Safety
    /// The memory below `top` is the new thread's stack, unused.
    pub unsafe fn lay_down(&self, top: usize, control: &ControlWords) -> *mut u8 {
        let suspended = [libc::REG_R15, libc::REG_R14, libc::REG_R13, libc::REG_R12, libc::REG_RBX, libc::REG_RBP];
        let begun =
            [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R8, libc::REG_R9, libc::REG_R10, libc::REG_RIP];
        let words = 1 + suspended.len() + 1 + begun.len();
        // SAFETY: `words` words below `top` are the new thread's stack, which no thread runs on before `switch` gets the pointer returned
        // here; one word for the control words, six for what RESTORE pops, `gp_begin` as the return address, seven for what that pops.
        unsafe {
            let frame = (top as *mut usize).sub(words);
            *(frame as *mut ControlWords) = *control;
            for (i, register) in suspended.into_iter().enumerate() {
                *frame.add(1 + i) = self.get(register);
            }
            *frame.add(7) = gp_begin as unsafe extern "C" fn() as usize;
            for (i, register) in begun.into_iter().enumerate() {
                *frame.add(8 + i) = self.get(register);
            }
            frame as *mut u8
        }
    }
}
