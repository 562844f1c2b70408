//! CPython: whether its lock was held during a call, how long taking it back took, and the Python lines that led to the call.
//!
//! A call that lets the lock go ends before the thread has it again, and only then the Python stack may be read. So the entry of
//! `PyEval_RestoreThread` leads here: a long call that waits for its Python stack gets it right after the lock is had. A call that keeps
//! the lock is finished at once.
//!
//! The stack is read by functions of the C interface. An exception that is being raised is put aside meanwhile. None of the program's
//! Python code may run in there, for an exception that waits for this thread (`PyThreadState_SetAsyncExc`, a signal's) would be raised in
//! that code:
//!
//! ```text
//!   what would run code of the program's           so                                  before
//!   attributes of a frame: sys.addaudithook        PyFrame_GetCode, PyFrame_GetBack    3.9: no event
//!   the collector's finalizers, for new frames     PyGC_Disable, PyGC_Enable           3.10: may run
//! ```

use crate::arch::entry;
use crate::audit::clock;
use crate::audit::format::{gil, Long, SAME};
use crate::audit::stack;
use crate::audit::text::Writer;
use crate::audit::thread::{self, Thread};
use crate::base::kept::Kept;
use crate::glibc::symbols;
use crate::rows::Row;
use crate::sys;
use once_cell::race::OnceBox;
use std::ffi::{c_char, c_int, c_void, CStr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

type Object = *mut c_void;

/// What finishes a long call, right after this thread has the lock again, which took so many ticks (`recorder::finish`).
pub type Finish = fn(&Thread, u64);

/// The functions of the interpreter that are called here.
struct Functions {
    finish: Finish,
    is_initialized: extern "C" fn() -> c_int,
    this_state: extern "C" fn() -> Object,
    holds_lock: extern "C" fn() -> c_int,
    /// The state that holds the lock, of whatever thread (before 3.12), or this thread's that does; `None`: there is no such function.
    holder: Option<extern "C" fn() -> Object>,
    frame: extern "C" fn() -> Object,
    /// A frame's code, and the frame before; `None`: before 3.9, where they are attributes.
    code: Option<extern "C" fn(Object) -> Object>,
    back: Option<extern "C" fn(Object) -> Object>,
    line: extern "C" fn(Object) -> c_int,
    /// Keep the collector from running, and tell whether it could; `None`: before 3.10.
    collector: Option<[extern "C" fn() -> c_int; 2]>,
    attribute: extern "C" fn(Object, *const c_char) -> Object,
    text: extern "C" fn(Object, *mut isize) -> *const c_char,
    release: extern "C" fn(Object),
    error_fetch: extern "C" fn(*mut Object, *mut Object, *mut Object),
    error_restore: extern "C" fn(Object, Object, Object),
    error_clear: extern "C" fn(),
}

static FUNCTIONS: Kept<OnceBox<Functions>> = Kept::new(OnceBox::new());
/// What does as `PyEval_RestoreThread` did, once its entry leads here.
#[link_section = ".data.gp_audit"]
static RESTORE: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));
/// Where `PyEval_RestoreThread` is.
static ENTRY: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));
/// The interpreter was looked for, and its entry was taken or could not be.
static SOUGHT: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// When it was looked for last, CLOCK_MONOTONIC.
static LOOKED_NS: Kept<AtomicU64> = Kept::new(AtomicU64::new(0));
/// How long it is not looked for again: that takes a look into each library's symbols.
const LOOK_NS: u64 = 10_000_000;

