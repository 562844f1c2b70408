//! The function that the library calls where a greenlet is about to block (`leave` in include/greenpatch.h).
//!
//! The library calls it inside a driver's call of libc. The driver may hold the interpreter's lock, or have let it go: `Ensure` and
//! `Release` are right for both, and their pairs are balanced within each greenlet. PyO3's own `attach` is not used here: it counts by
//! thread, and takes the lock for held while another greenlet of the thread has it.
//!
//! A greenlet that is left, step by step:
//!
//! ```text
//!   library      leave(NULL)     does a greenlet run that may be left?           `ask`
//!   library      leave(&user)    `left` = [greenlet], given to the library       `be_left`
//!   be_left      switch()        the loop runs; the library may give `left` to `take`, whose caller switches back
//!   be_left      left[0] = None  who has taken it too late finds nothing to switch to
//!   be_left      tell(error)     where an exception was thrown into the greenlet: the wait ends, and Python raises it (told.py)
//! ```

use crate::interpreter;
use crate::libraries::Seen;
use crate::library::{Library, FAIL, IGNORE};
use pyo3::ffi::*;
use pyo3::prelude::*;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr::{addr_of_mut, null_mut};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The interpreter is at its end: no greenlet is left any more.
pub static IS_OVER: AtomicBool = AtomicBool::new(false);

/// What a thread's loop has given to leave its greenlets by. Touched by that thread alone, with the interpreter's lock.
pub struct Glue {
    pub library: &'static Library,
    /// `() -> greenlet`: the one that runs. These two run no Python code, which a signal's handler could interrupt.
    pub current: Py<PyAny>,
    /// `(greenlet) -> bool`: may it be left? The loop's own may not.
    pub is_context: Py<PyAny>,
    /// `()`: switches to the loop.
    pub switch: Py<PyAny>,
    /// `(bool) -> bool`: from now on greenlets are left, or none is any more, and the loop may end. Answers whether the loop lives.
    pub hold: Py<PyAny>,
    /// `(error | None)`: what is raised in the running greenlet when it is back in Python (told.py). `None`: what was told before.
    /// Returns whether anything is yet to be raised, in whichever greenlet.
    pub tell: Py<PyAny>,
    /// What becomes of a wait into which an exception was thrown: one of `enum gp_cancel`.
    pub cancel: c_int,
    /// Which libraries are loaded that are never lent.
    pub seen: Seen,
    /// How many greenlets are left.
    pub waiting: Cell<usize>,
    /// The greenlet that was left last, borrowed: what it calls until it has switched is not left.
    pub leaving: Cell<*mut PyObject>,
    /// Something is yet to be raised.
    pub is_told: Cell<bool>,
    /// The loop was destroyed: no greenlet is left any more.
    pub is_over: Cell<bool>,
}

/// `leave` of `struct gp_loop_ops`; `data` is a `Glue`.
///
/// # Safety
/// Called by the library, on the thread that has lent the glue's loop.
pub unsafe extern "C" fn leave(data: *mut c_void, user: *mut *mut c_void) -> c_int {
    if IS_OVER.load(Relaxed) {
        return 0;
    }
    // SAFETY: the glue lives as long as the loop is lent.
    let glue = unsafe { &*(data as *const Glue) };
    // SAFETY: the interpreter lives (`IS_OVER`), and the thread is one of its own.
    unsafe {
        if user.is_null() {
            // A library that is never lent: the library knows it from the next wait on.
            if interpreter::may_be_another() || glue.seen.update(glue.library) {
                return 0;
            }
            held(|| ask(glue))
        } else {
            // What taking the lock waits for is the thread's.
            (glue.library.pause)();
            let answer = held(|| be_left(glue, user));
            (glue.library.resume)();
            answer
        }
    }
}

/// Runs `what` with the interpreter's lock, and no exception set; one that was is set again.
///
/// # Safety
/// The interpreter lives.
unsafe fn held(what: impl FnOnce() -> c_int) -> c_int {
    // SAFETY: as the interpreter's C API has it; the pair is on one greenlet's stack.
    unsafe {
        let lock = PyGILState_Ensure();
        let error = Raised::take();
        let answer = what();
        error.put_back();
        PyGILState_Release(lock);
        answer
    }
}

/// Returns whether the running greenlet may be left: 1 or 0. Called with the lock.
fn ask(glue: &Glue) -> c_int {
    if glue.is_over.get() {
        return 0;
    }
    // SAFETY: with the lock; the references are this function's.
    unsafe {
        let current = PyObject_CallObject(glue.current.as_ptr(), null_mut());
        if current.is_null() {
            PyErr_WriteUnraisable(glue.current.as_ptr());
            return 0;
        }
        let mut may = 0;
        if current != glue.leaving.get() {
            let answer = PyObject_CallFunctionObjArgs(glue.is_context.as_ptr(), current, null_mut::<PyObject>());
            if answer.is_null() {
                PyErr_WriteUnraisable(glue.is_context.as_ptr());
            } else {
                may = (answer == Py_True()) as c_int;
                Py_DECREF(answer);
            }
        }
        Py_DECREF(current);
        may
    }
}

