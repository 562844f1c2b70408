//! System calls that a program makes by itself: `syscall` instructions in its own text, which no hook sees.
//!
//! The two bytes 0F 05 may also be part of another instruction or of data. So each place is decoded from the start of the function in
//! which it stands (symbols and the unwinder's table say where functions are), and counts only where an instruction begins. The number of
//! the call is the constant in eax, as far as the text above tells. The same walk tells the flags of calls to dlopen.
//!
//! ```text
//!    Text   sections, functions, names ── constant_at(address, register) ──► Walk: from the function's start to the address
//!
//!    mov  $202, %eax        rax = 202
//!    test %rdi, %rdi
//!    je   1f                the registers go along to 1:, unless it is reached from above
//!    …
//!    jmp  2f                what follows is not reached from here
//! 1: syscall                rax = 202: futex
//! ```
//!
//! A walk goes through the text once and forwards: a loop brings nothing back to its beginning, so a constant that a loop changes may be
//! told wrong. That is rare enough for a report; the library itself asks the kernel.

use std::collections::HashMap;

use iced_x86::OpAccess::{CondWrite, ReadCondWrite, ReadWrite, Write};
use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Register};
use object::elf::{ProgramHeader64, PF_X, PT_LOAD, SHF_EXECINSTR};
use object::read::elf::ProgramHeader;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionFlags, SymbolKind};

use crate::calls;
use crate::elf::{self, Elf};
use crate::shared::scan;

/// A `syscall` instruction.
pub struct Place {
    /// The address in the file's own numbering.
    pub address: u64,
    /// The nearest symbol before it, and the distance from that in bytes. None: the file has no symbol before it.
    pub symbol: Option<(String, u64)>,
    /// The system call's number. None: no constant was loaded, as far as the text tells.
    pub number: Option<u64>,
}

/// The bytes of the instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// Functions that load a library, and the register of the argument that holds their flags.
const LOADS: [(&str, Register); 2] = [("dlopen", Register::RSI), ("dlmopen", Register::RDX)];
/// The flag by which a library binds its own definitions first (dlfcn.h).
const RTLD_DEEPBIND: u64 = 8;

/// Lists every `syscall` instruction of a file, in the order of addresses. Bytes that only look like one are left out, as far as symbols
/// and the unwinder's table tell.
pub fn syscalls(elf: &Elf) -> Vec<Place> {
    let text = Text::of(elf);
    let places = text.sections.iter().flat_map(|section| {
        let pairs = section.bytes.windows(2).enumerate().filter(|(_, pair)| *pair == SYSCALL);
        pairs.map(|(at, _)| section.address + at as u64)
    });
    let decoded = places.filter_map(|address| {
        let number = text.constant_at(address, Register::RAX)?;
        Some(Place { address, symbol: text.symbol(address), number })
    });
    decoded.collect()
}

/// Libraries whose thread state calls do no harm. The library has the same list (src/glibc/objects.rs).
const HARMLESS: [&str; 2] = ["libtcmalloc", "libprofiler"];
/// The size in bytes of the largest text that is looked through, the same as in src/glibc/objects.rs.
const MOST_TEXT: u64 = 4 << 20;

/// Why the library will take a file for one that sets its threads' state by instructions of its own.
pub struct ThreadState {
    /// True if the file has Go's note. The text does not matter then.
    pub is_go: bool,
    /// The instructions whose number is known to be of that kind. Where there are none, those of unknown number.
    pub places: Vec<Place>,
}

/// Answers what `set_thread_state` of src/glibc/objects.rs will answer for this file. The caller leaves libc's own files out. None: the
/// library will not take it for such a file.
pub fn thread_state(elf: &Elf, name: &str) -> Option<ThreadState> {
    if HARMLESS.iter().any(|harmless| name.starts_with(harmless)) {
        return None;
    }
    let endian = elf.endian();
    let is_text = |part: &&ProgramHeader64<Endianness>| {
        part.p_type(endian) == PT_LOAD && part.p_flags(endian).contains(PF_X) && part.p_memsz(endian) <= MOST_TEXT
    };
    let mut texts = elf.elf_program_headers().iter().filter(is_text);
    let is_go = elf::is_go(elf);
    if !is_go && !texts.any(|part| part.data(endian, elf.data()).is_ok_and(scan::sets_thread_state)) {
        return None;
    }
    let (known, unknown): (Vec<_>, Vec<_>) = syscalls(elf).into_iter().partition(|place| place.number.is_some());
    let known: Vec<_> = known.into_iter().filter(|place| place.number.and_then(calls::of_a_thread).is_some()).collect();
    Some(ThreadState { is_go, places: if known.is_empty() { unknown } else { known } })
}