/// Looks for the interpreter: at load, and, where it comes by dlopen, at the next long call. True: it is there, and its lock is watched.
pub fn find(finish: Finish, now_ns: u64) -> bool {
    if FUNCTIONS.get().is_some() {
        return true;
    }
    if now_ns.saturating_sub(LOOKED_NS.load(Relaxed)) < LOOK_NS {
        return false;
    }
    LOOKED_NS.store(now_ns, Relaxed);
    let Some(restore) = symbols::anywhere(c"PyEval_RestoreThread") else { return false };
    if SOUGHT.swap(true, Relaxed) {
        return false;
    }
    /// # Safety
    /// The function of this name has the type `F`.
    unsafe fn function<F: Copy>(name: &CStr) -> Option<F> {
        let address = symbols::anywhere(name)?;
        // SAFETY: `F` is the type of a function of this name, by the caller's word; an address is as large.
        Some(unsafe { std::mem::transmute_copy::<usize, F>(&address) })
    }
    // SAFETY: CPython's functions of these names and types (Python/C API reference).
    let functions = unsafe {
        (|| {
            Some(Functions {
                finish,
                is_initialized: function(c"Py_IsInitialized")?,
                this_state: function(c"PyGILState_GetThisThreadState")?,
                holds_lock: function(c"PyGILState_Check")?,
                holder: function(c"PyThreadState_GetUnchecked").or_else(|| function(c"_PyThreadState_UncheckedGet")),
                frame: function(c"PyEval_GetFrame")?,
                code: function(c"PyFrame_GetCode"),
                back: function(c"PyFrame_GetBack"),
                line: function(c"PyFrame_GetLineNumber")?,
                collector: function(c"PyGC_Disable")
                    .and_then(|disable| function(c"PyGC_Enable").map(|enable| [disable, enable])),
                attribute: function(c"PyObject_GetAttrString")?,
                text: function(c"PyUnicode_AsUTF8AndSize")?,
                release: function(c"Py_DecRef")?,
                error_fetch: function(c"PyErr_Fetch")?,
                error_restore: function(c"PyErr_Restore")?,
                error_clear: function(c"PyErr_Clear")?,
            })
        })()
    };
    let Some(functions) = functions else { return false };
    FUNCTIONS.set(Box::new(functions)).ok();
    ENTRY.store(restore, Relaxed);
    take_entry(restore);
    true
}

/// Lets the entry of `PyEval_RestoreThread` lead to `restored`. Where code may not be written, or the function begins in a way that is not
/// understood, the Python lines of calls that let the lock go are not known.
fn take_entry(function: usize) {
    let Some(room) = sys::map_near(function, 4096) else { return };
    let text = function / 4096 * 4096;
    let pages = 2 * 4096;
    if !sys::protect_code(text, pages, true) {
        return;
    }
    // SAFETY: a function's code, which can be written now; the room is fresh. A jump from there reaches this library by an absolute one.
    unsafe {
        let far = room + 2048;
        entry::jump_far(far, restored as *const () as usize);
        if let Some(moved) = entry::relocate_plainly(function, room) {
            RESTORE.store(moved, Relaxed);
            sys::protect_code(room, 4096, false);
            if !entry::redirect(function, far) {
                RESTORE.store(0, Relaxed);
            }
        }
    }
    sys::protect_code(text, pages, false);
}

/// What `PyEval_RestoreThread` is now: the same, and then what waited for the lock is finished.
extern "C" fn restored(state: Object) {
    // SAFETY: the function that this one stands before, at its moved entry: set before this was reachable.
    let restore: extern "C" fn(Object) = unsafe { std::mem::transmute(RESTORE.load(Relaxed)) };
    let here = thread::here();
    // What the interpreter waits for in there is its own lock, which is told with the call before.
    let outer = here.outer.replace(&state as *const _ as usize);
    let began = (here.waiting.get() != 0).then(clock::ticks);
    restore(state);
    here.outer.set(outer);
    if let (Some(began), Some(functions)) = (began, FUNCTIONS.get()) {
        (functions.finish)(here, clock::ticks().wrapping_sub(began));
    }
    here.stretch.set(here.stretch.get().wrapping_add(1));
}

/// Is this call a wait for the interpreter's lock, of the interpreter's own? It waits for that by slices of a condition's (ceval_gil.h).
pub fn waits_for_lock(row: u32, caller: u64) -> bool {
    const OWN: [u32; 2] = [Row::pthread_cond_timedwait as u32, Row::pthread_cond_clockwait as u32];
    let restore = RESTORE.load(Relaxed);
    restore != 0 && OWN.contains(&row) && stack::is_of_one_object(ENTRY.load(Relaxed) as u64, caller)
}

/// Returns how the interpreter's lock is for this thread now (`format::gil`). Called right behind a long call, on its thread: a call that
/// let the lock go has not taken it back yet. A thread without a Python state of its own (a library's) is none of the interpreter's.
///
/// `PyGILState_Check` says that every thread holds the lock once there was a second interpreter, so the holder is looked at where it can
/// be.
pub fn lock_state() -> u32 {
    let Some(functions) = FUNCTIONS.get() else { return gil::NONE };
    let own = (functions.this_state)();
    if (functions.is_initialized)() == 0 || own.is_null() {
        gil::NONE
    } else if functions.holder.map_or_else(|| (functions.holds_lock)() != 0, |holder| holder() == own) {
        gil::HELD
    } else {
        gil::RELEASED
    }
}

