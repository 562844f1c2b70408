//! `greenpatch audit` and `greenpatch report`: every wait is told with its call, library, peer, stack and Python line; nothing is lost by
//! whatever end; and what is no recording gets a sentence.

mod baseline;
mod clients;
mod foreign;
mod green;
mod interpreter;
mod now;
mod outputs;
mod page;
mod places;
mod same;
mod size;
mod slices;
#[path = "../support/mod.rs"]
mod support;
mod verdicts;

use serde_json::Value;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use support::library::library;
use support::place::{stdout, GREENPATCH};
use support::run::Scratch;

/// Compiles a program of this folder, and the library beside it, where it has one (as `libwaits`).
fn compile(scratch: &Scratch, name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit").join(name).with_extension("c");
    let program = scratch.path(name);
    let cc = |arguments: &[&str], made: &Path| {
        let mut compiler = Command::new("cc");
        compiler.args(["-g", "-O1", "-Wall", "-pthread", "-o"]).arg(made).arg(&source).args(arguments);
        assert!(compiler.status().expect("cc").success());
    };
    if ["waits", "slices", "cooperates", "hides", "places"].contains(&name) {
        let library = scratch.path(&format!("lib{name}.so.1"));
        cc(&["-shared", "-fPIC", "-DLIBRARY"], &library);
        cc(&[library.to_str().expect("a path")], &program);
    } else {
        cc(&[], &program);
    }
    program
}

fn greenpatch(words: &[&str]) -> Command {
    let mut command = Command::new(GREENPATCH);
    command.args(words).env("GREENPATCH_LIB", library());
    command
}

/// Audits a command: the report, and what came of it.
fn audit(scratch: &Scratch, flags: &[&str], command: &[&str]) -> (Value, Output) {
    let file = scratch.path("report.json");
    let library = library();
    let mut audit = greenpatch(&["audit", "--lib", library.to_str().expect("a path"), "-o"]);
    let output = audit
        .arg(&file)
        .args(flags)
        .arg("--")
        .args(command)
        .current_dir(scratch.path("."))
        .output()
        .expect("it starts");
    let report =
        fs::read_to_string(&file).unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&output.stderr)));
    (serde_json::from_str(&report).expect("JSON"), output)
}

/// The findings of a report with this call.
fn of_call<'a>(report: &'a Value, call: &str) -> Vec<&'a Value> {
    report["findings"].as_array().expect("a list").iter().filter(|finding| finding["call"] == call).collect()
}

fn functions(finding: &Value) -> Vec<&str> {
    finding["native_stack"].as_array().expect("a list").iter().filter_map(|frame| frame["function"].as_str()).collect()
}

#[test]
fn every_wait_is_told_with_its_call_its_library_and_its_peer() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "waits");
    let natively = Command::new(&program).current_dir(scratch.path(".")).output().expect("it starts");
    assert!(natively.status.success());
    let (report, output) = audit(&scratch, &[], &[program.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0));
    let port = stdout(&output).trim().to_owned();
    let peer = format!("127.0.0.1:{port}");
    // Call, library, kind of descriptor, timeout in milliseconds (0: none is known).
    let expected = [
        ("recv", "waits", "tcp", 60),
        ("poll", "libwaits.so.1", "tcp", 60),
        ("select", "waits", "pipe", 60),
        ("pthread_cond_timedwait", "waits", "", 0),
        ("sem_timedwait", "waits", "", 0),
        ("pthread_mutex_lock", "waits", "", 0),
        ("flock", "waits", "file", 0),
        ("read", "waits", "pipe", 0),
        ("waitpid", "waits", "", 0),
    ];
    for (call, soname, kind, timeout) in expected {
        // On a busy machine a thread may lose its processor in a call that does not wait, which then seems to wait: the longest counts.
        let found = of_call(&report, call).into_iter().filter(|finding| functions(finding).contains(&"main"));
        let longest = |one: &&Value, other: &&Value| {
            one["worst_s"].as_f64().unwrap_or(0.0).total_cmp(&other["worst_s"].as_f64().unwrap_or(0.0))
        };
        let finding = found.max_by(longest).unwrap_or_else(|| panic!("{call}: {report:#}"));
        assert_eq!(finding["library"]["soname"], soname, "{call}: {finding:#}");
        assert_eq!(finding["verdict"], "WAITS", "{call}: {finding:#}");
        assert_eq!(finding["fd"]["kind"].as_str().unwrap_or(""), kind, "{call}: {finding:#}");
        if kind == "tcp" {
            assert_eq!(finding["fd"]["peer"], peer, "{call}: {finding:#}");
        }
        if timeout > 0 {
            assert!(
                (finding["timeout_s"].as_f64().expect("a number") - timeout as f64 / 1e3).abs() < 1e-9,
                "{call}: {finding:#}"
            );
        }
        let worst = finding["worst_s"].as_f64().expect("a number");
        assert!((0.04..15.0).contains(&worst), "{call}: {finding:#}");
        assert_eq!(finding["count"], 1, "{call}: {finding:#}");
        assert!(functions(finding).contains(&"main"), "{call}: {finding:#}");
    }
    assert_eq!(functions(of_call(&report, "poll")[0])[..3], ["deep_down", "library_polls", "main"]);
    // The thread's two, the child's two, and main's one: each place is a finding.
    assert_eq!(of_call(&report, "usleep").len(), 5, "{report:#}");
    assert_eq!(report["processes"], 2);
    assert_eq!(report["unseen"].as_array().expect("a list").len(), 0, "{report:#}");
}

