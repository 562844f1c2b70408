//! `greenpatch ticker`: a program at a tarpit, natively and green. The call that waits is named both ways, a thread in the process ticks
//! meanwhile, and what cannot be told is said in a sentence.
//!
//! No time is compared: a loaded machine ticks late. That there are ticks at all, while the program waits, is what is asked.

mod drivers;
#[path = "../support/mod.rs"]
mod support;
mod tarpits;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use support::library::library;
use support::place::{stdout, GREENPATCH};
use support::run::Scratch;

fn compile(scratch: &Scratch, flags: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ticker/client.c");
    let program = scratch.path("client");
    let mut compiler = Command::new("cc");
    compiler.args(["-g", "-O1", "-Wall", "-D_GNU_SOURCE", "-pthread", "-o"]).arg(&program).arg(source).args(flags);
    assert!(compiler.status().expect("cc").success());
    program
}

fn ticker(words: &[&str]) -> Output {
    let mut command = Command::new(GREENPATCH);
    command.arg("ticker").args(words).env("GREENPATCH_LIB", library()).output().expect("it starts")
}

/// Runs the client in a mode at a tarpit, for a second.
fn at(program: &Path, tarpit: &str, mode: &str) -> Output {
    let program = program.to_str().expect("a path");
    ticker(&["--tarpit", tarpit, "--seconds", "1", "--", program, mode, "{host}", "{port}"])
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What was told of one run.
struct Told {
    port: String,
    dots: usize,
    ticks: usize,
    kernel_threads: usize,
    /// The line of the call that waited.
    call: String,
    text: String,
}

/// Reads what was told natively and green, and the verdict in one line.
fn told(output: &Output) -> (Told, Told, String) {
    let text = stdout(output);
    let whole = format!("{text}{}", stderr(output));
    let (natively, rest) = text.split_once("green, one worker: ").unwrap_or_else(|| panic!("{whole}"));
    let (green, verdict) = rest.split_once("Verdict: ").unwrap_or_else(|| panic!("{whole}"));
    let run = |text: &str| {
        let lines: Vec<&str> = text.lines().collect();
        let number = |what: &str| {
            let before = lines[2].split(what).next().unwrap_or_default().trim_end();
            before.rsplit(' ').next().unwrap_or_default().parse().unwrap_or_else(|_| panic!("{what}: {whole}"))
        };
        let port = lines[0].split("127.0.0.1:").nth(1).unwrap_or_default().split(',').next().unwrap_or_default();
        Told {
            port: port.to_owned(),
            dots: lines[1].matches('.').count(),
            ticks: number("tick"),
            kernel_threads: number("kernel thread"),
            call: lines[3].trim().to_owned(),
            text: text.to_owned(),
        }
    };
    (run(natively), run(green), verdict.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn a_wait_of_one_thread_is_told_both_ways() {
    let scratch = Scratch::new();
    let output = at(&compile(&scratch, &[]), "silent", "drain");
    let (native, green, verdict) = told(&output);
    assert_eq!(output.status.code(), Some(0), "{verdict}");
    for run in [&native, &green] {
        assert!(run.ticks >= 1 && run.dots >= 1, "{}", run.text);
        assert!(run.text.contains("client:main+") || run.text.contains("client:drain+"), "{}", run.text);
    }
    assert!(native.call.starts_with("recv waited "), "{}", native.text);
    assert!(native.call.ends_with(&format!("(tcp 127.0.0.1:{})", native.port)), "{}", native.text);
    assert_eq!(native.kernel_threads, 2, "{}", native.text);
    let parked = format!("recv parked: waits to read fd 3 (socket to 127.0.0.1:{})", green.port);
    assert_eq!(green.call, parked, "{}", green.text);
    assert!(
        verdict.starts_with("at a stub of a server (silent), natively recv kept its kernel thread for "),
        "{verdict}"
    );
    assert!(verdict.contains("; green recv parked, and its kernel thread went on with the ticker ("), "{verdict}");
    // The program's own words are not among what is told.
    assert_eq!(stderr(&output), "0 bytes, closed\n0 bytes, closed\n");
}

#[test]
fn many_threads_wait_on_a_few_kernel_threads() {
    let scratch = Scratch::new();
    let output = at(&compile(&scratch, &[]), "silent", "threads");
    let (native, green, verdict) = told(&output);
    // Main, five, and the ticker.
    assert_eq!(native.kernel_threads, 7, "{}", native.text);
    assert!(green.kernel_threads < 7, "{}", green.text);
    assert!(native.ticks >= 1 && green.ticks >= 1, "{}{}", native.text, green.text);
    assert!(green.call.starts_with("recv parked: "), "{}", green.text);
    assert!(verdict.contains("natively recv kept"), "{verdict}");
    assert_eq!(stderr(&output), "");
}

#[test]
fn each_tarpit_is_what_it_says() {
    let scratch = Scratch::new();
    let program = compile(&scratch, &[]);
    for (tarpit, mode, call, end) in [
        ("never-accept", "drain", "connect", "not connected: 111"),
        ("drip", "drain", "recv", "bytes, closed"),
        ("reset", "drain", "recv", "64 bytes, reset"),
        ("http", "http", "recv", "bytes, closed"),
        ("mysql", "mysql", "recv", "bytes, closed"),
        ("postgresql", "postgresql", "recv", "bytes, closed"),
    ] {
        let output = at(&program, tarpit, mode);
        let (native, green, verdict) = told(&output);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{tarpit}: {verdict}");
        assert!(native.call.starts_with(&format!("{call} waited ")), "{tarpit}: {}", native.text);
        assert!(green.call.starts_with(&format!("{call} parked: ")), "{tarpit}: {}", green.text);
        assert!(verdict.contains(&format!("a stub of a server ({tarpit})")), "{verdict}");
        assert_eq!(
            said.lines().filter(|line| line.ends_with(end) && !line.starts_with("not a")).count(),
            2,
            "{tarpit}: {said}"
        );
    }
}

#[test]
fn a_program_that_goes_on_is_ended_and_that_is_said() {
    let scratch = Scratch::new();
    let output = at(&compile(&scratch, &[]), "silent", "stays");
    let (native, green, _) = told(&output);
    for run in [native, green] {
        assert!(run.text.contains("went on when the server had ended, and was ended by signal 15"), "{}", run.text);
    }
}

#[test]
fn a_call_that_never_ends_is_named() {
    let scratch = Scratch::new();
    let output = at(&compile(&scratch, &[]), "silent", "forever");
    let (native, _, verdict) = told(&output);
    assert!(native.call.starts_with("pthread_cond_wait waited "), "{}", native.text);
    assert!(native.call.contains("and was not over at the end"), "{}", native.text);
    assert!(native.text.contains("client:main+"), "{}", native.text);
    assert!(verdict.contains("natively pthread_cond_wait kept its kernel thread for "), "{verdict}");
}

#[test]
fn what_cannot_be_told_is_a_sentence_and_a_status() {
    let scratch = Scratch::new();
    let program = compile(&scratch, &[]);
    let client = program.to_str().expect("a path");
    let text = scratch.path("text");
    fs::write(&text, "no program").expect("a file");
    for (words, status, sentence) in [
        (&["--", client, "drain", "{host}", "1"][..], 125, "no word of the command has {port} in it"),
        (&["--tarpit", "honey", "--", client, "{port}"], 125, "invalid value 'honey'"),
        (&["--seconds", "0", "--", client, "{port}"], 125, "a number of seconds from 0.1 to 60"),
        (&["--ticks-per-second", "0", "--", client, "{port}"], 125, "1..=1000"),
        (&[], 125, "CMD"),
        (&["--", "no-such-program", "{port}"], 127, "no-such-program was not found in any directory of PATH"),
        (&["--", text.to_str().expect("a path"), "{port}"], 126, "is not executable"),
        (&["--", client, "at_once", "{host}", "{port}"], 1, "did not connect to the server, and ended with status 7"),
        (&["--", client, "leaves", "{host}", "{port}"], 1, "nothing to tell"),
    ] {
        let output = ticker(words);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(status), "{words:?}: {said}");
        assert!(said.contains(sentence), "{words:?}: {said}");
    }
    let fixed = compile(&scratch, &["-static"]);
    let output = ticker(&["--", fixed.to_str().expect("a path"), "drain", "{host}", "{port}"]);
    assert_eq!(output.status.code(), Some(65), "{}", stderr(&output));
    assert!(stderr(&output).contains("static"), "{}", stderr(&output));
}

/// Runs a command with a ticker into `file`, its other options natively or green. Returns what it wrote, and its process id.
fn with_ticker(file: &Path, options: &str, command: &[&str]) -> (Output, u32) {
    let child = Command::new(command[0])
        .args(&command[1..])
        .env("LD_PRELOAD", library())
        .env("GREENPATCH_OPTIONS", format!("ticker={}:ticks=100{options}", file.display()))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let process = child.id();
    (child.wait_with_output().expect("it ends"), process)
}

#[test]
fn the_first_process_ticks_and_no_child_of_its() {
    let scratch = Scratch::new();
    for options in ["", ":workers=1", &format!(":audit={}", scratch.path("recording.%p").display())] {
        let file = scratch.path("ticks");
        // As src/ticks.rs has it: the mark, the process, whether it is green, and the count behind three more words.
        let mut bytes = vec![0u8; 40 + 8 * (1 << 16)];
        bytes[..8].copy_from_slice(b"gptick\0\x01");
        fs::write(&file, &bytes).expect("a file");
        let script = "(sleep 0.2; echo child) & wait; sh -c 'sleep 0.2'; echo $0; exit 5";
        let (output, process) = with_ticker(&file, options, &["/bin/sh", "-c", script, "first"]);
        assert_eq!(output.status.code(), Some(5), "{options}");
        assert_eq!(stdout_of_any(&output), "child\nfirst\n", "{options}");
        assert_eq!(stderr(&output), "", "{options}");
        let bytes = fs::read(&file).expect("a file");
        let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
        assert_eq!(half(8), process, "{options}");
        assert_eq!(half(12), u32::from(!options.contains("audit")), "{options}");
        assert!(half(32) >= 1, "{options}");
    }
}

fn stdout_of_any(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_is_no_file_of_ticks_is_left_alone() {
    let scratch = Scratch::new();
    let foreign = scratch.path("foreign");
    let content = vec![b'x'; 1 << 20];
    fs::write(&foreign, &content).expect("a file");
    let short = scratch.path("short");
    fs::write(&short, b"gptick\0\x01").expect("a file");
    for file in [&foreign, &short, &scratch.path("nowhere")] {
        let (output, _) = with_ticker(file, "", &["/bin/echo", "runs"]);
        assert_eq!(stdout(&output), "runs\n");
        let said = stderr(&output);
        assert!(said.contains("no ticker (error") && said.lines().count() == 1, "{said}");
    }
    assert_eq!(fs::read(&foreign).expect("a file"), content);
    let (output, _) = with_ticker(&foreign, ":ticks=0", &["/bin/echo", "runs"]);
    assert!(stderr(&output).contains("ticks=0: expected a number from 1 to 1000"), "{}", stderr(&output));
}
