//! The list of loaded modules: a leak check, which asks for it, is shown the threads' memory as well (see runtime/births/leaks.rs).

use crate::hooks::answer::{Answer, Miss};
use crate::hooks::real;
use crate::runtime;
use crate::runtime::births::leaks;
use libc::*;

/// `dl_iterate_phdr`: libc's own; for a leak check the threads' memory is shown as further modules, after libc's. Returns what the
/// last `visit` did. Before the start, and with a null `visit`, libc answers.
pub unsafe fn dl_iterate_phdr(visit: Option<leaks::Visit>, data: *mut c_void) -> Answer<c_int> {
    let Some(function) = visit.filter(|_| runtime::started()) else {
        return Err(Miss::Libc);
    };
    let answered = real::dl_iterate_phdr(visit, data);
    Ok(leaks::show(function, data, answered))
}
