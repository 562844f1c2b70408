//! vfork: the child runs on its parent's stack, memory and thread pointer until it executes a program or ends. It is no green thread
//! meanwhile, although it shares the TLS of one, so its hooks pass through.
//!
//! The two words that change, both in the parent's TLS, which the child shares:
//!
//! ```text
//!   when                                           gp_self      gp_vfork
//!   before                                         Green, or 0  0
//!   the child has marked itself                    0            Green | 1
//!   the parent goes on (child executed or ended)   Green, or 0  0              the parent takes its Green back out of gp_vfork
//!   libc makes the child (`while_not_green`)       0            Green | 3      the parent itself, around posix_spawn
//! ```
//!
//! The kernel lets the parent's kernel thread wait until the child has gone, so parent and child never write at the same time. The return
//! address is kept in a register (rdi) over the call: the child returns first, and its caller's frames overwrite the stack where the
//! address stood.

use crate::arch::{self_word, set_self_word, set_vfork_word, vfork_word};
use std::arch::global_asm;

/// Exports `vfork` and `__vfork`, which return twice, as only assembly may. `$child` is called in a green thread's child with the address
/// of the `Green` that it was made by: `extern "C" fn(&Green)`. `$fail` is called with the error number, and answers for the call:
/// `extern "C" fn(c_int) -> c_int`. Also makes a function `hook`, the exported one's address.
macro_rules! exported_vfork {
    ($child:path, $fail:path) => {
        std::arch::global_asm!(
            r#"
    .text
    .p2align 5
    .hidden gp_vfork_call
    .globl gp_vfork_call
    .type gp_vfork_call, @function
gp_vfork_call:                          # the return address waits in a register: the child overwrites this stack's top
    .cfi_startproc
    pop rdi
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rdi
    mov rdx, [rip + gp_vfork@GOTTPOFF]
    mov rsi, [rip + gp_self@GOTTPOFF]
    mov eax, 58
    syscall
    push rdi
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rip, 0
    cmp rax, -4095
    jae 5f
    test rax, rax
    jz 4f
    mov rdi, fs:[rdx]                   # the parent, once the child has gone (shared memory: this undoes the child's mark)
    and rdi, -2
    mov fs:[rsi], rdi
    mov qword ptr fs:[rdx], 0
    ret
4:  mov rdi, fs:[rsi]                   # the child is no green thread: its hooks pass through
    mov rax, rdi
    or rax, 1
    mov fs:[rdx], rax
    mov qword ptr fs:[rsi], 0
    test rdi, rdi
    jz 6f
    sub rsp, 8
    .cfi_adjust_cfa_offset 8
    call {child}                        # it has its parent's settings
    add rsp, 8
    .cfi_adjust_cfa_offset -8
6:  xor eax, eax
    ret
5:  neg eax
    mov edi, eax
    jmp {fail}
    .cfi_endproc
    .size gp_vfork_call, . - gp_vfork_call
"#,
            child = sym $child,
            fail = sym $fail,
        );

        /// The exported `vfork`, beside the table: it returns twice, which only assembly may.
        #[unsafe(naked)]
        #[no_mangle]
        pub extern "C" fn vfork() -> i32 {
            std::arch::naked_asm!("jmp gp_vfork_call")
        }

        /// `vfork` by its other name.
        #[unsafe(naked)]
        #[no_mangle]
        pub extern "C" fn __vfork() -> i32 {
            std::arch::naked_asm!("jmp gp_vfork_call")
        }

        /// Returns the address of the exported `vfork`.
        pub fn hook() -> usize {
            vfork as *const () as usize
        }
    };
}
pub(crate) use exported_vfork;

global_asm!(
    r#"
    .text
    .p2align 5
    .hidden gp_fork_onto
    .globl gp_fork_onto
    .type gp_fork_onto, @function
gp_fork_onto:                           # rdi: number, rsi: six arguments, rdx: what the child calls first, on its own stack
    .cfi_startproc
    push rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    mov rbx, rdx
    mov rax, rdi
    mov r11, rsi
    mov rdi, [r11]
    mov rsi, [r11 + 8]
    mov rdx, [r11 + 16]
    mov r10, [r11 + 24]
    mov r8, [r11 + 32]
    mov r9, [r11 + 40]
    syscall
    test rax, rax
    jz 6f
    pop rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    ret
6:  .cfi_undefined rip
    mov rbp, rsp                        # the child: libc's `syscall` would return by what lies on its stack
    and rsp, -16
    call rbx
    mov rsp, rbp
    xor eax, eax
    ret
    .cfi_endproc
    .size gp_fork_onto, . - gp_fork_onto
"#
);

extern "C" {
    fn gp_fork_onto(number: i64, arguments: *const [usize; 6], begin: extern "C" fn()) -> isize;
}

/// Forks by number where the program gives the child a stack of its own: the child calls `begin` there, on an aligned stack, and returns by
/// the address that lies at its top, as libc's `syscall` would. Returns in the parent alone here: the child's process id, or a negative
/// error number.
///
/// # Safety
/// The system call is a clone with a stack and memory of its own.
pub unsafe fn fork_onto(number: i64, arguments: &[usize; 6], begin: extern "C" fn()) -> isize {
    // SAFETY: the child has a copy of this memory and begins on the stack among the arguments, so the parent's frame here is the parent's
    // alone; the six arguments are read before the call.
    unsafe { gp_fork_onto(number, arguments, begin) }
}

/// Does `work` as if this thread were not green: hooks pass through meanwhile, here and in a child that libc makes on this memory. Called
/// around libc's posix_spawn and its like, which block the kernel thread until the child executes. Does not nest.
pub fn while_not_green<R>(work: impl FnOnce() -> R) -> R {
    let me = self_word();
    set_vfork_word(me | 1 | SPAWNS);
    set_self_word(0);
    let result = work();
    set_self_word(me);
    set_vfork_word(0);
    result
}

/// The bit of `gp_vfork` that says that libc makes the child.
const SPAWNS: usize = 2;

/// Returns the parent's `gp_self` in a child that libc has made on its parent's memory, and in the parent until then; 0 everywhere else.
/// The hook of execve gives the new program that thread's settings.
pub fn spawned_by() -> usize {
    match vfork_word() {
        word if word & SPAWNS != 0 => word & !(SPAWNS | 1),
        _ => 0,
    }
}
