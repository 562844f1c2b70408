//! What we know of glibc: its real functions below our hooks, and the few insides that a vessel needs.
//!
//! Everything is found by name in libc's own table (`symbols`; GLIBC_PRIVATE names too), whoever wraps it. Where something is missing
//! the library stays out of the way and the program runs natively (`find` answers false). The runtime calls glibc through here only.

pub mod objects;
pub mod symbols;
pub mod version;

use crate::base::lock::{Rank, RawLock};
use crate::{arch, sys};
use libc::{c_int, c_void, pthread_attr_t, pthread_t};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicIsize, AtomicPtr, AtomicU32, AtomicUsize, Ordering::*};

/// The real functions' addresses, filled in once by `find`.
pub struct Functions {
    pthread_create: AtomicUsize,
    pthread_join: AtomicUsize,
    pthread_exit: AtomicUsize,
    setcancelstate: AtomicUsize,
    setcanceltype: AtomicUsize,
    swapcontext: AtomicUsize,
    call_tls_dtors: AtomicUsize,
    keys: AtomicUsize,
    exit: AtomicUsize,
    guard: [AtomicUsize; 3],
    tid_offset: AtomicUsize,
    cancelhandling_offset: AtomicUsize,
}

static REAL: Functions = Functions {
    pthread_create: AtomicUsize::new(0),
    pthread_join: AtomicUsize::new(0),
    pthread_exit: AtomicUsize::new(0),
    setcancelstate: AtomicUsize::new(0),
    setcanceltype: AtomicUsize::new(0),
    swapcontext: AtomicUsize::new(0),
    call_tls_dtors: AtomicUsize::new(0),
    keys: AtomicUsize::new(0),
    exit: AtomicUsize::new(0),
    guard: [const { AtomicUsize::new(0) }; 3],
    tid_offset: AtomicUsize::new(0),
    cancelhandling_offset: AtomicUsize::new(0),
};

static READY: AtomicBool = AtomicBool::new(false);

/// Has the front door finished? Until then every hook passes through.
#[inline(always)]
pub fn ready() -> bool {
    READY.load(Relaxed)
}

/// Finds all that the runtime needs; otherwise the name of what this glibc has not, or has in another form: run natively.
pub fn find() -> Result<(), &'static std::ffi::CStr> {
    let wanted = [
        (&REAL.pthread_create, c"pthread_create"),
        (&REAL.pthread_join, c"pthread_join"),
        (&REAL.pthread_exit, c"pthread_exit"),
        (&REAL.setcancelstate, c"pthread_setcancelstate"),
        (&REAL.setcanceltype, c"pthread_setcanceltype"),
        (&REAL.swapcontext, c"swapcontext"),
        (&REAL.call_tls_dtors, c"__call_tls_dtors"),
        (&REAL.keys, c"__pthread_keys"),
        (&REAL.exit, c"exit"),
        (&REAL.guard[0], c"__sigsetjmp"),
        (&REAL.guard[1], c"__pthread_register_cancel"),
        (&REAL.guard[2], c"__pthread_unregister_cancel"),
        (&crate::sys::CLOCK, c"clock_gettime"),
    ];
    for (place, name) in wanted {
        place.store(symbols::own(name).ok_or(name)?, Relaxed);
    }
    let offsets = [
        (&REAL.tid_offset, c"_thread_db_pthread_tid"),
        (&REAL.cancelhandling_offset, c"_thread_db_pthread_cancelhandling"),
    ];
    for (place, name) in offsets {
        let address = symbols::own(name).ok_or(name)?;
        // SAFETY: glibc's thread-debugging descriptors are three 32-bit words: bits, count, offset (source: thread_db.h).
        let descriptor = unsafe { *(address as *const [u32; 3]) };
        if descriptor[0] != 32 {
            return Err(name);
        }
        place.store(descriptor[2] as usize, Relaxed);
    }
    let join = c"pthread_clockjoin_np";
    let join = symbols::own(join).ok_or(join)?;
    find_bits();
    // SAFETY: the call answers a constant string.
    version::learn(unsafe { libc::gnu_get_libc_version() }, REAL.tid_offset.load(Relaxed), join);
    find_rseq();
    Ok(())
}

