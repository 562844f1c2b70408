//! What keeps a worker in a green program: what could not park is told with its call, stack and subject, what parked is no finding; and a
//! native run beside a green one is one table.

use crate::support::library::library;
use crate::support::place::GREENPATCH;
use crate::support::run::Scratch;
use crate::{compile, functions, greenpatch, of_call};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `greenpatch audit` with these flags and options of the library, and reads the JSON that it writes.
fn audit(scratch: &Scratch, options: &str, flags: &[&str], command: &[&str]) -> (Value, Output) {
    let file = scratch.path("written.json");
    let library = library();
    let mut audit = greenpatch(&["audit", "--lib", library.to_str().expect("a path"), "-o"]);
    audit.arg(&file).args(flags).arg("--").args(command).current_dir(scratch.path("."));
    let output = audit.env("GREENPATCH_OPTIONS", options).output().expect("it starts");
    let written =
        fs::read_to_string(&file).unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&output.stderr)));
    (serde_json::from_str(&written).expect("JSON"), output)
}

/// The only finding with this call that names this function, or no function where that is empty.
fn found<'a>(report: &'a Value, call: &str, function: &str) -> &'a Value {
    let is_of = |finding: &&&Value| functions(finding).first().copied().unwrap_or("") == function;
    let all = of_call(report, call);
    let found: Vec<_> = all.iter().filter(is_of).collect();
    assert_eq!(found.len(), 1, "{call} in {function}: {report:#}");
    found[0]
}

fn program(scratch: &Scratch) -> String {
    compile(scratch, "green").to_str().expect("a path").to_owned()
}

#[test]
fn what_kept_a_worker_is_told_and_what_parked_is_not() {
    let scratch = Scratch::new();
    let program = program(&scratch);
    let (report, output) = audit(&scratch, "workers=1", &["--green", "--fail-on", "block"], &[&program]);
    assert_eq!(output.status.code(), Some(66), "{report:#}");

    let flock = found(&report, "flock", "locks_file");
    assert_eq!((&flock["verdict"], &flock["kept_worker"]), (&"WAITS".into(), &true.into()), "{flock:#}");
    assert!(flock["fd"]["path"].as_str().is_some_and(|path| path.ends_with("/locked.file")), "{flock:#}");
    assert_eq!((&flock["fd"]["kind"], &flock["thread"]["name"]), (&"file".into(), &"locks".into()), "{flock:#}");
    assert!(flock["hand_overs"].as_u64() >= Some(1) && flock["worst_s"].as_f64() >= Some(0.05), "{flock:#}");

    let hidden = found(&report, "nanosleep", "calls_by_instruction");
    assert_eq!((&hidden["verdict"], &hidden["kept_worker"]), (&"HIDDEN".into(), &true.into()), "{hidden:#}");
    assert_eq!(hidden["thread"]["name"], "instruction", "{hidden:#}");
    assert!(hidden["worst_s"].as_f64() >= Some(0.05), "{hidden:#}");

    let computing = found(&report, "computing", "");
    assert_eq!((&computing["verdict"], &computing["thread"]["name"]), (&"HIDDEN".into(), &"computes".into()));
    assert!((0.08..60.0).contains(&computing["worst_s"].as_f64().expect("a number")), "{computing:#}");
    assert_eq!(computing["native_stack"], Value::Array(Vec::new()), "no stack is known: {computing:#}");

    let all = report["findings"].as_array().expect("a list");
    let parks = all.iter().find(|finding| functions(finding).contains(&"waits_parked"));
    assert!(parks.is_none(), "{parks:#?}");
    assert!(report["green"]["parks"].as_u64() > Some(5), "{report:#}");
    assert!(report["green"]["hand_overs"].as_u64() >= Some(3), "{report:#}");
    assert!(report["loops"].as_array().is_some_and(Vec::is_empty), "{report:#}");
    assert_eq!(report["unseen"].as_array().expect("a list").len(), 0, "every hook was reached: {report:#}");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("green:") && words.contains("kept a worker"), "{words}");
}

#[test]
fn a_name_server_keeps_a_worker_only_where_the_entries_are_not_taken() {
    let scratch = Scratch::new();
    let program = program(&scratch);
    let (report, _) = audit(&scratch, "workers=1", &["--green"], &[&program, "name"]);
    assert!(of_call(&report, "res_query").is_empty(), "{report:#}");
    let green = |library: &&Value| library["soname"] == "green";
    let libraries = report["libraries"].as_array().expect("a list");
    assert_eq!(libraries.iter().find(green).expect("it parked")["verdict"], "COOPERATIVE", "{report:#}");

    let (report, _) = audit(&scratch, "workers=1:entries=0", &["--green"], &[&program, "name"]);
    let asked = found(&report, "res_query", "asks_name");
    assert_eq!(asked["kept_worker"], true, "{asked:#}");
    assert!(asked["worst_s"].as_f64() >= Some(0.5), "{asked:#}");
}

