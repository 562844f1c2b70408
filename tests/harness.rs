//! The harness is tested too: a judge that lets everything pass looks exactly like a library without faults.

mod support;

use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use support::compiler;
use support::header::Header;
use support::library::library;
use support::needs;
use support::run::{self, Ending, Outcome, Scratch};
use support::verdict;

const STATISTICS: &str = r#"{"started":true,"workers":2,"green_threads":3,"parks":7,"hand_overs":2,"hooks":{"recv":9,"poll":1,"kill":3},
    "served":{"recv":2,"poll":1}}"#;

const MANY_HAND_OVERS: &str =
    r#"{"started":true,"green_threads":3,"parks":7,"hand_overs":3,"hooks":{"recv":13},"served":{"recv":13}}"#;

fn header(lines: &str) -> Result<Header, String> {
    Header::parse(&format!("/* What is shown.\n{lines} */\nint main(void) {{ return 0; }}\n"))
}

fn outcome(ending: Ending, stdout: &str) -> Outcome {
    let (stdout, stderr) = stdout.split_once("STDERR ").unwrap_or((stdout, ""));
    Outcome { ending, stdout: stdout.into(), stderr: stderr.into(), stuck: None }
}

fn faults(lines: &str, native: (Ending, &str), green: (Ending, &str), statistics: Option<&str>) -> Vec<String> {
    let header = header(lines).expect("a header");
    verdict::faults(&header, &outcome(native.0, native.1), &outcome(green.0, green.1), statistics)
}

const ENDED: (Ending, &str) = (Ending::Exited(0), "a\nb\n");

#[test]
fn a_header_is_read() {
    let lines = " * in two lines.\n * covers: recv\n *   setsockopt\n * proof: parks>=1 hooks.recv==2\n * uncounted: setsockopt\n \
                 * came: recv>=5: why\n * passes: kill raise: is\n *   no business: of it\n * stderr: has addresses\n \
                 * cflags: -O2 -DX\n * processors: 4\n * needs: pku root\n \
                 * library: yes\n * stress: no\n * native: again\n * exit: signal 6\n";
    let header = header(lines).expect("a header");
    assert_eq!(header.sentence, "What is shown. in two lines.");
    assert_eq!(header.covers, ["recv", "setsockopt"]);
    assert_eq!(header.uncounted, ["setsockopt"]);
    assert_eq!(format!("{:?}", header.proof), "[parks>=1, hooks.recv==2]");
    assert_eq!(format!("{:?}", header.came), "[came.recv>=5]");
    assert_eq!(header.passes, ["kill", "raise"]);
    assert_eq!(header.stderr_differs.as_deref(), Some("has addresses"));
    assert_eq!(header.no_park, None);
    assert_eq!(header.cflags, ["-O2", "-DX"]);
    assert_eq!(header.processors, Some(4));
    assert_eq!(header.needs, ["pku", "root"]);
    assert!(header.library && !header.stress && header.native_again);
    assert_eq!(header.ending, Ending::Signalled(6));
}

#[test]
fn bad_headers_are_refused() {
    const BAD: &[(&str, &str)] = &[
        (" * covers: recv\n", "no `proof:` line"),
        (" * proof: parks>=1\n", "no `covers:` line"),
        (" * covers: recv\n * proof: parks\n", "no comparison"),
        (" * covers: recv\n * proof: parks>=many\n", "does not end in a number"),
        (" * covers: recv\n * proof: perks>=1\n", "no counter"),
        (" * covers: recv\n * proof: hooks.>=1\n", "no counter"),
        (" * covers: recv\n * proof: parks>=1\n * cflag: -O2\n", "unknown key"),
        (" * covers: recv\n * proof: parks>=1\n * stress: maybe\n", "neither yes nor no"),
        (" * covers: recv\n * proof: parks>=1\n * native: no\n", "is not `again`"),
        (" * covers: recv\n * proof: parks>=1\n * exit: badly\n", "neither N nor signal N"),
        (" * covers: recv\n * proof: parks>=1\n * processors: few\n", "no number"),
        (" * covers: recv\n * proof: parks>=1\n * needs: luck\n", "nothing that can be needed"),
        (" * covers: recv\n * proof: parks>=0\n", "neither `parks>=N` in the proof nor"),
        (" * covers: recv\n * proof: parks<=9\n", "neither `parks>=N` in the proof nor"),
        (" * covers: recv\n * proof: parks>=1\n * no_park: nobody waits\n", "and a `no_park:` line"),
        (" * covers: recv\n * proof: started==1\n * no_park:\n", "does not say why"),
        (" * covers: recv\n * proof: parks>=1\n * stderr:\n", "does not say why"),
        (" * covers: recv\n * proof: parks>=1\n * passes: recv\n", "does not say why"),
        (" * covers: recv\n * proof: parks>=1\n * came: recv>=1:\n", "does not say why"),
        (" * covers: recv\n * proof: parks>=1\n * came: recv: often\n", "no comparison"),
    ];
    for (lines, expected) in BAD {
        let why = header(lines).expect_err(lines);
        assert!(why.contains(expected), "{lines:?}: {why}");
    }
    assert!(Header::parse("int main(void);").is_err());
}