#[test]
fn a_driver_that_polls_its_one_connection_is_no_loop() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "drives");
    let (report, output) = audit(&scratch, &[], &[program.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(report["loops"], Value::Array(vec![]), "{report:#}");
    for call in ["poll", "select"] {
        let found = of_call(&report, call);
        assert!(found.iter().any(|finding| finding["verdict"] == "WAITS"), "{call}: {report:#}");
    }
}

#[test]
fn a_loop_is_known_by_what_it_does() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "loops");
    let (report, output) = audit(&scratch, &["--fail-on", "block"], &[program.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(66), "{report:#}");
    let loops = report["loops"].as_array().expect("a list");
    assert_eq!(loops.len(), 1, "{report:#}");
    assert!(loops[0]["turns"].as_u64().expect("a number") >= 290, "{report:#}");
    assert_eq!(loops[0]["kind"], "loops", "{report:#}");
    assert!(loops[0]["lag_max_s"].as_f64().expect("a number") >= 0.079, "{report:#}");
    assert!(loops[0]["blocked_s"].as_f64().expect("a number") >= 0.079, "{report:#}");
    let blocking: Vec<_> =
        of_call(&report, "usleep").into_iter().filter(|finding| finding["verdict"] == "BLOCKS_LOOP").collect();
    assert_eq!(blocking.len(), 1, "{report:#}");
    assert_eq!(functions(blocking[0])[..2], ["handler_blocks", "main"]);
    assert!(of_call(&report, "epoll_wait").is_empty(), "{report:#}");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("blocks an event loop") && words.contains("handler_blocks"), "{words}");
    // Durations have a unit of their size.
    let all: Vec<_> = words.split(|it: char| it.is_whitespace() || "(),.;".contains(it)).collect();
    let is_small = |number: &str| number.parse().is_ok_and(|number: u64| number <= 1000);
    assert!(all.windows(2).all(|pair| !["µs", "ms"].contains(&pair[1]) || is_small(pair[0])), "{words}");
}

#[test]
fn lack_of_a_processor_is_no_finding() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "hogs");
    let (report, output) = audit(&scratch, &["--threshold", "10"], &[program.to_str().expect("a path")]);
    if output.status.code() == Some(support::needs::SKIPPED) {
        return support::needs::skip("the kernel tells no run delay, or the hogs never kept the processor for long");
    }
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    let found = of_call(&report, "usleep");
    assert_eq!(found.len(), 1, "{report:#}");
    assert_eq!(functions(found[0])[0], "long_sleep", "{report:#}");
    assert!(found[0]["worst_s"].as_f64().expect("a number") >= 0.06, "{report:#}");
    assert!(report["no_processor"]["calls"].as_u64().expect("a number") >= 3, "{report:#}");
    assert!(report["no_processor"]["total_s"].as_f64().expect("a number") >= 0.03, "{report:#}");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("only because the thread had none"), "{words}");
}

