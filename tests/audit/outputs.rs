//! The outputs of `greenpatch report`: each is read by a reader of its own (readers.py), and one that cannot be written gets a sentence.

use super::support::needs::skip;
use super::support::place::{stdout, GREENPATCH};
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
pub fn is_read(scratch: &Scratch, format: &str, files: &[&Path]) -> bool {
    let readers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit/readers.py");
    let mut command = Command::new("/usr/bin/python3");
    let output = command.arg(readers).arg(format).args(files).current_dir(scratch.path(".")).output().expect("python3");
    let said = format!("{}{}", stdout(&output), String::from_utf8_lossy(&output.stderr));
    assert!(matches!(output.status.code(), Some(0 | 77)), "{format}: {said}");
    output.status.success()
}

/// All formats but text and html (page.rs).
const FORMATS: [&str; 11] = [
    "json",
    "folded",
    "speedscope",
    "pprof",
    "perfetto",
    "firefox",
    "junit",
    "sarif",
    "github",
    "gitlab",
    "openmetrics",
];
/// Those that are of single calls along the time.
const OF_CALLS: [&str; 2] = ["perfetto", "firefox"];

#[test]
fn each_format_is_read_by_a_reader_that_is_not_ours() {
    let scratch = Scratch::new();
    record(&scratch);
    let path = |format: &str| scratch.path(format);
    for format in FORMATS {
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
            skip(&format!("{format} has no reader: {}", reader_of(format)));
        }
    }
}

/// What reads a format.
fn reader_of(format: &str) -> &str {
    match format {
        "json" => "python3-jsonschema is missing",
        "pprof" => "golang-go is missing",
        "openmetrics" => "python3-prometheus-client is missing",
        _ => "a module of Python is missing",
    }
}

#[test]
fn a_report_in_json_is_told_as_its_recordings_are() {
    let scratch = Scratch::new();
    record(&scratch);
    assert_eq!(report(&scratch, &["kept", "--format", "json", "-o", "saved.json"]).status.code(), Some(0));
    for format in FORMATS.iter().chain(&["text", "html"]) {
        let of_saved = report(&scratch, &["saved.json", "--format", format]);
        let said = String::from_utf8_lossy(&of_saved.stderr).into_owned();
        if OF_CALLS.contains(format) {
            assert_eq!(of_saved.status.code(), Some(125), "{format}: {said}");
            assert!(said.contains("a timeline needs the recordings") && said.lines().count() == 1, "{said}");
            continue;
        }
        assert_eq!((of_saved.status.code(), said.as_str()), (Some(0), ""), "{format}");
        let of_recordings = report(&scratch, &["kept", "--format", format]).stdout;
        // Addresses in an object's file are not in JSON, and the page has no timeline then.
        if !["pprof", "html"].contains(format) {
            assert!(of_saved.stdout == of_recordings, "{format}: {}", stdout(&of_saved));
        }
        assert!(of_saved.stdout.len() * 3 > of_recordings.len(), "{format}");
    }
    let page = stdout(&report(&scratch, &["saved.json", "--format", "html"]));
    assert!(page.contains("\"timeline\":null"), "{page}");
    let both = report(&scratch, &["kept", "saved.json"]);
    let said = String::from_utf8_lossy(&both.stderr).into_owned();
    assert_eq!(both.status.code(), Some(125), "{said}");
    assert!(said.contains("saved.json is a report in JSON, and is told alone"), "{said}");
    // A report that lies beside the recordings is none of them.
    fs::copy(scratch.path("saved.json"), scratch.path("kept/saved.json")).expect("a file");
    assert_eq!(report(&scratch, &["kept", "--format", "json", "-o", "kept/again.json"]).status.code(), Some(0));
    let (one, other) = (fs::read(scratch.path("saved.json")), fs::read(scratch.path("kept/again.json")));
    assert!(one.expect("a file") == other.expect("a file"));
}

