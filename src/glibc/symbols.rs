//! Functions found in the symbol tables of what is loaded, without the loader: `dlsym` takes the loader's lock and, where a name is
//! missing, the program's malloc, which may call a hook and wait for a parked thread.
//!
//! Two questions are answered here. `own` finds libc's own definition of a name (or the loader's), past every library that wraps it: the
//! runtime itself calls that. `next` finds the next definition after this library in the order of the search, which may be another
//! library's: the program would call that without this library. Both read the loader's list of modules (`_r_debug`), take no lock and
//! allocate nothing, so that a hook may ask before the front door has finished, on any thread and within malloc.
//!
//! A name's default version is preferred, as dlsym does. Of a name that libc keeps for old programs only, the first version is taken.

use std::ffi::{c_char, CStr};

/// The head of the loader's `struct link_map` (source: link.h).
#[repr(C)]
struct Module {
    base: usize,
    name: *const c_char,
    dynamic: *const [usize; 2],
    next: *const Module,
    previous: *const Module,
}

/// The loader's `struct r_debug_extended` (source: link.h): one a namespace, linked since its version 2.
#[repr(C)]
struct Namespace {
    version: i32,
    modules: *const Module,
    breakpoint: usize,
    state: i32,
    loader: usize,
    next: *const Namespace,
}

// SAFETY: the loader's own variable, which is only read here.
unsafe impl Sync for Namespace {}

/// An ELF symbol (source: elf.h).
#[repr(C)]
struct Symbol {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: usize,
    bytes: usize,
}

extern "C" {
    static _r_debug: Namespace;
    /// This library's own dynamic section, which the linker names so.
    static _DYNAMIC: [usize; 2];
}

const DT_HASH: usize = 4;
const DT_STRTAB: usize = 5;
const DT_SYMTAB: usize = 6;
const DT_GNU_HASH: usize = 0x6fff_fef5;
const DT_VERSYM: usize = 0x6fff_fff0;
const STT_TLS: u8 = 6;
const STT_GNU_IFUNC: u8 = 10;
/// In a symbol's version: not the default.
const HIDDEN: u16 = 0x8000;

/// The modules from `first` on.
fn from(first: *const Module) -> impl Iterator<Item = &'static Module> {
    // SAFETY: the loader's list, whose modules stay loaded while hooks run: what is looked up is the process's from its start.
    std::iter::successors(unsafe { first.as_ref() }, |module| unsafe { module.next.as_ref() })
}

/// This library's namespace, from its first module on, and this library in it.
fn here() -> Option<(*const Module, &'static Module)> {
    const LINKED: i32 = 2;
    let (mut namespace, own) = (&raw const _r_debug, &raw const _DYNAMIC);
    // SAFETY: the loader's list of namespaces, which are never freed.
    while let Some(space) = unsafe { namespace.as_ref() } {
        if let Some(module) = from(space.modules).find(|module| std::ptr::eq(module.dynamic, own)) {
            return Some((space.modules, module));
        }
        namespace = if space.version >= LINKED { space.next } else { std::ptr::null() };
    }
    None
}

/// A module's tables.
struct Tables {
    base: usize,
    symbols: *const Symbol,
    names: *const c_char,
    versions: *const u16,
    hash: *const u32,
    gnu_hash: *const u32,
}

impl Module {
    fn is_libcs(&self) -> bool {
        // SAFETY: the loader gives each module a name, a C string.
        let name = unsafe { CStr::from_ptr(self.name) }.to_bytes();
        [&b"/libc.so.6"[..], b"/ld-linux-x86-64.so.2"].iter().any(|own| name.ends_with(own))
    }

    fn is_sanitizers(&self) -> bool {
        // SAFETY: as above.
        let name = unsafe { CStr::from_ptr(self.name) }.to_bytes();
        name.windows(7).any(|part| part == b"san.so.")
    }

    fn tables(&self) -> Option<Tables> {
        let mut found = [0; 5];
        let mut at = self.dynamic;
        // SAFETY: a dynamic section ends with a pair whose tag is 0.
        while let Some(&[tag, value]) = unsafe { at.as_ref() }.filter(|[tag, _]| *tag != 0) {
            let wanted = [DT_SYMTAB, DT_STRTAB, DT_VERSYM, DT_HASH, DT_GNU_HASH];
            if let Some(place) = wanted.iter().position(|wanted| *wanted == tag) {
                // The loader has added the base to most; the kernel's own module is left as it is.
                found[place] = if value < self.base { self.base + value } else { value };
            }
            // SAFETY: as above.
            at = unsafe { at.add(1) };
        }
        let [symbols, names, versions, hash, gnu_hash] = found;
        (symbols != 0 && names != 0).then_some(Tables {
            base: self.base,
            symbols: symbols as *const Symbol,
            names: names as *const c_char,
            versions: versions as *const u16,
            hash: hash as *const u32,
            gnu_hash: gnu_hash as *const u32,
        })
    }
}