#[test]
fn a_threshold_of_zero_tells_what_takes_ten_microseconds_and_one_beyond_a_day_is_refused() {
    let scratch = Scratch::new();
    let words = ["python3", "-c", "import time; time.sleep(0.0005)"];
    for (threshold, times) in [("0", 1), ("20", 0)] {
        let (report, _) = audit(&scratch, &["--threshold", threshold], &words);
        assert_eq!(of_call(&report, "clock_nanosleep").len(), times, "{threshold}: {report:#}");
    }
    let mut refused = greenpatch(&["audit", "--threshold", "86400001", "--", "true"]);
    let output = refused.output().expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{error}");
    assert!(error.contains("86400001 is not in 0..=86400000"), "{error}");
}

#[test]
fn short_sleeps_again_and_again_are_busy_polling() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "loops");
    let (report, output) = audit(&scratch, &["--fail-on", "gil"], &[program.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    let found: Vec<_> =
        of_call(&report, "usleep").into_iter().filter(|finding| finding["verdict"] == "BUSY_POLLS").collect();
    assert_eq!(found.len(), 1, "{report:#}");
    assert!(found[0]["count"].as_u64().expect("a number") >= 200, "{report:#}");
    assert_eq!(functions(found[0]), ["wakes"]);
}

#[test]
fn nothing_is_lost_by_whatever_end() {
    for (end, status, tells) in [("exit", 3, 0), ("abort", 128 + 6, 1), ("kill", 128 + 9, 1), ("execute", 0, 0)] {
        let scratch = Scratch::new();
        let program = compile(&scratch, "loops");
        let (report, output) = audit(&scratch, &["--fail-on", "any"], &[program.to_str().expect("a path"), end]);
        let expected = if status == 0 { 66 } else { status };
        assert_eq!(output.status.code(), Some(expected), "{end}: {report:#}");
        let blocking: u64 = of_call(&report, "usleep")
            .into_iter()
            .filter(|finding| finding["verdict"] == "BLOCKS_LOOP" && functions(finding)[0] == "handler_blocks")
            .map(|finding| finding["count"].as_u64().expect("a number"))
            .sum();
        let programs = if end == "execute" { 2 } else { 1 };
        assert_eq!((blocking, &report["processes"]), (programs, &programs.into()), "{end}: {report:#}");
        assert_eq!(report["unseen"].as_array().expect("a list").len(), tells, "{end}: {report:#}");
    }
}

#[test]
fn what_many_processes_find_at_one_place_is_one_finding() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "forks");
    let (report, output) = audit(&scratch, &[], &[program.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(report["processes"], 101);
    let found = of_call(&report, "usleep");
    assert_eq!((found.len(), &found[0]["count"]), (1, &100.into()), "{report:#}");
    assert_eq!(report["unseen"].as_array().expect("a list").len(), 0, "{report:#}");
}

#[test]
fn a_python_line_is_told_and_what_became_of_the_lock() {
    let scratch = Scratch::new();
    let script = scratch.path("waits.py");
    let text = "import ctypes, select, socket, time\n\
        def lets_go():\n    time.sleep(0.06)\n\
        def keeps():\n    ctypes.PyDLL(None).usleep(60000)\n\
        def polls():\n    select.select([ends[0]], [], [], 0.06)\n\
        ends = socket.socketpair()\n\
        lets_go()\nkeeps()\npolls()\n";
    fs::write(&script, text).expect("a file");
    let (report, output) =
        audit(&scratch, &["--fail-on", "gil"], &["/usr/bin/python3", script.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(66), "{report:#}");
    for (call, lock, line, caller, function) in [
        ("clock_nanosleep", "released", 3, 9, "lets_go"),
        ("usleep", "held", 5, 10, "keeps"),
        ("select", "released", 7, 11, "polls"),
    ] {
        let found = of_call(&report, call);
        assert_eq!(found.len(), 1, "{call}: {report:#}");
        let finding = found[0];
        assert_eq!(finding["gil"], lock, "{call}: {finding:#}");
        assert_eq!(finding["verdict"] == "HOLDS_GIL", lock == "held", "{call}: {finding:#}");
        let frames: Vec<_> = finding["python_stack"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|frame| (frame["line"].as_u64().unwrap_or(0), frame["function"].as_str().unwrap_or("")))
            .collect();
        assert_eq!(frames, [(line, function), (caller, "<module>")], "{call}: {finding:#}");
        assert_eq!(finding["python_stack"][0]["file"].as_str(), script.to_str());
    }
}

#[test]
fn a_recording_is_reported_later_and_what_is_none_gets_a_sentence() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "loops");
    let kept = scratch.path("kept");
    let kept = kept.to_str().expect("a path");
    let (report, output) = audit(&scratch, &["-q", "--keep", kept], &[program.to_str().expect("a path")]);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    let later = greenpatch(&["report", "--format", "json", kept]).output().expect("it starts");
    assert_eq!(serde_json::from_str::<Value>(&stdout(&later)).expect("JSON"), report);
    let words = stdout(&greenpatch(&["report", kept]).output().expect("it starts"));
    assert!(words.contains("BLOCKS_LOOP usleep"), "{words}");

    let recording = fs::read_dir(kept).expect("a folder").next().expect("a file").expect("a file").path();
    let bytes = fs::read(&recording).expect("a file");
    let newer = [&bytes[..7], &[9], &bytes[8..]].concat();
    for (name, content, sentence) in [
        ("cut", &bytes[..bytes.len() / 2], "is cut off"),
        ("empty", &[][..], "is no recording"),
        ("foreign", b"something else altogether", "is no recording"),
        ("newer", &newer, "is a recording of another version (9)"),
    ] {
        let file = scratch.path(name);
        fs::write(&file, content).expect("a file");
        let output = greenpatch(&["report", file.to_str().expect("a path")]).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).replace("\n", " ");
        assert_eq!(output.status.code(), Some(125), "{name}: {said}");
        assert!(said.contains(sentence), "{name}: {said}");
    }
    let output = greenpatch(&["report", "/nowhere"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(125));
    let unwritable = greenpatch(&["report", kept, "-o", "/nowhere/report"]).output().expect("it starts");
    assert_eq!(unwritable.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&unwritable.stderr).contains("/nowhere/report"));
}

