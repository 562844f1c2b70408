//! The architecture's own part: the switch, the vessel's farewell, the guarded call, thread-locals and the system call instruction. x86-64
//! today: a port begins with this file and its folder, written anew.
//!
//! A suspended stack, as `switch` and `retire` leave it (addresses grow downward in the picture):
//!
//! ```text
//!     saved sp →  │ mxcsr, x87 control word │  8 bytes
//!                 │ r15 r14 r13 r12 rbx rbp │ 48 bytes
//!                 │ return address          │
//!                 │ … the caller's frame …  │
//! ```
//!
//! Together with the fs base (the vessel's TCB) this is everything that a green thread is while it does not run: the
//! caller-saved registers are dead at a call, by the System V ABI. A signal that comes between the two loads of a switch
//! finds stack and fs of different threads: the guard flag of both is up then, and the handler touches neither.
//!
//! ```text
//!   routine          runs on                           what it does to stacks                       called by
//!   gp_switch        one, then the other               saves one context, goes on in another        sched/slots.rs, kernel/worker.rs
//!   gp_switch_slow   the same, fs by arch_prctl        the same                                     the same, without FSGSBASE
//!   gp_retire        the retiring context's            saves it, publishes it, ends its kernel      births/serve.rs, kernel/reserve.rs
//!                                                      thread
//!   gp_revive        the maker's; the saved one's      a new kernel thread goes on in a saved       births/yard.rs, kernel/reserve.rs
//!                                                      context; the maker goes on in its own
//!   gp_begin         a new thread's                    is the return address that `lay_down`        the first switch to a caught clone
//!                                                      writes: loads the clone's registers
//!   gp_guarded       the thread's                      a frame at which glibc's unwinding ends      glibc/thread.rs
//!   gp_call_on       another one, and back             calls a function there                       signal/handler.rs
//!   gp_in_frame      a signal's frame                  goes on in it; its own stack is not needed   signal/handler.rs
//! ```
//!
//! How `retire` hands a stack over, and `revive` takes it up again:
//!
//! 1. The retiring thread has every signal blocked and no registration at the kernel that leads to its TCB (`sys::loosen`).
//! 2. It saves its context and stores the stack pointer where the next owner looks.
//! 3. It stores 1 to the word. x86-64 keeps the order of stores, so whatever reads 1 reads the stack pointer of 2 as well. From here on
//!    it uses registers alone: no push, no call.
//! 4. It wakes the word's waiter, by the word's address in a register, and ends.
//! 5. `revive` clones with the saved stack pointer as the child's stack. The child restores what 2 has saved and returns out of `retire`,
//!    on a new kernel thread. `switch` may go on there just as well, and `revive` where `switch` has left: both leave the picture above.
//!
//! The mask of signals, the name, the processors and all else that the kernel keeps of a thread is no part of the context. A switch brings
//! along what differs (`machine/kernel_state.rs`).

#![warn(unsafe_op_in_unsafe_fn)]

pub mod control;
pub mod entry;
pub mod frame;
pub mod inline;
pub mod keys;
pub mod registers;
pub mod scan;
pub mod segment;
pub mod vfork;
pub mod words;
pub use crate::arch::control::{
    control_words, mask_in_jump_buffer, set_control_words, stack_in_jump_buffer, ControlWords,
};
pub use crate::arch::words::*;

use crate::dump::table::Saved;
use std::arch::{asm, global_asm};

/// Where the registers of a suspended thread lie, as the picture above has it.
pub const SAVED: Saved = Saved { r15: 8, r14: 16, r13: 24, r12: 32, rbx: 40, rbp: 48, rip: 56, bytes: 64 };