/// A definition: its address, and whether it is the default version.
type Found = (usize, bool);

impl Tables {
    /// The best definition of a name here.
    ///
    /// # Safety
    /// The module is loaded and relocated.
    unsafe fn find(&self, name: &CStr) -> Option<Found> {
        let mut best: Option<(u16, usize)> = None;
        let mut consider = |index: usize| {
            // SAFETY: the hash table tells places of the symbol table only.
            if unsafe { self.defines(index, name) } {
                // SAFETY: the table of versions has a word for each symbol (elf.h: DT_VERSYM).
                let version = if self.versions.is_null() { 1 } else { unsafe { *self.versions.add(index) } };
                // A hidden version compares as greater; of the hidden ones, libc's first version has the least number.
                if best.is_none_or(|(before, _)| version < before) {
                    best = Some((version, index));
                }
            }
        };
        if !self.gnu_hash.is_null() {
            // SAFETY: the module is mapped, its dynamic section has told where the table lies.
            unsafe { self.each_by_gnu_hash(name, &mut consider) };
        } else if !self.hash.is_null() {
            // SAFETY: the old table's second word is the number of symbols (System V ABI, "Hash Table").
            let symbols = unsafe { *self.hash.add(1) };
            (0..symbols as usize).for_each(consider);
        }
        let (version, index) = best?;
        // SAFETY: `index` is a symbol's that was found to define the name, in a module that is relocated.
        Some((unsafe { self.address(index) }, version & HIDDEN == 0))
    }

    /// Does the symbol at this place define the name?
    ///
    /// # Safety
    /// As for `find`; the place is one of the table's.
    unsafe fn defines(&self, index: usize, name: &CStr) -> bool {
        // SAFETY: the place is one of the table's, which the loader has mapped with the module.
        let symbol = unsafe { &*self.symbols.add(index) };
        // SAFETY: a symbol's name is the distance of a C string in the table of names.
        let own_name = || unsafe { CStr::from_ptr(self.names.add(symbol.name as usize)) };
        symbol.section != 0 && symbol.info & 15 != STT_TLS && own_name().to_bytes() == name.to_bytes()
    }

    /// The address of what the symbol at this place names.
    ///
    /// # Safety
    /// As for `defines`.
    unsafe fn address(&self, index: usize) -> usize {
        // SAFETY: the place is one of the table's, which the loader has mapped with the module.
        let symbol = unsafe { &*self.symbols.add(index) };
        let address = self.base + symbol.value;
        if symbol.info & 15 != STT_GNU_IFUNC {
            return address;
        }
        // SAFETY: a symbol of this type leads to a function without arguments that answers the address to be used (System V ABI, GNU's
        // STT_GNU_IFUNC); the module is relocated, so it may run.
        let choose: extern "C" fn() -> usize = unsafe { std::mem::transmute(address) };
        choose()
    }

    /// Shows the symbols that may have this name, by the GNU table: {buckets, first symbol, words of the filter, its shift}, the filter,
    /// the buckets, and a word a symbol, whose lowest bit ends a bucket.
    ///
    /// # Safety
    /// As for `find`.
    unsafe fn each_by_gnu_hash(&self, name: &CStr, visit: &mut dyn FnMut(usize)) {
        let hash = name.to_bytes().iter().fold(5381u32, |hash, &byte| hash.wrapping_mul(33).wrapping_add(byte as u32));
        // SAFETY: the table begins with these four words, and has `filter_words` words of 64 bits behind them.
        let ([buckets, first, filter_words, shift], filter) = unsafe {
            let header = *(self.gnu_hash as *const [u32; 4]);
            (header, *(self.gnu_hash.add(4) as *const u64).add((hash / 64 % header[2]) as usize))
        };
        if buckets == 0 || filter >> (hash % 64) & filter >> ((hash >> shift) % 64) & 1 == 0 {
            return;
        }
        // SAFETY: behind the filter lie `buckets` words, and behind those a word for each symbol from `first` on.
        let (chain, mut index) = unsafe {
            let bucket = self.gnu_hash.add(4 + 2 * filter_words as usize);
            (bucket.add(buckets as usize), *bucket.add((hash % buckets) as usize))
        };
        if index < first {
            return;
        }
        loop {
            // SAFETY: a bucket names a symbol from `first` on, and the walk ends at the word whose lowest bit is set, the bucket's last.
            let word = unsafe { *chain.add((index - first) as usize) };
            if (word ^ hash) & !1 == 0 {
                visit(index as usize);
            }
            if word & 1 == 1 {
                return;
            }
            index += 1;
        }
    }
}

