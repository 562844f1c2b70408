//! The outputs of `greenpatch report`: each is read by a reader of its own (readers.py), and one that cannot be written gets a sentence.

use super::support::needs::skip;
use super::support::place::stdout;
use super::support::run::Scratch;
use super::{audit, compile, greenpatch};
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A Python program's waits, one with the interpreter's lock, and after it a loop of C's: the folder of the recordings.
pub fn record(scratch: &Scratch) -> PathBuf {
    let loops = compile(scratch, "loops");
    fs::create_dir(scratch.path("my code")).expect("a folder");
    let script = scratch.path("my code/waits.py");
    let text = "import ctypes, time\ndef lets_go():\n    time.sleep(0.06)\ndef keeps():\n    ctypes.PyDLL(None).usleep(90000)\n\
        lets_go()\nkeeps()\n";
    fs::write(&script, text).expect("a file");
    let kept = scratch.path("kept");
    let both = "/usr/bin/python3 \"$1\" && \"$0\"";
    let words = ["/bin/sh", "-c", both, loops.to_str().expect("a path"), script.to_str().expect("a path")];
    let (report, output) =
        audit(scratch, &["-q", "--threshold", "50", "--keep", kept.to_str().expect("a path")], &words);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    kept
}

/// `greenpatch report` of these words, in the scratch folder.
pub fn report(scratch: &Scratch, words: &[&str]) -> Output {
    greenpatch(&["report"]).args(words).current_dir(scratch.path(".")).output().expect("it starts")
}

/// Has an output read by readers.py. `false`: the reader is not installed.
fn is_read(scratch: &Scratch, format: &str, files: &[&Path]) -> bool {
    let readers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit/readers.py");
    let mut command = Command::new("/usr/bin/python3");
    let output = command.arg(readers).arg(format).args(files).current_dir(scratch.path(".")).output().expect("python3");
    let said = format!("{}{}", stdout(&output), String::from_utf8_lossy(&output.stderr));
    assert!(matches!(output.status.code(), Some(0 | 77)), "{format}: {said}");
    output.status.success()
}

#[test]
fn each_format_is_read_by_a_reader_that_is_not_ours() {
    let scratch = Scratch::new();
    record(&scratch);
    let path = |format: &str| scratch.path(format);
    for format in ["json", "folded", "speedscope", "perfetto", "junit", "sarif", "github", "gitlab", "openmetrics"] {
        let output = report(&scratch, &["kept", "--format", format, "-o", format]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""), "{format}");
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.schema.json");
        let whole = path("json");
        let files: Vec<PathBuf> = match format {
            "json" => vec![whole, schema],
            "speedscope" => vec![path(format), path("folded"), whole],
            _ => vec![path(format), whole],
        };
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        if !is_read(&scratch, format, &files) {
            skip(&format!("{format} has no reader: python3-jsonschema or python3-prometheus-client is missing"));
        }
    }
}

/// Makes a FIFO.
fn fifo(path: &Path) {
    let name = CString::new(path.to_str().expect("a path")).expect("no zero");
    // SAFETY: a name that ends with a zero.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
}

#[test]
fn an_output_that_cannot_be_written_gets_a_sentence_and_nothing_hangs() {
    let scratch = Scratch::new();
    record(&scratch);
    fifo(&scratch.path("fifo"));
    for (place, sentence) in [
        ("fifo", "nobody reads it"),
        ("/dev/full", "No space left"),
        ("kept", "Is a directory"),
        ("/nowhere/x", "No such file"),
    ] {
        let begun = Instant::now();
        let output = report(&scratch, &["kept", "--format", "json", "-o", place]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(125), "{place}: {said}");
        assert!(said.contains(sentence) && said.contains(place) && said.lines().count() == 1, "{place}: {said}");
        let mut audit = greenpatch(&["audit", "-o", place, "--", "/bin/sleep", "0.03"]);
        let output = audit.current_dir(scratch.path(".")).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(125), "{place}: {said}");
        // What cannot be known beforehand costs the file, not the summary.
        assert_eq!(said.contains("nanosleep"), place == "fifo" || place == "/dev/full", "{place}: {said}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{place}");
    }
    let read = Command::new("cat").arg(scratch.path("fifo")).stdout(std::process::Stdio::piped()).spawn().expect("cat");
    let written = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        report(&scratch, &["kept", "--format", "json", "-o", "fifo"]).status.success()
    });
    assert!(written);
    let whole = read.wait_with_output().expect("cat ends");
    assert_eq!(stdout(&whole), stdout(&report(&scratch, &["kept", "--format", "json"])));
}
