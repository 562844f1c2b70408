//! Calls that are not over: what a living process's threads wait in, and what those of one that was killed waited in.

use crate::support::place::{stdout, GREENPATCH};
use crate::support::run::Scratch;
use crate::{compile, functions, greenpatch};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// A program that is audited, and lives; it is killed when the test is over.
pub struct Stuck {
    pub scratch: Scratch,
    pub audit: Child,
    /// What it has printed: its port.
    pub port: String,
}

impl Stuck {
    /// Starts `stuck` under audit.
    pub fn start(flags: &[&str], words: &[&str]) -> Stuck {
        let scratch = Scratch::new();
        let program = compile(&scratch, "stuck");
        Stuck::begin(scratch, &program, flags, words)
    }

    /// Starts a program under audit, which prints a line once it is stuck.
    fn begin(scratch: Scratch, program: &Path, flags: &[&str], words: &[&str]) -> Stuck {
        let kept = scratch.path("kept");
        let mut command = greenpatch(&["audit", "--keep", kept.to_str().expect("a path")]);
        command
            .args(flags)
            .arg("--")
            .arg(program)
            .args(words)
            .current_dir(scratch.path(""))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut audit = command.spawn().expect("it starts");
        let mut port = String::new();
        BufReader::new(audit.stdout.take().expect("a pipe")).read_line(&mut port).expect("a line");
        Stuck { scratch, audit, port: port.trim().to_owned() }
    }

    /// The recordings of the programs that were audited.
    pub fn recordings(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.scratch.path("kept")).expect("a folder");
        let files = folder.map(|entry| entry.expect("a file").path());
        files.filter(|file| !file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))).collect()
    }

    /// Sends the only program a signal.
    fn signal(&self, number: i32) {
        let process = self.recordings()[0].file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a number");
        // SAFETY: the program of this test, which its command has not waited for.
        unsafe { libc::kill(process, number) };
    }

    /// Reports what goes on, again and again, until `is_there`.
    pub fn report(&self, is_there: impl Fn(&Value) -> bool) -> Value {
        const TRIES: usize = 600;
        let mut last = Value::Null;
        for _ in 0..TRIES {
            let kept = self.scratch.path("kept");
            let output = greenpatch(&["report", "--format", "json"]).arg(kept).output().expect("it starts");
            last = serde_json::from_str(&stdout(&output)).unwrap_or_default();
            if is_there(&last) {
                return last;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{GREENPATCH} report: {last:#}");
    }
}

impl Stuck {
    /// Asks the command for its report of now, the `number`th, and waits for it. `-o report.json` and `--dump-on USR1` are among the flags.
    fn dump(&self, number: usize) -> Value {
        // SAFETY: the command of this test, which takes the signal since before the program ran.
        unsafe { libc::kill(self.audit.id() as i32, libc::SIGUSR1) };
        let file = self.scratch.path(&format!("report.json.{number}"));
        let report = (0..600).find_map(|_| {
            std::thread::sleep(Duration::from_millis(50));
            std::fs::read_to_string(&file).ok().and_then(|text| serde_json::from_str(&text).ok())
        });
        report.unwrap_or_else(|| panic!("no report {number}"))
    }

    /// Waits until the command's watch has looked twice at the calls that go on now, and so has them. Flags as for `dump`.
    fn wait_for_watch(&self) {
        // A report of now is written behind a look; the look of the first may have begun before this.
        (1..=3).for_each(|number| _ = self.dump(number));
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        if matches!(self.audit.try_wait(), Ok(Some(_))) {
            return;
        }
        for recording in self.recordings() {
            // A second recording of a process has a number more in its name.
            let process = recording.file_name().and_then(|name| name.to_str()?.split('.').next()?.parse().ok());
            // SAFETY: the program of this test, which the command above has started and not yet waited for.
            unsafe { libc::kill(process.expect("a number"), libc::SIGKILL) };
        }
        let _ = self.audit.wait();
    }
}

/// The calls of a report that are not over, of the thread of a name.
pub fn of_thread<'a>(report: &'a Value, name: &str) -> Option<&'a Value> {
    report["open"].as_array()?.iter().find(|open| open["thread"]["name"] == name)
}

