//! Probes of what the machine, the kernel and libc give. Each asks for something in the form in which the library would, and undoes it.
//!
//! A version tells too little: distributions carry features back, filters and modules of security forbid what the kernel has. So nothing
//! is concluded from a version. What a missing feature costs is said in the figures of docs/bench.md.
//!
//! What of the library each of them is for:
//!
//! ```text
//! FSGSBASE              the switch: whose thread pointer, and whose GS base
//! guard pages           stacks: many in one mapping
//! births caught         births: pthread_create's clone does not reach the kernel
//! calls inside libc     hooks/inside/entries
//! precise sleeps        the poller's timeout
//! inline system calls   trap: the option `inline`
//! ```

use std::ffi::{c_int, CStr};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use super::limits::most_mappings;
use super::probe::{Probe, State};

/// The size of a page in bytes.
const PAGE: usize = 4096;
/// madvise's advice that makes pages guards (Linux 6.13), which the libc crate has not.
const MADV_GUARD_INSTALL: c_int = 102;
/// The bit of AT_HWCAP2 that the kernel sets where programs may use the instructions for the FS and GS bases.
const HWCAP2_FSGSBASE: u64 = 1 << 1;
/// prctl's command for Syscall User Dispatch (linux/prctl.h), which the libc crate has not.
const PR_SET_SYSCALL_USER_DISPATCH: c_int = 59;
/// prctl's question for "memory deny write execute".
const PR_GET_MDWE: c_int = 66;
/// The mode of the dispatch that catches nothing.
const DISPATCH_OFF: usize = 0;
/// The mode that catches system calls from everywhere but a range.
const DISPATCH_ON: usize = 1;
/// The mode that catches system calls from a range only (Linux 6.17).
const DISPATCH_INCLUSIVE: usize = 2;

/// Makes every probe of the system, in the order in which they are shown.
pub fn all() -> Vec<Probe> {
    // Two mappings a stack, its guard and itself, where the guard cannot be part of the stack's mapping.
    let guards = guard_pages();
    let maps = most_mappings().unwrap_or(65530);
    let split = format!("each stack takes two mappings: about {} threads (vm.max_map_count)", maps / 2);
    vec![
        kernel(),
        Probe::new(State::Fact, "libc", format!("glibc {}; greenpatch needs 2.34 or later", glibc())),
        Probe::switch(
            fsgsbase(),
            "FSGSBASE",
            "a switch sets the thread pointer by an instruction: 15 ns",
            "a switch sets the thread pointer by arch_prctl: 259 ns (a kernel before 5.9, or nofsgsbase)",
        ),
        Probe::switch(guards, "guard pages", "MADV_GUARD_INSTALL: stacks share mappings", split),
        Probe::switch(
            dispatch(DISPATCH_ON),
            "births caught",
            "Syscall User Dispatch: a thread is born without a kernel thread",
            "no Syscall User Dispatch (kernel 5.11, or forbidden): a birth costs a kernel thread, 54–95 µs",
        ),
        entries(),
        Probe::switch(
            precise_sleeps(),
            "precise sleeps",
            "epoll_pwait2: a worker sleeps until a deadline in nanoseconds",
            "no epoll_pwait2 (kernel 5.11, or forbidden): sleeps are rounded up to milliseconds",
        ),
        Probe::switch(
            dispatch(DISPATCH_INCLUSIVE),
            "inline system calls",
            "inline=1 would catch them: Syscall User Dispatch from a range of addresses",
            "the kernel cannot catch them (it can from 6.17 on, if allowed): left to the monitor, inline=1 is refused",
        ),
        io_uring(),
        Probe::new(State::Fact, "seccomp", seccomp()),
    ]
}

/// Tells the kernel's release and the machine, of which only x86-64 is known.
fn kernel() -> Probe {
    // SAFETY: utsname is arrays of characters, for which zero is a value, and uname fills them with C strings.
    let (release, machine) = unsafe {
        let mut names = std::mem::zeroed::<libc::utsname>();
        libc::uname(&mut names);
        (text(names.release.as_ptr()), text(names.machine.as_ptr()))
    };
    let state = if machine == "x86_64" { State::Fact } else { State::Bad };
    Probe::new(state, "kernel", format!("Linux {release} on {machine}"))
}

/// Tells the version of the glibc that this command runs with.
fn glibc() -> String {
    // SAFETY: it answers a constant C string.
    text(unsafe { libc::gnu_get_libc_version() })
}

