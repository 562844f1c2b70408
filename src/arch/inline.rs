//! The ways on for a system call instruction of the program's own that the kernel has trapped (runtime/trap/inline.rs): the signal's frame
//! is changed so that its end leads to one of these, with every register as the instruction left it (but r11, for a call). None runs
//! in the signal's handler, and each comes back to behind the instruction as the kernel would: rax is the answer, rcx and r11
//! are lost, all else is kept, the red zone below the stack pointer and the extended registers too (but AMX's tiles, which no call
//! keeps).
//!
//! ```text
//!     a bridge     syscall; jmp [its word of gp_bridged]     the same call, from this library's text, which is not dispatched. There is
//!                                                            one for each place, so that nothing is needed to find the way back:
//!                                                            no register, no stack. Whatever the call does to either (clone,
//!                                                            rt_sigreturn, exit, a restart) it does as natively.
//!     gp_vfork_on  a vfork, whose child is no green thread
//!     a call       of a function: `called_inline`
//! ```
//!
//! A word of `gp_bridged` is written once, by a signal handler, and never again:
//!
//! 1. The place of a trapped instruction is hashed to a first bridge; up to 64 are looked at from there.
//! 2. 0 → the address behind the instruction, by one compare-exchange. The bridge is this place's from then on.
//! 3. The exchange fails on the same address: another thread was trapped at this place too, and both use the bridge. It fails on another
//!    address: the next bridge is tried.
//! 4. All 64 are others': `None`, and the caller stops catching calls.
//!
//! The bridge reads its word after the system call. It was entered through a frame that the handler of 2 or 3 has changed, so the word is
//! there.
//!
//! What `called_inline` puts on the stack below the top that r11 tells (addresses grow upward):
//!
//! ```text
//!     rbp + 16   rcx: where to go on
//!     rbp +  8   the stack pointer as the program had it
//!     rbp        rbp as the program had it
//!     rbp -  8   flags, rdi, rsi, rdx, r10, r8, r9, rax: from rbp - 64 on these are `Call`
//!     below      the extended registers' area, 2688 bytes, at a multiple of 64
//! ```

use crate::base::kept::Kept;
use std::arch::global_asm;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// How many places can have a bridge.
const BRIDGES: usize = 2048;
const BRIDGE_BYTES: usize = 8;

global_asm!(
    r#"
    .text
    .p2align 4
    .hidden gp_bridges
    .globl gp_bridges
    .type gp_bridges, @function
gp_bridges:
    .cfi_startproc
    .set gp_bridge, 0
    .rept 2048
        syscall
        jmp qword ptr [rip + gp_bridged + gp_bridge]
        .set gp_bridge, gp_bridge + 8
    .endr
    .cfi_endproc
    .size gp_bridges, . - gp_bridges

    .p2align 4
    .hidden gp_vfork_on
    .globl gp_vfork_on
    .type gp_vfork_on, @function
gp_vfork_on:                            # rcx: where to go on
    .cfi_startproc
    .cfi_undefined rip
    mov r11, [rip + gp_vfork_back@GOTTPOFF]
    mov fs:[r11], rcx                   # the child leaves it as it is: its own calls are not dispatched
    syscall
    lea rsp, [rsp - 128]                # the red zone
    pushfq
    mov r11, [rip + gp_vfork@GOTTPOFF]
    test rax, rax
    jz 2f
    mov rcx, fs:[r11]                   # the parent, or no child at all: then the word is zero
    mov qword ptr fs:[r11], 0
    and rcx, -2
    jz 3f
    mov r11, [rip + gp_self@GOTTPOFF]
    mov fs:[r11], rcx
    jmp 3f
2:  mov rcx, [rip + gp_self@GOTTPOFF]
    push rdi
    mov rdi, fs:[rcx]                   # the child is nobody's green thread: its hooks pass through
    or rdi, 1
    mov fs:[r11], rdi
    mov qword ptr fs:[rcx], 0
    pop rdi
3:  popfq
    lea rsp, [rsp + 128]
    mov r11, [rip + gp_vfork_back@GOTTPOFF]
    jmp qword ptr fs:[r11]
    .cfi_endproc
    .size gp_vfork_on, . - gp_vfork_on

    .section .tbss, "awT", @nobits
    .p2align 3
    .hidden gp_vfork_back
    .globl gp_vfork_back
    .type gp_vfork_back, @object
gp_vfork_back:
    .zero 8
    .size gp_vfork_back, 8

    .section .bss.gp_bridged, "aw", @nobits
    .p2align 3
    .hidden gp_bridged
    .globl gp_bridged
    .type gp_bridged, @object
gp_bridged:
    .zero 16384
    .size gp_bridged, 16384
    .text
"#
);

extern "C" {
    fn gp_bridges();
    fn gp_vfork_on();
    /// Where each bridge leads; 0: nowhere yet.
    static gp_bridged: Kept<[AtomicUsize; BRIDGES]>;
}

