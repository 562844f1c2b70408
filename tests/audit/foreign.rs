//! The outputs of `greenpatch report`, read by the programs that they are for (foreign.py), which scripts/readers installs.

use super::outputs::{record, report};
use super::support::needs::skip;
use super::support::place::stdout;
use super::support::run::Scratch;
use std::path::Path;
use std::process::Command;

#[test]
fn each_output_is_read_by_the_programs_that_it_is_for() {
    let scratch = Scratch::new();
    record(&scratch);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readers = here.join("target/readers");
    for format in ["json", "sarif", "gitlab", "junit", "speedscope", "folded", "pprof", "perfetto", "firefox"] {
        let output = report(&scratch, &["kept", "--format", format, "-o", format]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""), "{format}");
        if format == "json" {
            continue;
        }
        let mut command = Command::new("/usr/bin/python3");
        command.arg(here.join("tests/audit/foreign.py")).arg(&readers).args([format, format, "json"]);
        let output = command.current_dir(scratch.path(".")).output().expect("python3");
        let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat();
        match output.status.code() {
            Some(0) => {}
            Some(77) => skip(&format!("{format} has no reader: {}", said.trim())),
            _ => panic!("{format}: {said}"),
        }
    }
}
