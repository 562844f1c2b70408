//! The probes of `greenpatch doctor`. Each asks the kernel for something in the form in which the library would, and undoes it.

use std::env;
use std::ffi::{c_int, CStr};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::ptr;
use std::time::Duration;

use crate::doctor::{Finding, State};
use crate::{options, run, Failure};

const PAGE: usize = 4096;
/// Numbers that the libc crate has not (source: the kernel's headers).
const MADV_GUARD_INSTALL: c_int = 102;
const HWCAP2_FSGSBASE: u64 = 1 << 1;
const PR_SET_SYSCALL_USER_DISPATCH: c_int = 59;
const PR_GET_MDWE: c_int = 66;
/// The modes of the dispatch: for system calls from everywhere but a range, and from one only.
const DISPATCH_OFF: usize = 0;
const DISPATCH_ON: usize = 1;
const DISPATCH_INCLUSIVE: usize = 2;

/// What the machine, the kernel and libc give.
pub fn system() -> Vec<Finding> {
    let guards = guard_pages();
    let maps = number("/proc/sys/vm/max_map_count").unwrap_or(65530);
    let split = format!("each stack takes two mappings: about {} threads (vm.max_map_count)", maps / 2);
    vec![
        kernel(),
        Finding::new(State::Fact, "libc", format!("glibc {}; greenpatch needs 2.34 or later", glibc())),
        Finding::switch(
            fsgsbase(),
            "FSGSBASE",
            "a switch sets the thread pointer by an instruction: 15 ns",
            "a switch sets the thread pointer by arch_prctl: 259 ns (a kernel before 5.9, or nofsgsbase)",
        ),
        Finding::switch(guards, "guard pages", "MADV_GUARD_INSTALL: stacks share mappings", split),
        Finding::switch(
            dispatch(DISPATCH_ON),
            "births caught",
            "Syscall User Dispatch: a thread is born without a kernel thread",
            "no Syscall User Dispatch (kernel 5.11, or forbidden): a birth costs a kernel thread, 54–95 µs",
        ),
        entries(),
        Finding::switch(
            precise_sleeps(),
            "precise sleeps",
            "epoll_pwait2: a worker sleeps until a deadline in nanoseconds",
            "no epoll_pwait2 (kernel 5.11, or forbidden): sleeps are rounded up to milliseconds",
        ),
        Finding::switch(
            dispatch(DISPATCH_INCLUSIVE),
            "inline system calls",
            "inline=1 would catch them: Syscall User Dispatch from a range of addresses",
            "the kernel cannot catch them (it can from 6.17 on, if allowed): left to the monitor, inline=1 is refused",
        ),
        io_uring(),
        Finding::new(State::Fact, "seccomp", seccomp()),
    ]
}

fn kernel() -> Finding {
    // SAFETY: utsname is arrays of characters, for which zero is a value, and uname fills them with C strings.
    let (release, machine) = unsafe {
        let mut names = std::mem::zeroed::<libc::utsname>();
        libc::uname(&mut names);
        (text(names.release.as_ptr()), text(names.machine.as_ptr()))
    };
    let state = if machine == "x86_64" { State::Fact } else { State::Bad };
    Finding::new(state, "kernel", format!("Linux {release} on {machine}"))
}

fn glibc() -> String {
    // SAFETY: it answers a constant C string.
    text(unsafe { libc::gnu_get_libc_version() })
}

fn text(string: *const libc::c_char) -> String {
    // SAFETY: the callers' strings end in a NUL, and live on.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

fn fsgsbase() -> bool {
    // SAFETY: it reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & HWCAP2_FSGSBASE != 0 }
}

/// A page of our own to try something with.
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

fn guard_pages() -> bool {
    // SAFETY: the page is ours, and nobody looks into it.
    let install = |page| unsafe { libc::madvise(page, PAGE, MADV_GUARD_INSTALL) } == 0;
    with_page(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_ANONYMOUS, -1, install).unwrap_or(false)
}

fn precise_sleeps() -> bool {
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

/// Whether a mode of Syscall User Dispatch can be turned on: with the selector on “allow” nothing is caught meanwhile.
fn dispatch(mode: usize) -> bool {
    static ALLOW: u8 = 0;
    // The range: none when all but it is meant, one byte when only that is.
    let bytes = usize::from(mode == DISPATCH_INCLUSIVE);
    let start = if bytes > 0 { PAGE } else { 0 };
    // SAFETY: the selector is static; the second call takes the first back.
    unsafe {
        let on = libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, mode, start, bytes, &ALLOW as *const u8) == 0;
        libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_OFF, 0usize, 0usize, 0usize);
        on
    }
}

/// Whether code can be changed: a page of a file, as libc's text is, made writable while it is executable, written, and as before again.
fn entries() -> Finding {
    let (read, write, execute) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
    let change = |page: *mut libc::c_void| {
        // SAFETY: a private copy of a page that nobody executes.
        unsafe {
            let writable = libc::mprotect(page, PAGE, read | write | execute) == 0;
            if writable {
                page.cast::<u8>().write_volatile(page.cast::<u8>().read_volatile());
            }
            writable && libc::mprotect(page, PAGE, read | execute) == 0
        }
    };
    let own = File::open("/proc/self/exe").ok();
    let possible = own.and_then(|file| with_page(read | execute, 0, file.as_raw_fd(), change)).unwrap_or(false);
    Finding::switch(
        possible,
        "calls inside libc",
        "code can be changed: libc's entries lead to the hooks",
        format!("code cannot be changed ({}): left to the monitor", forbidden()),
    )
}

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

fn io_uring() -> Finding {
    const SYS_IO_URING_SETUP: libc::c_long = libc::SYS_io_uring_setup;
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
    Finding::new(State::Fact, "io_uring", format!("not used: readiness comes by epoll; {allowed}"))
}

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