/// From now on the hooks serve.
pub fn set_ready() {
    READY.store(true, Relaxed);
}

macro_rules! real {
    ($field:ident as $t:ty) => {
        // SAFETY: `find` stored the address of the function of this name and type.
        unsafe { std::mem::transmute::<usize, $t>(REAL.$field.load(Relaxed)) }
    };
}

/// The kernel's tid as glibc believes it for the thread at `tcb`.
pub fn tid_field(tcb: usize) -> *mut i32 {
    (tcb + REAL.tid_offset.load(Relaxed)) as *mut i32
}

/// glibc's note that the thread at `tcb` is cancelled or ending.
fn cancelhandling(tcb: usize) -> &'static AtomicI32 {
    // SAFETY: an aligned field of a descriptor that is never freed (a vessel's, or the running thread's), which glibc changes atomically.
    unsafe { AtomicI32::from_ptr((tcb + REAL.cancelhandling_offset.load(Relaxed)) as *mut i32) }
}

/// Its bits that all versions have (source: nptl/descr.h).
const CANCELED: i32 = 1 << 3;
const EXITING: i32 = 1 << 4;

/// The bit that says: asynchronously. Up to 2.40 glibc's cancellation points inside libc set it while they are in the kernel; 0 where a
/// version keeps it elsewhere.
static POINT: AtomicI32 = AtomicI32::new(0);
/// The bit that says: not now. libc sets it around calls of its own that are no cancellation points (pclose's wait).
static DISABLED: AtomicI32 = AtomicI32::new(0);

/// Sees which bits change with the type and with the state.
fn find_bits() {
    let set_type = real!(setcanceltype as unsafe extern "C" fn(c_int, *mut c_int) -> c_int);
    let set_state = real!(setcancelstate as unsafe extern "C" fn(c_int, *mut c_int) -> c_int);
    let word = cancelhandling(arch::tcb());
    for (set, bit) in [(set_type, &POINT), (set_state, &DISABLED)] {
        let mut own = 0;
        // SAFETY: on this thread's own descriptor; nobody has cancelled it at load.
        unsafe {
            set(0, &mut own);
            let before = word.load(Relaxed);
            set(1, std::ptr::null_mut());
            bit.store(word.load(Relaxed) ^ before, Relaxed);
            set(own, std::ptr::null_mut());
        }
    }
}

/// The thread at `tcb` is cancelled, in glibc's eyes too: the next cancellation point inside libc ends it.
pub fn mark_cancelled(tcb: usize) {
    cancelhandling(tcb).fetch_or(CANCELED, SeqCst);
}

/// Is the thread at `tcb` in a cancellation point inside libc, as far as its note says it?
pub fn is_in_point(tcb: usize) -> bool {
    let note = cancelhandling(tcb).load(SeqCst);
    note & POINT.load(Relaxed) != 0 && note & DISABLED.load(Relaxed) == 0 && !version::points_have_a_place()
}

/// May the thread at `tcb`, which is not the running one, be in a cancellation point inside libc that only its place tells?
pub fn may_be_in_point(tcb: usize) -> bool {
    version::points_have_a_place() && cancelhandling(tcb).load(SeqCst) & (DISABLED.load(Relaxed) | EXITING) == 0
}

/// Is the running thread, interrupted at `instruction`, in a cancellation point inside libc that only its place tells?
pub fn is_at_point(instruction: usize, result: isize) -> bool {
    /// How far the function that makes such calls reaches.
    const NEAR: usize = 64;
    let inside = || text().is_some_and(|(start, bytes)| (start + NEAR..start + bytes - NEAR).contains(&instruction));
    // SAFETY: the instruction lies that far inside libc's text, which can be read.
    may_be_in_point(arch::tcb()) && inside() && unsafe { version::is_at_point(instruction, result) }
}

/// Does the thread at `tcb` unwind already?
pub fn is_exiting(tcb: usize) -> bool {
    cancelhandling(tcb).load(Relaxed) & EXITING != 0
}

