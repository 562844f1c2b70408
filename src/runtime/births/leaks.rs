//! The view that a leak check (LeakSanitizer's, alone or in AddressSanitizer) has of green threads.
//!
//! LeakSanitizer stops every kernel thread by ptrace, from a task that shares the process's memory. It looks for pointers in the registers
//! and on the stacks of the threads that it knows by their tids, and in the writable segments of all modules, which it asks
//! `dl_iterate_phdr` for. It knows no green thread: their tids are none of the kernel's, and a parked one has no kernel thread. So such a
//! task that asks for the modules is told of more of them: each thread's stack from its stack pointer on with its thread-locals and its
//! TCB, what the runtime keeps of it (the argument of a thread that has not begun), and the registers of every worker.
//!
//! All kernel threads stand still meanwhile: the roll and what it leads to is read as it is. Nothing is allocated, no lock is taken.

use crate::runtime::machine::parts::Green;
use crate::runtime::machine::stack::Stack;
use crate::runtime::machine::words::life;
use crate::runtime::machine::{counts, roll};
use crate::sys;
use libc::{c_int, c_void};
use std::ops::Range;
use std::sync::atomic::Ordering::*;

type Module = libc::dl_phdr_info;
type Registers = libc::user_regs_struct;

/// What `dl_iterate_phdr` calls for each module.
pub type Visit = unsafe extern "C" fn(*mut Module, usize, *mut c_void) -> c_int;

/// The caller of `dl_iterate_phdr`: its function, what it passes to that, and what the function answered last.
struct Asker {
    visit: Visit,
    data: *mut c_void,
    answered: c_int,
}

impl Asker {
    /// Shows memory as a module that is one writable segment.
    fn show(&mut self, memory: Range<usize>) {
        if self.answered != 0 || memory.is_empty() {
            return;
        }
        let segment = libc::Elf64_Phdr {
            p_type: libc::PT_LOAD,
            p_flags: libc::PF_R | libc::PF_W,
            p_offset: 0,
            p_vaddr: memory.start as u64,
            p_paddr: 0,
            p_filesz: 0,
            p_memsz: memory.len() as u64,
            p_align: 1,
        };
        // SAFETY: numbers and pointers, all of which may be 0.
        let mut module: Module = unsafe { std::mem::zeroed() };
        module.dlpi_name = c"green threads".as_ptr();
        (module.dlpi_phdr, module.dlpi_phnum) = (&segment, 1);
        // SAFETY: the caller's own function, called as `dl_iterate_phdr` calls it.
        self.answered = unsafe { (self.visit)(&mut module, size_of::<Module>(), self.data) };
    }
}

/// The registers of a stopped worker's kernel thread; `None`: this task has not stopped it.
fn registers(kernel_tid: i32) -> Option<Registers> {
    // SAFETY: numbers, all of which may be 0.
    let mut registers = unsafe { std::mem::zeroed() };
    (kernel_tid != 0 && sys::task::registers_of(kernel_tid, &mut registers)).then_some(registers)
}

/// Is this a task that has stopped the process's threads, and shares its memory? Such a task has its creator's thread-locals, but another
/// process id.
fn stops_the_world() -> bool {
    let mut stopped = false;
    if sys::process_id() != roll::process_id() {
        counts::for_each_worker(|worker| stopped |= registers(worker.kernel_tid.load(Relaxed)).is_some());
    }
    stopped
}

/// Returns the part of a thread's stack that is in use, with its thread-locals and its TCB: from the stack pointer in its worker's
/// registers if a worker runs it, else from the saved one. All kernel threads stand still.
fn live(green: &Green) -> Range<usize> {
    let Stack { lowest, bytes, .. } = green.vessel.stack.get();
    let mut from = None;
    counts::for_each_worker(|worker| {
        let runs =
            registers(worker.kernel_tid.load(Relaxed)).filter(|registers| registers.fs_base == green.fs.get() as u64);
        from = runs.map(|registers| registers.rsp as usize).or(from);
    });
    // SAFETY: all kernel threads stand still.
    let from = from.unwrap_or(unsafe { *green.sp.get() } as usize);
    let all = lowest..green.vessel.stack.get().mapped().end.max(lowest + bytes);
    // A thread on another stack (a handler's, a coroutine's) may have anything on its own.
    if all.contains(&from) {
        from..all.end
    } else {
        all
    }
}

/// Shows the threads as modules, if the caller is a leak check's task. Called by the hook of `dl_iterate_phdr`, after the real modules, on
/// any task. `answered`: what `visit` returned last; anything but 0 ends the walk. Returns what `dl_iterate_phdr` is to return.
pub fn show(visit: Visit, data: *mut c_void, answered: c_int) -> c_int {
    if answered != 0 || !stops_the_world() {
        return answered;
    }
    let mut asker = Asker { visit, data, answered };
    counts::for_each_worker(|worker| {
        if let Some(registers) = registers(worker.kernel_tid.load(Relaxed)) {
            let place = &raw const registers as usize;
            asker.show(place..place + size_of::<Registers>());
        }
    });
    roll::each(|green| {
        let place = green as *const Green as usize;
        asker.show(place..place + size_of::<Green>());
        // main's stack is left out: LeakSanitizer knows it.
        if !green.is_main && green.life.load(Relaxed) & life::GONE == 0 {
            asker.show(live(green));
        }
    });
    asker.answered
}
