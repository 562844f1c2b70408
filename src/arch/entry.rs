//! The entry of a compiled function: a jump put there, and what stood there moved elsewhere, so that the function can still be called.
//!
//! ```text
//!   function:  cmpb $0, flag(%rip)   7 bytes          function:  jmp gate
//!              je …                          ──►                 (rest of cmpb)
//!              mov $0, %eax                                      je …      ◄─────┐
//!                                                     moved:     cmpb $0, flag(%rip)   the same byte, from another distance
//!                                                                jmp function + 7 ─────┘
//!                                                     gate:      the runtime itself calls? moved
//!                                                                jmp hook              which calls moved, if it wants the function
//! ```
//!
//! Only the instructions that compilers begin functions with are understood; a function that begins otherwise is left as it is. What is
//! relative to where it stands (memory by the instruction pointer, jumps, calls) is given its new distance. A call pushes the
//! old return address and jumps, so that unwinding never meets the moved code.

use std::arch::global_asm;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Bytes of room for one function's moved instructions and its gate.
pub const ROOM: usize = 128;
/// Bytes of all the room there is, in this library's own text: whole pages, so that it alone is made writable.
pub const ALL_ROOM: usize = 48 << 10;
/// Bytes of room for one of this library's own functions, which begin alike and need no gate.
pub const OWN_PLACE: usize = 32;
/// Bytes of all the room for them: as many places as the table has rows that may wait, and some.
pub const OWN_ROOM: usize = 8 << 10;

global_asm!(
    r#"
    .section .text.gp_moved, "ax", @progbits
    .p2align 12
    .hidden gp_moved
    .globl gp_moved
    .type gp_moved, @function
gp_moved:
    .fill 49152, 1, 0xcc
    .size gp_moved, . - gp_moved
    .hidden gp_moved_own
    .globl gp_moved_own
    .type gp_moved_own, @function
gp_moved_own:
    .fill 8192, 1, 0xcc
    .size gp_moved_own, . - gp_moved_own
    .text
"#
);

extern "C" {
    fn gp_moved();
    fn gp_moved_own();
}

/// Returns where the room for moved instructions starts: whole pages of this library's text, filled with int3, near enough to libc for a
/// jump's 32 bits in most address spaces. The caller makes them writable before `relocate` and executable again after it.
pub fn room() -> usize {
    gp_moved as unsafe extern "C" fn() as usize
}

/// Returns where the room for the moved instructions of this library's own functions starts: `OWN_ROOM` bytes, whole pages as `room`'s.
/// Used where a green program is audited.
pub fn own_room() -> usize {
    gp_moved_own as unsafe extern "C" fn() as usize
}

const JUMP: u8 = 0xe9;
/// A jump's bytes: the instruction, and the distance from its end.
const JUMP_BYTES: usize = 5;

/// Jumps to `to` from the first instruction of `function`, in one store: a thread that calls it meanwhile runs the old entry or the new.
/// False: `to` is too far away, or `function` not aligned as functions are.
///
/// # Safety
/// `function` is writable code, and no thread is in the middle of its first five bytes.
pub unsafe fn redirect(function: usize, to: usize) -> bool {
    let distance = (to as isize).wrapping_sub((function + JUMP_BYTES) as isize);
    let (Ok(distance), true) = (i32::try_from(distance), function.is_multiple_of(8)) else { return false };
    const KEPT: u64 = !0 << (8 * JUMP_BYTES);
    // SAFETY: aligned to eight bytes, and writable while the caller patches; it is changed as a whole, so a thread that runs there sees the
    // old entry or the new.
    let first = unsafe { AtomicU64::from_ptr(function as *mut u64) };
    first.store(first.load(SeqCst) & KEPT | (distance as u32 as u64) << 8 | JUMP as u64, SeqCst);
    true
}

/// A function's moved entry.
pub struct Moved {
    /// The address of code that does as the function did.
    pub function: usize,
    /// The address that the function's entry is to lead to.
    pub gate: usize,
}

