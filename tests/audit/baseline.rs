//! What is known (`--baseline`) and accepted (`--suppressions`), and two reports beside each other (`--compare`).

use super::outputs::{record, report};
use super::support::place::stdout;
use super::support::run::Scratch;
use super::{compile, greenpatch};
use serde_json::{json, Value};
use std::fs;
use std::process::Output;

/// What all findings of a baseline without any are: new.
const EMPTY: &str = r#"{ "schema": "greenpatch.audit/1", "findings": [] }"#;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What it said in one line: sentences are wrapped wherever the names in them make it so.
fn in_one_line(output: &Output) -> String {
    said(output).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The report of the recordings, by these words more.
fn judged(scratch: &Scratch, words: &[&str]) -> (Value, String) {
    let output = report(scratch, &[&["kept", "--format", "json"], words].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    (serde_json::from_str(&stdout(&output)).expect("JSON"), said(&output))
}

fn states(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().expect("a list");
    findings.iter().map(|finding| finding["state"].as_str().expect("a word")).collect()
}

#[test]
fn what_a_baseline_has_is_not_new() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "loops");
    let audit = |words: &[&str]| {
        let mut audit = greenpatch(&["audit"]);
        audit.args(words).arg("--").arg(&program).current_dir(scratch.path(".")).output().expect("it starts")
    };
    for (words, sentence) in [
        (&["--fail-on", "new"][..], "--fail-on new needs --baseline FILE"),
        (&["--baseline", "nowhere"], "nowhere: No such file"),
        (&["--write-baseline", "/nowhere/x"], "/nowhere/x cannot be written"),
    ] {
        let output = audit(words);
        assert_eq!(output.status.code(), Some(125), "{}", said(&output));
        assert!(in_one_line(&output).contains(sentence), "{}", said(&output));
    }
    let output = audit(&["--write-baseline", "base"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // On a busy machine a call may wait that did not before.
    let again = || audit(&["--baseline", "base", "--fail-on", "new", "--threshold", "70"]);
    assert!((0..5).any(|_| again().status.code() == Some(0)));
    fs::write(scratch.path("empty"), EMPTY).expect("a file");
    let output = audit(&["--baseline", "empty", "--fail-on", "new"]);
    assert_eq!(output.status.code(), Some(66), "{}", said(&output));
    fs::write(scratch.path("all"), "*/* 2999-12-31 for the test").expect("a file");
    let output = audit(&["--suppressions", "all", "--fail-on", "block"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(in_one_line(&output).contains("suppressed: for the test"), "{}", said(&output));
}

#[test]
fn a_suppression_has_a_reason_and_a_date_and_is_warned_of_when_it_is_stale() {
    let scratch = Scratch::new();
    record(&scratch);
    let (plain, warnings) = judged(&scratch, &[]);
    assert!(states(&plain).iter().all(|state| *state == "new") && warnings.is_empty(), "{warnings}");
    let held = plain["findings"].as_array().expect("a list").iter().find(|finding| finding["verdict"] == "HOLDS_GIL");
    let id = held.expect("one")["id"].as_str().expect("text").to_owned();
    for (lines, sentence) in [
        ("# a comment\n\nword 2999-01-01 why", "lines:3: `word` is neither a finding's identity nor LIBRARY/CALL"),
        ("*/usleep", "lines:1: the date is missing"),
        ("*/usleep 2999-02-29 why", "lines:1: `2999-02-29` is no date"),
        ("*/usleep soon why", "lines:1: `soon` is no date"),
        ("*/usleep 2999-02-28", "lines:1: the reason is missing"),
    ] {
        fs::write(scratch.path("lines"), lines).expect("a file");
        let output = report(&scratch, &["kept", "--suppressions", "lines"]);
        assert_eq!(output.status.code(), Some(125), "{lines}");
        assert!(in_one_line(&output).contains(sentence), "{}", said(&output));
    }
    let lines = format!(
        "{id} 2999-12-31 known to us\n*/clock_nano?leep 2020-01-31 old\nlibnone*/poll 2999-12-31 for nothing\n"
    );
    fs::write(scratch.path("lines"), lines).expect("a file");
    let (marked, warnings) = judged(&scratch, &["--suppressions", "lines"]);
    for finding in marked["findings"].as_array().expect("a list") {
        let expected = if finding["id"] == *id { ("suppressed", json!("known to us")) } else { ("new", Value::Null) };
        assert_eq!((finding["state"].as_str(), &finding["suppressed_because"]), (Some(expected.0), &expected.1));
    }
    let warnings: Vec<&str> = warnings.lines().collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("lines:2: expired on 2020-01-31") && warnings[0].contains("old"), "{warnings:?}");
    assert!(warnings[1].contains("lines:3: fits no finding"), "{warnings:?}");
    let of = |format: &str| stdout(&report(&scratch, &["kept", "--suppressions", "lines", "--format", format]));
    assert!(of("junit").contains("skipped"), "{}", of("junit"));
    assert!(!of("github").contains("title=HOLDS_GIL usleep"), "{}", of("github"));
    assert!(of("sarif").contains("\"justification\": \"known to us\""), "{}", of("sarif"));
    assert!(!of("gitlab").contains(&id[..]), "{}", of("gitlab"));
}

#[test]
fn two_reports_are_compared() {
    let scratch = Scratch::new();
    record(&scratch);
    let (mut before, _) = judged(&scratch, &[]);
    let findings = before["findings"].as_array_mut().expect("a list");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let new = text(&findings[0]["id"]);
    findings.retain(|finding| finding["id"] != *new);
    let slower = text(&findings[0]["id"]);
    for finding in findings.iter_mut().filter(|finding| finding["id"] == *slower) {
        finding["total_s"] = json!(finding["total_s"].as_f64().expect("a number") / 2.0);
    }
    let mut gone = findings[0].clone();
    gone["id"] = json!("0123456789abcdef");
    findings.push(gone);
    fs::write(scratch.path("before"), before.to_string()).expect("a file");
    let (compared, _) = judged(&scratch, &["--compare", "before"]);
    let ids = |word: &str| -> Vec<String> {
        compared[word].as_array().expect("a list").iter().map(|entry| text(&entry["id"])).collect()
    };
    assert_eq!(
        (ids("new"), ids("gone"), ids("slower")),
        (vec![new], vec!["0123456789abcdef".to_owned()], vec![slower])
    );
    let words = stdout(&report(&scratch, &["kept", "--compare", "before"]));
    for word in ["new: ", "gone: ", "slower: "] {
        assert_eq!(words.lines().filter(|line| line.starts_with(word)).count(), 1, "{words}");
    }
    assert_eq!(stdout(&report(&scratch, &["kept", "--compare", "kept"])), "nothing is new, gone or slower\n");
    for (words, sentence) in [
        (&["--compare", "before", "--format", "junit"][..], "text or JSON"),
        (&["--compare", "loops"], "is no recording"),
    ] {
        let output = report(&scratch, &[&["kept"], words].concat());
        assert_eq!(output.status.code(), Some(125));
        assert!(in_one_line(&output).contains(sentence), "{}", said(&output));
    }
}