global_asm!(
    r#"
    .macro SAVE
        push rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        push rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        push r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        push r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        push r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        push r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        sub rsp, 8
        .cfi_adjust_cfa_offset 8
        stmxcsr [rsp]
        fnstcw [rsp + 4]
    .endm
    .macro RESTORE
        ldmxcsr [rsp]
        fldcw [rsp + 4]
        add rsp, 8
        .cfi_adjust_cfa_offset -8
        pop r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        pop r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        pop r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        pop r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        pop rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        pop rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
    .endm

    .text
    .p2align 5
    .hidden gp_switch
    .globl gp_switch
    .type gp_switch, @function
gp_switch:                              # rdi: where to save sp, rsi: sp to load, rdx: fs base to load
    .cfi_startproc
    SAVE
    mov [rdi], rsp
    mov rsp, rsi
    wrfsbase rdx
    RESTORE
    ret
    .cfi_endproc
    .size gp_switch, . - gp_switch

    .p2align 5
    .hidden gp_switch_slow
    .globl gp_switch_slow
    .type gp_switch_slow, @function
gp_switch_slow:                         # the same where wrfsbase is not to be had
    .cfi_startproc
    SAVE
    mov [rdi], rsp
    mov rsp, rsi
    mov rsi, rdx
    mov edi, 0x1002                     # ARCH_SET_FS
    mov eax, 158                        # arch_prctl
    syscall
    RESTORE
    ret
    .cfi_endproc
    .size gp_switch_slow, . - gp_switch_slow

    .p2align 5
    .hidden gp_retire
    .globl gp_retire
    .type gp_retire, @function
gp_retire:                              # rdi: where to save sp, rsi: the word that publishes
    .cfi_startproc
    SAVE
    mov [rdi], rsp
    mov rdi, rsi
    mov dword ptr [rdi], 1              # published: from here on registers only, another kernel thread may own this stack
    mov esi, 129                        # FUTEX_WAKE | FUTEX_PRIVATE_FLAG
    mov edx, 1
    mov eax, 202                        # futex
    syscall
    xor edi, edi
    mov eax, 60                         # exit: this kernel thread only
    syscall
    ud2
    .cfi_endproc
    .size gp_retire, . - gp_retire

    .p2align 5
    .hidden gp_guarded
    .globl gp_guarded
    .type gp_guarded, @function
gp_guarded:                             # rdi: function, rsi: its argument, rdx: buffer, rcx: [setjmp, register, unregister]
    .cfi_startproc
    push rbp
    .cfi_def_cfa_offset 16
    .cfi_offset rbp, -16
    mov rbp, rsp
    .cfi_def_cfa_register rbp
    push rbx
    .cfi_offset rbx, -24
    push r12
    .cfi_offset r12, -32
    push r13
    .cfi_offset r13, -40
    push r14
    .cfi_offset r14, -48
    mov r12, rdi
    mov r13, rsi
    mov rbx, rdx
    mov r14, rcx
    mov rdi, rbx
    xor esi, esi
    call [r14]                          # __sigsetjmp(buffer, 0): comes back a second time when the thread unwinds
    test eax, eax
    jnz 2f
    mov rdi, rbx
    call [r14 + 8]                      # __pthread_register_cancel
    mov rdi, r13
    call r12
2:  mov rdi, rbx
    call [r14 + 16]                     # __pthread_unregister_cancel
    lea rsp, [rbp - 32]
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    .cfi_def_cfa rsp, 8
    ret
    .cfi_endproc
    .size gp_guarded, . - gp_guarded

    .p2align 5
    .hidden gp_revive
    .globl gp_revive
    .type gp_revive, @function
gp_revive:                              # rdi: clone flags, rsi: saved sp, rdx: parent_tid, r10: child_tid, r8: fs base
    .cfi_startproc                      # a new kernel thread goes on where the saved stack stopped
    mov r10, rcx
    mov eax, 56                         # clone
    syscall
    test rax, rax
    jz 3f
    ret
3:  .cfi_undefined rip
    ldmxcsr [rsp]
    fldcw [rsp + 4]
    add rsp, 8
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret
    .cfi_endproc
    .size gp_revive, . - gp_revive

    .p2align 5
    .hidden gp_begin
    .globl gp_begin
    .type gp_begin, @function
gp_begin:                               # the first resume of a caught clone: as the kernel would begin its child
    .cfi_startproc
    .cfi_undefined rip
    pop rdi
    pop rsi
    pop rdx
    pop r8
    pop r9
    pop r10
    pop rcx                             # where the child goes on; a system call leaves it there too
    xor eax, eax
    jmp rcx
    .cfi_endproc
    .size gp_begin, . - gp_begin

    .p2align 5
    .hidden gp_call_on
    .globl gp_call_on
    .type gp_call_on, @function
gp_call_on:                             # rdi: stack top, rsi: function, rdx: its argument
    .cfi_startproc
    push rbp
    .cfi_def_cfa_offset 16
    .cfi_offset rbp, -16
    mov rbp, rsp
    .cfi_def_cfa_register rbp
    and rdi, -16
    mov rsp, rdi
    mov rdi, rdx
    call rsi
    mov rsp, rbp
    pop rbp
    .cfi_def_cfa rsp, 8
    ret
    .cfi_endproc
    .size gp_call_on, . - gp_call_on

    .p2align 4
    .hidden gp_in_frame
    .globl gp_in_frame
    .type gp_in_frame, @function
gp_in_frame:                            # rdi: a frame, rsi: function, rdx: its argument; nothing here is come back to
    mov rsp, rdi
    mov rdi, rdx
    jmp rsi
    .size gp_in_frame, . - gp_in_frame

    .p2align 4
    .globl gp_load_word
    .hidden gp_load_word
    .type gp_load_word, @function
gp_load_word:                           # rdi: an address; what cannot be read answers all ones (`Registers::mend_load`)
    mov eax, dword ptr [rdi]
    ret
    .hidden gp_load_word_failed
    .globl gp_load_word_failed
gp_load_word_failed:
    mov rax, -1
    ret
    .size gp_load_word, . - gp_load_word

    .p2align 4
    .hidden gp_signal_return
    .globl gp_signal_return
    .type gp_signal_return, @function
gp_signal_return:                       # unwinders and debuggers know a signal frame by these very bytes
    mov rax, 15                         # rt_sigreturn
    syscall
    .size gp_signal_return, . - gp_signal_return

    .section .tbss, "awT", @nobits
    .p2align 3
    .hidden gp_self
    .globl gp_self
    .type gp_self, @object
gp_self:
    .zero 8
    .size gp_self, 8
    .hidden gp_identity
    .globl gp_identity
    .type gp_identity, @object
gp_identity:
    .zero 8
    .size gp_identity, 8
    .hidden gp_worker
    .globl gp_worker
    .type gp_worker, @object
gp_worker:
    .zero 8
    .size gp_worker, 8
    .hidden gp_guard
    .globl gp_guard
    .type gp_guard, @object
gp_guard:
    .zero 8
    .size gp_guard, 8
    .hidden gp_capture
    .globl gp_capture
    .type gp_capture, @object
gp_capture:
    .zero 8
    .size gp_capture, 8
    .hidden gp_forking
    .globl gp_forking
    .type gp_forking, @object
gp_forking:
    .zero 8
    .size gp_forking, 8
    .hidden gp_vfork
    .globl gp_vfork
    .type gp_vfork, @object
gp_vfork:
    .zero 8
    .size gp_vfork, 8
    .p2align 6                          # its first line is what each recorded call looks at
    .hidden gp_audit
    .globl gp_audit
    .type gp_audit, @object
gp_audit:
    .zero 512
    .size gp_audit, 512
    .text
"#
);

