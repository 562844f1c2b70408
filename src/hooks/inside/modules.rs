//! The list of loaded modules: a leak check, which asks for it, is shown the threads' memory as well (see runtime/births/leaks.rs).

use crate::hooks::answer::{Answer, Miss};
use crate::hooks::real;
use crate::runtime;
use crate::runtime::births::leaks;
use libc::*;

/// `dl_iterate_phdr`: libc's own, and for a leak check the memory of the threads as further modules.
pub unsafe fn dl_iterate_phdr(visit: Option<leaks::Visit>, data: *mut c_void) -> Answer<c_int> {
    let Some(function) = visit.filter(|_| runtime::started()) else {
        return Err(Miss::Libc);
    };
    let answered = real::dl_iterate_phdr(visit, data);
    Ok(leaks::show(function, data, answered))
}