/// A line of /proc/self/status.
fn status(key: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    Some(text.lines().find_map(|line| line.strip_prefix(key))?.trim().to_owned())
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Limits below these are told as such: so many mappings, kernel threads, descriptors are usual.
const FEW_MAPPINGS: u64 = 65530;
const FEW_THREADS: u64 = 256;
const FEW_FILES: u64 = 1024;

pub fn limits() -> Vec<Finding> {
    let threads = [
        ("the user's processes (ulimit -u)", resource(libc::RLIMIT_NPROC)),
        ("the cgroup's tasks (pids.max)", pids_max()),
        ("the system's threads (threads-max)", number("/proc/sys/kernel/threads-max")),
    ];
    let most = threads.into_iter().filter_map(|(name, limit)| Some((limit?, name))).min();
    let row = |subject, limit: Option<u64>, few: u64, what: &str| {
        let state = if limit.is_some_and(|limit| limit < few) { State::Limit } else { State::Fact };
        Finding::new(state, subject, format!("{} {what}", limit.map_or("no limit:".into(), |limit| limit.to_string())))
    };
    let kernel_threads = most
        .map_or("kernel threads".into(), |(_, name)| format!("kernel threads, by {name}; green ones are not counted"));
    let stack = resource(libc::RLIMIT_STACK).map_or("unlimited: 2 MiB".into(), |bytes| format!("{} KiB", bytes >> 10));
    let mut rows = vec![
        row("kernel threads", most.map(|(limit, _)| limit), FEW_THREADS, &kernel_threads),
        row(
            "descriptors",
            resource(libc::RLIMIT_NOFILE),
            FEW_FILES,
            "descriptors (ulimit -n), of which the library takes some of the highest",
        ),
        row("mappings", number("/proc/sys/vm/max_map_count"), FEW_MAPPINGS, "mappings (vm.max_map_count)"),
        Finding::new(
            State::Fact,
            "stacks",
            format!("{stack} of address space each, unless the program says otherwise (ulimit -s)"),
        ),
    ];
    if let Some(bytes) = resource(libc::RLIMIT_AS) {
        rows.push(Finding::new(
            State::Limit,
            "address space",
            format!("{} MiB (ulimit -v): every stack counts in full", bytes >> 20),
        ));
    }
    if number("/proc/sys/vm/overcommit_memory") == Some(2) {
        rows.push(Finding::new(State::Limit, "overcommit", "vm.overcommit_memory is 2: every stack counts in full"));
    }
    rows
}

/// A soft limit; `None` if there is none.
fn resource(kind: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit fills the structure.
    let known = unsafe { libc::getrlimit(kind, &mut limit) } == 0;
    (known && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// The smallest pids.max of the cgroups that this process is in, of either version.
fn pids_max() -> Option<u64> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let folders = cgroups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        match rest.split_once(':')? {
            ("", path) => Some(format!("/sys/fs/cgroup{path}")),
            ("pids", path) => Some(format!("/sys/fs/cgroup/pids{path}")),
            _ => None,
        }
    });
    let limit = |folder: String| {
        Path::new(&folder).ancestors().filter_map(|folder| number(folder.join("pids.max").to_str()?)).min()
    };
    folders.filter_map(limit).min()
}

pub fn library(path: &Path) -> Finding {
    let readable = path.ancestors().all(|part| {
        fs::metadata(part).is_ok_and(|facts| {
            let wanted = if facts.is_dir() { 0o001 } else { 0o004 };
            facts.permissions().mode() & wanted != 0
        })
    });
    let state = if readable { State::Fact } else { State::Limit };
    let who =
        if readable { "" } else { ", which other users cannot read: programs that change their user run natively" };
    Finding::new(state, "library", format!("{}{who}", path.display()))
}

/// How many threads make the proof, and how long it may take.
const THREADS: u64 = 4;
const SECONDS: u32 = 20;

/// Threads that wait for a moment: green, if the library works.
pub fn wait_in_threads() {
    // SAFETY: it sets a timer of this process's own.
    unsafe { libc::alarm(SECONDS) };
    let threads = (0..THREADS).map(|_| std::thread::spawn(|| std::thread::sleep(Duration::from_millis(1))));
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap_or(()));
}

/// Runs `wait_in_threads` with the library, and looks at the statistics.
pub fn proof(library: &Path) -> Finding {
    let finding = |state, says: String| Finding::new(state, "proof", says);
    let command = env::current_exe().unwrap_or_default();
    let preload = match run::preload(library, env::var_os("LD_PRELOAD")) {
        Ok(preload) => preload,
        Err(Failure(_, sentence)) => return finding(State::Bad, sentence),
    };
    let output = Command::new(command)
        .args(["doctor", "--proof"])
        .env("LD_PRELOAD", preload)
        .env(options::VARIABLE, "stats=/proc/self/fd/1")
        .output();
    let output = match output {
        Ok(output) => output,
        Err(why) => return finding(State::Bad, format!("this command could not be run with the library: {why}")),
    };
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    if !output.status.success() {
        return finding(State::Bad, format!("this command with the library ended with {}. {said}", output.status));
    }
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let figure = |name: &str| figures[name].as_u64().unwrap_or(0);
    // Another preloaded library may make threads of its own.
    if figure("green_threads") >= THREADS {
        let [parks, threads, entries] = ["parks", "kernel_threads_peak", "entries"].map(figure);
        let says = format!(
            "{THREADS} threads ran green here: {parks} parks, {threads} kernel threads, {entries} entries of libc"
        );
        finding(State::On, says)
    } else {
        let why = figures["native"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
        finding(State::Bad, format!("{THREADS} threads stayed native with the library{why}. {said}"))
    }
}