/// The running thread's cancellation points inside libc act, or not: what they did before.
pub fn set_cancel_state(state: c_int) -> c_int {
    let set = real!(setcancelstate as unsafe extern "C" fn(c_int, *mut c_int) -> c_int);
    let mut before = 0;
    // SAFETY: on this thread's own descriptor, which never says asynchronously outside libc: the call does not act.
    unsafe { set(state, &mut before) };
    before
}

/// A call that is a cancellation point inside libc, where it must not act.
pub fn uncancelled<R>(call: impl FnOnce() -> R) -> R {
    const DISABLE: c_int = 1;
    let before = set_cancel_state(DISABLE);
    let result = call();
    set_cancel_state(before);
    result
}

/// The running thread's function is over: no cancellation point acts any more.
pub fn note_exit() {
    cancelhandling(arch::tcb()).store(EXITING, Relaxed);
}

/// A new thread's descriptor knows of no end.
pub fn forget_exit(tcb: usize) {
    cancelhandling(tcb).store(0, Relaxed);
}

pub fn set_errno(number: c_int) {
    // SAFETY: errno's own address of this thread.
    unsafe { *libc::__errno_location() = number };
}

pub fn errno() -> c_int {
    // SAFETY: errno's own address of this thread.
    unsafe { *libc::__errno_location() }
}

/// The real swapcontext's address.
pub fn swapcontext() -> usize {
    match REAL.swapcontext.load(Relaxed) {
        0 => symbols::own(c"swapcontext").unwrap_or(0), // before the front door
        address => address,
    }
}

type Start = extern "C" fn(*mut c_void) -> *mut c_void;

/// A real thread. `stack`: (lowest address, bytes) to use, or glibc's own of its default size.
pub fn create_thread(start: Start, argument: *mut c_void, stack: Option<(usize, usize)>) -> Result<pthread_t, c_int> {
    let create = real!(
        pthread_create as unsafe extern "C" fn(*mut pthread_t, *const pthread_attr_t, Start, *mut c_void) -> c_int
    );
    // SAFETY: the attribute is initialised here and destroyed after its use; the stack is the caller's to give.
    unsafe {
        let mut attr: pthread_attr_t = std::mem::zeroed();
        libc::pthread_attr_init(&mut attr);
        if let Some((lowest, bytes)) = stack {
            libc::pthread_attr_setstack(&mut attr, lowest as *mut c_void, bytes);
        }
        let mut thread: pthread_t = 0;
        // The creator may be a thread of libc's or of a library's that is older than the start.
        let registered = unregister_rseq();
        let failed = create(&mut thread, &attr, start, argument);
        if registered {
            register_rseq();
        }
        libc::pthread_attr_destroy(&mut attr);
        if failed == 0 {
            Ok(thread)
        } else {
            Err(failed)
        }
    }
}

/// The end word of a real thread that the caller owns and has not joined: 0 when it is gone.
fn end_of(thread: pthread_t) -> &'static AtomicU32 {
    // SAFETY: the descriptor lives until it is joined, for as long as the caller looks; the kernel writes the field.
    unsafe { AtomicU32::from_ptr(version::end_word(thread as usize) as *mut u32) }
}

/// Waits for a real thread's end and lets glibc free what it kept of it. glibc's own wait, and since 2.43 its join, would be a point
/// where a cancellation of the running thread acts.
pub fn join_thread(thread: pthread_t) {
    join_thread_by(thread, |_, wait| wait());
}

/// The same; `wait` gets the kernel thread's tid and is to call what waits for it.
pub fn join_thread_by(thread: pthread_t, wait: impl Fn(i32, &dyn Fn())) {
    let end = end_of(thread);
    while let alive @ 1.. = end.load(Acquire) {
        wait(alive as i32, &|| sys::futex_wait_shared(end, alive));
    }
    let join = real!(pthread_join as unsafe extern "C" fn(pthread_t, *mut *mut c_void) -> c_int);
    // SAFETY: the caller owns the thread and joins it once.
    uncancelled(|| unsafe { join(thread, std::ptr::null_mut()) });
}

