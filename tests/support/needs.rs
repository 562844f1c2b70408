//! What a test may need of the machine: a word in a c-test's header (`needs: pku`), a probe, and the reason for which the test is
//! skipped where the machine has it not. A skipped test is counted as such: never as passed, never as failed.
//!
//! What no word here describes a c-test finds out itself: natively it prints its reason as the last line and ends with status 77
//! (`skip` in c-tests/ctest.h). A Rust test says it with `skip`, below.

use std::ffi::OsString;
use std::io::Write;
use std::process::Command;

/// A word, whether the machine has it, and what a machine without it lacks.
pub struct Need {
    pub word: &'static str,
    has: fn() -> bool,
    lacks: &'static str,
}

pub const NEEDS: &[Need] = &[
    Need {
        word: "asan",
        has: address_sanitizer,
        lacks: "the C compiler has no static AddressSanitizer, or it does not run here",
    },
    Need { word: "fortify", has: fortified_calls, lacks: "the C compiler does not check the sizes of buffers" },
    Need { word: "nested", has: nested_functions, lacks: "the C compiler has no functions inside functions" },
    Need { word: "openmp", has: openmp, lacks: "the C compiler has no OpenMP" },
    Need { word: "pku", has: protection_keys, lacks: "the processor or the kernel has no protection keys" },
    Need {
        word: "dispatch",
        has: super::run::dispatches_system_calls,
        lacks: "the kernel does not dispatch system calls",
    },
    Need {
        word: "inline",
        has: super::run::catches_system_calls,
        lacks: "the kernel does not dispatch system calls from a range of addresses (Linux 6.17)",
    },
    Need { word: "io_uring", has: io_uring, lacks: "the kernel has no io_uring, or a filter or a sysctl forbids it" },
    Need { word: "landlock", has: landlock, lacks: "the kernel has no Landlock" },
    Need { word: "namespaces", has: namespaces, lacks: "this user may not make namespaces of users and processes" },
    Need { word: "proc", has: proc, lacks: "/proc is not mounted" },
    Need { word: "root", has: is_root, lacks: "only root may do it" },
    Need { word: "seccomp", has: seccomp, lacks: "the kernel has no seccomp filters" },
];

/// The need of this name.
pub fn named(word: &str) -> Option<&'static Need> {
    NEEDS.iter().find(|need| need.word == word)
}

impl Need {
    /// Why a test that needs this is skipped here, if it is.
    pub fn missing(&self) -> Option<&'static str> {
        (!(self.has)()).then_some(self.lacks)
    }
}

/// Why a test with these words in its header is skipped here: the first that the machine has not.
pub fn missing(words: &[String]) -> Option<&'static str> {
    words.iter().filter_map(|word| named(word)).find_map(Need::missing)
}

/// The status with which a program says that the machine cannot run it.
pub const SKIPPED: i32 = 77;

/// Says why the running test is skipped, past libtest's capture of what tests print. libtest counts the test as passed;
/// scripts/test takes it off by this line (which begins one: libtest may have begun its own with the test's name).
pub fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("\nskipped: {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error");
}

/// Is the running test to be skipped, because the machine lacks what this word means? Says so, then.
pub fn skips_without(word: &str) -> bool {
    let missing = named(word).unwrap_or_else(|| panic!("no need is named {word}")).missing();
    missing.inspect(|why| skip(why)).is_some()
}

/// Is the running test to be skipped, because one of these programs is not installed? Says so, then.
pub fn skips_without_programs(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| !is_installed(program));
    missing.inspect(|program| skip(&format!("{program} is not installed"))).is_some()
}

/// Is there a program of this name, or a file at this path?
pub fn is_installed(program: &str) -> bool {
    std::env::split_paths(&places()).any(|place| place.join(program).is_file())
}

/// Where programs are: PATH, and where servers are that an ordinary user's PATH leaves out.
pub fn places() -> OsString {
    let mut places = std::env::var_os("PATH").unwrap_or_default();
    places.push(":/usr/sbin:/sbin");
    places
}

/// Does the C compiler make a program of this, with these flags, that ends with status 0 or, if it is to be killed, by a signal?
fn compiles_and_runs(text: &str, flags: &[&str], is_killed: bool) -> bool {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let place = super::run::Scratch::new();
    let (source, program) = (place.path("probe.c"), place.path("probe"));
    std::fs::write(&source, text).expect("a file can be written");
    let made = Command::new(compiler).args(flags).arg("-o").args([&program, &source]).output();
    made.is_ok_and(|output| output.status.success())
        && Command::new(program).output().is_ok_and(|output| match is_killed {
            true => output.status.code().is_none(),
            false => output.status.success(),
        })
}

/// Does a program with AddressSanitizer link and run, leak check and all? (It wants ptrace, and addresses that a limit may forbid.)
fn address_sanitizer() -> bool {
    compiles_and_runs("int main(void) { return 0; }", &["-fsanitize=address", "-static-libasan"], false)
}

fn fortified_calls() -> bool {
    let text = "#include <unistd.h>\nint main(int count, char **words) { char small[4]; return read(-1, small, 9 + count) < 0 && !words; }";
    compiles_and_runs(text, &["-O2", "-D_FORTIFY_SOURCE=2"], true)
}

fn nested_functions() -> bool {
    compiles_and_runs("int main(void) { int zero(void) { return 0; } return zero(); }", &[], false)
}

fn openmp() -> bool {
    compiles_and_runs("#include <omp.h>\nint main(void) { return omp_in_parallel(); }", &["-fopenmp"], false)
}

fn protection_keys() -> bool {
    // SAFETY: both calls take integers.
    unsafe {
        let key = libc::syscall(libc::SYS_pkey_alloc, 0, 0);
        key >= 0 && libc::syscall(libc::SYS_pkey_free, key) == 0
    }
}

fn io_uring() -> bool {
    let mut parameters = [0u8; 120];
    // SAFETY: io_uring_setup reads and writes its structure of 120 bytes; the descriptor is closed at once.
    unsafe {
        let ring = libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr());
        ring >= 0 && libc::close(ring as i32) == 0
    }
}

fn namespaces() -> bool {
    let made = Command::new("unshare").args(["--user", "--map-root-user", "--pid", "--fork", "true"]).output();
    made.is_ok_and(|output| output.status.success())
}

fn proc() -> bool {
    std::path::Path::new("/proc/self/stat").exists()
}

pub fn is_root() -> bool {
    // SAFETY: the call takes nothing.
    unsafe { libc::geteuid() == 0 }
}

fn landlock() -> bool {
    const GET_VERSION: usize = 1;
    // SAFETY: the call only answers.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, GET_VERSION) > 0 }
}

fn seccomp() -> bool {
    const GET_ACTION_AVAILABLE: usize = 2;
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the kernel reads one number.
    unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAILABLE, 0, &action) == 0 }
}
