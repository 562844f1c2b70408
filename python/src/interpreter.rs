//! The interpreter: where its own locks lie, and which one runs.
//!
//! They lie in the data of the file that has `_PyRuntime`, be it libpython or the program. `leave` takes the interpreter's lock. A greenlet
//! that was left because it waited for that lock, or for the mutex inside it while it lets the lock go, would wait for itself. What the
//! interpreter waits for beside these, with semaphores in the heap, are locks of Python's (`threading.Lock`): a greenlet that is left may
//! hold one, so that others must be left for it, too.

use crate::library::{symbol, Library, BLOCKING_OBJECTS, CONDITION_CALLERS};
use pyo3::ffi::{
    PyGILState_GetThisThreadState, PyInterpreterState, PyInterpreterState_Get, PyInterpreterState_GetID, PyThreadState,
};
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::OnceLock;

/// What the search asks, and answers.
struct Search {
    library: &'static Library,
    runtime: usize,
    error: c_int,
}

/// Says to the library that who waits for a lock of the interpreter's own blocks the thread, and who waits for one of Python's is left: 0,
/// or an error number. ENOTSUP: the interpreter is none that is known. Called on a thread that has lent its loop.
pub fn tell_locks(library: &'static Library) -> c_int {
    // SAFETY: the name ends in a NUL.
    let runtime = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_PyRuntime".as_ptr()) } as usize;
    let mut search = Search { library, runtime, error: libc::ENOTSUP };
    if runtime != 0 {
        // SAFETY: `look` takes a `Search`, and is called during this call only.
        unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    }
    search.error
}

/// Asks one file: 1, if it is the interpreter's, and the search is over.
///
/// # Safety
/// Called by dl_iterate_phdr, with a `Search`.
unsafe extern "C" fn look(file: *mut libc::dl_phdr_info, _: usize, search: *mut c_void) -> c_int {
    // SAFETY: the loader's description of a file, and `tell_locks`' search.
    let (file, search) = unsafe { (&*file, &mut *(search as *mut Search)) };
    // SAFETY: the file's program headers.
    let headers = unsafe { std::slice::from_raw_parts(file.dlpi_phdr, file.dlpi_phnum as usize) };
    let segments = |flag| {
        let of_kind = move |header: &&libc::Elf64_Phdr| header.p_type == libc::PT_LOAD && header.p_flags & flag != 0;
        headers.iter().filter(of_kind).map(|header| {
            let from = (file.dlpi_addr + header.p_vaddr) as usize;
            from..from + header.p_memsz as usize
        })
    };
    if !segments(libc::PF_W).any(|range| range.contains(&search.runtime)) {
        return 0;
    }
    // SAFETY: addresses only.
    let say = |what, range: Range<usize>| unsafe {
        (search.library.range)(what, range.start as *const c_void, range.end as *const c_void)
    };
    search.error = segments(libc::PF_W).map(|data| say(BLOCKING_OBJECTS, data)).find(|&error| error != 0).unwrap_or(0);
    // With an old glibc callers are not to be told apart: there Python's locks block.
    for text in segments(libc::PF_X) {
        say(CONDITION_CALLERS, text);
    }
    1
}

/// Is the running interpreter the main one? Called with its lock.
pub fn is_main() -> bool {
    // SAFETY: with the lock there is a running interpreter.
    unsafe { PyInterpreterState_GetID(PyInterpreterState_Get()) == 0 }
}

/// What tells of interpreters, which the stable interface leaves out. It takes no lock.
struct Interpreters {
    running: unsafe extern "C" fn() -> *mut PyThreadState,
    first: unsafe extern "C" fn() -> *mut PyInterpreterState,
    next: unsafe extern "C" fn(*mut PyInterpreterState) -> *mut PyInterpreterState,
}

/// May a subinterpreter be the one that runs here? Then its lock is another one, or is held under another name, and `PyGILState_Ensure`
/// would wait for itself. Before CPython 3.12 the running one may be another thread's. Called with any lock, or none.
pub fn may_be_another() -> bool {
    static INTERPRETERS: OnceLock<Option<Interpreters>> = OnceLock::new();
    let Some(it) = INTERPRETERS.get_or_init(find) else { return false };
    // SAFETY: they read words of the interpreter's, which lives.
    unsafe {
        let running = (it.running)();
        !running.is_null() && running != PyGILState_GetThisThreadState() && !(it.next)((it.first)()).is_null()
    }
}

fn find() -> Option<Interpreters> {
    // SAFETY: CPython's functions of these names, the first of which has two, by version.
    unsafe {
        let running = symbol(c"PyThreadState_GetUnchecked").or_else(|| symbol(c"_PyThreadState_UncheckedGet"));
        let (first, next) = (symbol(c"PyInterpreterState_Head")?, symbol(c"PyInterpreterState_Next")?);
        Some(Interpreters { running: running?, first, next })
    }
}