/// Unwinds this stack to its guard and ends the thread there.
///
/// # Safety
/// Nothing with a destructor of ours may be alive on this stack.
pub unsafe fn exit_thread() -> ! {
    let exit = real!(pthread_exit as unsafe extern "C" fn(*mut c_void) -> !);
    exit(std::ptr::null_mut())
}

/// Ends the process as `exit` does: handlers run, streams are flushed.
pub fn exit_process(status: c_int) -> ! {
    let exit = real!(exit as unsafe extern "C" fn(c_int) -> !);
    // SAFETY: any thread may call exit.
    unsafe { exit(status) }
}

/// Calls `function(argument)` so that glibc's thread exit unwinds to here at the farthest.
pub fn guarded(function: extern "C" fn(usize), argument: usize) {
    let mut buffer = arch::UnwindBuffer::new();
    let functions = [REAL.guard[0].load(Relaxed), REAL.guard[1].load(Relaxed), REAL.guard[2].load(Relaxed)];
    // SAFETY: the three functions are glibc's; the buffer outlives the call.
    unsafe { arch::guarded(function, argument, &mut buffer, &functions) };
}

/// The greatest key that ever had a destructor or may have a value, plus one.
static KEYS_SEEN: AtomicUsize = AtomicUsize::new(0);

/// Remembers that `key` exists.
pub fn note_key(key: u32) {
    KEYS_SEEN.fetch_max(key as usize + 1, Relaxed);
}

/// Looks through glibc's table for the keys that were made before we saw any.
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

