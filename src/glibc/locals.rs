//! Thread-local variables: their initial images, put back before a vessel serves another thread.

use crate::arch;
use crate::base::kept::Kept;
use crate::glibc::keys::GLOBAL_LOCALE;
use crate::glibc::loader::{each_module, is_libcs_own};
use crate::glibc::thread::set_errno;
use libc::{c_int, c_void};
use std::sync::atomic::AtomicPtr;

/// A module's thread-local image: where its block starts from the TCB, and what a new thread finds there.
#[derive(Clone, Copy)]
pub struct Image {
    offset: isize,
    data: usize,
    file_bytes: usize,
    memory_bytes: usize,
}

/// The images of all modules with static TLS but libc, the loader and this library, as of `generation`.
pub struct Images {
    generation: u64,
    dynamic: bool,
    images: Vec<Image>,
    mine: usize,
}

/// The images as of the last change of the list of modules. Replaced whole, never freed: a reader may still copy from the last ones.
pub static IMAGES_NOW: Kept<AtomicPtr<Images>> = Kept::new(AtomicPtr::new(std::ptr::null_mut()));

/// For `dl_iterate_phdr`: how many modules came and went, read from the first one.
///
/// # Safety
/// `out` points to a u64.
pub unsafe extern "C" fn generation_of(info: *mut libc::dl_phdr_info, _: usize, out: *mut c_void) -> c_int {
    // SAFETY: the loader's facts, alive during the call; `out` is `restore_thread_locals`'s own number.
    unsafe { *(out as *mut u64) = (*info).dlpi_adds.wrapping_mul(1 << 32).wrapping_add((*info).dlpi_subs) };
    1
}

/// For `dl_iterate_phdr`: takes in a module's image.
///
/// # Safety
/// `out` points to Images.
pub unsafe extern "C" fn collect(info: *mut libc::dl_phdr_info, _: usize, out: *mut c_void) -> c_int {
    /// Static TLS lies right below the TCB; a block farther away came from malloc.
    const STATIC_REACH: isize = 1 << 20;
    // SAFETY: the loader's facts, alive during the call; `out` is the fresh Images of `restore_thread_locals`, which no other code has yet.
    let (info, images) = unsafe { (&*info, &mut *(out as *mut Images)) };
    // SAFETY: `info` is what dl_iterate_phdr shows.
    let libc_own = unsafe { is_libcs_own(info) };
    for i in 0..info.dlpi_phnum as usize {
        // SAFETY: the loader's array has `dlpi_phnum` headers.
        let header = unsafe { &*info.dlpi_phdr.add(i) };
        if header.p_type == libc::PT_LOAD {
            let start = info.dlpi_addr as usize + header.p_vaddr as usize;
            if (start..start + header.p_memsz as usize).contains(&images.mine) {
                return 0;
            }
        }
        if header.p_type != libc::PT_TLS || libc_own {
            continue;
        }
        let block = info.dlpi_tls_data;
        let offset = (block as isize).wrapping_sub(arch::tcb() as isize);
        // A thread that never used a module's dynamic TLS has no block of it; the next one may.
        images.dynamic |= block.is_null() || !(-STATIC_REACH..0).contains(&offset);
        if !block.is_null() {
            let data = info.dlpi_addr as usize + header.p_vaddr as usize;
            let (file_bytes, memory_bytes) = (header.p_filesz as usize, header.p_memsz as usize);
            images.images.push(Image { offset, data, file_bytes, memory_bytes });
        }
    }
    0
}

/// Gives this thread's thread-local variables their initial values again (the program's; libc's own stay), and what libc keeps
/// of a thread where the next one would notice: errno, dlerror, the locale.
///
/// The list of modules is kept and made anew when the loader's counters say that one came or went, or every time while a
/// module has dynamic TLS, whose place differs from thread to thread.
pub fn restore_thread_locals() {
    let mut generation = 0u64;
    // SAFETY: the callback writes one u64 and stops at the first module.
    unsafe { each_module(generation_of, &mut generation as *mut u64 as *mut c_void) };
    let mut images = IMAGES_NOW.load(std::sync::atomic::Ordering::Acquire);
    // SAFETY: a published list is never changed and never freed (a program loads modules rarely).
    if images.is_null() || unsafe { (*images).generation != generation || (*images).dynamic } {
        let mine = restore_thread_locals as fn() as usize;
        let mut fresh = Box::new(Images { generation, dynamic: false, images: Vec::new(), mine });
        // SAFETY: `collect` writes into `fresh` only.
        unsafe { each_module(collect, &mut *fresh as *mut Images as *mut c_void) };
        if fresh.dynamic {
            // SAFETY: the images are this thread's, taken just now.
            unsafe { copy_images(&fresh) };
            images = std::ptr::null_mut();
        } else {
            images = Box::into_raw(fresh);
            IMAGES_NOW.store(images, std::sync::atomic::Ordering::Release);
        }
    }
    if !images.is_null() {
        // SAFETY: static TLS has the same offset from every TCB.
        unsafe { copy_images(&*images) };
    }
    // SAFETY: both work on this thread's state only; the global locale is a constant.
    unsafe {
        libc::uselocale(GLOBAL_LOCALE);
        libc::dlerror();
    }
    set_errno(0);
}

/// Writes the images over this thread's blocks.
///
/// # Safety
/// The offsets are right for this thread, and no code uses its variables meanwhile.
pub unsafe fn copy_images(images: &Images) {
    let tcb = arch::tcb();
    for image in &images.images {
        let block = tcb.wrapping_add_signed(image.offset) as *mut u8;
        // SAFETY: the module's block on this thread has p_memsz bytes, the first p_filesz of which the loader fills from the image too; it
        // was loaded when the images were taken, and no function of the program's runs on this thread now.
        unsafe {
            std::ptr::copy_nonoverlapping(image.data as *const u8, block, image.file_bytes);
            std::ptr::write_bytes(block.add(image.file_bytes), 0, image.memory_bytes - image.file_bytes);
        }
    }
}
