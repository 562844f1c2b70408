//! `inline=1` where the kernel cannot: one line says so, and the program runs without it. A filter of this test's stands for the
//! kernel that does not know the option. And where it can: all is caught, wherever chance puts the libraries.

mod support;

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};
use support::library::library;
use support::needs;
use support::place::Place;

const PROGRAM: &str = r#"
    #include <pthread.h>
    #include <stdio.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    static int ends[2];
    static void *reads(void *byte)
    {
        long result;
        __asm__ volatile("syscall" : "=a"(result) : "a"((long)SYS_read), "D"((long)ends[0]), "S"(byte), "d"(1L) : "rcx", "r11", "memory");
        return result == 1 ? byte : NULL;
    }
    int main(void)
    {
        char byte = 0;
        void *result;
        pthread_t thread;
        if (pipe(ends) || pthread_create(&thread, NULL, reads, &byte) || write(ends[1], "x", 1) != 1)
            return 1;
        pthread_join(thread, &result);
        return printf("%c\n", byte) != 2 || !result;
    }"#;

/// The program's run with `inline=1`, and what its statistics say of that.
fn run(place: &Place, prepare: fn() -> io::Result<()>) -> (Output, serde_json::Value) {
    let program = place.compile("program", PROGRAM, &["-pthread"]);
    run_with(place, &program, "inline=1:", prepare)
}

fn run_with(
    place: &Place,
    program: &str,
    options: &str,
    prepare: fn() -> io::Result<()>,
) -> (Output, serde_json::Value) {
    run_on(place, library(), program, options, prepare)
}

fn run_on(
    place: &Place,
    library: impl AsRef<OsStr>,
    program: &str,
    options: &str,
    prepare: fn() -> io::Result<()>,
) -> (Output, serde_json::Value) {
    let statistics = place.path("statistics.json");
    let mut command = Command::new(program);
    command.env("LD_PRELOAD", library);
    command.env("GREENPATCH_OPTIONS", format!("{options}stats={}", statistics.display()));
    // SAFETY: between fork and exec `prepare` makes system calls only.
    unsafe { command.pre_exec(prepare) };
    let output = command.output().expect("it runs");
    let text = std::fs::read_to_string(statistics).expect("the statistics");
    (output, serde_json::from_str(&text).expect("JSON"))
}

