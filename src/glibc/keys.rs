//! Thread-specific keys, C++ destructors and locales at the end of a green thread.

use crate::base::kept::Kept;
use crate::glibc::functions::{real, REAL};
use libc::c_void;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::*;

/// The greatest key that ever had a destructor or may have a value, plus one.
pub static KEYS_SEEN: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));

/// Notes that `key` exists. Called by the hook of pthread_key_create, on any thread.
pub fn note_key(key: u32) {
    KEYS_SEEN.fetch_max(key as usize + 1, Relaxed);
}

/// Looks through glibc's table for the keys that were made before the hooks saw any. Called by the start.
pub fn note_all_keys() {
    const KEYS: usize = 1024;
    let keys = REAL.keys.load(Relaxed) as *const [usize; 2];
    for key in 0..KEYS {
        // SAFETY: `__pthread_keys` is an array of PTHREAD_KEYS_MAX pairs {sequence, destructor} (source: nptl/internaltypes.h).
        if unsafe { (*keys.add(key))[0] } & 1 == 1 {
            note_key(key as u32);
        }
    }
}

/// Runs the destructors of this thread's pthread keys, up to four rounds, as glibc's thread exit does, and clears the values: also the
/// values that a destructor has set each time, for the vessel's next thread is not to find them.
pub fn run_key_destructors() {
    let keys = REAL.keys.load(Relaxed) as *const [usize; 2];
    let mut again = true;
    for _ in 0..4 {
        if !std::mem::take(&mut again) {
            break;
        }
        for key in 0..KEYS_SEEN.load(Relaxed) {
            // SAFETY: as in `note_all_keys`; the destructor is the program's, called with the value as POSIX says.
            unsafe {
                let value = libc::pthread_getspecific(key as u32);
                let [sequence, destructor] = *keys.add(key);
                if value.is_null() {
                    continue;
                }
                libc::pthread_setspecific(key as u32, std::ptr::null());
                if sequence & 1 == 1 && destructor != 0 {
                    again = true;
                    std::mem::transmute::<usize, unsafe extern "C" fn(*mut c_void)>(destructor)(value);
                }
            }
        }
    }
    if again {
        // SAFETY: a key that does not exist is refused.
        (0..KEYS_SEEN.load(Relaxed)).for_each(|key| unsafe {
            libc::pthread_setspecific(key as u32, std::ptr::null());
        });
    }
}

/// Runs the destructors of a thread that ends here, in glibc's order: C++ thread_local first, then keys.
pub fn run_destructors() {
    let call_tls_dtors = real!(call_tls_dtors as unsafe extern "C" fn());
    // SAFETY: takes no arguments and works on this thread's own list.
    unsafe { call_tls_dtors() };
    run_key_destructors();
}

/// locale.h: LC_GLOBAL_LOCALE.
pub const GLOBAL_LOCALE: libc::locale_t = usize::MAX as libc::locale_t;
