//! Which threads that wait again and again are loops, and which are not; and whom a call in one of them blocks.

use super::{audit, compile, of_call};
use crate::support::run::Scratch;

#[test]
fn a_loop_is_told_from_a_driver_that_waits_again_and_again() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "places");
    // How, how many loops, and the verdicts of the calls that are findings: the handler's sleep, and the driver's waits.
    let blocks = Some("BLOCKS_LOOP");
    for (how, loops, sleeps, polls) in [
        ("two", 1, blocks, None),
        ("pipe", 0, Some("WAITS"), None),
        ("pair", 0, Some("WAITS"), None),
        ("selects_two", 1, blocks, None),
        ("both", 1, None, blocks),
        ("ends", 1, blocks, Some("WAITS")),
        ("driver", 0, Some("WAITS"), Some("WAITS")),
        ("selects_one", 0, Some("WAITS"), None),
        ("library", 1, Some("OWN_THREADS"), None),
    ] {
        let (report, output) = audit(&scratch, &[], &[program.to_str().expect("a path"), how]);
        assert_eq!(output.status.code(), Some(0), "{how}: {report:#}");
        assert_eq!(report["loops"].as_array().expect("a list").len(), loops, "{how}: {report:#}");
        for (call, expected) in [("usleep", sleeps), ("poll", polls)] {
            let found = of_call(&report, call);
            let verdicts: Vec<_> = found.iter().filter_map(|finding| finding["verdict"].as_str()).collect();
            assert_eq!(verdicts, Vec::from_iter(expected), "{how}, {call}: {report:#}");
        }
    }
}
