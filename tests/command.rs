//! The command `greenpatch`: its exit statuses, its sentences, and what a program that it runs inherits.
//!
//! The library here is an empty one: what is tested is how the command finds it, judges the program and starts it. Programs
//! that cannot be preloaded are made on the spot: by cc, by changing a file's mode, or by writing an ELF header.

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use support::place::{stdout, Place, GO_NOTE, GREENPATCH, MAIN};

#[test]
fn exit_status_and_signal_are_the_programs_own() {
    let place = Place::new();
    assert_eq!(place.greenpatch(&["run", "--", "sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(place.greenpatch(&["run", "sh", "-c", "kill -9 $$"]).status.signal(), Some(9));
}

#[test]
fn what_is_not_there_is_127() {
    let place = Place::new();
    place.refuses(&["--", "no-such-program"], 127, &["no-such-program", "PATH"]);
    place.refuses(&["--", "/no/such/program"], 127, &["/no/such/program does not exist"]);
}

#[test]
fn what_is_not_executable_is_126() {
    let place = Place::new();
    let text = place.file("text", 0o644, "hello\n");
    place.refuses(&["--", &text], 126, &["not executable", "chmod +x"]);
    place.refuses(&["--", "/"], 126, &["is a directory"]);
    let orphan = place.file("orphan", 0o755, "#! /no/such/interpreter -x\n");
    place.refuses(&["--", &orphan], 126, &["its interpreter /no/such/interpreter does not exist"]);
    let unloadable = place.compile("unloadable", MAIN, &["-Wl,--dynamic-linker=/no/such/ld-linux.so"]);
    place.refuses(&["--", &unloadable], 126, &["its dynamic loader does not exist"]);
}

#[test]
fn greenpatchs_own_failures_are_125() {
    let place = Place::new();
    place.refuses(&[], 125, &["CMD"]);
    place.refuses(&["--no-such-option", "--", "true"], 125, &["--no-such-option"]);
    for (option, value, sentence) in [
        ("--workers", "0", "“0” is not a number from 1"),
        ("--workers", "many", "option workers: “many” is not a number"),
        ("--stack-size", "1K", "option stack_size: “1K” is not a size"),
        ("--stack-size", "8MB", "such as 65536"),
        ("--follow", "yes", "option follow: “yes” is not 0 or 1"),
        ("--stats", "", "option stats"),
    ] {
        place.refuses(&[option, value, "--", "true"], 125, &[sentence]);
    }
    place.refuses(&["--stats", "a:b", "--", "true"], 125, &["--stats", "colon"]);
    place.refuses(
        &["--lib", "/no/such/library.so", "--", "true"],
        125,
        &["/no/such/library.so", "cargo build --release"],
    );
    let text = place.file("text.so", 0o644, "no library");
    place.refuses(&["--lib", &text, "--", "true"], 125, &["text.so"]);
    fs::copy(&place.library, place.path("a library.so")).expect("a library can be copied");
    place.refuses(
        &["--lib", &place.path("a library.so").display().to_string(), "--", "true"],
        125,
        &["space", "--lib"],
    );
}

#[test]
fn static_programs_are_65() {
    let place = Place::new();
    for flag in ["-static", "-static-pie"] {
        let program = place.compile("static", MAIN, &[flag, "-fPIE"]);
        place.refuses(&["--", &program], 65, &["static is statically linked", "Link it dynamically"]);
    }
}

#[test]
fn privileged_programs_are_65() {
    let place = Place::new();
    let program = place.compile("privileged", MAIN, &[]);
    for (mode, sentence) in [(0o4755, "is setuid"), (0o2755, "is setgid")] {
        place.change_mode("privileged", mode);
        place.refuses(&["--", &program], 65, &[sentence, "ignores LD_PRELOAD"]);
    }
    place.change_mode("privileged", 0o755);
    let made = Command::new("setcap").args(["cap_net_raw+ep", &program]).output();
    match made {
        Ok(output) if output.status.success() => place.refuses(&["--", &program], 65, &["has file capabilities"]),
        _ => println!("file capabilities: not tested, setcap is not installed or not permitted"),
    }
}

#[test]
fn programs_for_other_machines_are_65() {
    let place = Place::new();
    for (class, order, machine, sentence) in [
        (1, 1, 3, "386 (32-bit)"),
        (1, 1, 62, "X86_64 (32-bit)"),
        (2, 1, 243, "RISCV (64-bit)"),
        (2, 2, 22, "S390 (64-bit, big-endian)"),
        (2, 1, 64999, "64999 (64-bit)"),
    ] {
        let program = place.header("foreign", class, order, machine);
        place.refuses(&["--", &program], 65, &[&format!("foreign is built for {sentence}"), "libempty.so"]);
    }
}

#[test]
fn programs_of_other_c_libraries_are_65() {
    let place = Place::new();
    for (loader, library) in [("/lib/ld-musl-x86_64.so.1", "musl"), ("/system/bin/linker64", "Android's bionic")] {
        let program = place.compile("other", MAIN, &[&format!("-Wl,--dynamic-linker={loader}")]);
        place.refuses(&["--", &program], 65, &["is linked with", library, loader, "glibc only"]);
    }
}

#[test]
fn go_programs_are_65_unless_they_use_libc() {
    let place = Place::new();
    let start = format!("{GO_NOTE} void _start(void) {{}}");
    for flags in [["-nostdlib", "-static"], ["-nostdlib", "-pie"]] {
        let program = place.compile("go", &start, &flags);
        place.refuses(&["--", &program], 65, &["go is a Go program without cgo"]);
    }
    let cgo = place.compile("cgo", &format!("{GO_NOTE} {MAIN}"), &[]);
    stdout(&place.greenpatch(&["run", "--", &cgo]));
}

#[test]
fn scripts_are_followed_to_their_interpreter() {
    let place = Place::new();
    let script = place.file("script", 0o755, "#!/bin/sh -e\necho \"$0 $1\"\n");
    assert_eq!(stdout(&place.greenpatch(&["run", "--", &script, "-x"])), format!("{script} -x\n"));
    let nameless = place.file("nameless", 0o755, "echo no first line\n");
    assert_eq!(stdout(&place.greenpatch(&["run", "--", &nameless])), "no first line\n");

    let interpreter = place.compile("static", MAIN, &["-static"]);
    let inner = place.file("inner", 0o755, format!("#!{interpreter}\n"));
    let outer = place.file("outer", 0o755, format!("#! {inner} -x\n"));
    place.refuses(&["--", &outer], 65, &[&format!("{outer} is run by {interpreter}, which is statically linked")]);
}

#[test]
fn library_and_options_reach_the_program() {
    let place = Place::new();
    let library = fs::canonicalize(&place.library).expect("the library exists").display().to_string();
    let print = ["sh", "-c", "echo \"$LD_PRELOAD|$GREENPATCH_OPTIONS\""];
    let shown = |command: &mut Command| stdout(&command.output().expect("greenpatch starts"));

    let mut plain = place.command(&[&["run", "--"][..], &print].concat());
    assert_eq!(shown(&mut plain), format!("{library}|\n"));
    let mut merged = place.command(&[&["run", "--workers", "2", "--stack-size=64K", "--"][..], &print].concat());
    merged.env("LD_PRELOAD", &library).env("GREENPATCH_OPTIONS", "workers=3:follow=1");
    assert_eq!(shown(&mut merged), format!("{library}:{library}|workers=3:follow=1:workers=2:stack_size=64K\n"));
}

#[test]
fn wrong_words_in_the_variable_are_125() {
    let place = Place::new();
    for (words, sentence) in [
        ("worker=1", "there is no option “worker”; there are workers, stack_size, stats"),
        ("follow", "“follow” has no value: write follow=VALUE"),
        ("workers=2:stack_size=-1", "option stack_size: “-1” is not"),
    ] {
        let output =
            place.command(&["run", "--", "true"]).env("GREENPATCH_OPTIONS", words).output().expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{words}: {error}");
        assert!(error.contains(sentence), "{words}: {error}");
    }
}

/// Signals ignored, signals blocked, a closed descriptor: as without greenpatch in between.
#[test]
fn the_program_inherits_what_it_would_have_inherited() {
    let place = Place::new();
    let setting = "trap '' PIPE USR1; exec 0<&-; exec \"$@\"";
    let look = ["sh", "-c", "grep -E 'Sig(Ign|Blk)' /proc/self/status; ls /proc/self/fd"];
    let run = |words: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", setting, "sh"]).args(words).args(look).env("GREENPATCH_LIB", &place.library);
        stdout(&command.output().expect("sh starts"))
    };
    assert_eq!(run(&[GREENPATCH, "run", "--"]), run(&[]));
}

#[test]
fn help_and_version() {
    let place = Place::new();
    assert_eq!(stdout(&place.greenpatch(&["--version"])), format!("greenpatch {}\n", env!("CARGO_PKG_VERSION")));
    let help = stdout(&place.greenpatch(&["--help"]));
    for part in ["run", "demo", "65", "125", "126", "127"] {
        assert!(help.contains(part), "--help does not mention {part}");
    }
}

#[test]
fn readme_explains_every_option() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let help = stdout(&Place::new().greenpatch(&["run", "--help"]));
    let flags: Vec<_> = help.lines().filter_map(|line| line.trim().strip_prefix("--")?.split(' ').next()).collect();
    for flag in ["workers", "stack-size", "stats", "follow", "lib"] {
        assert!(flags.contains(&flag), "run --help does not have --{flag}");
    }
    for flag in flags {
        assert!(readme.contains(&format!("`--{flag} ")), "README.md does not explain --{flag}");
    }
}