/// Writes to `at`, which has `ROOM` bytes, what does as the first instructions of `function` do, as many as a jump needs, and goes on
/// behind them; and the gate, which leads to `hook`, or to what was moved: while the runtime itself calls, or where the caller's code lies
/// in `except`. `None`: the instructions are not understood, or a jump leads back into them.
///
/// # Safety
/// `function` is code, with `REACH` bytes of code behind it; `at` is writable.
pub unsafe fn relocate(function: usize, at: usize, hook: usize, except: &Range<usize>) -> Option<Moved> {
    // SAFETY: this function's own contract.
    let mut code = unsafe { moved(function, at) }?;
    let gate = at + code.length;
    code.gate(at, hook, except)?;
    // SAFETY: `at` is one of `room`'s places of `ROOM` bytes, writable while the caller patches, and no entry leads there yet.
    unsafe { (at as *mut [u8; ROOM]).write(code.bytes) };
    Some(Moved { function: at, gate })
}

/// Writes to `at`, which has `ROOM` bytes, what does as the first instructions of `function` do, and goes on behind them: its address then.
/// Unlike `relocate` it writes no gate. `None` as there.
///
/// # Safety
/// As for `relocate`.
pub unsafe fn relocate_plainly(function: usize, at: usize) -> Option<usize> {
    // SAFETY: this function's own contract.
    let code = unsafe { moved(function, at) }?;
    // SAFETY: `at` has `ROOM` bytes, writable, and no entry leads there yet.
    unsafe { (at as *mut [u8; ROOM]).write(code.bytes) };
    Some(at)
}

/// Does as `relocate_plainly` for a function that is known not to jump back into its first instructions, so that bytes that only look like
/// such a jump do no harm, in `OWN_PLACE` bytes. `None`: the instructions are not understood, or need more room.
///
/// # Safety
/// As for `relocate`, but `at` has `OWN_PLACE` bytes, and the function has no such jump.
pub unsafe fn relocate_straight(function: usize, at: usize) -> Option<usize> {
    // SAFETY: this function's own contract.
    let (mut code, after) = unsafe { first_instructions(function, at) }?;
    code.jump(&[JUMP], after)?;
    let bytes = code.bytes.first_chunk::<OWN_PLACE>().filter(|_| code.length <= OWN_PLACE)?;
    // SAFETY: `at` has `OWN_PLACE` bytes, writable, and no entry leads there yet.
    unsafe { (at as *mut [u8; OWN_PLACE]).write(*bytes) };
    Some(at)
}

/// Returns the code that at `at` does as the first instructions of `function` do, as many as a jump needs, and goes on behind them. `None`
/// as for `relocate`.
///
/// # Safety
/// `function` is code, with `REACH` bytes of code behind it.
unsafe fn moved(function: usize, at: usize) -> Option<Code> {
    // SAFETY: this function's own contract.
    let (mut code, after) = unsafe { first_instructions(function, at) }?;
    // SAFETY: `REACH` bytes of code can be read from `function` on, by this function's own contract.
    if unsafe { comes_back(function, after) } {
        return None;
    }
    code.jump(&[JUMP], after)?;
    Some(code)
}

/// Returns the code that at `at` does as the first instructions of `function` do, as many as a jump needs, and where those end. `None`:
/// they are not understood.
///
/// # Safety
/// `function` is code, with `REACH` bytes of code behind it.
unsafe fn first_instructions(function: usize, at: usize) -> Option<(Code, usize)> {
    let mut code = Code { bytes: [0xcc; ROOM], length: 0, at };
    let mut from = function;
    while from < function + JUMP_BYTES {
        // SAFETY: `from` is within the function's first twenty bytes, and `REACH` bytes of code can be read there.
        let bytes = unsafe { &*(from as *const [u8; LONGEST]) };
        let instruction = Instruction::decode(bytes)?;
        from += instruction.length;
        code.take(&instruction, bytes, from)?;
    }
    Some((code, from))
}

/// Writes to `at` a jump to any address: `jmp [rip]` and the address, 14 bytes.
///
/// # Safety
/// `at` is writable.
pub unsafe fn jump_far(at: usize, to: usize) {
    // SAFETY: 14 bytes at `at` are writable, by this function's own contract.
    unsafe {
        (at as *mut [u8; 6]).write([0xff, 0x25, 0, 0, 0, 0]);
        ((at + 6) as *mut usize).write_unaligned(to);
    }
}

/// How far a function is looked through.
pub const REACH: usize = 2048;

