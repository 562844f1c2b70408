//! Stacks: the return addresses from a hook's caller up, found by the unwinding tables of what is loaded.
//!
//! framehop reads the tables and keeps a cache of rules. The objects come by `_dl_find_object` (glibc 2.35), which takes no lock; an older
//! glibc has no such function, and no stacks are told there. Each frame's object is asked for anew: one that was unloaded is taken out
//! before its tables, which are gone, are read.
//!
//! A word of the stack is read only where there is memory, for tables may be wrong.

use crate::arch;
use crate::audit::format::Recording;
use crate::audit::modules;
use crate::base::kept::Kept;
use crate::base::lock::{Locked, Rank};
use crate::glibc::{self, symbols};
use crate::sys;
use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, FrameAddress, Module, MustNotAllocateDuringUnwind, Unwinder};
use std::ffi::{c_char, CStr};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What unwinding needs, under the lock.
struct Unwinding {
    unwinder: UnwinderX86_64<&'static [u8], MustNotAllocateDuringUnwind>,
    cache: CacheX86_64<MustNotAllocateDuringUnwind>,
    /// The objects that the unwinder knows.
    objects: Vec<Object>,
}

/// What is under the lock.
struct Tools {
    /// Made at the first stack that is walked, on the other stack, for it is large; in a fork child again, for another thread may have been
    /// in the midst of a change.
    unwinding: Option<Box<Unwinding>>,
    /// The lowest address of the stack on which stacks are walked; 0: there is none yet.
    stack: usize,
}

/// An object as it was when it was made known.
struct Object {
    start: u64,
    end: u64,
    map: usize,
}

/// The state of this file.
struct State {
    tools: Locked<Tools>,
}

static STATE: State = State { tools: Locked::new(Rank::Audit, Tools { unwinding: None, stack: 0 }) };

/// Where `_dl_find_object` is; 0: this glibc has none.
static FIND: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));
/// The instructions of libc and of this library: start and end.
#[link_section = ".data.gp_audit"]
static LIBC: Kept<[AtomicUsize; 2]> = Kept::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
static OWN: Kept<[AtomicUsize; 2]> = Kept::new([AtomicUsize::new(0), AtomicUsize::new(0)]);

/// Can stacks be walked? After `prepare`; false: this glibc has no `_dl_find_object`.
pub fn can_walk() -> bool {
    FIND.load(Relaxed) != 0
}

/// Finds what unwinding needs of libc. Called at load where the process is audited, and by who walks stacks in one that is not.
pub fn prepare() {
    FIND.store(symbols::own(c"_dl_find_object").unwrap_or(0), Relaxed);
    for (kept, text) in [(&LIBC, glibc::text()), (&OWN, glibc::own_text())] {
        if let Some((start, bytes)) = text {
            kept[0].store(start, Relaxed);
            kept[1].store(start + bytes, Relaxed);
        }
    }
}

/// Is this address in libc's instructions?
pub fn is_libcs(address: u64) -> bool {
    (LIBC[0].load(Relaxed) as u64..LIBC[1].load(Relaxed) as u64).contains(&address)
}

/// Is this address in this library's instructions?
pub fn is_own(address: u64) -> bool {
    (OWN[0].load(Relaxed) as u64..OWN[1].load(Relaxed) as u64).contains(&address)
}

/// struct dl_find_object (dlfcn.h, glibc 2.35).
#[repr(C)]
struct Found {
    flags: u64,
    start: usize,
    end: usize,
    map: *const LinkMap,
    /// The unwinding tables' header (PT_GNU_EH_FRAME).
    header: usize,
    reserved: [u64; 7],
}

/// The part of struct link_map that programs may read (link.h).
#[repr(C)]
struct LinkMap {
    base: usize,
    name: *const c_char,
}

