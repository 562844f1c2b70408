//! `greenpatch ticker --driver`: the table of drivers is well formed, and those that come with Python show what is known of them.
//!
//! A machine that lets nothing tick shows nothing: UNCLEAR is as good as the verdict that is expected, and counts as no failure.

use super::support::library::library;
use super::support::place::GREENPATCH;
use super::support::run::Scratch;
use std::process::{Command, Output};

/// Debian's own, which the tests have anyway; in a virtual environment there may be more drivers, which are not asked for.
const PYTHON: &str = "/usr/bin/python3";

fn ticker(words: &[&str]) -> Output {
    let mut command = Command::new(GREENPATCH);
    command.args(["ticker", "--python", PYTHON]).args(words).env("GREENPATCH_LIB", library());
    command.output().expect("it starts")
}

fn json(output: &Output) -> serde_json::Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {said}"))
}

#[test]
fn the_table_is_well_formed() {
    let output = ticker(&["--list", "--json"]);
    let table = json(&output);
    assert_eq!(table["schema"], "greenpatch.drivers/1");
    let help = Command::new(GREENPATCH).args(["tarpit", "--help"]).output().expect("it starts");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let rows = table["drivers"].as_array().expect("rows");
    assert!(rows.len() >= 80, "{}", rows.len());
    for row in rows {
        let tarpit = row["tarpit"].as_str().expect("a tarpit");
        assert!(tarpit == "none" || help.contains(&format!("- {tarpit}:")), "{row}: {help}");
        let is_had = row["missing"].is_null() || !row["install"].as_array().expect("a list").is_empty();
        assert!(is_had, "how is it installed? {row}");
    }
    let text = ticker(&["--list"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert_eq!(text.lines().count(), rows.len(), "{text}");
    assert!(text.lines().any(|line| line.starts_with("psycopg2 ") && line.contains("postgresql")), "{text}");
}

/// A driver that holds the interpreter's lock, and one that fails at once.
const OWN: &str = r#"
from table import driver


@driver("holder", imports="ctypes", tarpit="none")
def holder(at):
    import ctypes

    ctypes.PyDLL(None).usleep(int(at.seconds * 1e6))


@driver("leaver", imports="socket", tarpit="silent")
def leaver(at):
    raise OSError("no wish to wait")


@driver("lacking", install="no-such-thing", imports="no_such_module", tarpit="silent")
def lacking(at):
    pass
"#;

#[test]
fn drivers_show_what_is_known_of_them() {
    let scratch = Scratch::new();
    let own = scratch.path("own.py");
    std::fs::write(&own, OWN).expect("a file");
    let mut words =
        vec!["--json", "--seconds", "1", "--under", "threads,asyncio,run", "--table", own.to_str().expect("a path")];
    words.extend(
        ["socket", "smtplib", "sqlite3", "holder", "leaver", "lacking"].iter().flat_map(|name| ["--driver", name]),
    );
    let output = ticker(&words);
    let told = json(&output);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    for (at, (name, threads, asyncio, run)) in [
        ("socket", "YIELDS", "YIELDS", "YIELDS"),
        ("smtplib", "YIELDS", "BLOCKS_LOOP", "YIELDS"),
        ("sqlite3", "YIELDS", "BLOCKS_LOOP", "YIELDS"),
        // The sleep parks, but no other thread gets the interpreter's lock.
        ("holder", "HOLDS_GIL", "HOLDS_GIL", "HOLDS_GIL"),
        ("leaver", "NOT_POSSIBLE", "NOT_POSSIBLE", "NOT_POSSIBLE"),
        ("lacking", "NOT_POSSIBLE", "NOT_POSSIBLE", "NOT_POSSIBLE"),
    ]
    .into_iter()
    .enumerate()
    {
        let row = &told["drivers"][at];
        assert_eq!(row["name"], name);
        for (way, expected) in [("threads", threads), ("asyncio", asyncio), ("run", run)] {
            let cell = &row["cells"][way];
            let verdict = cell["verdict"].as_str().expect("a verdict");
            let is_close = expected == "YIELDS" && verdict == "YIELDS_PARTLY";
            assert!(verdict == expected || verdict == "UNCLEAR" || is_close, "{name}, {way}: {cell}");
        }
    }
    let blocked = &told["drivers"][1]["cells"]["asyncio"];
    if blocked["verdict"] == "BLOCKS_LOOP" {
        let waited = &blocked["waited"];
        assert_eq!((&waited["call"], &waited["gil"]), (&"recv".into(), &"released".into()), "{blocked}");
        assert!(waited["stack"].to_string().contains("of_nets.py"), "{blocked}");
    }
    let held = &told["drivers"][3]["cells"]["threads"];
    assert!(held["verdict"] == "UNCLEAR" || held["waited"]["gil"] == "held", "{held}");
    assert!(
        told["drivers"][4]["cells"]["threads"]["ended"].as_str().is_some_and(|words| words.contains("no wish")),
        "{told}"
    );
    assert_eq!(told["drivers"][5]["cells"]["run"]["ended"], "no_such_module is not installed");
}

#[test]
fn a_driver_waits_at_another_tarpit_as_well() {
    let words = ["--json", "--seconds", "1", "--under", "asyncio", "--tarpit", "never-accept", "--driver", "smtplib"];
    let told = json(&ticker(&words));
    let row = &told["drivers"][0];
    assert_eq!(row["tarpit"], "never-accept");
    let cell = &row["cells"]["asyncio"];
    assert!(cell["verdict"] == "UNCLEAR" || cell["waited"]["call"] == "connect", "{cell}");
}

#[test]
fn the_bridge_needs_the_package() {
    let told = json(&ticker(&["--json", "--seconds", "1", "--under", "asyncio", "--bridge", "--driver", "smtplib"]));
    assert_eq!((&told["bridged"], &told["greenpatch"]), (&true.into(), &serde_json::Value::Null), "{told}");
    let cell = &told["drivers"][0]["cells"]["asyncio"];
    assert_eq!((&cell["verdict"], &cell["ended"]), (&"NOT_POSSIBLE".into(), &"greenpatch is not installed".into()));
}

#[test]
fn one_driver_is_told_with_dots_and_a_verdict() {
    let output = ticker(&["--seconds", "1", "--under", "threads", "--driver", "HTTP.client"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("http.client at a stub (http)\n  threads   ."), "{said}");
    assert!(said.contains("Verdict: at a stub of a server (http), http.client: under threads it "), "{said}");
    for (words, status, sentence) in [
        (&["--driver", "no-such"][..], 125, "there is no driver “no-such”; there are "),
        (&["--python", "/nowhere/python", "--list"], 125, "cannot be used multiple times"),
        (&["--driver", "socket", "--", "true"], 125, "cannot be used with"),
        (&["--driver", "socket", "--under", "trio"], 125, "invalid value 'trio'"),
        (&["--table", "/nowhere/own.py", "--list"], 125, "/nowhere/own.py"),
    ] {
        let output = ticker(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{words:?}: {said}");
        assert!(said.contains(sentence), "{words:?}: {said}");
    }
}