extern "C" {
    fn gp_switch(save: *mut *mut u8, sp: *mut u8, fs: usize);
    fn gp_switch_slow(save: *mut *mut u8, sp: *mut u8, fs: usize);
    fn gp_retire(save: *mut *mut u8, word: *mut u32);
    fn gp_guarded(function: extern "C" fn(usize), argument: usize, buffer: *mut UnwindBuffer, glibc: *const [usize; 3]);
    fn gp_begin();
    fn gp_call_on(top: usize, function: extern "C" fn(usize), argument: usize);
    fn gp_in_frame(frame: usize, function: extern "C" fn(usize), argument: usize) -> !;
    fn gp_load_word(address: usize) -> u64;
    fn gp_load_word_failed();
    fn gp_signal_return();
    fn gp_revive(flags: usize, sp: *mut u8, parent_tid: *mut i32, child_tid: *mut i32, fs: usize) -> isize;
}

/// Exports a function of two arguments which saves its caller's frame, to return there more than once: `$before` is called with the same
/// arguments and answers the address of the real one, which is entered by a jump, so that the caller's frame is the program's.
macro_rules! entered_by_jump {
    ($name:ident, $before:path) => {
        /// The exported function: saves its arguments, asks `$before`, restores them and jumps to the answer.
        #[unsafe(naked)]
        #[no_mangle]
        pub extern "C" fn $name() {
            std::arch::naked_asm!(
                ".cfi_startproc",
                "push rdi",
                ".cfi_adjust_cfa_offset 8",
                "push rsi",
                ".cfi_adjust_cfa_offset 8",
                "sub rsp, 8",
                ".cfi_adjust_cfa_offset 8",
                "call {before}",
                "add rsp, 8",
                ".cfi_adjust_cfa_offset -8",
                "pop rsi",
                ".cfi_adjust_cfa_offset -8",
                "pop rdi",
                ".cfi_adjust_cfa_offset -8",
                "jmp rax",
                ".cfi_endproc",
                before = sym $before,
            )
        }
    };
}
pub(crate) use entered_by_jump;