/// Copies a C string. The caller answers for its NUL.
fn text(string: *const libc::c_char) -> String {
    // SAFETY: the callers' strings end in a NUL, and live on.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

/// Asks whether programs may use the instructions for the FS and GS bases: the kernel says so in AT_HWCAP2, for on a kernel that does not
/// restore both bases they would do harm.
fn fsgsbase() -> bool {
    // SAFETY: it reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & HWCAP2_FSGSBASE != 0 }
}

/// Maps a page, tries something with it, and unmaps it. Returns the probe's answer. None: the page cannot be mapped so.
fn with_page<T>(protection: c_int, flags: c_int, fd: c_int, probe: impl FnOnce(*mut libc::c_void) -> T) -> Option<T> {
    // SAFETY: a new mapping at a place of the kernel's choice, gone again when the probe is over.
    unsafe {
        let page = libc::mmap(ptr::null_mut(), PAGE, protection, libc::MAP_PRIVATE | flags, fd, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        let answer = probe(page);
        libc::munmap(page, PAGE);
        Some(answer)
    }
}

/// Asks whether a page can be made a guard without a mapping of its own (Linux 6.13). Without it each stack takes two mappings.
fn guard_pages() -> bool {
    // SAFETY: the page was mapped just now, and no other code knows it.
    let install = |page| unsafe { libc::madvise(page, PAGE, MADV_GUARD_INSTALL) } == 0;
    with_page(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_ANONYMOUS, -1, install).unwrap_or(false)
}

/// Asks whether epoll can wait for nanoseconds: epoll_pwait2, with a timeout of zero and nothing to wait for.
fn precise_sleeps() -> bool {
    // A timeout of zero: the kernel looks once, and answers that nothing is there.
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let nobody: *const libc::sigset_t = ptr::null();
    // SAFETY: an epoll of our own without any descriptors; the kernel writes no event.
    unsafe {
        let epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        let mut event: libc::epoll_event = std::mem::zeroed();
        let answer = libc::syscall(libc::SYS_epoll_pwait2, epoll, &mut event, 1, &now, nobody, 8);
        libc::close(epoll);
        answer == 0
    }
}

/// Asks whether a mode of Syscall User Dispatch can be turned on, for this thread, and turns it off again. With the selector on “allow”
/// nothing is caught meanwhile, not even the call that turns it off.
fn dispatch(mode: usize) -> bool {
    /// A selector that lets every call through.
    static ALLOW: u8 = 0;
    // The range: none when all but it is meant, one byte when only that is.
    let bytes = usize::from(mode == DISPATCH_INCLUSIVE);
    let start = if bytes > 0 { PAGE } else { 0 };
    // SAFETY: the selector is static; the second call takes the first back.
    unsafe {
        // The kernel checks mode, range and selector; nothing is executed in between.
        let on = libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, mode, start, bytes, &ALLOW as *const u8) == 0;
        libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_OFF, 0usize, 0usize, 0usize);
        on
    }
}

/// Asks whether code can be changed: a page of a file, as libc's text is, is made writable while it is executable, written, and made as
/// before. The page is private, so the file stays as it is. SELinux judges files' pages otherwise than anonymous ones, so an anonymous
/// one would prove nothing.
fn entries() -> Probe {
    let (read, write, execute) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
    let change = |page: *mut libc::c_void| {
        // SAFETY: a private copy of a page that is not executed.
        unsafe {
            let writable = libc::mprotect(page, PAGE, read | write | execute) == 0;
            if writable {
                page.cast::<u8>().write_volatile(page.cast::<u8>().read_volatile());
            }
            writable && libc::mprotect(page, PAGE, read | execute) == 0
        }
    };
    // This command's own file: any that may be mapped executable does.
    let own = File::open("/proc/self/exe").ok();
    // mprotect must allow both ways, to writable and back: what is left writable would be a hole.
    let possible = own.and_then(|file| with_page(read | execute, 0, file.as_raw_fd(), change)).unwrap_or(false);
    Probe::switch(
        possible,
        "calls inside libc",
        "code can be changed: libc's entries lead to the hooks",
        format!("code cannot be changed ({}): left to the monitor", forbidden()),
    )
}

/// Guesses why code cannot be changed: the process's own promise, SELinux, or something else. Called after `entries` has failed.
fn forbidden() -> &'static str {
    // SAFETY: it takes no pointer.
    let mdwe = unsafe { libc::prctl(PR_GET_MDWE, 0usize, 0usize, 0usize, 0usize) } > 0;
    let enforcing = fs::read_to_string("/sys/fs/selinux/enforce").is_ok_and(|state| state.trim() == "1");
    match (mdwe, enforcing) {
        (true, _) => "the process has given up write and execute, MDWE",
        (_, true) => "SELinux enforces execmod",
        _ => "mprotect is refused",
    }
}

/// Asks whether io_uring is allowed: a ring of one entry is made and closed. The library does not use it, but programs do, and a user may
/// wonder whether greenpatch does.
fn io_uring() -> Probe {
    const SYS_IO_URING_SETUP: libc::c_long = libc::SYS_io_uring_setup;
    // struct io_uring_params: zero asks for the defaults.
    let mut parameters = [0u8; 120];
    // SAFETY: the kernel reads and writes 120 bytes of parameters; the descriptor that it makes is closed.
    let answer = unsafe {
        let fd = libc::syscall(SYS_IO_URING_SETUP, 1, parameters.as_mut_ptr());
        if fd < 0 {
            Err(io::Error::last_os_error())
        } else {
            libc::close(fd as c_int);
            Ok(())
        }
    };
    let allowed = match answer {
        Ok(()) => "allowed here".into(),
        Err(why) => format!("refused here ({why})"),
    };
    Probe::new(State::Fact, "io_uring", format!("not used: readiness comes by epoll; {allowed}"))
}

/// Tells whether seccomp filters hold for this process, and how many.
fn seccomp() -> String {
    match status("Seccomp:").as_deref() {
        Some("0") | None => "no filter".into(),
        Some("2") => format!(
            "a filter is in force, as in a container ({} in all)",
            status("Seccomp_filters:").unwrap_or_default()
        ),
        Some(mode) => format!("mode {mode}"),
    }
}

/// Reads a line of /proc/self/status. None: this kernel has no such line.
fn status(key: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    Some(text.lines().find_map(|line| line.strip_prefix(key))?.trim().to_owned())
}