/// Does the function jump back to one of its first instructions, which end before `end`? Every byte is taken for a jump's first, as far
/// as the function may reach: one too many does no harm.
///
/// # Safety
/// As for `relocate`.
unsafe fn comes_back(function: usize, end: usize) -> bool {
    const SHORT_REACH: usize = 160;
    // SAFETY: `REACH` bytes of mapped text can be read there; entries are changed at load only, one after the other, by the caller.
    let (first, code) =
        unsafe { (&*(function as *const [u8; LONGEST]), std::slice::from_raw_parts(function as *const u8, REACH)) };
    if (end - function) == Instruction::decode(first).map_or(0, |first| first.length) {
        return false;
    }
    let inside = |after: usize, distance: isize| {
        let target = after.wrapping_add_signed(distance);
        target.wrapping_sub(1) < end - function - 1
    };
    let near = code[..SHORT_REACH].windows(2).enumerate().any(|(at, two)| {
        let short = matches!(two[0], 0x70..=0x7f | 0xeb | 0xe0..=0xe3);
        short && inside(at + 2, two[1] as i8 as isize)
    });
    // Nearly always none: counted first, which is done many bytes at a time.
    let distances = || code.windows(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]])).enumerate();
    let span = (end - function - 1) as u32;
    let close = distances().map(|(at, distance)| u32::from(distance.wrapping_add(at as u32 + 3) < span)).sum::<u32>();
    let far = || {
        let jumps = |at: usize| at > 0 && (code[at - 1] == JUMP || code[at - 1] & 0xf0 == 0x80);
        distances().any(|(at, distance)| inside(at + 4, distance as i32 as isize) && jumps(at))
    };
    near || close > 0 && far()
}

/// An x86-64 instruction's bytes at the most.
const LONGEST: usize = 16;

/// What is special about an instruction when it is moved.
enum Kind {
    Plain,
    /// Four bytes of distance to memory stand at this place in it.
    Relative(usize),
    /// A jump or call by this distance.
    Jump(i32),
    Call(i32),
    /// A jump on this condition.
    Branch(u8, i32),
}

struct Instruction {
    length: usize,
    kind: Kind,
}

impl Instruction {
    /// Decodes the first instruction of `code` (source: the opcode maps of the Intel manual, volume 2, appendix A); `None`: it is not one
    /// that is understood.
    fn decode(code: &[u8; LONGEST]) -> Option<Instruction> {
        const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
        const FS: u8 = 0x64;
        if code[..4] == ENDBR64 {
            return Some(Instruction { length: 4, kind: Kind::Plain });
        }
        let mut at = usize::from(code[0] == FS);
        let rex = if code[at] & 0xf0 == 0x40 { code[at] } else { 0 };
        at += usize::from(rex != 0);
        let (opcode, next) = (code[at], at + 1);
        let operand = |immediate: usize| (true, immediate);
        let (has_operand, immediate) = match opcode {
            0x0f => match code[next] {
                condition @ 0x80..=0x8f => return Some(Self::branch(condition, code, next + 1, 4)),
                0x1f | 0x40..=0x4f | 0xaf | 0xb6 | 0xb7 | 0xbe | 0xbf => return Self::with_operand(code, next + 1, 0),
                _ => return None,
            },
            0x70..=0x7f => return Some(Self::branch(opcode, code, next, 1)),
            0xe8 => return Some(Self { length: next + 4, kind: Kind::Call(distance(code, next, 4)) }),
            0xe9 => return Some(Self { length: next + 4, kind: Kind::Jump(distance(code, next, 4)) }),
            0xeb => return Some(Self { length: next + 1, kind: Kind::Jump(distance(code, next, 1)) }),
            0x00..=0x3f => match opcode & 7 {
                0..=3 => operand(0),
                4 => (false, 1),
                5 => (false, 4),
                _ => return None,
            },
            0x50..=0x5f | 0x90 => (false, 0),
            0x63 | 0x84..=0x8b | 0x8d => operand(0),
            0x80 | 0x83 | 0xc1 | 0xc6 => operand(1),
            0x81 | 0xc7 => operand(4),
            0xf6 if code[next] & 0x38 == 0 => operand(1),
            0xf7 if code[next] & 0x38 == 0 => operand(4),
            0x6a | 0xa8 => (false, 1),
            0x68 | 0xa9 => (false, 4),
            0xb8..=0xbf if rex & 8 == 0 => (false, 4),
            _ => return None,
        };
        if has_operand {
            return Self::with_operand(code, next, immediate);
        }
        Some(Self { length: next + immediate, kind: Kind::Plain })
    }

    fn branch(opcode: u8, code: &[u8; LONGEST], at: usize, bytes: usize) -> Self {
        Self { length: at + bytes, kind: Kind::Branch(opcode & 15, distance(code, at, bytes)) }
    }