/// Asks which object holds an address. `None`: none does (code that was made at run time), or this glibc cannot say. Takes no lock, and may
/// be asked in signal handlers (glibc manual, "Dynamic Linker Introspection").
fn find(address: u64) -> Option<Found> {
    let function = FIND.load(Relaxed);
    if function == 0 {
        return None;
    }
    // SAFETY: libc's function of this name and type (dlfcn.h); it fills the structure, which may be all zero.
    unsafe {
        let find: extern "C" fn(u64, *mut Found) -> i32 = std::mem::transmute(function);
        let mut found: Found = std::mem::zeroed();
        (find(address, &mut found) == 0).then_some(found)
    }
}

/// Is this address in the program itself, and not in a library?
pub fn is_programs(address: u64) -> bool {
    // SAFETY: `_dl_find_object` has answered with a loaded object, whose name is a C string; the program's is empty.
    find(address).is_some_and(|found| unsafe { *(*found.map).name == 0 })
}

/// Do two addresses lie in one object?
pub fn is_of_one_object(one: u64, other: u64) -> bool {
    find(one).is_some_and(|found| (found.start as u64..found.end as u64).contains(&other))
}

/// Was a wait made in a library that the program has called? Walks the stack as `walk` does: the first frame beyond libc is a library's,
/// and one further out is the program's.
pub fn is_in_library(recording: &Recording, from: Registers) -> bool {
    let (mut within, mut called) = (None, false);
    walk(recording, from, |address, _| {
        if !is_own(address) && !is_libcs(address) {
            let programs = is_programs(address - 1);
            called |= programs && within == Some(true);
            within.get_or_insert(!programs);
        }
        within != Some(false) && !called
    });
    called
}

impl Unwinding {
    fn new() -> Unwinding {
        Unwinding { unwinder: UnwinderX86_64::new(), cache: CacheX86_64::new_in(), objects: Vec::new() }
    }

    /// Sees to it that the object of an address is known as it is now. False: no object holds the address.
    fn know(&mut self, address: u64, recording: Option<&Recording>) -> bool {
        let Some(found) = find(address) else { return false };
        let (start, end, map) = (found.start as u64, found.end as u64, found.map as usize);
        let same = |object: &Object| object.start == start && object.end == end && object.map == map;
        if self.objects.iter().any(same) {
            return true;
        }
        self.objects.retain(|object| {
            let stays = object.end <= start || object.start >= end;
            if !stays {
                self.unwinder.remove_module(object.start);
            }
            stays
        });
        self.objects.push(Object { start, end, map });
        self.make_known(&found, recording);
        true
    }

    /// Adds an object to the unwinder, and to the recording if there is one. An object without unwinding tables is added, too: its frames
    /// are followed by frame pointers then.
    fn make_known(&mut self, found: &Found, recording: Option<&Recording>) {
        // SAFETY: `_dl_find_object` has answered with a loaded object, whose map and name live as long as it is loaded.
        let (base, name) = unsafe { ((*found.map).base as u64, CStr::from_ptr((*found.map).name)) };
        let (start, end) = (found.start as u64, found.end as u64);
        if let Some(recording) = recording {
            modules::note(recording, start, end, base, name, build_id(start as usize).unwrap_or(&[]));
        }
        let mut sections = ExplicitModuleSectionInfo::default();
        if let Some((header, frames)) = tables(found) {
            let bytes = |range: &Range<u64>| {
                // SAFETY: within the object's mapping, which `_dl_find_object` vouches for; tables are never written.
                unsafe { std::slice::from_raw_parts(range.start as *const u8, (range.end - range.start) as usize) }
            };
            let in_file = |range: &Range<u64>| range.start - base..range.end - base;
            sections.eh_frame_hdr_svma = Some(in_file(&header));
            sections.eh_frame_hdr = Some(bytes(&header));
            sections.eh_frame_svma = Some(in_file(&frames));
            sections.eh_frame = Some(bytes(&frames));
        }
        self.unwinder.add_module(Module::new(String::new(), start..end, base, sections));
    }
}

