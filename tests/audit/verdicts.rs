//! Verdicts of libraries that have no finding, each given and not given; and what was not seen: inline system calls, programs that were
//! executed without the recorder, no call at all.

use super::{audit, compile, greenpatch, of_call};
use crate::support::hooks::HOOKS;
use crate::support::needs::{skip, SKIPPED};
use crate::support::run::Scratch;
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

fn verdict<'a>(report: &'a Value, soname: &str) -> Option<&'a str> {
    let libraries = report["libraries"].as_array().expect("a list");
    let mut of_name = libraries.iter().filter(|library| library["soname"] == soname);
    let found = of_name.next()?["verdict"].as_str();
    assert!(of_name.next().is_none(), "{report:#}");
    found
}

fn unseen(report: &Value) -> Vec<&str> {
    report["unseen"].as_array().expect("a list").iter().map(|clause| clause.as_str().expect("a text")).collect()
}

#[test]
fn a_library_is_cooperative_if_none_of_its_calls_could_have_waited() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "cooperates");
    for (how, expected) in [("", Some("COOPERATIVE")), ("may_wait", None), ("polls", None)] {
        let (report, output) = audit(&scratch, &[], &[program.to_str().expect("a path"), how]);
        assert_eq!(output.status.code(), Some(0), "{how}: {report:#}");
        assert_eq!(report["loops"].as_array().expect("a list").len(), 1, "{how}: {report:#}");
        assert_eq!(verdict(&report, "libcooperates.so.1"), expected, "{how}: {report:#}");
        let words = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
        assert_eq!(words.contains("waits by the loop only"), expected.is_some(), "{how}: {words}");
    }
}

#[test]
fn a_library_whose_waits_are_not_seen_is_hidden() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "hides");
    let (report, output) = audit(&scratch, &[], &[program.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(verdict(&report, "libhides.so.1"), Some("HIDDEN"), "{report:#}");
    assert_eq!(report["libraries"].as_array().expect("a list").len(), 1, "{report:#}");
    let [clause] = unseen(&report)[..] else { panic!("{report:#}") };
    assert!(clause.contains("libhides.so.1") && clause.ends_with("made inline: nanosleep"), "{clause}");
}

#[test]
fn a_program_without_a_recording_is_named_with_the_reason() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "executes");
    let program = program.to_str().expect("a path");
    let path = |name: &str| scratch.path(name).to_str().expect("a path").to_owned();
    fs::write(path("quick.c"), "#include <unistd.h>\nint main(void) { _exit(0); }").expect("a file");
    let cc = |made: &str, flags: &[&str]| {
        Command::new("cc").args(["-o", &path(made), &path("quick.c")]).args(flags).status().expect("cc").success()
    };
    assert!(cc("recorded", &[]));
    let mut cases = vec![("spawn", "recorded", None), ("vfork", "recorded", None), ("fork", "recorded", None)];
    cases.extend([("cleaned", "recorded", Some("had no LD_PRELOAD")), ("fails", "nothing", None)]);
    if cc("static", &["-static"]) {
        cases.extend(["spawn", "vfork", "fork"].map(|how| (how, "static", Some("is statically linked"))));
    }
    for (how, name, expected) in cases {
        let (report, output) = audit(&scratch, &[], &[program, how, &path(name)]);
        assert_eq!(output.status.code(), Some(0), "{how} {name}: {report:#}");
        match (expected, &unseen(&report)[..]) {
            (None, []) => {}
            (Some(why), [clause]) => {
                assert!(clause.starts_with(&path(name)) && clause.contains(why), "{how} {name}: {clause}");
            }
            _ => panic!("{how} {name}: {report:#}"),
        }
    }
    let (report, _) = audit(&scratch, &[], &[program, "cleaned", &path("recorded"), "twice"]);
    let [clause] = unseen(&report)[..] else { panic!("{report:#}") };
    assert!(clause.starts_with(&format!("{} (2 times), which was executed", path("recorded"))), "{clause}");
}

