//! The harness is tested too: a judge that lets everything pass looks exactly like a library without faults.

mod support;

use std::process::Command;
use std::time::{Duration, Instant};
use support::header::Header;
use support::run::{self, Ending, Outcome, Scratch};
use support::verdict;

const STATISTICS: &str = r#"{"started":true,"workers":2,"green_threads":3,"parks":7,"hooks":{"recv":2,"poll":1}}"#;

fn header(lines: &str) -> Result<Header, String> {
    Header::parse(&format!("/* What is shown.\n{lines} */\nint main(void) {{ return 0; }}\n"))
}

fn outcome(ending: Ending, stdout: &str) -> Outcome {
    Outcome { ending, stdout: stdout.into(), stderr: Vec::new(), stuck: None }
}

fn faults(lines: &str, native: (Ending, &str), green: (Ending, &str), statistics: Option<&str>) -> Vec<String> {
    let header = header(lines).expect("a header");
    verdict::faults(&header, &outcome(native.0, native.1), &outcome(green.0, green.1), statistics)
}

const ENDED: (Ending, &str) = (Ending::Exited(0), "a\nb\n");

#[test]
fn a_header_is_read() {
    let lines = " * in two lines.\n * covers: recv\n *   setsockopt\n * proof: parks>=1 hooks.recv==2\n * uncounted: setsockopt\n \
                 * cflags: -O2 -DX\n * library: yes\n * stress: no\n * native: again\n * exit: signal 6\n";
    let header = header(lines).expect("a header");
    assert_eq!(header.sentence, "What is shown. in two lines.");
    assert_eq!(header.covers, ["recv", "setsockopt"]);
    assert_eq!(header.uncounted, ["setsockopt"]);
    assert_eq!(format!("{:?}", header.proof), "[parks>=1, hooks.recv==2]");
    assert_eq!(header.cflags, ["-O2", "-DX"]);
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
        " * covers: strlen\n * proof: green_threads==3\n",
        " * covers: recv send\n * proof: green_threads==3\n * uncounted: send\n",
    ];
    for lines in PROVEN {
        assert_eq!(faults(lines, ENDED, ENDED, Some(STATISTICS)), [""; 0], "{lines:?}");
    }
}

#[test]
fn a_run_that_proves_nothing_fails() {
    const UNPROVEN: &[(&str, Option<&str>, &str)] = &[
        (" * covers: recv\n * proof: parks>=8\n", Some(STATISTICS), "parks>=8 does not hold: it is 7"),
        (" * covers: recv\n * proof: parks<7\n", Some(STATISTICS), "parks<7 does not hold"),
        (" * covers: recv\n * proof: started==0\n", Some(STATISTICS), "started==0 does not hold: it is 1"),
        (" * covers: recv\n * proof: hooks.recv>2\n", Some(STATISTICS), "hooks.recv>2 does not hold: it is 2"),
        (" * covers: recv\n * proof: hand_overs>=0\n", Some(STATISTICS), "no counter hand_overs"),
        (" * covers: send\n * proof: parks>=1\n", Some(STATISTICS), "hooks.send>=1 does not hold: it is 0"),
        (" * covers: recv\n * proof: parks>=1\n", Some("{"), "not JSON"),
        (" * covers: recv\n * proof: parks>=1\n", None, "no statistics"),
        (" * covers: recv\n * proof: parks>=1\n * exit: 3\n", None, "no statistics"),
        (" * covers: recv\n * proof: parks>=8\n * exit: signal 6\n", Some(STATISTICS), "parks>=8"),
    ];
    for (lines, statistics, expected) in UNPROVEN {
        let faults = faults(lines, ENDED, ENDED, *statistics);
        assert!(faults.len() == 1 && faults[0].contains(expected), "{lines:?}: {faults:?}");
    }
    let lines = " * covers: recv\n * proof: parks>=8\n * exit: signal 6\n";
    assert_eq!(faults(lines, ENDED, ENDED, None), [""; 0], "what a signal ends may leave no statistics");
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
    ];
    for (green, expected) in DIFFERENT {
        let faults = faults(" * covers: recv\n * proof: parks>=1\n", ENDED, *green, Some(STATISTICS));
        assert!(faults.len() == 1 && faults[0].contains(expected), "{green:?}: {faults:?}");
    }
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
    run::on_one_core(&mut command);
    assert_eq!(run::run(&mut command, &Scratch::new()).expect("nproc").stdout, b"1\n");
}
