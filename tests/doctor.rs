//! `greenpatch doctor`: its verdict with the real library and with an empty one, what it says of neighbours and limits.

mod support;

use serde_json::Value;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};
use support::library::library;
use support::place::{stdout, Place};

/// What `greenpatch doctor --json` says, and its status.
fn diagnosis(command: &mut Command) -> (Value, i32) {
    let output: Output = command.output().expect("greenpatch starts");
    let error = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {error}"));
    (report, output.status.code().expect("it exits"))
}

/// Whether there is a finding of this state on this subject that says this.
fn finds(report: &Value, state: &str, subject: &str, says: &str) -> bool {
    report["findings"].as_array().expect("a list").iter().any(|finding| {
        finding["state"] == state
            && finding["subject"] == subject
            && finding["says"].as_str().unwrap_or_default().contains(says)
    })
}

fn doctor(place: &Place) -> Command {
    let mut command = place.command(&["doctor", "--json"]);
    command.env("GREENPATCH_LIB", library());
    command
}

#[test]
fn the_proof_tells_a_library_that_works_from_one_that_does_not() {
    let place = Place::new();
    let (report, status) = diagnosis(&mut doctor(&place));
    assert!(
        status == 0 && report["green"] == true && finds(&report, "on", "proof", "4 threads ran green"),
        "{report:#}"
    );
    let (report, status) = diagnosis(doctor(&place).env("GREENPATCH_LIB", &place.library));
    assert!(
        status == 1 && report["green"] == false && finds(&report, "bad", "proof", "4 threads stayed native"),
        "{report:#}"
    );
    let (report, status) = diagnosis(doctor(&place).env("GREENPATCH_LIB", "/no/such/library.so"));
    assert!(status == 1 && finds(&report, "bad", "library", "/no/such/library.so"), "{report:#}");
}

#[test]
fn it_says_what_the_kernel_gives() {
    let place = Place::new();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's name");
    let (report, _) = diagnosis(&mut doctor(&place));
    assert!(
        finds(&report, "fact", "kernel", release.trim()) && finds(&report, "fact", "libc", "glibc 2."),
        "{report:#}"
    );
    for subject in ["FSGSBASE", "guard pages", "births caught", "calls inside libc", "inline system calls"] {
        assert!(["on", "off"].iter().any(|state| finds(&report, state, subject, "")), "{subject}: {report:#}");
    }
    let text = stdout(&place.command(&["doctor"]).env("GREENPATCH_LIB", library()).output().expect("it starts"));
    assert!(text.ends_with("Programs run green here.\n"), "{text}");
    let wide: Vec<_> = text.lines().filter(|line| line.chars().count() > 80 && !line.contains('/')).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn other_preloads_are_judged() {
    let place = Place::new();
    place.compile("libtsan.so.0", "", &["-shared"]);
    place.compile("libjemalloc.so.2", "", &["-shared"]);
    place.compile("libproxy.so", "int recv(void) { return 0; }", &["-shared", "-w"]);
    let path = |name: &str| place.path(name).display().to_string();
    let beside = |names: &[&str]| names.iter().map(|name| path(name)).collect::<Vec<_>>().join(":");
    let (report, status) =
        diagnosis(doctor(&place).env("LD_PRELOAD", beside(&["libjemalloc.so.2", "libproxy.so", "libempty.so"])));
    assert!(status == 0 && finds(&report, "fact", "other preloads", "is fine"), "{report:#}");
    assert!(finds(&report, "limit", "other preloads", "in front of 1 hooked functions (recv"), "{report:#}");
    assert!(finds(&report, "fact", "other preloads", "touches no hooked function"), "{report:#}");
    let (report, status) = diagnosis(doctor(&place).env("LD_PRELOAD", beside(&["libtsan.so.0"])));
    assert!(status == 1 && finds(&report, "bad", "other preloads", "conflicts"), "{report:#}");
}

#[test]
fn low_limits_are_told() {
    let place = Place::new();
    let mut command = doctor(&place);
    // SAFETY: between fork and exec only one system call is made.
    unsafe {
        command.pre_exec(|| {
            let few = libc::rlimit { rlim_cur: 200, rlim_max: 200 };
            match libc::setrlimit(libc::RLIMIT_NOFILE, &few) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        })
    };
    let (report, status) = diagnosis(&mut command);
    assert!(status == 0 && finds(&report, "limit", "descriptors", "200 descriptors"), "{report:#}");
}

#[test]
fn wrong_options_are_125() {
    let place = Place::new();
    assert_eq!(place.greenpatch(&["doctor", "--no-such-option"]).status.code(), Some(125));
}