    /// Returns the instruction whose operands a ModRM byte at `at` tells, followed by so many bytes of constant.
    fn with_operand(code: &[u8; LONGEST], at: usize, immediate: usize) -> Option<Self> {
        let (mode, register) = (code[at] >> 6, code[at] & 7);
        let scaled = mode != 3 && register == 4;
        let place = at + 1 + usize::from(scaled);
        let base = if scaled { code[at + 1] & 7 } else { register };
        let (distance, kind) = match mode {
            0 if base == 5 && !scaled => (4, Kind::Relative(place)),
            0 if base == 5 => (4, Kind::Plain),
            1 => (1, Kind::Plain),
            2 => (4, Kind::Plain),
            _ => (0, Kind::Plain),
        };
        let length = place + distance + immediate;
        (length < LONGEST).then_some(Self { length, kind })
    }
}

/// The signed number of one or four bytes at `at`.
fn distance(code: &[u8; LONGEST], at: usize, bytes: usize) -> i32 {
    if bytes == 1 {
        code[at] as i8 as i32
    } else {
        i32::from_le_bytes([code[at], code[at + 1], code[at + 2], code[at + 3]])
    }
}

/// Instructions written so far, and where they are to stand.
struct Code {
    bytes: [u8; ROOM],
    length: usize,
    at: usize,
}

impl Code {
    /// Takes one more from `code`, behind which the old function went on at `after`.
    fn take(&mut self, instruction: &Instruction, code: &[u8; LONGEST], after: usize) -> Option<()> {
        let target = |distance: i32| after.wrapping_add_signed(distance as isize);
        match instruction.kind {
            Kind::Plain => self.put(&code[..instruction.length]),
            Kind::Relative(place) => {
                let memory = target(distance(code, place, 4));
                let mut moved = *code;
                let here = (self.at + self.length + instruction.length) as isize;
                let new = i32::try_from((memory as isize).wrapping_sub(here)).ok()?;
                moved[place..place + 4].copy_from_slice(&new.to_le_bytes());
                self.put(&moved[..instruction.length])
            }
            Kind::Jump(distance) => self.jump(&[JUMP], target(distance)),
            Kind::Branch(condition, distance) => self.jump(&[0x0f, 0x80 | condition], target(distance)),
            Kind::Call(distance) => self.call(target(distance), after),
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.bytes.get_mut(self.length..self.length + bytes.len())?.copy_from_slice(bytes);
        self.length += bytes.len();
        Some(())
    }

    fn jump(&mut self, opcode: &[u8], target: usize) -> Option<()> {
        let here = (self.at + self.length + opcode.len() + 4) as isize;
        let distance = i32::try_from((target as isize).wrapping_sub(here)).ok()?;
        self.put(opcode)?;
        self.put(&distance.to_le_bytes())
    }

    /// push [the return address, which stands behind the next jump]; jmp.
    fn call(&mut self, target: usize, back: usize) -> Option<()> {
        self.put(&[0xff, 0x35, JUMP_BYTES as u8, 0, 0, 0])?;
        self.jump(&[JUMP], target)?;
        self.put(&back.to_le_bytes())
    }

    /// Writes the gate, which leaves every register that may hold an argument as it is.
    fn gate(&mut self, moved: usize, hook: usize, except: &Range<usize>) -> Option<()> {
        const IF_NOT_ZERO: [u8; 2] = [0x0f, 0x85];
        const IF_BELOW: [u8; 2] = [0x0f, 0x82];
        for word in super::guard_offsets() {
            // cmp qword ptr fs:[word], 0
            self.put(&[0x64, 0x48, 0x83, 0x3c, 0x25])?;
            self.put(&i32::try_from(word).ok()?.to_le_bytes())?;
            self.put(&[0])?;
            self.jump(&IF_NOT_ZERO, moved)?;
        }
        if !except.is_empty() {
            // mov r11, [rsp]; mov r10, start; sub r11, r10; cmp r11, bytes
            self.put(&[0x4c, 0x8b, 0x1c, 0x24, 0x49, 0xba])?;
            self.put(&except.start.to_le_bytes())?;
            self.put(&[0x4d, 0x29, 0xd3, 0x49, 0x81, 0xfb])?;
            self.put(&i32::try_from(except.len()).ok()?.to_le_bytes())?;
            self.jump(&IF_BELOW, moved)?;
        }
        self.jump(&[JUMP], hook)
    }
}
