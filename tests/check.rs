//! `greenpatch check`: what it finds in programs that are made on the spot, and that it finds the libraries which the loader finds.

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use support::place::{stdout, Place, GO_NOTE, MAIN};

/// The only report of `greenpatch check --json WORDS…`, and the exit status.
fn report(place: &Place, words: &[&str]) -> (Value, i32) {
    let output = place.greenpatch(&[&["check", "--json"], words].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    let mut reports: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {error}"));
    assert_eq!(reports.len(), 1, "one file, one report");
    (reports.remove(0), output.status.code().expect("it exits"))
}

/// What a list of the report says under a key of each of its members.
fn all(report: &Value, list: &str, key: &str) -> Vec<String> {
    let members = report[list].as_array().unwrap_or_else(|| panic!("{list} is a list"));
    members.iter().map(|member| member[key].as_str().unwrap_or("?").to_owned()).collect()
}

fn has(report: &Value, list: &str, symbol: &str) -> bool {
    all(report, list, "symbol").iter().any(|one| one == symbol)
}

fn notes(report: &Value) -> String {
    report["notes"].to_string()
}

#[test]
fn imports_are_sorted_by_how_they_are_reached() {
    let place = Place::new();
    let source = "#include <stdio.h>\n#include <stdlib.h>\n#include <pthread.h>\n#include <sys/socket.h>\n\
                  int main(void) { char c[9]; pthread_mutexattr_t a; pthread_mutexattr_init(&a); alarm(0);\
                  return recv(0, c, 1, 0) + !fgets(c, 9, stdin) + abs(rand()) + dlopen(c, 1); }";
    let program = place.compile("imports", source, &["-w"]);
    let (report, status) = report(&place, &[&program]);
    assert_eq!(status, 0, "{report:#}");
    assert!(has(&report, "hooked", "recv") && has(&report, "needs_none", "alarm"), "{report:#}");
    assert!(has(&report, "handed_over", "fgets") || has(&report, "entries", "fgets"), "{report:#}");
    for list in ["hooked", "entries", "handed_over", "needs_none", "out_of_reach"] {
        assert!(!has(&report, list, "rand") && !has(&report, list, "pthread_mutexattr_init"), "{report:#}");
    }
    assert!(notes(&report).contains("imports may load more by dlopen"), "{report:#}");
    assert!(notes(&report).contains("without a second thread"), "{report:#}");
    let text = stdout(&place.greenpatch(&["check", &program]));
    for part in ["hooked: ", "net        recv", "stdio      fgets", "Everything that waits is hooked"] {
        assert!(text.contains(part), "“{part}” is missing from: {text}");
    }
}

/// A library that imports every required symbol: each is one of which something is known.
#[test]
fn every_required_symbol_is_known() {
    let place = Place::new();
    let list =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/required_symbols.txt")).expect("the list");
    let required: BTreeSet<&str> =
        list.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect();
    let names: Vec<_> = required.iter().map(|name| format!("extern char {name}[];")).collect();
    let uses: Vec<_> = required.iter().map(|name| format!("{name},")).collect();
    let source = format!("{} void *all[] = {{ {} }};", names.join(" "), uses.join(" "));
    let library = place.compile("libeverything.so", &source, &["-w", "-fno-builtin", "-shared", "-fPIC"]);
    let (report, _) = report(&place, &[&library]);
    let lists = ["hooked", "entries", "handed_over", "needs_none"];
    let known: BTreeSet<_> = lists.iter().flat_map(|list| all(&report, list, "symbol")).collect();
    let unknown: Vec<_> = required.iter().filter(|name| !known.contains(**name)).collect();
    assert!(unknown.is_empty(), "nothing is known of {unknown:?}");
}

/// Instructions count, their bytes elsewhere do not: in a constant, in data between functions. Calls that never wait do not either.
#[test]
fn inline_system_calls_have_a_place_and_a_number() {
    let place = Place::new();
    let source = r#"
        __attribute__((noinline)) void waits(void) { __asm__ volatile("mov $202,%%eax; syscall" ::: "eax", "rcx", "r11"); }
        __attribute__((noinline)) void copies(void) {
            __asm__ volatile("mov $7,%%ebp; cmp $1,%%ebp; je 1f; mov %%ebp,%%eax; syscall; jmp 2f; 1: mov %%ebp,%%eax; syscall; 2:"
                ::: "eax", "rcx", "r11", "ebp"); }
        __attribute__((noinline)) void unknown(long n) { __asm__ volatile("syscall" :: "a"(n) : "rcx", "r11"); }
        __attribute__((noinline)) void harmless(void) { __asm__ volatile("mov $39,%%eax; syscall" ::: "eax", "rcx", "r11"); }
        __attribute__((noinline)) int constant(void) { int c; __asm__ volatile("mov $0x050f,%0" : "=r"(c)); return c; }
        __asm__(".byte 0xe9, 0x0f, 0x05, 0x09, 0xe6");
        int main(int argc, char **argv) { waits(); copies(); unknown(argc); harmless(); return constant(); }"#;
    for flags in [&["-O1", "-fomit-frame-pointer"][..], &["-O1", "-fomit-frame-pointer", "-s", "-rdynamic"]] {
        let program = place.compile("inline", source, flags);
        let (report, status) = report(&place, &[&program]);
        assert_eq!(status, 1, "{report:#}");
        assert_eq!(all(&report, "inline", "symbol"), ["waits", "copies", "copies", "unknown"], "{report:#}");
        assert_eq!(all(&report, "inline", "call"), ["futex", "poll", "poll", "?"], "{report:#}");
        assert_eq!(report["inline"][0]["number"], 202);
        assert!(report["inline"][3]["number"].is_null());
        let output = place.greenpatch(&["check", &program]);
        let text = String::from_utf8_lossy(&output.stdout);
        for part in [
            "inline futex (202): waits+0x",
            "inline of unknown number: unknown+0x",
            "inline=1 would catch them (Linux 6.17): inline",
            "is out of reach",
        ] {
            assert!(text.contains(part), "“{part}” is missing from: {text}");
        }
    }
}

/// The library catches such calls without being asked, or leaves the program native: they are no calls out of reach.
#[test]
fn who_sets_a_threads_state_inline_is_told_what_happens() {
    const HEAD: &str = "sets, or asks for, a thread's state by instructions of its own: ";
    let place = Place::new();
    let program = |number: u32| {
        let call = format!("mov ${number},%%eax; syscall");
        format!(
            "__attribute__((noinline)) void calls(void) {{ \
             __asm__ volatile(\"xor %%edi,%%edi; xor %%esi,%%esi; {call}\" ::: \"eax\", \"rcx\", \"r11\", \"rdi\", \"rsi\"); }} \
             int main(void) {{ calls(); return 0; }}"
        )
    };
    let go = format!("{GO_NOTE} {MAIN}");
    for (name, source, call, is_go) in [
        ("stack", program(131), Some("sigaltstack"), false),
        ("kills", program(234), Some("tgkill"), false),
        ("cgo", go, None, true),
        ("libtcmalloc.so", program(131), None, false),
        ("harmless", program(39), None, false),
    ] {
        let file = place.compile(name, &source, &["-O1"]);
        let (report, status) = report(&place, &[&file]);
        let text = stdout(&place.greenpatch(&["check", &file]));
        assert_eq!(status, 0, "{report:#}");
        let noted = notes(&report).contains("`inline` is taken on by itself (Linux 6.17), or the program stays native");
        let listed = text.contains(&format!("{HEAD}{name}\n"));
        let wanted = call.is_some() || is_go;
        assert_eq!((noted, listed, text.contains(HEAD)), (wanted, wanted, wanted), "{name}: {text}");
        assert!(!text.contains("out of reach"), "{name}: {text}");
        if let Some(call) = call {
            assert!(text.contains(&format!("{name} {call} (")) && text.contains("): calls+0x"), "{name}: {text}");
            let found = &report["thread_state"][0]["calls"][0];
            assert_eq!((&found["call"], &found["symbol"]), (&call.into(), &"calls".into()), "{report:#}");
        }
        assert_eq!(text.contains("it has Go's note"), is_go, "{name}: {text}");
        assert_eq!(report["thread_state"].as_array().map(Vec::len), Some(usize::from(wanted)), "{report:#}");
        let wide: Vec<_> = text.lines().filter(|line| line.chars().count() > 80 && !line.contains('/')).collect();
        assert!(wide.is_empty(), "{wide:#?}");
    }
}

#[test]
fn what_a_program_defines_or_makes_itself_is_out_of_reach() {
    let place = Place::new();
    let own = place.compile(
        "own",
        "long read(int f, void *b, long n) { return 0; } int main(void) { return read(0, 0, 0); }",
        &["-w", "-rdynamic"],
    );
    let (report_of_own, status) = report(&place, &[&own]);
    assert_eq!((status, &report_of_own["defined_by_the_program"][0]), (1, &"read".into()));
    let cloning = place.compile("cloning", "int main(void) { return clone(0, 0, 0, 0); }", &["-w"]);
    let (report_of_cloning, status) = report(&place, &[&cloning]);
    assert!(status == 0 && has(&report_of_cloning, "hooked", "clone"), "{report_of_cloning:#}");
}

#[test]
fn deep_binding_is_a_note() {
    let place = Place::new();
    for (flags, noted) in [("0x102", false), ("0x10a", true)] {
        let source = format!("void *dlopen(char *, int); int main(void) {{ return dlopen(\"x\", {flags}) != 0; }}");
        for linking in ["-Wl,-z,lazy", "-fno-plt"] {
            let program = place.compile("opens", &source, &[linking]);
            let (report, _) = report(&place, &[&program]);
            assert_eq!(notes(&report).contains("RTLD_DEEPBIND"), noted, "{flags} {linking}: {report:#}");
        }
    }
}

#[test]
fn tasks_and_greenlets_are_told_from_threads() {
    let place = Place::new();
    for (name, noted) in [("python3.12", true), ("other", false)] {
        let (report, _) = report(&place, &[&place.compile(name, MAIN, &[])]);
        assert_eq!(notes(&report).contains("no pthreads"), noted, "{name}: {report:#}");
    }
    let text = stdout(&place.greenpatch(&["check", "/bin/sh", &place.path("python3.12").display().to_string()]));
    let wide: Vec<_> = text.lines().filter(|line| line.chars().count() > 80 && !line.contains('/')).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

/// What only some may execute, and nobody may read.
#[test]
fn what_cannot_be_read_is_66() {
    const OTHER: u32 = 54321;
    let place = Place::new();
    let program = place.compile("closed", MAIN, &[]);
    place.change_mode("closed", 0o111);
    let mut command = place.command(&["check", &program]);
    // SAFETY: it only asks.
    if unsafe { libc::geteuid() } == 0 {
        use std::os::unix::process::CommandExt;
        std::os::unix::fs::chown(&program, Some(OTHER), Some(OTHER)).expect("root may");
        command.uid(OTHER).gid(OTHER);
        if place.command(&["--version"]).uid(OTHER).gid(OTHER).output().is_err() {
            return println!("not tested: another user cannot run the command here");
        }
    }
    let output = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(66) && text.contains("cannot be read: Permission denied"), "{output:?}");
}

#[test]
fn what_cannot_be_preloaded_is_65() {
    let place = Place::new();
    let refused = |words: &[&str], sentence: &str| {
        let (report, status) = report(&place, words);
        let refusal = report["refusal"].as_str().unwrap_or_default();
        assert!(status == 65 && refusal.contains(sentence), "{words:?}: “{sentence}” is missing from: {report:#}");
    };
    let program = place.compile("static", MAIN, &["-static"]);
    refused(&[&program], "is statically linked");
    refused(&[&place.compile("static", MAIN, &["-static-pie", "-fPIE"])], "is statically linked");
    refused(&[&place.file("script", 0o755, format!("#!{program}\n"))], "is statically linked");
    refused(
        &[&place.compile("other", MAIN, &["-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"])],
        "is linked with musl",
    );
    let go = format!("{GO_NOTE} void _start(void) {{}}");
    refused(&[&place.compile("go", &go, &["-nostdlib", "-pie"])], "is a Go program without cgo");
    refused(&[&place.header("foreign", 2, 1, 243)], "is built for RISCV (64-bit)");
    refused(&[&place.file("text", 0o644, "hello\n")], "is neither an ELF program nor a script");
    refused(&[&place.file("empty", 0o644, "")], "is neither an ELF program nor a script");
    let whole = fs::read(place.compile("privileged", MAIN, &[])).expect("a program");
    refused(&[&place.file("cut", 0o755, &whole[..1000])], "is damaged");
    const OTHER: u32 = 54321;
    if std::os::unix::fs::chown(place.path("privileged"), Some(OTHER), None).is_ok() {
        place.change_mode("privileged", 0o4755);
        refused(&[&place.path("privileged").display().to_string()], "is setuid");
    } else {
        println!("programs of another user: not tested, only root can make them");
    }
}

#[test]
fn what_is_not_there_is_66() {
    let place = Place::new();
    for (words, sentence) in [
        (&["/no/such/program"][..], "cannot be read: No such file"),
        (&["no-such-program"], "cannot be read: No such file"),
        (&["/"], "is a directory"),
        (&["/dev/null"], "is no regular file"),
        (&["--pid", "999999999"], "cannot be looked at"),
        (
            &[&place.file("orphan", 0o755, "#! /no/such/interpreter\n")],
            "cannot be executed: its interpreter /no/such/interpreter does not exist",
        ),
        (&[&place.file("lost", 0o755, "#!/usr/bin/env no-such-interpreter\n")], "no-such-interpreter"),
    ] {
        let (report, status) = report(&place, words);
        let refusal = report["refusal"].as_str().unwrap_or_default();
        assert!(status == 66 && refusal.contains(sentence), "{words:?}: {report:#}");
    }
    let gone = place.compile("libgone.so", "int gone(void) { return 0; }", &["-shared"]);
    let program = place.compile("needs", "int gone(void); int main(void) { return gone(); }", &[&gone]);
    fs::remove_file(&gone).expect("it was there");
    let (report, status) = report(&place, &[&program]);
    assert!(status == 66 && report["objects"][1]["path"].is_null(), "{report:#}");
}

#[test]
fn the_status_is_the_greatest_and_wrong_options_are_125() {
    let place = Place::new();
    let output = place.greenpatch(&["check", "/bin/sh", "/no/such/program", "/etc/passwd"]);
    assert_eq!(output.status.code(), Some(66), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches("No such file").count(), 1);
    assert_eq!(place.greenpatch(&["check"]).status.code(), Some(125));
    assert_eq!(place.greenpatch(&["check", "--pid", "me"]).status.code(), Some(125));
}

/// The same files as the loader names when it is asked (LD_TRACE_LOADED_OBJECTS), by every way of finding them.
#[test]
fn libraries_are_those_that_the_loader_finds() {
    let place = Place::new();
    fs::create_dir(place.path("inner")).expect("a folder");
    let inner =
        place.compile("inner/libinner.so", "int inner(void) { return 0; }", &["-shared", "-Wl,-soname,libinner.so"]);
    let outer = "int inner(void); int outer(void) { return inner(); }";
    let main = "int outer(void); int main(void) { return outer(); }";
    let folder = format!("-L{}", place.path("").display());
    let mut programs = vec!["/bin/sh".to_owned(), env!("CARGO_BIN_EXE_greenpatch").to_owned()];
    for (name, tags) in [("run", "-Wl,--enable-new-dtags"), ("old", "-Wl,--disable-new-dtags")] {
        // The outer library finds the inner one by its own path, or by that of the program, which is inherited in the old form only.
        let own =
            place.compile(&format!("lib{name}own.so"), outer, &["-shared", &inner, tags, "-Wl,-rpath,$ORIGIN/inner"]);
        programs.push(place.compile(&format!("{name}own"), main, &[&own, tags, "-Wl,-rpath,${ORIGIN}"]));
        let bare = place.compile(&format!("lib{name}bare.so"), outer, &["-shared", &inner]);
        programs.push(place.compile(
            &format!("{name}bare"),
            main,
            &[&folder, &bare, tags, "-Wl,--allow-shlib-undefined", "-Wl,-rpath,/nonexistent:$ORIGIN/inner"],
        ));
    }
    for program in programs {
        let traced = Command::new(&program).env("LD_TRACE_LOADED_OBJECTS", "1").output().expect("it starts");
        let traced = String::from_utf8_lossy(&traced.stdout).into_owned();
        let path = |line: &str| line.rsplit(" => ").next()?.trim().split(" (").next().map(str::to_owned);
        let real = |path: String| fs::canonicalize(&path).map_or(path, |real| real.display().to_string());
        let loader = |path: &String| !path.contains("ld-linux");
        let wanted: BTreeSet<_> =
            traced.lines().filter_map(path).filter(|path| path.starts_with('/')).map(real).filter(loader).collect();
        let (report, _) = report(&place, &[&program]);
        let found: BTreeSet<_> = all(&report, "objects", "path")
            .into_iter()
            .skip(1)
            .filter(|path| path != "?")
            .map(real)
            .filter(loader)
            .collect();
        assert_eq!(found, wanted, "{program}: {traced}");
    }
}

#[test]
fn a_process_shows_what_it_has_loaded() {
    let place = Place::new();
    let mut child =
        Command::new("sleep").arg("60").env("LD_PRELOAD", &place.library).stdin(Stdio::null()).spawn().expect("sleep");
    // exec is over when spawn returns, the loader's work is not.
    let loaded = || fs::read_to_string(format!("/proc/{}/maps", child.id())).is_ok_and(|maps| maps.contains("libc.so"));
    while !loaded() {
        std::thread::yield_now();
    }
    let (report, status) = report(&place, &["--pid", &child.id().to_string()]);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(status, 0, "{report:#}");
    assert!(all(&report, "objects", "name").iter().any(|name| name.ends_with("libempty.so")), "{report:#}");
    assert!(notes(&report).contains("greenpatch is not loaded"), "{report:#}");
}

#[test]
fn scripts_are_followed_to_their_interpreter() {
    let place = Place::new();
    let shell = fs::canonicalize("/bin/sh").expect("a shell");
    for line in ["#!/bin/sh -e", "#! /usr/bin/env sh", "#!/usr/bin/env -S A=1 sh -e"] {
        let script = place.file("script", 0o755, format!("{line}\ntrue\n"));
        let (report, status) = report(&place, &[&script]);
        let program = report["program"].as_str().unwrap_or_default();
        assert_eq!((status, fs::canonicalize(program).ok()), (0, Some(shell.clone())), "{line}: {report:#}");
    }
}