/// The program ends by `_exit`: the loader's lock, at an end by `exit`, is a call that counts where the machine is slow.
#[test]
fn no_call_at_all_is_an_error() {
    let scratch = Scratch::new();
    let (source, program) = (scratch.path("quick.c"), scratch.path("quick"));
    fs::write(&source, "#include <unistd.h>\nint main(void) { _exit(0); }").expect("a file");
    assert!(Command::new("cc").arg("-o").arg(&program).arg(&source).status().expect("cc").success());
    let program = program.to_str().expect("a path");
    let kept = scratch.path("kept");
    let kept = kept.to_str().expect("a path");
    for (flags, status) in [(&["--fail-on", "never"][..], 0), (&["--fail-on", "any"], 125), (&["--keep", kept], 0)] {
        let _ = fs::remove_dir_all(kept);
        let (report, output) = audit(&scratch, flags, &[program]);
        assert_eq!(report["calls"], 0, "{report:#}");
        assert_eq!(output.status.code(), Some(status), "{flags:?}: {report:#}");
        let words = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
        assert!(words.contains("no clean bill"), "{flags:?}: {words}");
    }
    let junit = greenpatch(&["report", "--format", "junit", kept]).output().expect("it starts");
    let xml = String::from_utf8_lossy(&junit.stdout).into_owned();
    assert!(xml.contains("errors=\"1\"") && xml.contains("no clean bill"), "{xml}");
    // A program that calls and does not wait has a clean bill.
    let (report, output) = audit(&scratch, &["--fail-on", "any"], &["/bin/cat", "/dev/null"]);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert!(report["calls"].as_u64().expect("a number") > 0, "{report:#}");
}

#[test]
fn check_names_as_waits_what_audit_times() {
    let scratch = Scratch::new();
    let (source, library) = (scratch.path("all.c"), scratch.path("all.so"));
    let mut text = String::new();
    for hook in HOOKS {
        let _ = writeln!(text, "void {}(void); void (*of_{0})(void) = {0};", hook.symbol);
    }
    fs::write(&source, text).expect("a file");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-fno-builtin", "-w", "-o"]).arg(&library).arg(&source);
    assert!(cc.status().expect("cc").success());
    let output = greenpatch(&["check", "--json"]).arg(&library as &Path).output().expect("it starts");
    let reports: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let told = reports[0]["hooked"].as_array().expect("a list");
    for hook in HOOKS {
        let of_symbol = told.iter().find(|call| call["symbol"] == hook.symbol);
        let call = of_symbol.unwrap_or_else(|| panic!("{}: {output:?}", hook.symbol));
        let expected = (!["never", "end"].contains(&hook.waits)).then_some(hook.waits);
        assert_eq!(call["waits_for"].as_str(), expected, "{}", hook.symbol);
    }
}

/// The status of starves.c where a thread lost its processor on the way from a wait to a post.
const PREEMPTED: i32 = 78;

#[test]
fn a_wait_for_a_thread_without_a_processor_is_no_finding_and_one_for_a_holder_that_sleeps_is() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "starves");
    let audited = |way: &str| audit(&scratch, &[], &[program.to_str().expect("a path"), way]);
    // What a thread lacks in the midst of computing is not known: such a run proves nothing, and there is another one.
    let ran = (0..20).map(|_| audited("starves")).find(|(_, output)| output.status.code() != Some(PREEMPTED));
    let Some((report, output)) = ran else {
        return skip("a thread was preempted while it computed, in each of 20 runs");
    };
    if output.status.code() == Some(SKIPPED) {
        return skip("the kernel tells no run delay, or the hogs never kept the processor for long");
    }
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(of_call(&report, "sem_wait").len(), 0, "{report:#}");
    assert!(report["no_processor"]["calls"].as_u64().is_some_and(|calls| calls >= 3), "{report:#}");
    let (report, output) = audited("holds");
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    let found = of_call(&report, "pthread_mutex_lock");
    assert_eq!((found.len(), &found[0]["count"]), (1, &5.into()), "{report:#}");
}
