//! From one frame of a stack to the next, by the call frame information that every module carries for exceptions (.eh_frame).
//!
//! A step takes the registers at one frame and finds, in the module's table, the rules for that address: where the frame begins (CFA), and
//! where each register that the caller needs was saved, relative to it. Nothing is trusted: memory may change while it is read, so each
//! read may fail, and the walk ends then.
//!
//! ```text
//!   higher    the caller's frame
//!             return address        at CFA - 8
//!             saved rbp, rbx, …     at CFA - 16 and below, as the rules for the address say
//!   lower     locals                ← the frame's stack pointer
//! ```
//!
//! The CFA is the caller's stack pointer once the call has returned. A green thread that is suspended has left its registers on its own
//! stack in the switch (`Saved`): that is where the first step begins.

use super::process::{bytes, word, Process};
use super::table::Saved;
use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, LittleEndian, Register, RegisterRule, UnwindContext, UnwindSection,
};

/// A module's call frame information, as it lies in memory: each part with its address, for the pointers in it are relative.
pub struct Unwinding {
    /// .eh_frame_hdr: a table from addresses to descriptions, sorted.
    header: (u64, Vec<u8>),
    /// .eh_frame: the descriptions.
    frames: (u64, Vec<u8>),
}

impl Unwinding {
    /// Reads the call frame information that the header (.eh_frame_hdr) at `header` leads to, up to `end`, the end of its segment. `None`:
    /// it cannot be read, or is written in a way that is not known.
    pub fn read(process: &impl Process, header: u64, header_bytes: usize, end: u64) -> Option<Unwinding> {
        let head = bytes(process, header, header_bytes)?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(header);
        let parsed = EhFrameHdr::new(&head, LittleEndian).parse(&bases, 8).ok()?;
        let gimli::Pointer::Direct(frames) = parsed.eh_frame_ptr() else { return None };
        let data = bytes(process, frames, end.checked_sub(frames)? as usize)?;
        Some(Unwinding { header: (header, head), frames: (frames, data) })
    }

    /// Returns the caller's registers, from those at the instruction `pc`. `None`: the frame is the outermost, or there is no rule for it.
    /// `pc` is the address before the one at which the frame goes on, for a call may be a function's last instruction. Rules that are DWARF
    /// expressions are not followed: such a register is not known then, and where it is needed the walk ends.
    pub fn step(&self, process: &impl Process, registers: &Registers, pc: u64) -> Option<Registers> {
        let bases = BaseAddresses::default().set_eh_frame_hdr(self.header.0).set_eh_frame(self.frames.0);
        let header = EhFrameHdr::new(&self.header.1, LittleEndian).parse(&bases, 8).ok()?;
        let frames = EhFrame::new(&self.frames.1, LittleEndian);
        let table = header.table()?;
        let found = table.fde_for_address(&frames, &bases, pc, |frames, bases, at| frames.cie_from_offset(bases, at));
        let (description, mut context) = (found.ok()?, Box::new(UnwindContext::new()));
        let row = description.unwind_info_for_address(&frames, &bases, &mut context, pc).ok()?;
        let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else { return None };
        let cfa = registers.get(*register)?.wrapping_add_signed(*offset);
        let mut caller = Registers([None; COUNT]);
        for number in 0..COUNT as u16 {
            caller.0[number as usize] = match row.register(Register(number)) {
                None | Some(RegisterRule::SameValue) if number != RETURN_ADDRESS => registers.get(Register(number)),
                Some(RegisterRule::Offset(offset)) => word(process, cfa.wrapping_add_signed(offset)),
                Some(RegisterRule::ValOffset(offset)) => Some(cfa.wrapping_add_signed(offset)),
                Some(RegisterRule::Register(other)) => registers.get(other),
                _ => None,
            };
        }
        caller.0[STACK_POINTER as usize] = Some(cfa);
        // A stack grows downward: what does not come closer to its beginning is no stack.
        let rises = registers.get(Register(STACK_POINTER)).is_some_and(|before| cfa > before);
        (rises && caller.get(Register(RETURN_ADDRESS))? != 0).then_some(caller)
    }
}

/// By DWARF's numbers (source: the System V ABI's AMD64 supplement): rbx 3, rbp 6, rsp 7, r12 to r15, and the return address.
const COUNT: usize = 17;
const STACK_POINTER: u16 = 7;
const RETURN_ADDRESS: u16 = 16;

/// The registers that a function leaves as they were, as far as they are known, and where it goes on.
#[derive(Clone, Copy)]
pub struct Registers([Option<u64>; COUNT]);

impl Registers {
    /// Reads the registers of a thread that is suspended with this stack pointer, by the table's `Saved`. `None`: they cannot be read.
    pub fn saved(process: &impl Process, sp: u64, saved: &Saved) -> Option<Registers> {
        let mut registers = Registers([None; COUNT]);
        let places = [
            (3, saved.rbx),
            (6, saved.rbp),
            (12, saved.r12),
            (13, saved.r13),
            (14, saved.r14),
            (15, saved.r15),
            (RETURN_ADDRESS, saved.rip),
        ];
        for (number, place) in places {
            registers.0[number as usize] = Some(word(process, sp + u64::from(place))?);
        }
        registers.0[STACK_POINTER as usize] = Some(sp + u64::from(saved.bytes));
        Some(registers)
    }

    /// The address at which the frame's function goes on; `None`: it is not known.
    pub fn pc(&self) -> Option<u64> {
        self.get(Register(RETURN_ADDRESS))
    }

    /// A register by DWARF's number; `None`: it is not known, or not kept here.
    fn get(&self, register: Register) -> Option<u64> {
        self.0.get(usize::from(register.0)).copied().flatten()
    }
}
