//! Short waits that add up are one long call: in a loop's turn, in a library's call, and while Python's lock is let go. What does not
//! belong together is not added.

use super::{audit, compile, functions, of_call};
use crate::support::run::Scratch;
use serde_json::Value;
use std::fs;

/// The findings of a call that was made in a function, as [count, slices, slices of the longest], with the longest.
fn made_in<'a>(report: &'a Value, call: &str, function: &str) -> Vec<([u64; 3], f64, &'a Value)> {
    let number = |finding: &Value, name: &str| finding[name].as_u64().expect("a number");
    let found = of_call(report, call).into_iter().filter(|finding| functions(finding).contains(&function));
    found
        .map(|finding| {
            let sums = ["count", "slices", "worst_slices"].map(|name| number(finding, name));
            (sums, finding["worst_s"].as_f64().expect("a number"), finding)
        })
        .collect()
}

#[test]
fn slices_of_a_turn_add_up() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "slices");
    let (report, output) = audit(&scratch, &[], &[program.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    // Twice in `handler_sleeps`, a turn each.
    for (call, function, soname, turns, least_s) in [
        ("usleep", "library_sleeps", "libslices.so.1", 1, 0.06),
        ("pthread_cond_timedwait", "library_waits", "libslices.so.1", 1, 0.48),
        ("usleep", "handler_sleeps", "slices", 2, 0.06),
    ] {
        let found = made_in(&report, call, function);
        assert_eq!(found.len(), 1, "{function}: {report:#}");
        let (sums, worst_s, finding) = &found[0];
        assert_eq!(*sums, [turns, 12 * turns, 12], "{function}: {finding:#}");
        assert!(*worst_s >= least_s, "{function}: {finding:#}");
        assert_eq!(finding["verdict"], "BLOCKS_LOOP", "{function}: {finding:#}");
        assert_eq!(finding["library"]["soname"], soname, "{function}: {finding:#}");
    }
    assert_eq!(of_call(&report, "usleep").len(), 2, "{report:#}");
    assert!(of_call(&report, "read").is_empty(), "{report:#}");
    let blocked = report["loops"][0]["blocked_s"].as_f64().expect("a number");
    assert!(blocked >= 0.06 + 0.48 + 0.12, "{report:#}");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("in 12 slices"), "{words}");
}

#[test]
fn slices_of_a_librarys_call_add_up_and_the_programs_own_do_not() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "slices");
    // The threshold below the slices of the condition, and above them.
    for threshold in ["20", "50"] {
        let (report, _) = audit(&scratch, &["--threshold", threshold], &[program.to_str().expect("a path"), "plain"]);
        for (call, function, least_s) in
            [("usleep", "library_sleeps", 0.06), ("pthread_cond_timedwait", "library_waits", 0.48)]
        {
            let found = made_in(&report, call, function);
            assert_eq!(found.len(), 1, "{function}: {report:#}");
            let (sums, worst_s, finding) = &found[0];
            assert_eq!(*sums, [1, 12, 12], "{function}: {finding:#}");
            assert!(*worst_s >= least_s, "{function}: {finding:#}");
            assert_eq!(finding["verdict"], "WAITS", "{function}: {finding:#}");
        }
        assert_eq!(of_call(&report, "usleep").len(), 1, "{report:#}");
        assert!(of_call(&report, "read").is_empty(), "{report:#}");
    }
}

#[test]
fn slices_add_up_while_pythons_lock_is_let_go() {
    let scratch = Scratch::new();
    compile(&scratch, "slices");
    let script = scratch.path("slices.py");
    let text = "import ctypes, time\n\
        library = ctypes.CDLL('./libslices.so.1')\n\
        def sleeps():\n    library.library_sleeps()\n\
        def waits():\n    library.library_waits()\n\
        def is_short():\n    time.sleep(0.005)\n\
        sleeps()\nwaits()\n\
        for turn in range(12):\n    is_short()\n";
    fs::write(&script, text).expect("a file");
    let (report, _) = audit(&scratch, &[], &["/usr/bin/python3", script.to_str().expect("a path")]);
    for (call, function, line, least_s) in
        [("usleep", "library_sleeps", 4, 0.06), ("pthread_cond_timedwait", "library_waits", 6, 0.48)]
    {
        let found = made_in(&report, call, function);
        assert_eq!(found.len(), 1, "{function}: {report:#}");
        let (sums, worst_s, finding) = &found[0];
        assert_eq!(*sums, [1, 12, 12], "{function}: {finding:#}");
        assert!(*worst_s >= least_s, "{function}: {finding:#}");
        assert_eq!(finding["python_stack"][0]["line"], line, "{function}: {finding:#}");
        assert_eq!(finding["gil"], "released", "{function}: {finding:#}");
    }
    assert!(of_call(&report, "clock_nanosleep").is_empty(), "{report:#}");
}