/// Returns where an object's unwinding tables lie: the header, and the frames up to the end of the segment. `None`: it has none of the form
/// that linkers make (Linux Standard Base, "Exception Frames": version 1, the frames' address as a signed distance of 32 bits).
fn tables(found: &Found) -> Option<(Range<u64>, Range<u64>)> {
    const RELATIVE: u8 = 0x1b;
    let header = found.header;
    if header < found.start || header + 12 > found.end {
        return None;
    }
    // SAFETY: within the object's mapping, as just tested; the header has these bytes.
    let (first, distance) = unsafe { (*(header as *const [u8; 4]), *((header + 4) as *const i32)) };
    if first[0] != 1 || first[1] != RELATIVE {
        return None;
    }
    let frames = (header + 4).wrapping_add_signed(distance as isize);
    let end = segment_end(found.start, frames).filter(|end| *end <= found.end)?;
    let header_end = if frames > header { frames.min(end) } else { end };
    (frames >= found.start && frames < end).then_some((header as u64..header_end as u64, frames as u64..end as u64))
}

/// Shows the program headers of the object whose file begins at `start`, until `visit` returns false. Shows none where the first page is no
/// ELF file's, or where the headers do not lie in it.
fn each_header(start: usize, mut visit: impl FnMut(&libc::Elf64_Phdr) -> bool) {
    // SAFETY: the first page of an object is mapped, and holds its file's header (ELF) and, as linkers lay it out, the program headers.
    unsafe {
        let file = &*(start as *const libc::Elf64_Ehdr);
        if file.e_ident[..4] != *b"\x7fELF" || file.e_phoff as usize + file.e_phnum as usize * 56 > 4096 {
            return;
        }
        let headers = std::slice::from_raw_parts((start + file.e_phoff as usize) as *const _, file.e_phnum as usize);
        headers.iter().take_while(|header| visit(header)).count();
    }
}

/// Returns the first address behind the segment that holds an address.
fn segment_end(start: usize, address: usize) -> Option<usize> {
    let (mut lowest, mut end) = (None, None);
    each_header(start, |header| {
        if header.p_type == libc::PT_LOAD {
            let base = *lowest.get_or_insert(start - header.p_vaddr as usize / 4096 * 4096);
            let segment = base + header.p_vaddr as usize..base + (header.p_vaddr + header.p_filesz) as usize;
            if segment.contains(&address) {
                end = Some(segment.end);
            }
        }
        end.is_none()
    });
    end
}

/// Returns an object's build id (the note NT_GNU_BUILD_ID), which lies in its mapping. `None`: it has none. The bytes live as long as the
/// object is loaded: the caller copies them.
fn build_id(start: usize) -> Option<&'static [u8]> {
    const NT_GNU_BUILD_ID: u32 = 3;
    let (mut lowest, mut id) = (None, None);
    each_header(start, |header| {
        if header.p_type == libc::PT_LOAD {
            lowest.get_or_insert(start - header.p_vaddr as usize / 4096 * 4096);
        }
        true
    });
    let base = lowest?;
    each_header(start, |header| {
        if header.p_type == libc::PT_NOTE {
            let (mut at, end) = (base + header.p_vaddr as usize, base + (header.p_vaddr + header.p_memsz) as usize);
            while at + 12 <= end && id.is_none() {
                // SAFETY: notes are mapped with the object; each begins with three words (ELF).
                let [name, bytes, kind] = unsafe { *(at as *const [u32; 3]) };
                let content = at + 12 + (name as usize).next_multiple_of(4);
                if kind == NT_GNU_BUILD_ID && name == 4 && content + bytes as usize <= end {
                    // SAFETY: within the note, as just tested.
                    id = Some(unsafe { std::slice::from_raw_parts(content as *const u8, bytes as usize) });
                }
                at = content + (bytes as usize).next_multiple_of(4);
            }
        }
        id.is_none()
    });
    id
}

/// Where a stack is walked from.
#[derive(Clone, Copy)]
pub struct Registers {
    pub ip: u64,
    pub sp: u64,
    pub bp: u64,
}

/// The stack pointer of `Registers` that name an address alone.
const NO_STACK: u64 = 0;