/// From here on this process and what it executes get EINVAL for the dispatch from a range of addresses.
fn forbid() -> io::Result<()> {
    const PR_SET_SYSCALL_USER_DISPATCH: u32 = 59;
    const FROM_A_RANGE: u32 = 2;
    let [number, first, second] = [0, 16, 24]; // in seccomp_data
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |at| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at);
    let unless = |value, skip| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, skip, value);
    let mut filter = [
        load(number),
        unless(libc::SYS_prctl as u32, 5),
        load(first),
        unless(PR_SET_SYSCALL_USER_DISPATCH, 3),
        load(second),
        unless(FROM_A_RANGE, 1),
        step(libc::BPF_RET, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32),
        step(libc::BPF_RET, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel reads the filter, which is alive.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
    };
    if done {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[test]
fn a_kernel_that_cannot_is_refused_in_one_line() {
    if needs::skips_without("seccomp") {
        return;
    }
    let (output, statistics) = run(&Place::new(), forbid);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout == b"x\n", "{output:?}");
    assert!(error.contains("inline=1 needs") && error.contains("running without it"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(statistics["started"] == true && statistics["inline"] == false, "{statistics}");
}

/// Nobody asks for `inline`, and a thread sets its alternate stack by an instruction of its own.
#[test]
fn a_program_that_needs_it_stays_native_where_the_kernel_cannot() {
    if needs::skips_without("seccomp") {
        return;
    }
    const NEEDS_IT: &str = r#"
        #include <pthread.h>
        #include <signal.h>
        #include <stdio.h>
        #include <sys/syscall.h>
        static void *sets(void *result)
        {
            static char bytes[65536];
            stack_t stack = { .ss_sp = bytes, .ss_size = sizeof bytes };
            long failed;
            __asm__ volatile("syscall" : "=a"(failed) : "a"((long)SYS_sigaltstack), "D"(&stack), "S"(0L) : "rcx", "r11", "memory");
            return failed ? NULL : result;
        }
        int main(int count, char **words)
        {
            void *result;
            pthread_t thread;
            if (pthread_create(&thread, NULL, sets, words))
                return 1;
            pthread_join(thread, &result);
            return printf("%d\n", result == words) != 2;
        }"#;
    let place = Place::new();
    for (options, native) in [("", true), ("inline=auto:", true), ("inline=0:", false)] {
        let program = place.compile("program", NEEDS_IT, &["-pthread"]);
        let (output, statistics) = run_with(&place, &program, options, forbid);
        assert!(output.status.success() && output.stdout == b"1\n" && output.stderr.is_empty(), "{output:?}");
        let said = statistics["native"].as_str().unwrap_or_default().contains("set a thread's state");
        assert!(said == native && statistics["started"] == !native, "{options}: {statistics}");
    }
}

#[test]
fn a_kernel_that_can_says_nothing() {
    if needs::skips_without("inline") {
        return;
    }
    let (output, statistics) = run(&Place::new(), || Ok(()));
    assert!(output.status.success() && output.stdout == b"x\n", "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    assert!(statistics["inline"] == true && statistics["inline_calls"].as_u64() >= Some(1), "{statistics}");
}

/// A copy of the library that the loader puts at a multiple of 2 MiB, as the kernel does with a library of that size: libraries that are
/// loaded later lie in the hole above it.
fn aligned_library(place: &Place) -> String {
    const HEADERS: usize = 0x20;
    const COUNT: usize = 0x38;
    const HEADER_BYTES: usize = 56;
    const ALIGNMENT: usize = 48; // in a header
    const LOAD: u32 = libc::PT_LOAD;
    let mut bytes = std::fs::read(library()).expect("the library can be read");
    let number = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes")) as usize;
    let (headers, count) = (number(&bytes, HEADERS), bytes[COUNT] as usize);
    let mut places = (0..count).map(|index| headers + index * HEADER_BYTES);
    let first = places.find(|&at| bytes[at..at + 4] == LOAD.to_le_bytes()).expect("a segment that is loaded");
    bytes[first + ALIGNMENT..first + ALIGNMENT + 8].copy_from_slice(&(2u64 << 20).to_le_bytes());
    place.file("libgreenpatch.so", 0o755, bytes)
}

/// A c-test, made with these flags, and its library where it has one.
fn c_test(place: &Place, name: &str, flags: &[&str]) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/c-tests");
    let source = std::fs::read_to_string(format!("{folder}/{name}.c")).expect("the c-test");
    let flags = [&["-std=gnu11", "-D_GNU_SOURCE", "-O1", "-pthread", "-I", folder], flags].concat();
    if source.contains("* library: yes") {
        place.compile(&format!("{name}.so"), &source, &[&flags[..], &["-shared", "-fPIC", "-DLIBRARY"]].concat());
    }
    place.compile(name, &source, &flags)
}

/// In each layout that chance gives it, the tests of a library's calls, and of calls on both sides of libc, are caught.
#[test]
fn libraries_above_this_one_are_caught_too() {
    if needs::skips_without("inline") || needs::skips_without("openmp") {
        return;
    }
    const TIMES: usize = 8;
    let place = Place::new();
    let library = aligned_library(&place);
    for (name, flags, calls) in [("inline_library", &[][..], 40), ("inline_both", &["-fopenmp"][..], 100)] {
        let program = c_test(&place, name, flags);
        let caught: Vec<_> = (0..TIMES).map(|_| run_on(&place, &library, &program, "inline=1:", || Ok(()))).collect();
        for (output, statistics) in &caught {
            assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
            assert!(statistics["inline_calls"].as_u64() >= Some(calls), "{name}: {statistics}");
        }
    }
}