/// Tells whether a file opens a library with RTLD_DEEPBIND. That library's calls are bound to libc, past the hooks. Found are calls
/// through the file's own table of imports, with a constant as flags.
pub fn binds_deeply(elf: &Elf) -> bool {
    LOADS.iter().any(|(name, register)| {
        let slots = slots(elf, name);
        !slots.is_empty() && Text::of(elf).calls_through(&slots, *register, |flags| flags & RTLD_DEEPBIND != 0)
    })
}

/// Lists the slots into which the loader writes the address of the function `name`.
fn slots(elf: &Elf, name: &str) -> Vec<u64> {
    let is_it = |target| match target {
        RelocationTarget::Symbol(index) => elf.dynamic_symbol_table().is_some_and(|table| {
            object::ObjectSymbolTable::symbol_by_index(&table, index).is_ok_and(|symbol| symbol.name() == Ok(name))
        }),
        _ => false,
    };
    let relocations = elf.dynamic_relocations().into_iter().flatten();
    relocations.filter(|(_, relocation)| is_it(relocation.target())).map(|(address, _)| address).collect()
}

/// An executable section: its address, and its bytes.
struct Section<'data> {
    address: u64,
    bytes: &'data [u8],
}

impl Section<'_> {
    /// Returns the address behind the section.
    fn end(&self) -> u64 {
        self.address + self.bytes.len() as u64
    }
}

/// The executable sections of a file, and what is known of the functions in them.
struct Text<'data> {
    sections: Vec<Section<'data>>,
    /// Functions by address, each from its start to its end, sorted. An end of u64::MAX is not known.
    functions: Vec<(u64, u64)>,
    /// Names of functions, sorted by address. Not every function has one.
    names: Vec<(u64, String)>,
    /// True if there may be code that neither symbols nor the unwinder know: Go's, which has tables of its own.
    more: bool,
}

