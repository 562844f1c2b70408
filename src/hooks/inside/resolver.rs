//! Names of hosts: libc's own functions, which read files and ask name servers inside libc.
//!
//! A name server that does not answer takes seconds. Where libc's entries lead to the hooks (`entries`), the thread parks in
//! those. Else it stays on its kernel thread meanwhile, with its own TLS (the resolver's state is there),
//! and its slot is offered at once; a hook that libc's plugins call by symbol then waits in the kernel.

use crate::glibc;
use crate::hooks::answer::Answer;
use crate::hooks::inside::entries;
use crate::hooks::real;
use crate::runtime;
use crate::runtime::births::offload;
use crate::runtime::waiting::lending;
use crate::why::Why;
use libc::*;
use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};

/// Calls a function that waits inside libc. If libc's entries lead to the hooks the thread parks there. Else the thread stays on its
/// kernel thread, whose slot is offered. Two contexts of one thread would have one resolver's state: so none is left meanwhile.
fn waiting_inside<R>(function: impl FnOnce() -> R) -> R {
    if entries::count() > 0 {
        lending::blocking(function)
    } else {
        runtime::in_libc(function)
    }
}

/// `getaddrinfo`: as the functions below. Where a context of a lent loop may be left another green thread asks, with a resolver's state of
/// its own, and copies of the question: the context's stack may be copied away.
pub unsafe fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    found: *mut *mut addrinfo,
) -> Answer<c_int> {
    if lending::lends() {
        let [node, service] = [node, service].map(|text| (!text.is_null()).then(|| CStr::from_ptr(text).to_owned()));
        let hints = hints.as_ref().copied();
        let told = offload::green(Why::InKernel, move || {
            let text = |text: &Option<CString>| text.as_ref().map_or(null(), |text| text.as_ptr());
            let mut found = null_mut();
            let hints = hints.as_ref().map_or(null(), |hints| hints as *const addrinfo);
            let result = real::getaddrinfo(text(&node), text(&service), hints, &mut found);
            (result, found, glibc::errno())
        });
        if let Some((result, list, number)) = told {
            if result == 0 {
                *found = list;
            } else if result == EAI_SYSTEM {
                glibc::set_errno(number);
            }
            return Ok(result);
        }
    }
    Ok(waiting_inside(|| real::getaddrinfo(node, service, hints, found)))
}

/// `name(arguments) -> result;`: libc's function of that name, which may take its time.
macro_rules! libcs_own {
    ($($name:ident($($a:ident: $t:ty),*) -> $r:ty;)*) => {$(
        /// libc's own function, which may wait inside libc for seconds. Its result, h_errno and errors are libc's. Called by green threads;
        /// a foreign thread's call is libc's.
        #[allow(clippy::too_many_arguments)]
        pub unsafe fn $name($($a: $t),*) -> Answer<$r> {
            Ok(waiting_inside(|| real::$name($($a),*)))
        }
    )*};
}

libcs_own! {
    getnameinfo(of: *const sockaddr, len: socklen_t, host: *mut c_char, host_len: socklen_t, service: *mut c_char,
        service_len: socklen_t, flags: c_int) -> c_int;
    gethostbyname(name: *const c_char) -> *mut hostent;
    gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent;
    gethostbyaddr(address: *const c_void, len: socklen_t, family: c_int) -> *mut hostent;
    gethostbyname_r(name: *const c_char, host: *mut hostent, room: *mut c_char, bytes: size_t, found: *mut *mut hostent,
        error: *mut c_int) -> c_int;
    gethostbyname2_r(name: *const c_char, family: c_int, host: *mut hostent, room: *mut c_char, bytes: size_t,
        found: *mut *mut hostent, error: *mut c_int) -> c_int;
    gethostbyaddr_r(address: *const c_void, len: socklen_t, family: c_int, host: *mut hostent, room: *mut c_char,
        bytes: size_t, found: *mut *mut hostent, error: *mut c_int) -> c_int;
    res_query(name: *const c_char, class: c_int, kind: c_int, reply: *mut c_uchar, bytes: c_int) -> c_int;
    res_search(name: *const c_char, class: c_int, kind: c_int, reply: *mut c_uchar, bytes: c_int) -> c_int;
    res_send(question: *const c_uchar, len: c_int, reply: *mut c_uchar, bytes: c_int) -> c_int;
    res_nquery(state: *mut c_void, name: *const c_char, class: c_int, kind: c_int, reply: *mut c_uchar, bytes: c_int) -> c_int;
    res_nsearch(state: *mut c_void, name: *const c_char, class: c_int, kind: c_int, reply: *mut c_uchar, bytes: c_int) -> c_int;
    res_nsend(state: *mut c_void, question: *const c_uchar, len: c_int, reply: *mut c_uchar, bytes: c_int) -> c_int;
}
