//! `greenpatch._bridge`: what the Python package asks of the preloaded library. The package's own modules call it, nobody else.

mod interpreter;
mod leave;
mod libraries;
mod library;
mod trace;

use leave::{leave, Glue, IS_OVER};
use libraries::Seen;
use library::{library, Library, Ops, Statistics, AUDIT, FAIL, GREEN, IGNORE, SHUTDOWN};
use pyo3::exceptions::{PyImportError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::Ordering::Relaxed;

fn preloaded() -> PyResult<&'static Library> {
    library().ok_or_else(|| PyRuntimeError::new_err("libgreenpatch.so is not preloaded"))
}

/// Returns an OSError of that number.
fn os_error(number: c_int) -> PyErr {
    let words = std::io::Error::from_raw_os_error(number).to_string();
    let words = words.split(" (os error").next().unwrap_or_default().to_owned();
    PyOSError::new_err((number, words))
}

/// A loop that its thread lends, until `close`. On another thread it is as one that was closed.
#[pyclass]
struct Loan {
    glue: *mut Glue,
    eventfd: c_int,
    /// The thread that lends the loop.
    thread: libc::pthread_t,
}

// SAFETY: `glue` is used by its thread alone (`Loan::glue`), and a loan that is dropped by another one leaves it behind.
unsafe impl Send for Loan {}
// SAFETY: as above.
unsafe impl Sync for Loan {}

#[pymethods]
impl Loan {
    /// Lends the calling thread's loop. The callables are what leave.rs says of `Glue`; `cancel`: "shutdown", "error" or "ignore".
    #[new]
    fn new(
        current: Py<PyAny>,
        is_context: Py<PyAny>,
        switch: Py<PyAny>,
        hold: Py<PyAny>,
        tell: Py<PyAny>,
        cancel: &str,
    ) -> PyResult<Loan> {
        let cancel = match cancel {
            "shutdown" => SHUTDOWN,
            "error" => FAIL,
            "ignore" => IGNORE,
            _ => return Err(PyValueError::new_err("cancel is \"shutdown\", \"error\" or \"ignore\"")),
        };
        let library = preloaded()?;
        // SAFETY: no pointers.
        let eventfd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if eventfd < 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        let (waiting, leaving, is_told) = (Cell::new(0), Cell::new(null_mut()), Cell::new(false));
        let is_over = Cell::new(false);
        let glue = Glue {
            library,
            current,
            is_context,
            switch,
            hold,
            tell,
            cancel,
            seen: Seen::default(),
            waiting,
            leaving,
            is_told,
            is_over,
        };
        let glue = Box::into_raw(Box::new(glue));
        let ops = Ops { size: size_of::<Ops>(), leave };
        // SAFETY: the library reads `ops` during the call, and calls `leave` with the glue until the loop is taken back.
        let mut error = unsafe { (library.lend)(&ops, eventfd, glue.cast()) };
        // SAFETY: always succeeds.
        let mut loan = Loan { glue, eventfd, thread: unsafe { libc::pthread_self() } };
        if error == 0 {
            error = interpreter::tell_locks(library);
            if error != 0 {
                loan.close();
            }
        }
        if error != 0 {
            loan.free();
            return Err(os_error(error));
        }
        Ok(loan)
    }

    /// The eventfd that the loop is to watch: readable while there is something to `take`.
    #[getter]
    fn eventfd(&self) -> c_int {
        self.eventfd
    }

    /// Does the calling thread lend the loop, by this loan?
    fn is_own(&self) -> bool {
        self.glue().is_some()
    }

    /// How many greenlets are left.
    #[getter]
    fn waiting(&self) -> usize {
        self.glue().map_or(0, |glue| glue.waiting.get())
    }