impl<'data> Text<'data> {
    /// Reads a file's sections and functions. A file without symbols has the unwinder's functions, which have no names.
    fn of(elf: &Elf<'data>) -> Self {
        let executable =
            |flags| matches!(flags, SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(SHF_EXECINSTR));
        let sections = elf.sections().filter(|section| executable(section.flags()));
        let sections: Vec<_> = sections
            .filter_map(|section| Some(Section { address: section.address(), bytes: section.data().ok()? }))
            .collect();
        let functions = elf.symbols().chain(elf.dynamic_symbols());
        let functions = functions.filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition());
        let known: Vec<_> =
            functions.filter_map(|symbol| Some((symbol.name().ok()?, symbol.address(), symbol.size()))).collect();
        let mut names: Vec<_> = known.iter().map(|(name, address, _)| (*address, (*name).to_owned())).collect();
        names.sort_unstable();
        names.dedup_by_key(|(address, _)| *address);
        let sized =
            known.iter().map(|(_, address, size)| (*address, if *size == 0 { u64::MAX } else { address + size }));
        let mut functions: Vec<_> = sized.chain(unwound(elf)).collect();
        functions.sort_unstable();
        let more = elf.section_by_name(".gopclntab").is_some();
        Text { sections, functions, names, more }
    }

    /// Finds the start of the function in which the address lies; zero if no function before it is known. None: between functions, where
    /// data lies.
    fn start(&self, address: u64) -> Option<u64> {
        let after = self.functions.partition_point(|(start, _)| *start <= address);
        match self.functions[..after].last() {
            Some((start, end)) if address < *end || self.more => Some(*start),
            Some(_) => None,
            None => Some(0),
        }
    }

    /// Finds the nearest symbol before an address, and the distance from it.
    fn symbol(&self, address: u64) -> Option<(String, u64)> {
        let after = self.names.partition_point(|(start, _)| *start <= address);
        let (start, name) = &self.names[after.checked_sub(1)?];
        Some((name.clone(), address - start))
    }

    /// Finds the constant in `register` when the instruction at `address` is reached. None: no instruction begins there. Some(None): the
    /// register holds no constant.
    fn constant_at(&self, address: u64, register: Register) -> Option<Option<u64>> {
        let section = self.sections.iter().find(|section| (section.address..section.end()).contains(&address))?;
        let start = self.start(address)?.max(section.address);
        let mut walk = Walk::new(section, start);
        while walk.decoder.ip() < address {
            walk.step();
        }
        (walk.decoder.ip() == address).then(|| walk.constants[register.number()])
    }

    /// Tells whether the function in one of `slots` is called with a constant in `register` that is `wanted`: directly through the slot,
    /// or through a stub of the procedure linkage table.
    fn calls_through(&self, slots: &[u64], register: Register, wanted: fn(u64) -> bool) -> bool {
        let stubs: Vec<_> = self.indirect(0x25).filter(|(_, slot)| slots.contains(slot)).map(|(at, _)| at).collect();
        // A stub is a jump through its slot, with perhaps an endbr64 before it.
        let through_stub = self.direct().filter(|(_, to)| stubs.iter().any(|stub| (*to..to + 8).contains(stub)));
        let through_slot = self.indirect(0x15).filter(|(_, slot)| slots.contains(slot));
        let mut calls = through_stub.chain(through_slot).map(|(at, _)| at);
        calls.any(|at| self.constant_at(at, register).flatten().is_some_and(wanted))
    }

    /// Lists calls (0x15) or jumps (0x25) through memory near the instruction: where they may stand, and the memory's address.
    fn indirect(&self, kind: u8) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.relative(6, move |bytes| bytes[0] == 0xff && bytes[1] == kind)
    }

    /// Lists direct calls: where they may stand, and what they call.
    fn direct(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.relative(5, |bytes| bytes[0] == 0xe8)
    }

    /// Lists places that may be an instruction of `length` bytes, the last four of which are a distance from its end: the address, and
    /// where the distance leads. Bytes that only look like one are told from it later, by the walk to them.
    fn relative(
        &self,
        length: usize,
        fits: impl Fn(&[u8]) -> bool + Copy + 'static,
    ) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.sections.iter().flat_map(move |section| {
            section.bytes.windows(length).enumerate().filter(move |(_, bytes)| fits(bytes)).map(move |(at, bytes)| {
                let address = section.address + at as u64;
                let distance = i32::from_le_bytes(bytes[length - 4..].try_into().unwrap_or_default());
                (address, (address + length as u64).wrapping_add_signed(distance.into()))
            })
        })
    }
}

/// The constants in the general registers, by number. None: no constant is known.
type Constants = [Option<u64>; 16];

/// A walk from instruction to instruction as they stand, with the constants that the registers hold. An instruction is reached from the
/// one above. Behind a jump or a return it is reached with the registers of the first jump to it.
struct Walk<'data> {
    decoder: Decoder<'data>,
    facts: InstructionInfoFactory,
    constants: Constants,
    /// The targets of jumps forwards, and the registers at the first jump to each.
    brought: HashMap<u64, Constants>,
    /// True if the instruction is reached from the one above.
    reached: bool,
}

/// Registers that a called function need not keep, by number: rax, rcx, rdx, rsi, rdi, r8 to r11.
const SCRATCH: [usize; 9] = [0, 1, 2, 6, 7, 8, 9, 10, 11];
/// Registers that a system call changes: rax, rcx, r11.
const ANSWERED: [usize; 3] = [0, 1, 11];

impl<'data> Walk<'data> {
    /// Begins at `start`, an address in the section, with no constants known.
    fn new(section: &Section<'data>, start: u64) -> Self {
        let bytes = &section.bytes[(start - section.address) as usize..];
        let decoder = Decoder::with_ip(64, bytes, start, DecoderOptions::NONE);
        Walk {
            decoder,
            facts: InstructionInfoFactory::new(),
            constants: [None; 16],
            brought: HashMap::new(),
            reached: true,
        }
    }