/// Are these threads seen in their calls?
pub fn sees<'a>(names: &'a [&str]) -> impl Fn(&Value) -> bool + 'a {
    |report| names.iter().all(|name| of_thread(report, name).is_some_and(|open| open["seen"] == true))
}

#[test]
fn threads_that_lock_crosswise_are_a_deadlock_with_both_stacks() {
    let stuck = Stuck::start(&[], &["abba", "wait"]);
    let report = stuck.report(sees(&["here", "there"]));
    let calls = ["here", "there"].map(|name| of_thread(&report, name).expect("a call"));
    for (at, open) in calls.into_iter().enumerate() {
        let other = calls[1 - at];
        assert_eq!(open["call"], "pthread_mutex_lock", "{open:#}");
        assert_eq!(open["waits_for"]["kind"], "mutex", "{open:#}");
        assert_eq!(open["waits_for"]["thread"], other["thread"]["tid"], "{open:#}");
        assert_eq!(open["deadlock"], 1, "{open:#}");
        let name = open["thread"]["name"].as_str().expect("a name");
        assert_eq!(functions(open)[..2], ["crosswise", name], "{open:#}");
        assert_eq!(open["process_ended"], false, "{open:#}");
    }
    let words = stdout(&greenpatch(&["report"]).arg(stuck.scratch.path("kept")).output().expect("it starts"));
    assert!(words.contains("DEADLOCK: 2 threads wait for each other"), "{words}");
}

#[test]
fn a_thread_that_waits_for_another_one_says_for_whom() {
    let stuck = Stuck::start(&[], &["join", "wait"]);
    let report = stuck.report(sees(&["joins", "receives"]));
    let (joins, receives) =
        (of_thread(&report, "joins").expect("a call"), of_thread(&report, "receives").expect("a call"));
    assert_eq!(joins["call"], "pthread_join", "{joins:#}");
    assert_eq!(joins["waits_for"]["thread"], receives["thread"]["tid"], "{joins:#}");
    assert_eq!(joins["deadlock"], Value::Null, "{joins:#}");
    assert_eq!(receives["call"], "recv", "{receives:#}");
    assert_eq!(receives["fd"]["kind"], "tcp", "{receives:#}");
    assert_eq!(receives["fd"]["peer"], format!("127.0.0.1:{}", stuck.port), "{receives:#}");
    assert_eq!(functions(receives)[0], "receives", "{receives:#}");
}

#[test]
fn a_condition_that_is_never_signalled_is_told_and_is_no_deadlock() {
    let stuck = Stuck::start(&[], &["cond", "wait"]);
    let report = stuck.report(sees(&["unsignalled"]));
    let open = of_thread(&report, "unsignalled").expect("a call");
    assert_eq!(open["call"], "pthread_cond_wait", "{open:#}");
    assert_eq!((&open["deadlock"], &open["waits_for"]), (&Value::Null, &Value::Null), "{open:#}");
    assert_eq!(functions(open)[0], "waits_for_signal", "{open:#}");
}

#[test]
fn a_thread_that_locks_its_mutex_twice_waits_for_itself() {
    let stuck = Stuck::start(&[], &["self", "wait"]);
    let report = stuck.report(sees(&["twice"]));
    let open = of_thread(&report, "twice").expect("a call");
    assert_eq!(open["waits_for"]["thread"], open["thread"]["tid"], "{open:#}");
    assert_eq!(open["deadlock"], 1, "{open:#}");
}