    /// Takes greenlets whose waits are over: lists of one element, the greenlet, or None once it has gone on by itself.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        const MOST: usize = 128;
        let mut users = [null_mut::<c_void>(); MOST];
        let Some(glue) = self.glue() else { return Ok(Vec::new()) };
        // SAFETY: there is room for so many.
        let count = unsafe { (glue.library.take)(users.as_mut_ptr(), MOST) };
        // SAFETY: each is a list that its greenlet keeps while it is left, and the library returns no other.
        Ok(users[..count].iter().map(|user| unsafe { Bound::from_borrowed_ptr(py, user.cast()) }).collect())
    }

    /// Makes the eventfd readable: the loop is to come back for what it has taken.
    fn ring(&self) {
        let one = 1_u64;
        // SAFETY: eight bytes of this function's. A full counter is readable, too.
        unsafe { libc::write(self.eventfd, (&raw const one).cast(), size_of::<u64>()) };
    }

    /// Returns what was counted: waits in which a greenlet was left, waits in which the thread waited, greenlets taken.
    fn statistics(&self) -> PyResult<(u64, u64, u64)> {
        let mut of = Statistics { size: size_of::<Statistics>(), lent: 0, blocked: 0, taken: 0 };
        // SAFETY: a struct of its size.
        match unsafe { (preloaded()?.loop_statistics)(&mut of) } {
            0 => Ok((of.lent, of.blocked, of.taken)),
            error => Err(os_error(error)),
        }
    }

    /// Takes the loop back. False: greenlets are left, and it stays lent.
    fn close(&mut self) -> bool {
        let Some(glue) = self.glue() else { return true };
        // SAFETY: called on the thread that has lent it (`glue`).
        let is_busy = unsafe { (glue.library.unlend)() } == libc::EBUSY;
        if !is_busy {
            self.free();
        }
        !is_busy
    }

    /// Forgets a loan that the library has forgotten: in a fork child.
    fn forget(&mut self) {
        self.free();
    }
}

impl Loan {
    /// Returns what was lent; `None`: it was taken back, or another thread asks.
    fn glue(&self) -> Option<&Glue> {
        // SAFETY: always succeeds.
        let is_own = self.thread == unsafe { libc::pthread_self() };
        // SAFETY: null, or the box that `new` has made, which its own thread alone looks at.
        is_own.then_some(self.glue).and_then(|glue| unsafe { glue.as_ref() })
    }

    /// Frees what was lent. Called by its thread, once the library has forgotten it.
    fn free(&mut self) {
        if self.glue().is_none() {
            return;
        }
        let glue = std::mem::replace(&mut self.glue, null_mut());
        if !glue.is_null() {
            // SAFETY: the library calls it no more.
            unsafe {
                drop(Box::from_raw(glue));
                libc::close(self.eventfd);
            }
            self.eventfd = -1;
        }
    }
}

/// How the process runs: "absent" (not preloaded), "native", "green", "audit".
#[pyfunction]
fn mode() -> &'static str {
    // SAFETY: any thread may ask.
    match library().map(|library| unsafe { (library.mode)() }) {
        None => "absent",
        Some(GREEN) => "green",
        Some(AUDIT) => "audit",
        Some(_) => "native",
    }
}

/// The version of the library's interface.
#[pyfunction]
fn interface() -> PyResult<c_int> {
    // SAFETY: any thread may ask.
    preloaded().map(|library| unsafe { (library.version)() })
}

/// From now on until `resume`, no greenlet of this thread is left.
#[pyfunction]
fn pause() {
    if let Some(library) = library() {
        // SAFETY: any thread may.
        unsafe { (library.pause)() }
    }
}

/// Ends one `pause`.
#[pyfunction]
fn resume() {
    if let Some(library) = library() {
        // SAFETY: any thread may.
        unsafe { (library.resume)() }
    }
}

/// The kernel thread's own dictionary, whatever is patched.
#[pyfunction]
fn of_thread(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    // SAFETY: with the lock; the reference is borrowed.
    let dictionary = unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyThreadState_GetDict()) };
    let dictionary = dictionary.ok_or_else(|| PyRuntimeError::new_err("this thread has no dictionary"))?;
    Ok(dictionary.cast_into::<PyDict>()?)
}

/// No greenlet is left from now on. Called as the interpreter ends.
#[pyfunction]
fn end() {
    IS_OVER.store(true, Relaxed);
}

#[pymodule]
fn _bridge(module: &Bound<'_, PyModule>) -> PyResult<()> {
    if !interpreter::is_main() {
        return Err(PyImportError::new_err(
            "greenpatch cannot be imported in a subinterpreter: its loop cannot be lent",
        ));
    }
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<Loan>()?;
    module.add_function(wrap_pyfunction!(mode, module)?)?;
    module.add_function(wrap_pyfunction!(interface, module)?)?;
    module.add_function(wrap_pyfunction!(pause, module)?)?;
    module.add_function(wrap_pyfunction!(resume, module)?)?;
    module.add_function(wrap_pyfunction!(of_thread, module)?)?;
    module.add_function(wrap_pyfunction!(trace::trace, module)?)?;
    module.add_function(wrap_pyfunction!(end, module)?)
}