/// The others of its folder are told, and of it a sentence, in the report, too. A folder with nothing else fails with that sentence.
#[test]
fn a_damaged_recording_leaves_its_folder_a_report() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "loops");
    let folder = |name: &str| scratch.path(name).to_str().expect("a path").to_owned();
    let (kept, bad) = (folder("kept"), folder("bad"));
    let (report, output) = audit(&scratch, &["-q", "--keep", &kept], &[program.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0));
    let whole = fs::read_dir(&kept).expect("a folder").next().expect("a file").expect("a file").path();
    let bytes = fs::read(&whole).expect("a file");
    fs::create_dir(&bad).expect("a folder");
    for (content, sentence) in [
        (&[&[0; 8], &bytes[8..]].concat()[..], "has no begin"),
        (&vec![0; bytes.len()], "has no begin"),
        (&[], "has no begin"),
        (&bytes[..bytes.len() / 2], "is cut off"),
        (&bytes[..7], "is no recording"),
        (b"something else altogether", "is no recording"),
    ] {
        // It comes before the whole one by its name.
        [&kept, &bad].iter().for_each(|folder| fs::write(format!("{folder}/0"), content).expect("a file"));
        let output = greenpatch(&["report", "--format", "json", &kept]).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.lines().count() == 1 && said.contains(sentence) && said.contains("kept/0"), "{sentence}: {said}");
        let told: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        assert_eq!(told["findings"], report["findings"], "{sentence}");
        let unseen: Vec<_> = told["unseen"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert!(unseen.iter().any(|clause| clause.contains(sentence)), "{sentence}: {unseen:?}");

        let output = greenpatch(&["report", &bad]).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(125) && output.stdout.is_empty(), "{sentence}: {output:?}");
        assert!(said.lines().count() == 1 && said.contains(sentence) && said.contains("bad/0"), "{sentence}: {said}");
    }
}

#[test]
fn a_recording_that_cannot_be_made_is_one_line_and_the_program_runs() {
    let output = Command::new("/bin/echo")
        .arg("runs")
        .env("LD_PRELOAD", library())
        .env("GREENPATCH_OPTIONS", "audit=/nowhere/recording")
        .output()
        .expect("it starts");
    assert_eq!(stdout(&output), "runs\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
    assert_eq!(output.status.signal(), None);
}