#[test]
fn a_proven_run_passes() {
    const PROVEN: &[&str] = &[
        " * covers: recv\n * proof: parks>=1\n",
        " * covers: recv poll\n * proof: parks>6 parks<8 parks<=7 parks==7 started==1 hooks.recv>=2 hooks.read==0\n",
        " * covers: strlen\n * proof: green_threads==3\n * no_park: nobody waits\n",
        " * covers: recv send\n * proof: parks>1\n * uncounted: send\n",
        " * covers: recv kill\n * proof: parks>=1\n * passes: kill: to another process\n * came: recv>=9 kill==3: why\n",
        " * covers: recv\n * proof: parks>=1 hand_overs<=2\n",
    ];
    for lines in PROVEN {
        assert_eq!(faults(lines, ENDED, ENDED, Some(STATISTICS)), [""; 0], "{lines:?}");
    }
}

#[test]
fn a_run_that_proves_nothing_fails() {
    const UNPROVEN: &[(&str, Option<&str>, &str)] = &[
        (" * covers: recv\n * proof: parks>=8\n", Some(STATISTICS), "parks>=8 does not hold: it is 7"),
        (" * covers: recv\n * proof: parks>=1 parks<7\n", Some(STATISTICS), "parks<7 does not hold"),
        (
            " * covers: recv\n * no_park: why\n * proof: started==0\n",
            Some(STATISTICS),
            "started==0 does not hold: it is 1",
        ),
        (" * covers: recv\n * proof: parks>=1 hooks.recv>2\n", Some(STATISTICS), "hooks.recv>2 does not hold: it is 2"),
        (" * covers: recv\n * no_park: why\n * proof: entries>=0\n", Some(STATISTICS), "no counter entries"),
        (" * covers: send\n * proof: parks>=1\n", Some(STATISTICS), "hooks.send>=1 does not hold: it is 0"),
        (" * covers: kill\n * proof: parks>=1\n", Some(STATISTICS), "hooks.kill>=1 does not hold: it is 0"),
        (" * covers: recv\n * passes: send: why\n * proof: parks>=1 hooks.recv>=3\n", Some(STATISTICS), "it is 2"),
        (" * covers: send\n * passes: send: why\n * proof: parks>=1\n", Some(STATISTICS), "came.send>=1 does not hold"),
        (" * covers: recv\n * came: recv>=10: why\n * proof: parks>=1\n", Some(STATISTICS), "it is 9"),
        (" * covers: recv\n * proof: parks>=1\n", Some(MANY_HAND_OVERS), "3 hand-overs in 13 calls"),
        (" * covers: recv\n * proof: parks>=1 hand_overs>=1\n", Some(MANY_HAND_OVERS), "3 hand-overs in 13 calls"),
        (" * covers: recv\n * proof: parks>=1\n", Some("{"), "not JSON"),
        (" * covers: recv\n * proof: parks>=1\n", None, "no statistics"),
        (" * covers: recv\n * proof: parks>=1\n * exit: 3\n", None, "no statistics"),
        (" * covers: recv\n * proof: parks>=8\n * exit: signal 6\n", Some(STATISTICS), "parks>=8"),
    ];
    for (lines, statistics, expected) in UNPROVEN {
        let faults = faults(lines, ENDED, ENDED, *statistics);
        assert!(faults.len() == 1 && faults[0].contains(expected), "{lines:?}: {faults:?}");
    }
    let lines = " * covers: recv\n * proof: parks>=1\n * exit: signal 6\n";
    assert_eq!(faults(lines, ENDED, ENDED, None).len(), 1, "what a signal ends has left statistics");
}

#[test]
fn a_run_that_differs_fails() {
    const DIFFERENT: &[((Ending, &str), &str)] = &[
        ((Ending::Exited(1), "a\nb\n"), "ended with exit 1, natively with exit 0"),
        ((Ending::Signalled(11), "a\nb\n"), "ended with signal 11"),
        ((Ending::TimedOut, "a\nb\n"), "killed after 30 s"),
        ((Ending::Exited(0), "a\nc\n"), "after 1 equal lines:\n- b\n+ c"),
        ((Ending::Exited(0), "a\n"), "after 1 equal lines:\n- b\n"),
        ((Ending::Exited(0), "a\nb"), "standard output differs"),
        (
            (Ending::Exited(0), "a\nb\nSTDERR a warning\n"),
            "standard error differs (- native, + green)\nafter 0 equal lines:\n+ a warning",
        ),
    ];
    for (green, expected) in DIFFERENT {
        let faults = faults(" * covers: recv\n * proof: parks>=1\n", ENDED, *green, Some(STATISTICS));
        assert!(faults.len() == 1 && faults[0].contains(expected), "{green:?}: {faults:?}");
    }
}