/// Returns the address of the bridge for the instruction that ends at `back`; `None`: there are no more near its place. Called by the
/// handler of SIGSYS. Takes no lock, allocates nothing.
pub fn bridge(back: usize) -> Option<usize> {
    const STEPS: usize = 64;
    let first = (back >> 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (usize::BITS - BRIDGES.ilog2());
    // SAFETY: words of ours, changed atomically.
    let bridged = unsafe { &gp_bridged };
    let mut places = (0..STEPS).map(|step| (first + step) % BRIDGES);
    let place = places.find(|&place| match bridged[place].compare_exchange(0, back, AcqRel, Acquire) {
        Ok(_) => true,
        Err(now) => now == back,
    })?;
    Some(gp_bridges as unsafe extern "C" fn() as usize + place * BRIDGE_BYTES)
}

/// Returns where a trapped vfork of a green thread's goes on: `gp_vfork_on`.
pub fn vfork() -> usize {
    gp_vfork_on as unsafe extern "C" fn() as usize
}

/// Does this processor save its extended registers in one instruction, and the kernel let it?
pub fn possible() -> bool {
    const OSXSAVE: u32 = 1 << 27;
    std::arch::x86_64::__cpuid(1).ecx & OSXSAVE != 0
}

/// A system call as the program made it: what `called_inline`'s function gets, on the stack of the thread that made it. The order of the
/// fields is that of the pushes.
#[repr(C)]
pub struct Call {
    pub number: i64,
    fifth_and_sixth: [usize; 2],
    fourth: usize,
    first_three: [usize; 3],
}

impl Call {
    /// Returns the six arguments in the order of the call: rdi, rsi, rdx, r10, r8, r9 as the program had them.
    pub fn arguments(&self) -> [usize; 6] {
        let ([c, b, a], d, [f, e]) = (self.first_three, self.fourth, self.fifth_and_sixth);
        [a, b, c, d, e, f]
    }
}

/// Where a trapped system call goes on that `$function` is to answer: an ordinary call of it, on the stack that r11 says, so that it may
/// park, be interrupted, and unwind. (The unwinder's expressions say: of rbp, what lies at 8 is the frame, at 16 the return address, at 0
/// rbp as it was.) The registers that a called function need not keep are kept: those of xsave's components x87,
/// SSE, AVX, AVX-512 and APX in an area of 2688 bytes (where the components lie: Intel's manual, volume 1, 13.4).
macro_rules! called_inline {
    ($name:ident, $function:path) => {
        #[unsafe(naked)]
        extern "C" fn $name() {
            std::arch::naked_asm!(
                ".cfi_startproc", // rcx: where to go on, r11: a stack's top
                ".cfi_def_cfa rsp, 0",
                ".cfi_register rip, rcx",
                "xchg rsp, r11",
                ".cfi_def_cfa_register r11",
                "push rcx",
                "push r11",
                "push rbp",
                "mov rbp, rsp",
                ".cfi_escape 0x0f, 3, 0x76, 8, 6",
                ".cfi_escape 0x10, 16, 2, 0x76, 16",
                ".cfi_escape 0x10, 6, 2, 0x76, 0",
                "pushfq",
                "push rdi",
                "push rsi",
                "push rdx",
                "push r10",
                "push r8",
                "push r9",
                "push rax",
                "cld",
                "sub rsp, 2688",
                "and rsp, -64",
                "xor eax, eax",
                "mov [rsp + 512], rax", // the area's header
                "mov [rsp + 520], rax",
                "mov [rsp + 528], rax",
                "mov [rsp + 536], rax",
                "mov [rsp + 544], rax",
                "mov [rsp + 552], rax",
                "mov [rsp + 560], rax",
                "mov [rsp + 568], rax",
                "xor edx, edx",
                "mov eax, 0x800e7",
                "xsave64 [rsp]",
                "test byte ptr [rsp + 512], 1",
                "jz 2f",
                "emms", // called functions find the x87 stack empty
                "2:",
                "lea rdi, [rbp - 64]",
                "call {function}",
                "mov [rbp - 64], rax",
                "xor edx, edx",
                "mov eax, 0x800e7",
                "xrstor64 [rsp]",
                "lea rsp, [rbp - 64]",
                "pop rax",
                "pop r9",
                "pop r8",
                "pop r10",
                "pop rdx",
                "pop rsi",
                "pop rdi",
                "popfq",
                "mov rcx, [rbp + 16]",
                ".cfi_register rip, rcx",
                "mov r11, [rbp + 8]",
                ".cfi_def_cfa r11, 0",
                "mov rbp, [rbp]",
                ".cfi_restore rbp",
                "mov rsp, r11",
                "jmp rcx",
                ".cfi_endproc",
                function = sym $function,
            )
        }
    };
}
pub(crate) use called_inline;