#[test]
fn a_native_run_and_a_green_one_are_one_table() {
    let scratch = Scratch::new();
    let program = program(&scratch);
    let kept = scratch.path("kept");
    let kept = kept.to_str().expect("a path");
    let (table, output) = audit(&scratch, "workers=1", &["--beside", "--keep", kept], &[&program]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(table["schema"], "greenpatch.beside/1");
    let row = |call: &str, function: &str| {
        let mut rows = table["calls"].as_array().expect("a list").iter();
        rows.find(|row| row["call"] == call && row["function"] == function)
            .unwrap_or_else(|| panic!("{call} in {function}: {table:#}"))
            .clone()
    };
    for (call, function, verdict, native, parks, kept) in [
        ("poll", "waits_parked", "COOPERATIVE", 1, 1, 0),
        ("usleep", "waits_parked", "COOPERATIVE", 1, 1, 0),
        ("flock", "locks_file", "WAITS", 1, 0, 1),
        ("nanosleep", "calls_by_instruction", "HIDDEN", 0, 0, 1),
    ] {
        let row = row(call, function);
        let counts = (&row["native"]["count"], &row["green"]["parks"], &row["green"]["kept_worker"]);
        assert_eq!(row["verdict"], verdict, "{row:#}");
        assert_eq!(counts, (&native.into(), &parks.into(), &kept.into()), "{row:#}");
    }
    assert!(row("poll", "waits_parked")["native"]["total_s"].as_f64() >= Some(0.07), "{table:#}");
    assert!(row("flock", "locks_file")["green"]["kept_s"].as_f64() >= Some(0.05), "{table:#}");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("natively blocked") && words.contains("parked"), "{words}");

    let native = Path::new(kept).join("native");
    let green = Path::new(kept).join("green");
    let report = |first: &Path, second: &Path| {
        let mut report = greenpatch(&["report", "--format", "json", "--beside"]);
        report.args([second, first]).output().expect("it starts")
    };
    assert_eq!(serde_json::from_slice::<Value>(&report(&native, &green).stdout).expect("JSON"), table);
    let turned = report(&green, &native);
    assert_eq!(turned.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&turned.stderr).contains("native run's recordings"));
}

#[test]
fn run_records_where_it_is_told() {
    let scratch = Scratch::new();
    let program = program(&scratch);
    for (flag, name) in [("--audit=mine", "mine"), ("--audit", "greenpatch.audit.")] {
        let library = library();
        let mut run = greenpatch(&["run", flag, "--threshold", "10", "--lib", library.to_str().expect("a path"), "--"]);
        let output = run.args([&program, "name"]).current_dir(scratch.path(".")).output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        let entries = fs::read_dir(scratch.path(".")).expect("a folder").map(|entry| entry.expect("a file").path());
        let is_named =
            |path: &std::path::PathBuf| path.file_name().is_some_and(|of| of.to_string_lossy().starts_with(name));
        let recording = entries.into_iter().find(is_named).unwrap_or_else(|| panic!("{flag}: no recording"));
        let report = greenpatch(&["report", "--format", "json"]).arg(&recording).output().expect("it starts");
        let report: Value = serde_json::from_slice(&report.stdout).expect("JSON");
        assert!(report["green"].is_object() && report["threshold_s"] == 0.01, "{report:#}");
    }
}

#[test]
fn green_without_audit_is_one_line_and_the_program_runs() {
    let output = Command::new("/bin/echo")
        .arg("runs")
        .env("LD_PRELOAD", library())
        .env("GREENPATCH_OPTIONS", "green=1")
        .output()
        .expect("it starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "runs\n");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.lines().count() == 1 && said.contains("audit"), "{said}");
    let command = Command::new(GREENPATCH)
        .args(["run", "--", "/bin/echo"])
        .env("GREENPATCH_LIB", library())
        .env("GREENPATCH_OPTIONS", "green=1")
        .output()
        .expect("it starts");
    assert_eq!(command.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&command.stderr).contains("audit=PATH"));
}

#[test]
fn a_parked_thread_that_holds_pythons_lock_is_told() {
    let scratch = Scratch::new();
    let script = scratch.path("holds.py");
    let text = "import ctypes, threading, time\n\
        def lets_go():\n    time.sleep(0.06)\n\
        def keeps():\n    ctypes.PyDLL(None).usleep(60000)\n\
        for what in (lets_go, keeps):\n    thread = threading.Thread(target=what)\n    thread.start()\n    thread.join()\n";
    fs::write(&script, text).expect("a file");
    let command = ["/usr/bin/python3", script.to_str().expect("a path")];
    let (report, output) = audit(&scratch, "", &["--green", "--fail-on", "gil"], &command);
    assert_eq!(output.status.code(), Some(66), "{report:#}");
    let holds = of_call(&report, "usleep");
    assert_eq!(holds.len(), 1, "{report:#}");
    assert_eq!((&holds[0]["verdict"], &holds[0]["kept_worker"]), (&"HOLDS_GIL".into(), &false.into()), "{report:#}");
    assert_eq!(
        (&holds[0]["python_stack"][0]["line"], &holds[0]["python_stack"][0]["function"]),
        (&5.into(), &"keeps".into())
    );
    assert!(of_call(&report, "clock_nanosleep").is_empty(), "{report:#}");
}