    /// Takes one instruction: what jumps brought here holds if the line above does not lead here, then the instruction's own effects.
    fn step(&mut self) {
        if let Some(constants) = self.brought.remove(&self.decoder.ip()).filter(|_| !self.reached) {
            (self.reached, self.constants) = (true, constants);
        }
        let instruction = self.decoder.decode();
        let loaded = self.loaded(&instruction);
        let used = self.facts.info(&instruction).used_registers().iter();
        let written = used.filter(|used| matches!(used.access(), Write | ReadWrite | CondWrite | ReadCondWrite));
        for register in written.map(|used| used.register()).filter(|register| register.is_gpr()) {
            self.constants[register.full_register().number()] = None;
        }
        // A called function keeps what the calling convention says; a system call changes three registers.
        let lost: &[usize] = match instruction.flow_control() {
            _ if instruction.code() == Code::Syscall => &ANSWERED,
            FlowControl::Call | FlowControl::IndirectCall => &SCRATCH,
            _ => &[],
        };
        lost.iter().for_each(|register| self.constants[*register] = None);
        if let Some((register, constant)) = loaded {
            self.constants[register.full_register().number()] = constant;
        }
        if matches!(instruction.flow_control(), FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch) {
            self.brought.entry(instruction.near_branch_target()).or_insert(self.constants);
        }
        if matches!(
            instruction.flow_control(),
            FlowControl::UnconditionalBranch | FlowControl::IndirectBranch | FlowControl::Return
        ) {
            (self.reached, self.constants) = (false, [None; 16]);
        }
    }

    /// Tells which register the instruction loads with a constant, or from another register, and what it then holds.
    fn loaded(&self, instruction: &Instruction) -> Option<(Register, Option<u64>)> {
        let (to, from) = (instruction.op_register(0), instruction.op_register(1));
        let constant = match instruction.code() {
            Code::Mov_r32_imm32 | Code::Mov_rm32_imm32 => Some(instruction.immediate32().into()),
            Code::Mov_r64_imm64 => Some(instruction.immediate64()),
            Code::Mov_rm64_imm32 => Some(instruction.immediate32to64() as u64),
            Code::Xor_rm32_r32 | Code::Xor_r32_rm32 if to == from => Some(0),
            Code::Mov_rm32_r32 | Code::Mov_r32_rm32 | Code::Mov_rm64_r64 | Code::Mov_r64_rm64 if from.is_gpr() => {
                self.constants[from.full_register().number()]
            }
            _ => return None,
        };
        to.is_gpr().then_some((to, constant))
    }
}

/// Lists the functions that the unwinder knows, each from its start to its end: the table at the end of .eh_frame_hdr, and what it points
/// to (source: the Linux Standard Base, "Exception Frames"). Empty where a file has no such table, or one of an unusual form.
///
/// ```text
/// .eh_frame_hdr: version, 3 bytes of forms, pointer, count, then rows (distance to the function, distance to its frame)
/// .eh_frame:     … the frame: 4 bytes length, 4 bytes CIE, 4 bytes function, 4 bytes the function's length
/// ```
fn unwound(elf: &Elf) -> Vec<(u64, u64)> {
    /// The usual forms: pointer and count of 32 bits, a table of 32-bit distances from the header's beginning.
    const USUAL: [u8; 3] = [0x1b, 0x03, 0x3b];
    /// Where the function's length stands in its frame description.
    const LENGTH: u64 = 12;
    let part = |name| {
        let section = elf.section_by_name(name)?;
        Some((section.address(), section.data().ok()?))
    };
    let (Some((base, table)), Some((frames, frame_bytes))) = (part(".eh_frame_hdr"), part(".eh_frame")) else {
        return vec![];
    };
    if table.get(1..4) != Some(&USUAL) || table.len() < 12 {
        return vec![];
    }
    let near =
        |bytes: &[u8]| base.wrapping_add_signed(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into());
    let length = |frame: u64| {
        let at = frame.checked_sub(frames)?.checked_add(LENGTH)? as usize;
        Some(u32::from_le_bytes(frame_bytes.get(at..at + 4)?.try_into().ok()?))
    };
    let functions = table[12..].chunks_exact(8).map(|pair| (near(pair), near(&pair[4..])));
    functions.filter_map(|(start, frame)| Some((start, start + u64::from(length(frame)?)))).collect()
}