/// Will a call with the lock let go be finished by `restored`?
pub fn watches() -> bool {
    RESTORE.load(Relaxed) != 0
}

/// Writes a path: where it begins as the frame's before does, the number of those bytes between two bytes `SAME`, then the rest.
fn put_path(writer: &mut Writer, path: &[u8], before: &[u8]) {
    let mut same = path.iter().zip(before).take_while(|(one, other)| one == other).count();
    // A character's bytes stay together.
    while same > 0 && path.get(same).is_some_and(|byte| byte & 0xc0 == 0x80) {
        same -= 1;
    }
    if same > 4 {
        writer.put(&[SAME]);
        writer.number(same as u64);
        writer.put(&[SAME]);
        writer.put(&path[same..]);
    } else {
        writer.put(path);
    }
}

/// Writes the Python stack of this thread, which holds the lock, the innermost line first and at most twenty-four, into a long call's
/// entry; returns a mix of its innermost line.
pub fn tell(long: &Long) -> u64 {
    const MOST: usize = 24;
    let Some(functions) = FUNCTIONS.get() else { return 0 };
    let mut raised = [std::ptr::null_mut(); 3];
    let [kind, value, trace] = &mut raised;
    (functions.error_fetch)(kind, value, trace);
    let collected = functions.collector.is_some_and(|[disable, _]| disable() != 0);
    let attribute = |of: Object, name: &CStr| {
        let found = (functions.attribute)(of, name.as_ptr());
        if found.is_null() {
            (functions.error_clear)();
        }
        found
    };
    let release = |object: Object| {
        if !object.is_null() {
            (functions.release)(object)
        }
    };
    let of_frame = |function: Option<extern "C" fn(Object) -> Object>, frame: Object, name: &CStr| match function {
        Some(function) => function(frame),
        None => attribute(frame, name),
    };
    let mut writer = Writer::new(&long.python);
    let mut mix = 0u64;
    let text = |object: Object| {
        let mut length = 0isize;
        let place = if object.is_null() { std::ptr::null() } else { (functions.text)(object, &mut length) };
        if place.is_null() {
            (functions.error_clear)();
            return &b"?"[..];
        }
        // SAFETY: the interpreter's text of this length, which lives as long as the object: it is released below, after its last use.
        unsafe { std::slice::from_raw_parts(place as *const u8, length as usize) }
    };
    // The file of the frame before: most frames of a driver lie in one folder, and there is room for the whole stack if that stands once.
    let (mut file_before, mut before) = (std::ptr::null_mut(), &b""[..]);
    // The frame itself is borrowed; what leads on from it is owned.
    let mut frame = (functions.frame)();
    let mut owned = std::ptr::null_mut();
    for depth in 0..MOST {
        // Before 3.9 the last frame's `f_back` is `None`, which has no code.
        let code = if frame.is_null() { frame } else { of_frame(functions.code, frame, c"f_code") };
        if code.is_null() {
            break;
        }
        let file = attribute(code, c"co_filename");
        let name = match attribute(code, c"co_qualname") {
            name if name.is_null() => attribute(code, c"co_name"),
            name => name,
        };
        let path = text(file);
        put_path(&mut writer, path, before);
        release(std::mem::replace(&mut file_before, file));
        before = path;
        writer.put(b"\t");
        writer.number((functions.line)(frame).max(0) as u64);
        writer.put(b"\t");
        writer.put(text(name));
        writer.put(b"\n");
        if depth == 0 {
            let written = &long.python[..writer.len()];
            mix = written.iter().fold(0xcbf2_9ce4_8422_2325, |mix, byte| {
                (mix ^ u64::from(byte.load(Relaxed))).wrapping_mul(0x100_0000_01b3)
            });
        }
        release(name);
        release(code);
        let back = of_frame(functions.back, frame, c"f_back");
        release(owned);
        (frame, owned) = (back, back);
    }
    release(owned);
    release(file_before);
    writer.end();
    if let (true, Some([_, enable])) = (collected, functions.collector) {
        enable();
    }
    let [kind, value, trace] = raised;
    (functions.error_restore)(kind, value, trace);
    mix
}
