//! The process's own arguments, environment and auxiliary vector, read (and changed) on the initial stack: our constructor runs
//! before libc's, when `environ` is still empty.
//!
//! ```text
//!   __libc_stack_end → argc │ argv … 0 │ envp … 0 │ auxv: (key, value) … (0, 0)
//! ```

#![warn(unsafe_op_in_unsafe_fn)]

use crate::glibc::{self, objects};
use std::ffi::CStr;

/// Where the environment and the auxiliary vector lie on the initial stack.
pub struct Environment {
    entries: *mut *mut libc::c_char,
    auxiliary: *const [usize; 2],
}

/// Has libc begun its work? Then this library was loaded late, by dlopen.
pub fn libc_runs() -> bool {
    extern "C" {
        static environ: *const *mut libc::c_char;
    }
    // SAFETY: libc's variable, null until libc is initialised.
    !unsafe { environ }.is_null()
}

/// FSGSBASE instructions are allowed (AT_HWCAP2, bit 1; source: the kernel's asm/hwcap2.h).
const HWCAP2_FSGSBASE: usize = 1 << 1;

impl Environment {
    /// Finds them by glibc's `__libc_stack_end`; `None`: this glibc has none.
    ///
    /// # Safety
    /// Called at load, before any other code changes the environment.
    pub unsafe fn of_process() -> Option<Environment> {
        let start = glibc::main_stack()? as *const usize;
        // SAFETY: the kernel has laid this down at the first stack's end, as the picture above has it: the count, so many arguments and a
        // null, the entries and a null, the vector. No code has changed it before libc's constructors.
        unsafe {
            let count = *start;
            let entries = start.add(1 + count + 1) as *mut *mut libc::c_char;
            let mut at = entries;
            while !(*at).is_null() {
                at = at.add(1);
            }
            Some(Environment { entries, auxiliary: at.add(1) as *const [usize; 2] })
        }
    }

    /// Returns the auxiliary vector's value for a key (AT_…); 0 if it has none.
    fn auxiliary_value(&self, key: u64) -> usize {
        let mut at = self.auxiliary;
        // SAFETY: the vector ends with a pair whose key is 0.
        unsafe {
            while (*at)[0] != 0 {
                if (*at)[0] == key as usize {
                    return (*at)[1];
                }
                at = at.add(1);
            }
        }
        0
    }

    /// Does the program run with rights that its user has not (AT_SECURE: set-user-id, file capabilities)? Then the environment is not
    /// honoured.
    pub fn is_secure(&self) -> bool {
        self.auxiliary_value(libc::AT_SECURE) != 0
    }

    /// May user code write the bases of FS and GS? Then a switch of thread pointers costs no system call.
    pub fn can_switch_fast(&self) -> bool {
        self.auxiliary_value(libc::AT_HWCAP2) & HWCAP2_FSGSBASE != 0
    }

    /// The place of `name=…` among the entries.
    fn place(&self, name: &str) -> Option<*mut *mut libc::c_char> {
        let mut at = self.entries;
        // SAFETY: the entries are C strings and end with null.
        unsafe {
            while !(*at).is_null() {
                let entry = CStr::from_ptr(*at).to_bytes();
                if entry.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'=')) {
                    return Some(at);
                }
                at = at.add(1);
            }
        }
        None
    }

    /// Returns a variable's value; `None`: it is not set.
    pub fn get(&self, name: &str) -> Option<&'static CStr> {
        // SAFETY: the entry is a C string that lives as long as the process; `name` and `=` are its beginning.
        self.place(name).map(|place| unsafe { CStr::from_ptr((*place).add(name.len() + 1)) })
    }

    /// Replaces the value of a variable that exists; children inherit it.
    pub fn replace(&mut self, name: &str, value: &str) {
        if let Some(place) = self.place(name) {
            let entry: &'static mut [u8] = Box::leak(format!("{name}={value}\0").into_bytes().into_boxed_slice());
            // SAFETY: the entry's place is ours to change before libc has read it.
            unsafe { *place = entry.as_mut_ptr() as *mut libc::c_char };
        }
    }

    /// Takes out a variable; those behind it move up.
    fn remove(&mut self, name: &str) {
        let Some(mut place) = self.place(name) else { return };
        // SAFETY: the entries end with null, and are ours to change before libc has read them.
        unsafe {
            while !(*place).is_null() {
                *place = *place.add(1);
                place = place.add(1);
            }
        }
    }

    /// Takes this library out of LD_PRELOAD: what is left is as the user had it, also if that is nothing.
    pub fn unpreload(&mut self) {
        let Some(value) = self.get("LD_PRELOAD").and_then(|value| value.to_str().ok()) else { return };
        let others = value.split([':', ' ']).filter(|path| !path.is_empty() && !objects::names_this(path));
        match others.collect::<Vec<_>>().join(":") {
            others if others.is_empty() => self.remove("LD_PRELOAD"),
            others => self.replace("LD_PRELOAD", &others),
        }
    }
}