/// Reads the registers at this place, as its caller's frame has them. Inlined: the frame is the caller's own.
#[inline(always)]
pub fn registers() -> Registers {
    let (ip, sp, bp);
    // SAFETY: reads three registers.
    unsafe {
        std::arch::asm!(
            "lea {0}, [rip]",
            "mov {1}, rsp",
            "mov {2}, rbp",
            out(reg) ip,
            out(reg) sp,
            out(reg) bp,
            options(nomem, nostack, preserves_flags)
        );
    }
    Registers { ip, sp, bp }
}

/// How large the stack is on which stacks are walked: unwinding needs several KiB, and the program's thread may have less left.
const ROOM: usize = 256 << 10;

/// What a walk is about, handed over to the other stack.
struct Walk<'a> {
    unwinding: &'a mut Option<Box<Unwinding>>,
    recording: Option<&'a Recording>,
    from: Registers,
    visit: &'a mut dyn FnMut(u64, u64) -> bool,
}

/// Shows the return addresses from `from` up, with the place on the stack behind each (the frame's end), until `visit` returns false, the
/// stack ends, or cannot be followed. Objects on the way are noted in the recording, if one is given. Called on the thread itself. Every
/// signal is blocked meanwhile: a handler that jumps away would leave the lock taken for ever.
pub fn walk<'a>(recording: impl Into<Option<&'a Recording>>, from: Registers, mut visit: impl FnMut(u64, u64) -> bool) {
    let recording = recording.into();
    let mask = sys::set_signal_mask(u64::MAX);
    STATE.tools.with(|Tools { unwinding, stack }| {
        if *stack == 0 {
            *stack = sys::map(ROOM, 0).map_or(0, |place| place as usize);
        }
        if *stack != 0 {
            let mut walk = Walk { unwinding, recording, from, visit: &mut visit };
            // SAFETY: the stack is used under the lock alone, and the argument outlives the call.
            unsafe { arch::call_on(*stack + ROOM, walk_there, &mut walk as *mut Walk as usize) };
        }
    });
    sys::set_signal_mask(mask);
}

/// Walks, on the other stack. `walk` is the address of a `Walk`.
extern "C" fn walk_there(walk: usize) {
    // SAFETY: `walk` has handed it over, and waits.
    let Walk { unwinding, recording, from, visit } = unsafe { &mut *(walk as *mut Walk) };
    let unwinding = unwinding.get_or_insert_with(|| Box::new(Unwinding::new()));
    let mut readable = from.sp / 4096 * 4096..from.sp / 4096 * 4096 + 4096;
    let lowest = from.sp;
    let mut read = |address: u64| {
        if address & 7 != 0 || address < lowest {
            return Err(());
        }
        if !readable.contains(&address) {
            let page = address / 4096 * 4096;
            if !sys::can_read(page as usize, 4096) {
                return Err(());
            }
            readable = page..page + 4096;
        }
        // SAFETY: the page can be read, as just tested, and it is this thread's stack.
        Ok(unsafe { *(address as *const u64) })
    };
    let mut registers = UnwindRegsX86_64::new(from.ip, from.sp, from.bp);
    let mut at = FrameAddress::InstructionPointer(from.ip);
    const MOST: usize = 256;
    for _ in 0..MOST {
        if !unwinding.know(at.address_for_lookup(), *recording) || from.sp == NO_STACK {
            return;
        }
        let Ok(Some(next)) = unwinding.unwinder.unwind_frame(at, &mut registers, &mut unwinding.cache, &mut read)
        else {
            return;
        };
        let Some(address) = FrameAddress::from_return_address(next) else { return };
        if !visit(next, registers.sp()) {
            return;
        }
        at = address;
    }
}

/// Notes the object that holds an address in the recording, where no stack that is walked would. Called as `walk` is.
pub fn note_object(recording: &Recording, address: u64) {
    walk(recording, Registers { ip: address, sp: NO_STACK, bp: 0 }, |_, _| false);
}

/// Begins anew in a fork child: another thread of the parent's may have been in the midst of a change, and what there was is left as it is.
pub fn after_fork() {
    let State { tools } = &STATE;
    tools.after_fork(|Tools { unwinding, stack: _ }| std::mem::forget(unwinding.take()));
}
