//! The C interface (include/greenpatch.h): a program that links without the library, and a loop of a program's own that is lent.

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use support::compiler::strictness;
use support::library::library;
use support::place::stdout;
use support::run::Scratch;

fn compile(scratch: &Scratch, name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/bridge/{name}.c"));
    let program = scratch.path(name);
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-Wall", "-Wextra", "-pthread"]).args(strictness("cc")).arg("-o").arg(&program).arg(&source);
    assert!(compiler.status().expect("cc").success(), "{name} does not compile");
    program
}

/// Runs a program with the library and these options.
fn with_library(program: &Path, words: &[&str], options: &str) -> Output {
    let mut command = Command::new("timeout");
    command.arg("60").arg(program).args(words).env("LD_PRELOAD", library()).env("GREENPATCH_OPTIONS", options);
    command.output().expect("it starts")
}

#[test]
fn a_program_links_without_the_library_and_is_told_how_it_runs() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "probe");
    assert_eq!(stdout(&Command::new(&program).output().expect("it starts")), "no library\n");
    let audited = format!("audit={}/%p", scratch.path(".").display());
    for (options, mode) in [("workers=1", 1), (audited.as_str(), 2), ("workers=0", 0)] {
        let output = with_library(&program, &[], options);
        assert_eq!(stdout(&output), format!("version 1 mode {mode}\n"), "{options}");
    }
}

/// What `loop` prints for a case, how many waits are lent at least, and whether it ends without a loop, too.
const CASES: [(&str, &str, u64, bool); 8] = [
    ("sleeps", "sleeps: 100 contexts, sum 0\n", 100, true),
    ("pairs", "pairs: 400 contexts, sum 2480000\n", 10_000, false),
    ("mutex", "mutex: 20 contexts, sum 20\n", 20, true),
    ("polls", "polls: 100 contexts, sum 100\n", 100, true),
    ("closes", "closes: 100 contexts, sum 50\n", 100, false),
    ("forks", "forks: 40 contexts, sum 190\n", 20, true),
    ("signals", "signals: 60 contexts, sum 40\n", 60, false),
    ("ranges", "ranges: 22 contexts, sum 22\n", 11, true),
];

/// Returns how many waits were lent, from what `loop` says of itself.
fn lent(output: &Output) -> u64 {
    let said = String::from_utf8_lossy(&output.stderr);
    let number = said.strip_prefix("lent ").and_then(|rest| rest.split(' ').next()).and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("{output:?}"))
}

#[test]
fn contexts_of_a_lent_loop_wait_side_by_side_on_stacks_of_their_own_and_on_one_that_is_copied() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "loop");
    for (case, printed, least, natively) in CASES {
        if natively {
            assert_eq!(stdout(&Command::new(&program).arg(case).output().expect("it starts")), printed);
        }
        for workers in [1, 2, 4] {
            for words in [&[case][..], &[case, "sliced"]] {
                let output = with_library(&program, words, &format!("workers={workers}"));
                assert_eq!(stdout(&output), printed, "{words:?} of {workers}: {output:?}");
                assert!(lent(&output) >= least, "{words:?} of {workers}: {output:?}");
            }
        }
    }
}

#[test]
fn a_loop_ends_each_kind_of_wait_by_each_policy() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "cancel");
    let natively = Command::new("timeout").arg("60").arg(&program).output().expect("it starts");
    assert_eq!(stdout(&natively), "7 ways to end a wait\n", "{natively:?}");
    for workers in [1, 2, 4] {
        for words in [&[][..], &["sliced"]] {
            let output = with_library(&program, words, &format!("workers={workers}"));
            assert_eq!(stdout(&output), "47 ways to end a wait\n", "{words:?} of {workers}: {output:?}");
        }
    }
}

#[test]
fn contexts_wait_for_objects_and_own_locks_by_themselves() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "objects");
    for workers in [1, 2, 4] {
        for words in [&[][..], &["sliced"]] {
            let output = with_library(&program, words, &format!("workers={workers}"));
            assert_eq!(stdout(&output), "140 turns\n", "{words:?} of {workers}: {output:?}");
        }
    }
}

#[test]
fn another_thread_makes_the_calls_of_contexts_that_block_in_the_kernel() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "offload");
    let folder = scratch.path(".").display().to_string();
    for workers in [1, 2, 4] {
        for words in [&[folder.as_str()][..], &[folder.as_str(), "sliced"]] {
            let output = with_library(&program, words, &format!("workers={workers}"));
            assert_eq!(stdout(&output), "33 turns\n", "{words:?} of {workers}: {output:?}");
        }
    }
}

#[test]
fn a_program_waits_by_the_interface_itself() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "calls");
    for workers in [1, 2, 4] {
        for words in [&[][..], &["sliced"]] {
            let output = with_library(&program, words, &format!("workers={workers}"));
            assert_eq!(stdout(&output), "5 turns\n", "{words:?} of {workers}: {output:?}");
        }
    }
}

#[test]
fn waits_of_all_kinds_mix_with_cancellations_and_closes() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "stress");
    let file = scratch.path("file").display().to_string();
    for (seed, workers) in [1, 2, 4].iter().enumerate() {
        let seed = seed.to_string();
        for words in [&[seed.as_str(), file.as_str()][..], &[seed.as_str(), file.as_str(), "sliced"]] {
            let output = with_library(&program, words, &format!("workers={workers}"));
            assert_eq!(stdout(&output), "6400 operations\n", "{words:?} of {workers}: {output:?}");
        }
    }
}

#[test]
fn what_cannot_be_lent_is_refused() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "loop");
    assert_eq!(stdout(&with_library(&program, &["refusals"], "workers=2")), "refusals: all\n");
    let audited = format!("audit={}/%p", scratch.path(".").display());
    let output = with_library(&program, &["sleeps"], &audited);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "gp_lend: Operation not supported\n");
}