/// Finds a name in one module.
fn in_module(module: &Module, name: &CStr) -> Option<Found> {
    // SAFETY: modules are loaded, and relocated before any code runs that could ask.
    module.tables().and_then(|tables| unsafe { tables.find(name) })
}

/// Finds libc's own definition of a name, or the loader's; `None`: it has none. Called on any thread, without a lock.
pub fn own(name: &CStr) -> Option<usize> {
    let (first, _) = here()?;
    from(first)
        .filter(|module| module.is_libcs())
        .find_map(|module| in_module(module, name))
        .map(|(address, _)| address)
}

/// The first definition of a name in any module that is loaded, the program's own first.
pub fn anywhere(name: &CStr) -> Option<usize> {
    let (first, _) = here()?;
    from(first).find_map(|module| in_module(module, name)).map(|(address, _)| address)
}

/// Declares functions of libc's own, each looked up at each call: for what is called at load, when a sanitizer that the program is linked
/// with has not begun, but has functions of these names.
macro_rules! libcs_own {
    ($(fn $name:ident($($a:ident: $t:ty),*);)*) => {$(
        /// # Safety
        /// As libc's.
        pub unsafe fn $name($($a: $t),*) -> libc::c_int {
            use std::ffi::CStr;
            const NAME: &CStr =
                // SAFETY: the name of a function, and a NUL.
                unsafe { CStr::from_bytes_with_nul_unchecked(concat!(stringify!($name), "\0").as_bytes()) };
            let known: unsafe extern "C" fn($($t),*) -> libc::c_int = libc::$name;
            match $crate::glibc::symbols::own(NAME) {
                // SAFETY: the address of libc's function of this name, whose type the libc crate tells; its contract is the caller's.
                Some(address) => unsafe {
                    std::mem::transmute::<usize, unsafe extern "C" fn($($t),*) -> libc::c_int>(address)($($a),*)
                },
                // SAFETY: the function of this name as the linker has found it; its contract is the caller's.
                None => unsafe { known($($a),*) },
            }
        }
    )*};
}
pub(crate) use libcs_own;

/// Finds the next definition of a name after this library; libc's own where this library comes last, loaded late by dlopen. `None`: no
/// library defines it. Called on any thread, without a lock.
pub fn next(name: &CStr) -> Option<usize> {
    let (_, own_module) = here()?;
    from(own_module.next).find_map(|module| in_module(module, name).and_then(default)).or_else(|| own(name))
}

/// The address, where the definition is the default version.
fn default((address, is_default): Found) -> Option<usize> {
    is_default.then_some(address)
}

/// A symbol that every copy of this library exports.
const COPY: &CStr = c"greenpatch_figures";

/// Does a library between this one and libc define one of these names? Two kinds of library do not count: another copy of this one, which
/// does nothing, and a sanitizer's, which looks at the arguments only. Called at load.
pub fn are_wrapped(names: &[&CStr]) -> bool {
    let Some((_, own_module)) = here() else { return false };
    let behind = || from(own_module.next);
    let is_copy = |module: &Module| in_module(module, COPY).is_some();
    let wraps = |module: &Module| names.iter().any(|name| in_module(module, name).is_some()) && !is_copy(module);
    behind().any(Module::is_libcs)
        && behind().take_while(|module| !module.is_libcs()).any(|module| !module.is_sanitizers() && wraps(module))
}

/// The modules behind this library, for many names: each one's tables are read once.
pub struct Behind(Vec<Tables>);

impl Behind {
    /// Reads the tables of all modules behind this library. Called at load, while there is one thread.
    pub fn new() -> Behind {
        Behind(here().map_or(Vec::new(), |(_, own)| from(own.next).filter_map(Module::tables).collect()))
    }

    /// As `next`.
    pub fn find(&self, name: &CStr) -> Option<usize> {
        // SAFETY: as in `in_module`.
        let found = |tables: &Tables| unsafe { tables.find(name) }.and_then(default);
        self.0.iter().find_map(found).or_else(|| own(name))
    }
}
