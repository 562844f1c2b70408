//! Reading the Python stack runs none of the program's code: an exception that waits for the thread is raised where it is natively.

use super::support::library::library;
use super::support::place::stdout;
use super::support::run::Scratch;
use std::path::Path;
use std::process::Command;

#[test]
fn an_exception_that_waits_is_raised_in_the_programs_code() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit/interpreter.py");
    for way in ["hook", "garbage"] {
        let scratch = Scratch::new();
        let mut python = Command::new("/usr/bin/python3");
        python.arg(&script).arg(way);
        assert_eq!(stdout(&python.output().expect("python3")), "seen 0\n", "natively, {way}");
        let options = format!("audit={}", scratch.path("recording").display());
        let audited = python.env("LD_PRELOAD", library()).env("GREENPATCH_OPTIONS", options).output().expect("python3");
        assert_eq!(stdout(&audited), "seen 0\n", "audited, {way}");
        assert!(scratch.path("recording").exists(), "nothing was recorded");
    }
}