/// glibc's `__pthread_unwind_buf_t`: a jump buffer and glibc's four words (source: pthread.h).
#[repr(C, align(16))]
pub struct UnwindBuffer([usize; 16]);

impl UnwindBuffer {
    /// Returns an empty buffer, for `guarded` to fill.
    pub const fn new() -> UnwindBuffer {
        UnwindBuffer([0; 16])
    }
}

/// Saves this context at `save` and goes on in the one saved at `sp`, with `fs` as its thread pointer.
///
/// # Safety
/// `sp` is a context that `switch` or `retire` saved, that no other kernel thread resumes, and `fs` is its TCB; the caller's context is
/// resumed at most once. `fast`: the kernel allows wrfsbase.
#[inline(always)]
pub unsafe fn switch(save: *mut *mut u8, sp: *mut u8, fs: usize, fast: bool) {
    // SAFETY: both pop what SAVE has pushed at `sp`; the caller alone resumes that context, with the guards of both threads up, so no
    // handler looks at a stack and a TCB that do not belong together. wrfsbase is run where AT_HWCAP2 allows it.
    unsafe {
        if fast {
            gp_switch(save, sp, fs)
        } else {
            gp_switch_slow(save, sp, fs)
        }
    }
}

/// Saves this context at `save`, sets `word` to 1 and wakes its waiter, and ends this kernel thread; returns when another
/// kernel thread resumes the context.
///
/// # Safety
/// Every signal is blocked; nothing of the kernel thread may still point here (rseq, robust list, clear_child_tid).
pub unsafe fn retire(save: *mut *mut u8, word: *mut u32) {
    // SAFETY: `save` is written before `word` publishes it, and then this stack is not touched: another kernel thread may own it. No
    // signal comes in between, for every one is blocked.
    unsafe { gp_retire(save, word) }
}

/// Calls `function(argument)`; glibc's thread exit (pthread_exit, cancellation) unwinds to here at the farthest.
///
/// # Safety
/// `glibc` holds `__sigsetjmp`, `__pthread_register_cancel`, `__pthread_unregister_cancel`; `buffer` outlives the call.
pub unsafe fn guarded(function: extern "C" fn(usize), argument: usize, buffer: *mut UnwindBuffer, glibc: &[usize; 3]) {
    // SAFETY: glibc's three functions are called as pthread.h's pthread_cleanup_push and pop do, and the buffer is taken off glibc's chain
    // before the call returns.
    unsafe { gp_guarded(function, argument, buffer, glibc) }
}

/// Calls `function(argument)` on the stack below `top`.
///
/// # Safety
/// That memory is a stack that is not in use.
pub unsafe fn call_on(top: usize, function: extern "C" fn(usize), argument: usize) {
    // SAFETY: the memory below `top` is an idle stack; rbp, which the function keeps by the ABI, leads back to this one.
    unsafe { gp_call_on(top, function, argument) }
}