/// Runs the destructors of this thread's pthread keys, up to four rounds, as glibc's thread exit does, and clears the values:
/// also those that a destructor has set each time, for the vessel's next thread is not to find them.
fn run_key_destructors() {
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
const GLOBAL_LOCALE: libc::locale_t = usize::MAX as libc::locale_t;

/// Held while we make the loader walk its list, and across a fork: glibc leaves the loader's lock in a fork child as it was, and
/// walks of ours are frequent.
static LOADER: RawLock = RawLock::new(Rank::Process);

type ForModule = unsafe extern "C" fn(*mut libc::dl_phdr_info, usize, *mut c_void) -> c_int;

/// libc's own dl_iterate_phdr, 0 until it is first called.
static ITERATE: AtomicUsize = AtomicUsize::new(0);

/// dl_iterate_phdr.
///
/// # Safety
/// `visit` gets `out` and may write there what it likes.
unsafe fn each_module(visit: ForModule, out: *mut c_void) {
    let iterate = match ITERATE.load(Relaxed) {
        0 => symbols::own(c"dl_iterate_phdr").unwrap_or(libc::dl_iterate_phdr as *const () as usize),
        address => address,
    };
    ITERATE.store(iterate, Relaxed);
    let iterate: unsafe extern "C" fn(ForModule, *mut c_void) -> c_int = std::mem::transmute(iterate);
    LOADER.with(|| iterate(visit, out));
}

/// A fork begins: nobody of ours is inside the loader until `after_fork`.
pub fn before_fork() {
    LOADER.lock();
}

/// The fork is done, in parent and child alike.
pub fn after_fork() {
    LOADER.unlock();
}

/// A module's thread-local image: where its block starts from the TCB, and what a new thread finds there.
#[derive(Clone, Copy)]
struct Image {
    offset: isize,
    data: usize,
    file_bytes: usize,
    memory_bytes: usize,
}

/// The images of all modules with static TLS but libc, the loader and this library, as of `generation`.
struct Images {
    generation: u64,
    dynamic: bool,
    images: Vec<Image>,
    mine: usize,
}

static IMAGES_NOW: AtomicPtr<Images> = AtomicPtr::new(std::ptr::null_mut());

/// For `dl_iterate_phdr`: how many modules came and went, read from the first one.
///
/// # Safety
/// `out` points to a u64.
unsafe extern "C" fn generation_of(info: *mut libc::dl_phdr_info, _: usize, out: *mut c_void) -> c_int {
    *(out as *mut u64) = (*info).dlpi_adds.wrapping_mul(1 << 32).wrapping_add((*info).dlpi_subs);
    1
}

/// libc, the loader, or what the kernel brings?
///
/// # Safety
/// `info` is what `dl_iterate_phdr` shows.
unsafe fn is_libcs_own(info: &libc::dl_phdr_info) -> bool {
    let name = std::ffi::CStr::from_ptr(info.dlpi_name).to_bytes();
    [&b"/libc.so.6"[..], b"/ld-linux-x86-64.so.2", b"linux-vdso.so.1"].iter().any(|own| name.ends_with(own))
}

/// The same of what `each_object` shows.
pub fn is_libcs(object: &libc::dl_phdr_info) -> bool {
    // SAFETY: it comes from `dl_iterate_phdr`.
    unsafe { is_libcs_own(object) }
}

/// For `dl_iterate_phdr`: takes in a module's image.
///
/// # Safety
/// `out` points to Images.
unsafe extern "C" fn collect(info: *mut libc::dl_phdr_info, _: usize, out: *mut c_void) -> c_int {
    /// Static TLS lies right below the TCB; a block farther away came from malloc.
    const STATIC_REACH: isize = 1 << 20;
    let (info, images) = (&*info, &mut *(out as *mut Images));
    let libc_own = is_libcs_own(info);
    for i in 0..info.dlpi_phnum as usize {
        let header = &*info.dlpi_phdr.add(i);
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
/// The offsets are right for this thread, and nobody uses its variables.
unsafe fn copy_images(images: &Images) {
    let tcb = arch::tcb();
    for image in &images.images {
        let block = tcb.wrapping_add_signed(image.offset) as *mut u8;
        std::ptr::copy_nonoverlapping(image.data as *const u8, block, image.file_bytes);
        std::ptr::write_bytes(block.add(image.file_bytes), 0, image.memory_bytes - image.file_bytes);
    }
}

/// Where glibc puts a thread's rseq area: the distance from the TCB, and its bytes, 0 where there is none.
static RSEQ_AT: AtomicIsize = AtomicIsize::new(0);
static RSEQ_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Reads glibc's public constants (source: sys/rseq.h).
fn find_rseq() {
    const LEAST: u32 = 32;
    let (Some(offset), Some(size)) = (symbols::own(c"__rseq_offset"), symbols::own(c"__rseq_size")) else { return };
    // SAFETY: the types that the header declares.
    let (offset, size) = unsafe { (*(offset as *const isize), *(size as *const u32)) };
    RSEQ_AT.store(offset, Relaxed);
    RSEQ_BYTES.store(if size == 0 { 0 } else { size.max(LEAST) as usize }, Relaxed);
}

/// This thread's rseq area and its bytes.
fn rseq_area() -> Option<(usize, usize)> {
    let bytes = RSEQ_BYTES.load(Relaxed);
    (bytes != 0).then(|| (arch::tcb().wrapping_add_signed(RSEQ_AT.load(Relaxed)), bytes))
}

/// The area's word that says on which processor the thread runs; negative: it is not registered.
///
/// # Safety
/// `area` is this thread's.
unsafe fn rseq_processor<'a>(area: usize) -> &'a AtomicI32 {
    const PROCESSOR: usize = 4;
    AtomicI32::from_ptr((area + PROCESSOR) as *mut i32)
}

/// Unregisters this thread's rseq area, if it is registered. A thread made after that does not register its own: glibc asks its creator's.
/// An area that is registered follows the kernel thread, and a green thread's would then be written by a worker for ever.
pub fn unregister_rseq() -> bool {
    const REGISTRATION_FAILED: i32 = -2;
    let Some((area, bytes)) = rseq_area() else { return false };
    // SAFETY: the running thread's own area, which no kernel writes once it is unregistered.
    unsafe {
        let registered = rseq_processor(area).load(Relaxed) >= 0 && sys::rseq(area, bytes, false);
        if registered {
            rseq_processor(area).store(REGISTRATION_FAILED, Relaxed);
        }
        registered
    }
}

/// Registers it again.
fn register_rseq() {
    if let Some((area, bytes)) = rseq_area() {
        sys::rseq(area, bytes, true);
    }
}

/// For `dl_iterate_phdr`: the executable segment around an address.
///
/// # Safety
/// `out` points to {the address, the segment's start, its bytes}.
unsafe extern "C" fn find_text(info: *mut libc::dl_phdr_info, _: usize, out: *mut c_void) -> c_int {
    let (info, found) = (&*info, &mut *(out as *mut [usize; 3]));
    for i in 0..info.dlpi_phnum as usize {
        let header = &*info.dlpi_phdr.add(i);
        let start = info.dlpi_addr as usize + header.p_vaddr as usize;
        let executable = header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0;
        if executable && (start..start + header.p_memsz as usize).contains(&found[0]) {
            (found[1], found[2]) = (start, header.p_memsz as usize);
            return 1;
        }
    }
    0
}

type ForObject<'a> = dyn FnMut(&libc::dl_phdr_info) + 'a;

/// Shows all modules, in the order in which the loader has them.
pub fn each_object(visit: &mut ForObject) {
    let mut visit = visit;
    // SAFETY: the callback takes `visit` for what it is.
    unsafe { each_module(show_object, &mut visit as *mut &mut ForObject as *mut c_void) };
}

/// For `dl_iterate_phdr`.
///
/// # Safety
/// `out` points to `each_object`'s visitor.
unsafe extern "C" fn show_object(info: *mut libc::dl_phdr_info, _: usize, out: *mut c_void) -> c_int {
    (*(out as *mut &mut ForObject))(&*info);
    0
}

/// Shows the executable segments of all modules but libc and the loader.
pub fn each_text(visit: &mut dyn FnMut(&std::ops::Range<usize>)) {
    each_object(&mut |object| {
        // SAFETY: it is what `dl_iterate_phdr` shows.
        let own = unsafe { is_libcs_own(object) };
        // SAFETY: the loader's array of this length.
        let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum as usize) };
        let executable =
            |header: &&libc::Elf64_Phdr| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0;
        for header in headers.iter().filter(executable).filter(|_| !own) {
            let start = object.dlpi_addr as usize + header.p_vaddr as usize;
            visit(&(start..start + header.p_memsz as usize));
        }
    });
}

/// Where main's stack begins (it grows downwards from there).
pub fn main_stack() -> Option<usize> {
    // SAFETY: the loader's variable of this name, an address.
    symbols::own(c"__libc_stack_end").map(|place| unsafe { *(place as *const usize) })
}

/// Where this library's instructions are: start and bytes.
pub fn own_text() -> Option<(usize, usize)> {
    text_around(own_text as fn() -> Option<(usize, usize)> as usize)
}

/// Where glibc's instructions are.
pub fn text() -> Option<(usize, usize)> {
    text_around(REAL.exit.load(Relaxed))
}

/// A function's entry leads elsewhere from now on: what it did is done at `moved`.
pub fn function_moved(function: usize, moved: usize) {
    for place in [&REAL.pthread_create, &REAL.pthread_join, &REAL.pthread_exit, &REAL.setcancelstate, &REAL.exit] {
        place.compare_exchange(function, moved, Relaxed, Relaxed).ok();
    }
}

fn text_around(address: usize) -> Option<(usize, usize)> {
    let mut found = [address, 0, 0];
    // SAFETY: the callback writes into `found` only.
    unsafe { each_module(find_text, &mut found as *mut [usize; 3] as *mut c_void) };
    (found[2] != 0).then_some((found[1], found[2]))
}

/// The kernel's number of a timer by libc's name of it: the number itself, or, of a timer with a function, half the address of what glibc
/// keeps of it, which begins with the number; the sign tells which (source: kernel-posix-timers.h of 2.34 and later).
pub fn kernel_timer(handle: usize) -> c_int {
    if handle as isize >= 0 {
        return handle as c_int;
    }
    // SAFETY: libc has just made that timer, and frees what it keeps of it in timer_delete.
    unsafe { *((handle << 1) as *const c_int) }
}