/// Waits for the program's end: the report, what the command said, and its status. `later`: what `greenpatch report` tells of the
/// recordings.
fn over(mut stuck: Stuck, later: &mut Value) -> (Value, String, Option<i32>) {
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stuck.audit.stderr.take().expect("a pipe"), &mut said).expect("text");
    let status = stuck.audit.wait().expect("it ends").code();
    let output =
        greenpatch(&["report", "--format", "json"]).arg(stuck.scratch.path("kept")).output().expect("it starts");
    *later = serde_json::from_str(&stdout(&output)).expect("JSON");
    let file = stuck.scratch.path("report.json");
    (serde_json::from_str(&std::fs::read_to_string(file).expect("a report")).expect("JSON"), said, status)
}

/// Starts `stuck` with a report in report.json of its folder.
fn reporting(flags: &[&str], words: &[&str]) -> Stuck {
    Stuck::start(&[&["-o", "report.json"], flags].concat(), words)
}

#[test]
fn a_program_that_is_killed_within_calls_leaves_their_stacks() {
    let stuck = reporting(&["--dump-on", "USR1"], &["abba", "wait"]);
    stuck.report(sees(&["here", "there"]));
    std::thread::sleep(Duration::from_secs(2));
    stuck.wait_for_watch();
    stuck.signal(libc::SIGKILL);
    let mut later = Value::Null;
    let (report, said, _) = over(stuck, &mut later);
    // The folder's report tells it, too.
    assert_eq!(report["open"], later["open"], "{report:#}");
    for name in ["here", "there"] {
        let open = of_thread(&report, name).unwrap_or_else(|| panic!("{name}: {report:#}"));
        assert_eq!((&open["process_ended"], &open["deadlock"]), (&true.into(), &1.into()), "{open:#}");
        assert_eq!(functions(open)[..2], ["crosswise", name], "{open:#}");
        assert!(open["for_s"].as_f64().expect("a number") >= 1.9, "{open:#}");
    }
    assert!(said.contains("DEADLOCK: 2 threads wait for each other"), "{said}");
    assert!(said.contains("was not over at the end"), "{}", said.replace("\n          ", " "));
}

#[test]
fn threads_that_wait_at_an_end_in_order_are_told() {
    let stuck = reporting(&["--dump-on", "USR1"], &["join", "exit"]);
    stuck.report(sees(&["joins", "receives"]));
    stuck.wait_for_watch();
    stuck.signal(libc::SIGUSR1);
    let (report, said, _) = over(stuck, &mut Value::Null);
    let joins = of_thread(&report, "joins").unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!((&joins["call"], &joins["process_ended"]), (&"pthread_join".into(), &true.into()), "{joins:#}");
    let receives = of_thread(&report, "receives").unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(receives["fd"]["kind"], "tcp", "{receives:#}");
    assert_eq!(functions(receives)[0], "receives", "{receives:#}");
    assert!(said.contains("waited at the end"), "{said}");
}

#[test]
fn a_signal_to_the_command_writes_a_report_of_now_and_the_program_goes_on() {
    let stuck = reporting(&["--dump-on", "USR1"], &["cond", "wait"]);
    stuck.report(sees(&["unsignalled"]));
    for number in 1..=2 {
        let report = stuck.dump(number);
        assert!(sees(&["unsignalled"])(&report), "{report:#}");
    }
    sees(&["unsignalled"])(&stuck.report(sees(&["unsignalled"])));
}

#[test]
fn a_program_in_which_nothing_moves_is_reported_once() {
    let stuck = reporting(&["--hang", "1"], &["self", "wait"]);
    let file = stuck.scratch.path("report.json.1");
    let written = || std::fs::read_to_string(&file).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let report = (0..600).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        written()
    });
    let report = report.expect("a report");
    assert!(of_thread(&report, "twice").expect("a call")["for_s"].as_f64().expect("a number") >= 0.9, "{report:#}");
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!stuck.scratch.path("report.json.2").exists());
}

