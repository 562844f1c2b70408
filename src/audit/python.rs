//! CPython: whether its lock was held during a call, how long taking it back took, and the Python lines that led to the call.
//!
//! A call that lets the lock go ends before the thread has it again, and only then the Python stack may be read. So the entry of
//! `PyEval_RestoreThread` leads here: a long call that waits for its Python stack gets it right after the lock is had. A call that keeps
//! the lock is finished at once.
//!
//! The stack is read by functions of the C interface that every version since 3.8 has: `PyEval_GetFrame`, and attributes of frames by name.
//! An exception that is being raised is put aside meanwhile.

use crate::arch::entry;
use crate::audit::clock;
use crate::audit::format::{gil, Long};
use crate::audit::text::Writer;
use crate::audit::thread::{self, Thread};
use crate::base::kept::Kept;
use crate::glibc::symbols;
use crate::sys;
use once_cell::race::OnceBox;
use std::ffi::{c_char, c_int, c_long, c_void, CStr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

type Object = *mut c_void;

/// What finishes a long call, right after this thread has the lock again, which took so many ticks (`recorder::finish`).
pub type Finish = fn(&Thread, u64);

/// The functions of the interpreter that are called here.
struct Functions {
    finish: Finish,
    is_initialized: extern "C" fn() -> c_int,
    this_state: extern "C" fn() -> Object,
    holds_lock: extern "C" fn() -> c_int,
    frame: extern "C" fn() -> Object,
    attribute: extern "C" fn(Object, *const c_char) -> Object,
    text: extern "C" fn(Object, *mut isize) -> *const c_char,
    long: extern "C" fn(Object) -> c_long,
    release: extern "C" fn(Object),
    error_fetch: extern "C" fn(*mut Object, *mut Object, *mut Object),
    error_restore: extern "C" fn(Object, Object, Object),
    error_clear: extern "C" fn(),
}

static FUNCTIONS: Kept<OnceBox<Functions>> = Kept::new(OnceBox::new());
/// What does as `PyEval_RestoreThread` did, once its entry leads here.
static RESTORE: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));
/// The interpreter was looked for, and its entry was taken or could not be.
static SOUGHT: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// Looks for the interpreter: at load, and, where it comes by dlopen, at the next long call. True: it is there, and its lock is watched.
pub fn find(finish: Finish) -> bool {
    if FUNCTIONS.get().is_some() {
        return true;
    }
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
                frame: function(c"PyEval_GetFrame")?,
                attribute: function(c"PyObject_GetAttrString")?,
                text: function(c"PyUnicode_AsUTF8AndSize")?,
                long: function(c"PyLong_AsLong")?,
                release: function(c"Py_DecRef")?,
                error_fetch: function(c"PyErr_Fetch")?,
                error_restore: function(c"PyErr_Restore")?,
                error_clear: function(c"PyErr_Clear")?,
            })
        })()
    };
    let Some(functions) = functions else { return false };
    FUNCTIONS.set(Box::new(functions)).ok();
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
    if here.waiting.get() == 0 {
        return restore(state);
    }
    let began = clock::ticks();
    restore(state);
    if let Some(functions) = FUNCTIONS.get() {
        (functions.finish)(here, clock::ticks().wrapping_sub(began));
    }
}

/// Returns how the interpreter's lock is for this thread now (`format::gil`). Called right behind a long call, on its thread: a call that
/// let the lock go has not taken it back yet. A thread without a Python state of its own (a library's) is none of the interpreter's.
pub fn lock_state() -> u32 {
    let Some(functions) = FUNCTIONS.get() else { return gil::NONE };
    if (functions.is_initialized)() == 0 || (functions.this_state)().is_null() {
        gil::NONE
    } else if (functions.holds_lock)() != 0 {
        gil::HELD
    } else {
        gil::RELEASED
    }
}

/// Will a call with the lock let go be finished by `restored`?
pub fn watches() -> bool {
    RESTORE.load(Relaxed) != 0
}

/// Writes the Python stack of this thread, which holds the lock, the innermost line first and at most twenty-four, into a long call's
/// entry; returns a mix of its innermost line.
pub fn tell(long: &Long) -> u64 {
    const MOST: usize = 24;
    let Some(functions) = FUNCTIONS.get() else { return 0 };
    let mut raised = [std::ptr::null_mut(); 3];
    let [kind, value, trace] = &mut raised;
    (functions.error_fetch)(kind, value, trace);
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
    let mut writer = Writer::new(&long.python);
    let mut mix = 0u64;
    let text = |object: Object, writer: &mut Writer| {
        let mut length = 0isize;
        let place = if object.is_null() { std::ptr::null() } else { (functions.text)(object, &mut length) };
        if place.is_null() {
            (functions.error_clear)();
            return writer.put(b"?");
        }
        // SAFETY: the interpreter's text of this length, which lives as long as the object.
        writer.put(unsafe { std::slice::from_raw_parts(place as *const u8, length as usize) });
    };
    // The frame itself is borrowed; what leads on from it is owned.
    let mut frame = (functions.frame)();
    let mut owned = std::ptr::null_mut();
    for depth in 0..MOST {
        if frame.is_null() {
            break;
        }
        let code = attribute(frame, c"f_code");
        let line = attribute(frame, c"f_lineno");
        if !code.is_null() {
            let file = attribute(code, c"co_filename");
            let name = match attribute(code, c"co_qualname") {
                name if name.is_null() => attribute(code, c"co_name"),
                name => name,
            };
            text(file, &mut writer);
            writer.put(b"\t");
            let number = if line.is_null() { 0 } else { (functions.long)(line) };
            if number < 0 {
                (functions.error_clear)();
            }
            writer.number(number.max(0) as u64);
            writer.put(b"\t");
            text(name, &mut writer);
            writer.put(b"\n");
            if depth == 0 {
                let written = &long.python[..writer.len()];
                mix = written.iter().fold(0xcbf2_9ce4_8422_2325, |mix, byte| {
                    (mix ^ u64::from(byte.load(Relaxed))).wrapping_mul(0x100_0000_01b3)
                });
            }
            release(file);
            release(name);
        }
        release(line);
        release(code);
        let back = attribute(frame, c"f_back");
        release(owned);
        (frame, owned) = (back, back);
        // `None` has no code.
        if depth + 1 < MOST && !frame.is_null() {
            let is_frame = attribute(frame, c"f_code");
            if is_frame.is_null() {
                break;
            }
            release(is_frame);
        }
    }
    release(owned);
    writer.end();
    let [kind, value, trace] = raised;
    (functions.error_restore)(kind, value, trace);
    mix
}