#[test]
fn an_input_that_is_no_recording_gets_a_sentence_in_every_format() {
    let scratch = Scratch::new();
    record(&scratch);
    fifo(&scratch.path("fifo"));
    let json = stdout(&report(&scratch, &["kept", "--format", "json"]));
    let recording =
        fs::read_dir(scratch.path("kept")).expect("a folder").next().expect("a file").expect("a file").path();
    let bytes = fs::read(recording).expect("a file");
    let newer = json.replace("greenpatch.audit/1", "greenpatch.audit/2");
    for (name, content, sentence) in [
        ("cut", &bytes[..bytes.len() / 3], "is cut off"),
        ("foreign", b"\x7fELF and so on", "is no recording"),
        ("newer", &[&bytes[..7], &[9], &bytes[8..]].concat(), "is a recording of another version (9)"),
        ("cut.json", &json.as_bytes()[..json.len() / 2], "is cut off: it begins as JSON does"),
        ("foreign.json", br#"{ "findings": [] }"#, "is no report of greenpatch's"),
        ("other.json", br#"{ "schema": "sarif", "findings": [] }"#, "has the form sarif, not greenpatch.audit/1"),
        ("newer.json", newer.as_bytes(), "has the form greenpatch.audit/2, and this greenpatch"),
    ] {
        fs::write(scratch.path(name), content).expect("a file");
        for format in FORMATS.iter().chain(&["text", "html"]) {
            let output = report(&scratch, &[name, "--format", format, "-o", "out"]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(125), "{format} {name}: {said}");
            assert!(said.contains(sentence) && said.lines().count() == 1, "{format} {name}: {said}");
            assert!(!scratch.path("out").exists(), "{format} {name}");
        }
    }
    for (name, sentence) in
        [("fifo", "fifo is no file"), ("/dev/zero", "/dev/zero is no file"), ("nowhere", "nowhere: No such")]
    {
        for words in [&[name][..], &["kept", "--baseline", name], &["kept", "--compare", name]] {
            let output = report(&scratch, words);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(125), "{words:?}: {said}");
            assert!(said.contains(sentence), "{words:?}: {said}");
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
    for format in FORMATS.iter().chain(&["text", "html"]) {
        for (place, sentence) in
            [("fifo", "nobody reads it"), ("/dev/full", "No space left"), ("kept", "Is a directory")]
        {
            let output = report(&scratch, &["kept", "--format", format, "-o", place]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(125), "{format} {place}: {said}");
            assert!(said.contains(sentence) && said.lines().count() == 1, "{format} {place}: {said}");
        }
        // A closed standard output, and one on a disk that is full.
        for (closes, sentence) in [(">&-", "Bad file descriptor"), (">/dev/full", "No space left")] {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &format!("exec \"$0\" report kept --format {format} {closes}"), GREENPATCH]);
            let output = shell.current_dir(scratch.path(".")).output().expect("it starts");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(125), "{format} {closes}: {said}");
            assert!(said.contains(sentence) && said.contains("-o FILE"), "{format} {closes}: {said}");
        }
    }
    // What cannot be made whole leaves what was there before, and nothing beside it.
    let place = scratch.path("small.html");
    fs::write(&place, "what was there before").expect("a file");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" report kept --format html -o small.html", GREENPATCH]);
    let output = shell.current_dir(scratch.path(".")).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125), "{said}");
    assert!(said.contains("small.html cannot be written: File too large"), "{said}");
    assert_eq!(fs::read_to_string(&place).expect("a file"), "what was there before");
    let beside = fs::read_dir(scratch.path(".")).expect("a folder").flatten();
    let parts: Vec<_> = beside.filter(|entry| entry.file_name().to_string_lossy().ends_with(".part")).collect();
    assert!(parts.is_empty(), "{parts:?}");
    let read = Command::new("cat").arg(scratch.path("fifo")).stdout(std::process::Stdio::piped()).spawn().expect("cat");
    let written = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        report(&scratch, &["kept", "--format", "json", "-o", "fifo"]).status.success()
    });
    assert!(written);
    let whole = read.wait_with_output().expect("cat ends");
    assert_eq!(stdout(&whole), stdout(&report(&scratch, &["kept", "--format", "json"])));
}