/// Leaves the running greenlet until the loop switches back: 0, or what becomes of the wait, for an exception came. Called with the lock,
/// and paused.
///
/// # Safety
/// `user` has room for a pointer.
unsafe fn be_left(glue: &Glue, user: *mut *mut c_void) -> c_int {
    // SAFETY: with the lock; the references are this function's, which has `left` until the library has forgotten it.
    unsafe {
        let (current, left) = (PyObject_CallObject(glue.current.as_ptr(), null_mut()), PyList_New(1));
        if current.is_null() || left.is_null() {
            PyErr_WriteUnraisable(glue.current.as_ptr());
            Py_XDECREF(current);
            Py_XDECREF(left);
            return FAIL;
        }
        Py_INCREF(current);
        PyList_SetItem(left, 0, current);
        *user = left.cast();
        if glue.is_told.get() {
            tell(glue, Py_False());
        }
        glue.waiting.set(glue.waiting.get() + 1);
        if glue.waiting.get() == 1 && !call(&glue.hold, Py_True()) {
            glue.waiting.set(0);
            glue.is_over.set(true);
            Py_DECREF(left);
            Py_DECREF(current);
            return IGNORE;
        }
        glue.leaving.set(current);
        (glue.library.resume)();
        let back = PyObject_CallObject(glue.switch.as_ptr(), null_mut());
        (glue.library.pause)();
        glue.leaving.set(null_mut());
        let error = Raised::take();
        Py_INCREF(Py_None());
        PyList_SetItem(left, 0, Py_None());
        glue.waiting.set(glue.waiting.get() - 1);
        if glue.waiting.get() == 0 {
            call(&glue.hold, Py_False());
        }
        let mut answer = IGNORE;
        if back.is_null() {
            let value = error.into_value();
            tell(glue, value);
            Py_XDECREF(value);
            answer = glue.cancel;
        } else if glue.is_told.get() {
            tell(glue, Py_None());
        }
        Py_XDECREF(back);
        Py_DECREF(left);
        Py_DECREF(current);
        answer
    }
}

/// Has `error` raised later (None: what was told before; False: nothing as long as the greenlet is left).
///
/// # Safety
/// Called with the lock, with no exception set; `error` is borrowed.
unsafe fn tell(glue: &Glue, error: *mut PyObject) {
    // SAFETY: the caller's.
    let more = unsafe { call(&glue.tell, error) };
    glue.is_told.set(more);
}

/// Calls with one argument, and says whether the answer is true. What it raises is printed: there is nobody to raise it to.
///
/// # Safety
/// Called with the lock, with no exception set; `argument` is borrowed.
unsafe fn call(function: &Py<PyAny>, argument: *mut PyObject) -> bool {
    // SAFETY: the caller's.
    unsafe {
        let answer = PyObject_CallFunctionObjArgs(function.as_ptr(), argument, null_mut::<PyObject>());
        if answer.is_null() {
            PyErr_WriteUnraisable(function.as_ptr());
            return false;
        }
        let is_true = answer == Py_True();
        Py_DECREF(answer);
        is_true
    }
}

/// The exception that was set; null where there was none.
struct Raised {
    kind: *mut PyObject,
    value: *mut PyObject,
    traceback: *mut PyObject,
}

impl Raised {
    /// Takes the exception off.
    ///
    /// # Safety
    /// Called with the lock.
    unsafe fn take() -> Raised {
        let mut it = Raised { kind: null_mut(), value: null_mut(), traceback: null_mut() };
        // SAFETY: with the lock.
        #[allow(deprecated)]
        unsafe {
            PyErr_Fetch(addr_of_mut!(it.kind), addr_of_mut!(it.value), addr_of_mut!(it.traceback))
        };
        it
    }

    /// Sets it again.
    ///
    /// # Safety
    /// Called with the lock.
    unsafe fn put_back(self) {
        // SAFETY: the references are given away.
        #[allow(deprecated)]
        unsafe {
            PyErr_Restore(self.kind, self.value, self.traceback)
        };
    }

    /// Returns the exception object, with its traceback: a new reference.
    ///
    /// # Safety
    /// Called with the lock; an exception was set.
    unsafe fn into_value(mut self) -> *mut PyObject {
        // SAFETY: with the lock, and the references are this function's.
        #[allow(deprecated)]
        unsafe {
            PyErr_NormalizeException(addr_of_mut!(self.kind), addr_of_mut!(self.value), addr_of_mut!(self.traceback));
            if !self.traceback.is_null() {
                PyException_SetTraceback(self.value, self.traceback);
            }
            Py_XDECREF(self.traceback);
            Py_XDECREF(self.kind);
        }
        self.value
    }
}
