//! An audited process sees of itself what it sees natively: state.c tells it, at many moments and under every limit; both say the same.

use super::support::library::library;
use super::support::needs::skip;
use super::support::place::stdout;
use super::support::run::Scratch;
use super::{audit, compile, of_call};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs `state` with these words in a folder of its own, natively or audited: what came of it, and how many recordings.
fn run(state: &Path, words: &[&str], recordings: Option<&Path>) -> Output {
    let scratch = Scratch::new();
    let mut command = Command::new(state);
    command.args(words).current_dir(scratch.path(".")).env_clear().env("LD_BIND_NOW", "1");
    if let Some(folder) = recordings {
        let audit = format!("audit={}/%p", folder.display());
        command.env("LD_PRELOAD", library()).env("GREENPATCH_OPTIONS", audit);
    }
    // The test's own descriptors, and what a shell has it ignore, are nothing to the program.
    let alone = || {
        for signal in 1..32 {
            // SAFETY: no handler is set.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        // SAFETY: closes what the program is not to have; close_range takes three numbers.
        unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made.
    unsafe { command.pre_exec(alone) };
    command.output().expect("it starts")
}

/// What differs: the first line that is another one, and the ends.
fn difference(native: &Output, audited: &Output) -> Option<String> {
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let (mine, its) = (text(native), text(audited));
    let first = mine.lines().zip(its.lines()).find(|(one, other)| one != other);
    let ends = format!("natively {}, audited {}", native.status, audited.status);
    if native.status == audited.status && mine == its {
        return None;
    }
    let said = String::from_utf8_lossy(&audited.stderr).into_owned();
    Some(format!("{first:?}; {} and {} lines; {ends}\n{said}", mine.lines().count(), its.lines().count()))
}

/// Runs a way natively and audited: nothing differs, and so many recordings are there, at least.
fn is_the_same(state: &Path, words: &[&str], least: usize) {
    let folder = Scratch::new();
    let native = run(state, words, None);
    let audited = run(state, words, Some(&folder.path(".")));
    assert_eq!(difference(&native, &audited), None, "{words:?}");
    let count = fs::read_dir(folder.path(".")).expect("a folder").count();
    assert!(count >= least, "{words:?}: {count} recordings");
}

fn state() -> (Scratch, PathBuf) {
    let scratch = Scratch::new();
    let program = compile(&scratch, "state");
    (scratch, program)
}

#[test]
fn an_audited_process_sees_of_itself_what_it_sees_natively() {
    let (_scratch, state) = state();
    // The process and its child; the program that the child executes is a third.
    is_the_same(&state, &["moments"], 3);
    for (way, least) in [("closes", 2), ("stacks", 1), ("nofile", 1), ("memory", 1)] {
        is_the_same(&state, &[way], least);
    }
}

#[test]
fn every_end_is_as_natively() {
    let (_scratch, state) = state();
    for way in ["kill", "_exit", "abort", "fault", "thread", "return"] {
        is_the_same(&state, &[way], 1);
    }
}

#[test]
fn a_filter_that_kills_for_other_calls_kills_no_audited_process() {
    let (_scratch, state) = state();
    is_the_same(&state, &["prctl"], 1);
    is_the_same(&state, &["seccomp"], 1);
}

#[test]
fn a_thousand_children_end_as_natively() {
    let (_scratch, state) = state();
    is_the_same(&state, &["forks"], 1001);
}

#[test]
fn a_process_under_any_limit_is_as_natively() {
    let (_scratch, state) = state();
    is_the_same(&state, &["limits"], 3);
}

#[test]
fn a_process_in_an_empty_folder_and_without_rights_is_as_natively() {
    // SAFETY: asks for a number.
    if unsafe { libc::geteuid() } != 0 {
        return skip("only root may change its root folder");
    }
    let (_scratch, state) = state();
    is_the_same(&state, &["jailed"], 1);
}

#[test]
fn a_recorded_call_needs_little_stack() {
    let (_scratch, state) = state();
    let folder = Scratch::new();
    let deepest = |recordings: Option<&Path>| -> usize {
        let output = run(&state, &["deepest"], recordings);
        stdout(&output).trim().parse().unwrap_or_else(|why| panic!("{why}: {output:?}"))
    };
    let (native, audited) = (deepest(None), deepest(Some(&folder.path("."))));
    // A thread of PTHREAD_STACK_MIN has 16 KiB.
    assert!(audited - native <= 3072, "{native} bytes natively, {audited} audited");
}

/// A file system of its own with so many bytes, in a mount namespace of the program's: audited there, nothing differs.
fn on_a_disk_of(bytes: &str, state: &Path, read_only: bool) {
    let scratch = Scratch::new();
    let disk = scratch.path("disk");
    fs::create_dir(&disk).expect("a folder");
    let mount = "mount -t tmpfs -o \"size=$1\" tmpfs \"$2\" && { [ -z \"$3\" ] || mount -o remount,ro \"$2\"; } && shift 3 && exec \"$@\"";
    let begin = |audited: bool| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", mount, "sh", bytes]).arg(&disk).arg(if read_only { "yes" } else { "" });
        command.args(["env", "-i"]);
        if audited {
            command.arg(format!("LD_PRELOAD={}", library().display()));
            command.arg(format!("GREENPATCH_OPTIONS=audit={}/%p", disk.display()));
        }
        let output = command.arg(state).arg("waits").current_dir(scratch.path(".")).output().expect("unshare");
        assert_eq!(output.status.code(), Some(3), "{bytes}: {}", String::from_utf8_lossy(&output.stderr));
        output
    };
    assert_eq!(difference(&begin(false), &begin(true)), None, "{bytes}");
}

#[test]
fn a_disk_that_is_full_or_may_not_be_written_changes_nothing() {
    let may = Command::new("unshare").args(["-m", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        return skip("no mount namespace may be made");
    }
    let (_scratch, state) = state();
    for bytes in ["4k", "16k", "64k", "128k", "8m"] {
        on_a_disk_of(bytes, &state, false);
    }
    on_a_disk_of("8m", &state, true);
}

#[test]
fn pythons_lock_is_known_beside_a_second_interpreter() {
    let scratch = Scratch::new();
    let script = "import time\ntry:\n    import _xxsubinterpreters as more\nexcept ImportError:\n    import _interpreters as more\n\
        more.destroy(more.create())\ntime.sleep(0.06)\n";
    let (report, output) = audit(&scratch, &["--fail-on", "gil"], &["/usr/bin/python3", "-c", script]);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    let found = of_call(&report, "clock_nanosleep");
    assert_eq!((found.len(), found[0]["gil"].as_str()), (1, Some("released")), "{report:#}");
}