/// Calls `function(argument)` as the kernel calls a handler whose frame begins at `frame`: it returns to the frame's way back.
///
/// # Safety
/// There is a frame, and nothing that lies below it or on this stack is needed any more.
pub unsafe fn go_on_in_frame(frame: usize, function: extern "C" fn(usize), argument: usize) -> ! {
    // SAFETY: the first word of a frame is the address of its way back, as if the handler had been called from there; nothing else on
    // this stack is come back to.
    unsafe { gp_in_frame(frame, function, argument) }
}

/// Returns the word at an address that the program gave, which may be none. A fault of this read ends in `None`, if the fault's signal
/// comes to the library's handler (`Registers::mend_load`).
#[inline]
pub fn load_word(address: usize) -> Option<u32> {
    // SAFETY: reads one word, or answers all ones by `Registers::mend_load`.
    u32::try_from(unsafe { gp_load_word(address) }).ok()
}

/// A new kernel thread (clone with `flags`) that goes on in the context saved at `sp` on the thread pointer `fs`.
///
/// # Safety
/// As for [`switch`]; every signal is blocked.
pub unsafe fn revive(flags: usize, sp: *mut u8, parent_tid: *mut i32, child_tid: *mut i32, fs: usize) -> isize {
    // SAFETY: the child pops what SAVE has pushed at `sp`, which it alone resumes; the parent returns on its own stack. No handler runs on
    // the child before its mask is set, for it inherits that every signal is blocked.
    unsafe { gp_revive(flags, sp, parent_tid, child_tid, fs) }
}

/// Asks for a cache line that is about to be read. Any address will do: one that is not mapped is no fault.
#[inline(always)]
pub fn prefetch(address: usize) {
    // SAFETY: a prefetch reads nothing that could fault.
    unsafe { asm!("prefetcht0 [{0}]", in(reg) address, options(nostack, preserves_flags, readonly)) };
}

/// Calls `call` with the TCB at `tcb` as this kernel thread's. The kernel changes the TCB (arch_prctl), for this is rare, and right
/// wherever it happens.
///
/// # Safety
/// No other kernel thread runs on that TCB, and every signal handler that may come between is fit to run on it.
pub unsafe fn on_tcb(tcb: usize, call: impl FnOnce()) {
    const ARCH_SET_FS: usize = 0x1002;
    let own = self::tcb();
    // SAFETY: the TCB is a vessel's that does not run, so its thread-locals are this kernel thread's until the second call.
    unsafe { system_call(libc::SYS_arch_prctl, ARCH_SET_FS, tcb, 0, 0, 0, 0) };
    call();
    // SAFETY: this kernel thread's own TCB, as it was.
    unsafe { system_call(libc::SYS_arch_prctl, ARCH_SET_FS, own, 0, 0, 0, 0) };
}

/// Returns the stack pointer, to tell which stack the caller runs on. Inlined, so it lies in the caller's own frame.
#[inline(always)]
pub fn stack_pointer() -> usize {
    let value: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {0}, rsp", out(reg) value, options(nostack, preserves_flags)) };
    value
}

/// The system call instruction.
///
/// # Safety
/// That of the system call.
#[inline(always)]
pub unsafe fn system_call(number: i64, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
    let result: isize;
    // SAFETY: the instruction takes and changes the registers named here and no others (the kernel's entry_64.S); what the call does to
    // memory the caller has chosen with its arguments.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// Returns the address of a signal handler's way back, in this library's text: what sigaction's restorer is to be. Its bytes are those by
/// which unwinders and debuggers know a signal's frame.
pub fn signal_return() -> usize {
    gp_signal_return as unsafe extern "C" fn() as usize
}

/// Keeps what comes after an atomic exchange from being seen before it: on this architecture every locked instruction is a full fence, so
/// the compiler alone is held. Called right after a read-modify-write; after a plain store it would order nothing.
#[inline(always)]
pub fn fence_after_exchange() {
    std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
}
