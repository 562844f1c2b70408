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
    place.refuses(&["--", ""], 127, &["the name of the program is empty"]);
    let orphan = place.file("orphan", 0o755, "#! /no/such/interpreter -x\n");
    place.refuses(&["--", &orphan], 127, &["its interpreter /no/such/interpreter does not exist"]);
    let windows = place.file("windows", 0o755, "#!/bin/sh\r\necho hi\r\n");
    place.refuses(&["--", &windows], 127, &["its interpreter /bin/sh\\r does not exist", "CRLF"]);
    let unloadable = place.compile("unloadable", MAIN, &["-Wl,--dynamic-linker=/no/such/ld-linux.so"]);
    place.refuses(&["--", &unloadable], 127, &["its dynamic loader does not exist"]);
    place.refuses(&["--", "no-such-program"], 127, &["no-such-program", "PATH"]);
    place.refuses(&["--", "/no/such/program"], 127, &["/no/such/program does not exist"]);
}

#[test]
fn what_is_not_executable_is_126() {
    let place = Place::new();
    let text = place.file("text", 0o644, "hello\n");
    place.refuses(&["--", &text], 126, &["not executable", "chmod +x"]);
    place.refuses(&["--", "/"], 126, &["is a directory"]);
    std::os::unix::fs::symlink("loop", place.path("loop")).expect("a link can be made");
    place.refuses(&["--", &place.path("loop").display().to_string()], 126, &["too many levels of symbolic links"]);
    place.refuses(&["--", &format!("{text}/")], 126, &["no directory"]);
    place.refuses(&["--", &"a".repeat(300)], 126, &["so long a name"]);
    let object = place.compile("object", MAIN, &["-c"]);
    place.change_mode("object", 0o755);
    place.refuses(&["--", &object], 65, &["an object file"]);
    let chain: Vec<_> = (0..8).map(|at| place.path(&format!("chain{at}")).display().to_string()).collect();
    chain.windows(2).for_each(|two| drop(place.file(&two[0][two[0].len() - 6..], 0o755, format!("#!{}\n", two[1]))));
    place.file("chain7", 0o755, "#!/bin/sh\n");
    place.refuses(&["--", &chain[0]], 126, &["more than 5 scripts"]);
    stdout(&place.greenpatch(&["run", "--", &chain[3]]));
}

/// Each of these is what `env` answers, too.
#[test]
fn statuses_are_those_of_env() {
    let place = Place::new();
    place.compile("program", MAIN, &[]);
    place.file("text", 0o644, "hello\n");
    place.file("orphan", 0o755, "#!/no/such/interpreter\n");
    place.file("return", 0o755, "#!/bin/sh\r\n");
    place.file("empty", 0o755, "");
    place.file("bare", 0o755, "#!\n");
    place.file("endless", 0o755, "#!/bin/sh");
    place.compile("unloadable", MAIN, &["-Wl,--dynamic-linker=/no/such/ld-linux.so"]);
    std::os::unix::fs::symlink("nothing", place.path("dangling")).expect("a link can be made");
    std::os::unix::fs::symlink("loop", place.path("loop")).expect("a link can be made");
    fs::create_dir(place.path("folder")).expect("a folder can be made");
    let folder = place.path(".").display().to_string();
    let path = format!("/no/such/folder:{folder}:/usr/bin:/bin");
    for name in [
        "program",
        "text",
        "orphan",
        "return",
        "empty",
        "bare",
        "endless",
        "unloadable",
        "dangling",
        "loop",
        "folder",
        "program/",
        "program/x",
        "",
        "nowhere",
    ] {
        for name in [name.to_owned(), format!("./{name}")] {
            let status = |command: &mut Command| {
                command.current_dir(&folder).env("PATH", &path).arg(&name);
                command.output().expect("it starts").status.code()
            };
            let native = status(Command::new("env").arg("--"));
            assert_eq!(status(&mut place.command(&["run", "--"])), native, "{name:?}");
        }
    }
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
    let other = place.compile("libother.so", "int other;", &["-shared"]);
    place.refuses(&["--lib", &other, "--", "true"], 125, &["libother.so is not greenpatch's library"]);
    let output = place.greenpatch(&["./program", "-x"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(125) && error.contains("greenpatch run -- ./program -x"), "{error}");
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
    // Its caller's own rights are no privilege: the loader honours LD_PRELOAD.
    for mode in [0o4755, 0o2755] {
        place.change_mode("privileged", mode);
        stdout(&place.greenpatch(&["run", "--", &program]));
    }
    let refuses = |sentence| place.refuses(&["--", &program], 65, &[sentence, "ignores LD_PRELOAD"]);
    const OTHER: u32 = 54321;
    if std::os::unix::fs::chown(&program, Some(OTHER), Some(OTHER)).is_ok() {
        for (mode, sentence) in [(0o4755, "is setuid"), (0o2755, "is setgid")] {
            place.change_mode("privileged", mode);
            refuses(sentence);
        }
        place.change_mode("privileged", 0o2745);
        stdout(&place.greenpatch(&["run", "--", &program]));
    } else {
        println!("programs of another user: not tested, only root can make them");
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
        (
            "worker=1",
            "there is no option “worker”; there are workers, stack_size, audit, green, idle, threshold, ticker, ticks, stats",
        ),
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
    let flags: Vec<_> =
        help.lines().filter_map(|line| line.trim().strip_prefix("--")?.split([' ', '[']).next()).collect();
    for flag in ["workers", "stack-size", "stats", "follow", "lib"] {
        assert!(flags.contains(&flag), "run --help does not have --{flag}");
    }
    for flag in flags {
        let is_told = [' ', '['].iter().any(|next| readme.contains(&format!("`--{flag}{next}")));
        assert!(is_told, "README.md does not explain --{flag}");
    }
}