#[test]
fn who_held_a_mutex_is_told_with_the_stack_that_let_go() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "held");
    let (report, output) = crate::audit(&scratch, &[], &[program.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    let words = String::from_utf8_lossy(&output.stderr);
    // Each kind of mutex is waited for at one place, by whatever thread is called so.
    for (call, waiter, holder, name, count) in [
        ("pthread_mutex_lock", "waits", ["lets_go", "holds"], "holder", 4),
        ("mtx_lock", "main", ["holds_other", ""], "held", 1),
    ] {
        let found = crate::of_call(&report, call);
        let finding = found.into_iter().find(|finding| functions(finding)[0] == waiter);
        let finding = finding.unwrap_or_else(|| panic!("{call}: {report:#}"));
        assert_eq!(finding["count"], count, "{finding:#}");
        assert_eq!(finding["holder"]["name"], name, "{finding:#}");
        assert_ne!(finding["holder"]["tid"], finding["thread"]["tid"], "{finding:#}");
        let stack = functions(&finding["holder"]);
        assert!(
            holder
                .iter()
                .take_while(|frame| !frame.is_empty())
                .eq(stack.iter().take(2).filter(|frame| holder.contains(frame))),
            "{finding:#}"
        );
        assert!(words.contains(&format!("held by thread {} ", finding["holder"]["tid"])), "{words}");
    }
    assert!(stdout(&output).contains("C11"));
    let sleeps = crate::of_call(&report, "usleep");
    assert!(sleeps.iter().all(|finding| finding["holder"].is_null()), "{report:#}");
}

/// A program that goes on for ever is killed when its test is over, however that ends.
struct Endless(Child);

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_idle_recorder_records_while_it_is_asked_to() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "loops");
    let recording = scratch.path("recording");
    let child = std::process::Command::new(&program)
        .arg("on")
        .env("LD_PRELOAD", crate::library())
        .env("GREENPATCH_OPTIONS", format!("audit={}:idle=1", recording.display()))
        .spawn()
        .expect("it starts");
    let mut child = Endless(child);
    let pid = child.0.id().to_string();
    let report = |words: &[&str]| {
        let file = scratch.path("report.json");
        let output =
            greenpatch(&["audit", "--pid", &pid, "-q", "-o", file.to_str().expect("a path")]).args(words).output();
        let output = output.expect("it starts");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        (serde_json::from_str::<Value>(&text).unwrap_or_default(), output)
    };
    let calls = |report: &Value| report["calls"].as_u64().expect("a number");
    // What the recording has by now, without a word to the recorder. The program may not have loaded the library yet.
    let has = || {
        let output = greenpatch(&["report", "--format", "json"]).arg(&recording).output().expect("it starts");
        serde_json::from_slice::<Value>(&output.stdout).ok().map(|report| calls(&report))
    };
    let is_there = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        has().is_some()
    });
    assert!(is_there, "no recording");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(has(), Some(0));
    let (before, output) = report(&["--seconds", "0"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    // How many turns a second has, and so whether one of them blocks, is the machine's affair.
    let records = |_| report(&["--seconds", "2"]).0;
    let blocks =
        |report: &Value| crate::of_call(report, "usleep").iter().any(|found| found["verdict"] == "BLOCKS_LOOP");
    let during = (0..30).map(records).find(blocks).expect("the handler's call");
    assert!(calls(&during) > calls(&before), "{before:#}\n{during:#}");
    // It is idle again: what was under way is counted yet, and then nothing more.
    let is_idle = (0..30).any(|_| {
        let calls = has();
        std::thread::sleep(Duration::from_secs(1));
        has() == calls
    });
    assert!(is_idle, "{:?} calls", has());
    child.0.kill().expect("it lives");
    child.0.wait().expect("it ends");
    let (_, output) = report(&[]);
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no process"), "{output:?}");
}

#[test]
fn a_process_without_an_idle_recorder_gets_a_sentence() {
    let pid = std::process::id().to_string();
    let output = greenpatch(&["audit", "--pid", &pid]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(125));
    let said = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
    assert!(said.contains("has not loaded greenpatch: start it with LD_PRELOAD=libgreenpatch.so"), "{said}");
}

/// A Python program whose loop stands in a call when it ends, once it is told to.
const BLOCKED_LOOP: &str = "import asyncio, os, socket, threading, time
one, other = socket.socketpair()
def ends():
    while not os.path.exists('over'):
        time.sleep(0.1)
    os._exit(0)
async def main():
    for turn in range(20):
        await asyncio.sleep(0.005)
    threading.Thread(target=ends, daemon=True).start()
    print('blocked', flush=True)
    one.recv(1)
asyncio.run(main())
";

#[test]
fn a_call_that_is_not_over_fails_an_audit_as_a_finding_does() {
    let files = Scratch::new();
    let path = |name: &str| files.path(name).to_str().expect("a path").to_owned();
    std::fs::write(path("blocked.py"), BLOCKED_LOOP).expect("a file");
    std::fs::write(path("accepted"), "*/recv 2099-01-01 it is known\n").expect("a file");
    std::fs::write(path("nothing.json"), r#"{ "schema": "greenpatch.audit/1", "findings": [] }"#).expect("a file");
    let of_recv = |report: &Value| report["open"].as_array()?.iter().find(|open| open["call"] == "recv").cloned();
    let run = |flags: &[&str]| {
        let flags = [&["-q", "-o", "report.json", "--dump-on", "USR1"], flags].concat();
        let stuck = Stuck::begin(Scratch::new(), Path::new("/usr/bin/python3"), &flags, &[&path("blocked.py")]);
        stuck.report(|report| of_recv(report).is_some_and(|open| open["seen"] == true));
        stuck.wait_for_watch();
        std::fs::write(stuck.scratch.path("over"), "").expect("a file");
        let (report, _, status) = over(stuck, &mut Value::Null);
        (report, status)
    };
    let (report, status) = run(&["--fail-on", "block"]);
    assert_eq!(status, Some(66), "{report:#}");
    let open = of_recv(&report).unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(open["verdict"], "BLOCKS_LOOP", "{report:#}");
    assert!(crate::of_call(&report, "recv").is_empty(), "{report:#}");
    std::fs::write(path("known.json"), report.to_string()).expect("a file");
    for (flags, expected) in [
        (&["--fail-on", "new", "--baseline", &path("nothing.json")][..], 66),
        (&["--fail-on", "new", "--baseline", &path("known.json")], 0),
        (&["--fail-on", "block", "--suppressions", &path("accepted")], 0),
    ] {
        let (report, status) = run(flags);
        assert_eq!(status, Some(expected), "{flags:?}: {report:#}");
    }
}

/// A Python program with a thread that waits, and the first one, which waits with the interpreter's lock.
const STUCK: &str = "import ctypes, socket, threading, time
one, other = socket.socketpair()
def receives():
    one.recv(1)
class Waits:
    def forever(self):
        poll = ctypes.PyDLL(None).poll
        poll(None, 0,
             -1)
exec(compile('def größe(of):\\n\\n  of.forever()', 'ü.py', 'exec'))
threading.Thread(target=receives, daemon=True).start()
time.sleep(0.2)
print('stuck', flush=True)
for turn in range(2):
    größe(
        Waits())
";

/// The Pythons of this machine: Debian's, and those of pyenv of versions that are known.
fn pythons() -> Vec<PathBuf> {
    let root = std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv/versions"));
    let others = root.into_iter().flat_map(|root| std::fs::read_dir(root).into_iter().flatten().flatten());
    let is_known =
        |version: &str| ["3.8.", "3.9.", "3.10.", "3.11.", "3.12.", "3.13."].iter().any(|of| version.starts_with(of));
    let others = others.filter(|version| version.file_name().to_str().is_some_and(is_known));
    let others = others.map(|version| version.path().join("bin/python3")).filter(|python| python.exists());
    [PathBuf::from("/usr/bin/python3")].into_iter().chain(others).collect()
}

/// The Python stack of a call that is not over: each file's last part, the line and the function.
fn lines(open: &Value) -> Vec<(&str, u64, &str)> {
    let frames = open["python_stack"].as_array().expect("a list").iter();
    frames
        .map(|frame| {
            let file = frame["file"].as_str().expect("a file");
            let function = frame["function"].as_str().expect("a name");
            let short = |text: &'_ str, at: char| text.rfind(at).map_or(0, |at| at + 1);
            (&file[short(file, '/')..], frame["line"].as_u64().expect("a line"), &function[short(function, '.')..])
        })
        .collect()
}

#[test]
fn a_call_of_pythons_that_is_not_over_has_its_lines_and_tells_of_the_lock() {
    for python in pythons() {
        let scratch = Scratch::new();
        let script = scratch.path("stuck.py");
        std::fs::write(&script, STUCK).expect("a file");
        let stuck = Stuck::begin(scratch, &python, &[], &[script.to_str().expect("a path")]);
        let of_call = |report: &Value, call: &str| {
            report["open"].as_array()?.iter().find(|open| open["call"] == call && open["seen"] == true).cloned()
        };
        let report = stuck.report(|report| ["poll", "recv"].iter().all(|call| of_call(report, call).is_some()));
        let (poll, recv) = (of_call(&report, "poll").expect("a call"), of_call(&report, "recv").expect("a call"));
        assert_eq!((&poll["verdict"], &poll["gil"]), (&"HOLDS_GIL".into(), &"held".into()), "{python:?}: {poll:#}");
        assert_eq!((&recv["verdict"], &recv["gil"]), (&"WAITS".into(), &"released".into()), "{python:?}: {recv:#}");
        let told = lines(&poll);
        assert_eq!(told[..2], [("stuck.py", 8, "forever"), ("ü.py", 3, "größe")], "{python:?}: {poll:#}");
        assert_eq!((told[2].0, told[2].2, told.len()), ("stuck.py", "<module>", 3), "{python:?}: {poll:#}");
        let told = lines(&recv);
        assert_eq!(told[0], ("stuck.py", 4, "receives"), "{python:?}: {recv:#}");
        assert_eq!((told[1].0, told[1].2), ("threading.py", "run"), "{python:?}: {recv:#}");
    }
}

#[test]
fn a_python_that_is_killed_in_a_call_leaves_its_lines() {
    let scratch = Scratch::new();
    let script = scratch.path("stuck.py");
    std::fs::write(&script, STUCK).expect("a file");
    let line = format!("/usr/bin/python3 {} & wait $! 2>/dev/null; exit 0", script.display());
    let flags = ["-q", "-o", "report.json", "--dump-on", "USR1", "--fail-on", "gil"];
    let stuck = Stuck::begin(scratch, Path::new("/bin/sh"), &flags, &["-c", &line]);
    let of_poll = |report: &Value| report["open"].as_array()?.iter().find(|open| open["call"] == "poll").cloned();
    let report = stuck.report(|report| of_poll(report).is_some_and(|open| open["seen"] == true));
    stuck.wait_for_watch();
    let python = of_poll(&report).and_then(|open| open["process"].as_i64()).expect("a number");
    // SAFETY: the program that the shell waits for.
    unsafe { libc::kill(python as i32, libc::SIGKILL) };
    let (report, _, status) = over(stuck, &mut Value::Null);
    let open = &of_poll(&report).unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(lines(open)[..1], [("stuck.py", 8, "forever")], "{open:#}");
    assert_eq!((&open["verdict"], &open["process_ended"]), (&"HOLDS_GIL".into(), &true.into()), "{open:#}");
    assert_eq!(status, Some(66), "{report:#}");
}
