//! The trace function of told.py. In C, for an error that a trace function written in Python raises takes the thread's trace function off,
//! which may be a debugger's.

use crate::library::symbol;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi::*;
use pyo3::prelude::*;
use std::ffi::c_int;
use std::ptr::null_mut;

type Trace = unsafe extern "C" fn(*mut PyObject, *mut PyObject, c_int, *mut PyObject) -> c_int;
type SetTrace = unsafe extern "C" fn(Trace, *mut PyObject);

/// `PyTrace_EXCEPTION`.
const EXCEPTION: c_int = 1;

/// Traces one frame of the calling thread's: at its next event calls `due(exception | None)`, and raises what that returns; where it
/// returns None, nothing. `due` has set the trace function that was there before.
#[pyfunction]
pub fn trace(frame: Bound<'_, PyAny>, due: Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: CPython's function of that name; the stable interface leaves it out.
    let set = unsafe { symbol::<SetTrace>(c"PyEval_SetTrace") };
    let set = set.ok_or_else(|| PyRuntimeError::new_err("this interpreter has no PyEval_SetTrace"))?;
    let py = frame.py();
    let both = (frame, due).into_pyobject(py)?;
    // SAFETY: with the lock; the interpreter takes a reference of its own.
    unsafe { set(event, both.as_ptr()) };
    Ok(())
}

/// Called by the interpreter at each event of a frame of the thread's. `both` is a tuple: the frame, and `due`.
///
/// # Safety
/// Called with the lock, with no exception set.
unsafe extern "C" fn event(both: *mut PyObject, frame: *mut PyObject, what: c_int, argument: *mut PyObject) -> c_int {
    // SAFETY: with the lock; borrowed references, but for what is called for, and `due`'s own, which ends with the trace.
    unsafe {
        if PyTuple_GetItem(both, 0) != frame {
            return 0;
        }
        let due = PyTuple_GetItem(both, 1);
        Py_INCREF(due);
        let exception = if what == EXCEPTION { PyTuple_GetItem(argument, 1) } else { Py_None() };
        let error = PyObject_CallFunctionObjArgs(due, exception, null_mut::<PyObject>());
        Py_DECREF(due);
        if error.is_null() {
            return -1;
        }
        let is_due = error != Py_None();
        if is_due {
            PyErr_SetObject(Py_TYPE(error).cast(), error);
        }
        Py_DECREF(error);
        -(is_due as c_int)
    }
}