#[test]
fn what_may_differ_is_not_compared() {
    let lines = " * covers: recv\n * proof: parks>=1\n * stderr: a seed\n";
    assert_eq!(faults(lines, ENDED, (Ending::Exited(0), "a\nb\nSTDERR seed 1\n"), Some(STATISTICS)), [""; 0]);
}

#[test]
fn endings_are_told_apart() {
    const ENDINGS: &[(&str, Ending)] = &[
        ("exit 3", Ending::Exited(3)),
        ("kill -ABRT $$", Ending::Signalled(6)),
        ("sleep 100 & exit 0", Ending::Exited(0)),
    ];
    for (script, expected) in ENDINGS {
        let begin = Instant::now();
        let outcome = run::run(Command::new("sh").args(["-c", script]), &Scratch::new()).expect("a shell");
        assert_eq!(outcome.ending, *expected, "{script}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{script}: waited for what it left running");
    }
}

#[test]
fn one_core_is_one() {
    let mut command = Command::new("nproc");
    command.env_remove("OMP_NUM_THREADS");
    run::on_processors(&mut command, 1);
    assert_eq!(run::run(&mut command, &Scratch::new()).expect("nproc").stdout, b"1\n");
}

/// What the differential harness says of the programs of a folder.
fn differential(folder: &Scratch, words: &[&str]) -> Option<Output> {
    let Some(cargo) = std::env::var_os("CARGO") else {
        needs::skip("it was not started by cargo");
        return None;
    };
    let profile: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
    let mut command = Command::new(cargo);
    command.args(["test", "--quiet", "--locked"]).args(profile).args(["--test", "differential", "--"]).args(words);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env("GREENPATCH_C_TESTS", folder.path("")).env("GREENPATCH_LIB", library()).env_remove("GREENPATCH_STRESS");
    Some(command.output().expect("cargo starts"))
}

const C_TESTS: &[(&str, &str, &str)] = &[
    ("passes", " * proof: started==0\n", "return 0;"),
    ("fails", " * proof: started==1\n", "return 0;"),
    ("says_why", " * proof: started==1\n", "puts(\"first\"); puts(\"no such device\"); return 77;"),
    ("differs", " * proof: started==0\n", "return getenv(\"LD_PRELOAD\") ? 77 : 0;"),
];

fn folder_of_c_tests() -> Scratch {
    let folder = Scratch::new();
    for (name, header, body) in C_TESTS {
        let include = "#include <stdio.h>\n#include <stdlib.h>\n";
        let text = format!(
            "/* Shown.\n * covers: strlen\n * no_park: no threads\n{header} */\n{include}int main(void) {{ {body} }}\n"
        );
        fs::write(folder.path(&format!("{name}.c")), text).expect("a c-test");
    }
    folder
}

#[test]
fn what_a_machine_cannot_run_is_counted_by_itself() {
    let folder = folder_of_c_tests();
    let Some(output) = differential(&folder, &[]) else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{text}");
    assert!(text.ends_with("\nnot run here, 1: no such device\n1 passed, 2 failed, 1 skipped\n"), "{text}");
    for line in ["ok    passes:", "FAIL  fails:", "skip  says_why: no such device\n", "FAIL  differs:"] {
        assert!(text.contains(line), "no “{line}” in {text}");
    }
    let output = differential(&folder, &["says_why", "passes"]).expect("as before");
    assert!(output.status.success(), "skipped tests are no failures: {output:?}");
}

#[test]
fn a_filter_that_matches_nothing_fails() {
    let Some(output) = differential(&Scratch::new(), &["no_such_test"]) else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && text.contains("no c-test") && text.contains("no_such_test"), "{text}");
    let folder = folder_of_c_tests();
    let output = differential(&folder, &["passes", "fials"]).expect("as before");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "one word of two that matches nothing: {text}");
    assert!(text.contains("no c-test has \"fials\" in its name; like it are: fails"), "{text}");
}

#[test]
fn needs_are_probed() {
    assert_eq!(needs::missing(&[]), None);
    let root = needs::missing(&["root".to_owned()]);
    assert_eq!(root.is_none(), needs::is_root(), "{root:?}");
    assert_eq!(needs::missing(&["proc".to_owned()]), None, "this test reads /proc elsewhere");
    assert!(needs::is_installed("sh") && !needs::is_installed("no such program"));
}

#[test]
fn warnings_are_errors_with_known_compilers_only() {
    let gcc = "gcc (Debian 12.2.0-14) 12.2.0\nCopyright (C) 2022 Free Software Foundation, Inc.\n";
    assert!(compiler::is_known(gcc, "12\n") && compiler::is_known(gcc, "16.2.0\n"));
    assert!(!compiler::is_known(gcc, "99\n") && !compiler::is_known(gcc, ""));
    assert!(!compiler::is_known("Debian clang version 14.0.6\n", "14.0.6\n"));
    assert!(compiler::strictness("no such compiler").is_empty());
}
