//! Real client libraries: what Debian packages of them, in short (`scripts/clients --short`), and the example that README names.

use super::support::library::library;
use super::support::needs::skip;
use super::support::place::{stdout, GREENPATCH};
use super::support::run::Scratch;
use super::{audit, of_call};
use std::path::Path;
use std::process::Command;

/// The packages that these tests need beside the others.
const MISSING: &str = "python3-gevent or python3-psycopg2 is not installed";

#[test]
fn clients_are_named_with_call_library_peer_and_line() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/clients");
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script).args(["--short", "--greenpatch", GREENPATCH]).env("GREENPATCH_LIB", library());
    let output = command.output().expect("python3");
    let said = format!("{}{}", stdout(&output), String::from_utf8_lossy(&output.stderr));
    match output.status.code() {
        Some(0) => {}
        Some(77) => skip(MISSING),
        _ => panic!("{said}"),
    }
}

#[test]
fn the_driver_of_the_demo_blocks_the_loop_at_its_line() {
    let scratch = Scratch::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/driver.py");
    let text = std::fs::read_to_string(&script).expect("the demo");
    let line = 1 + text.lines().position(|line| line.contains("psycopg2.connect(host")).expect("its line");
    let imports = Command::new("/usr/bin/python3").args(["-c", "import gevent, psycopg2"]).output().expect("python3");
    if !imports.status.success() {
        return skip(MISSING);
    }
    let (report, output) = audit(&scratch, &[], &["/usr/bin/python3", script.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    let blamed: Vec<_> =
        of_call(&report, "poll").into_iter().filter(|finding| finding["verdict"] == "BLOCKS_LOOP").collect();
    assert_eq!(blamed.len(), 1, "{report:#}");
    let finding = blamed[0];
    assert!(finding["library"]["soname"].as_str().is_some_and(|name| name.starts_with("libpq")), "{finding:#}");
    assert!(finding["fd"]["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{finding:#}");
    assert!(finding["worst_s"].as_f64().is_some_and(|worst| worst > 1.0), "{finding:#}");
    let frames = finding["python_stack"].as_array().expect("a list");
    assert!(frames.iter().any(|frame| frame["line"] == line && frame["function"] == "client"), "{line}: {finding:#}");
}
