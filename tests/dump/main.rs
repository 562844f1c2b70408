//! The list of the green threads: on a signal, by `greenpatch dump`, and in gdb, of a process and of a core file. A program with a
//! thread in each kind of wait (waits.c) is listed in every way, and each list must tell the same: tid, name, state, reason, and the
//! function that waits.

mod gdb;
#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use support::library::library;
use support::place::{stdout, GREENPATCH};
use support::run::Scratch;

/// Every thread of waits.c that waits: its name, which is its reason's but for three, the state, and the reason's kind.
const WAITS: &[(&str, &str, &str)] = &[
    ("readable", "parked", "readable"),
    ("socket", "parked", "readable"),
    ("writable", "parked", "writable"),
    ("poll", "parked", "poll"),
    ("mutex", "parked", "mutex"),
    ("cond", "parked", "cond"),
    ("semaphore", "parked", "semaphore"),
    ("read_lock", "parked", "read_lock"),
    ("write_lock", "parked", "write_lock"),
    ("barrier", "parked", "barrier"),
    ("once", "parked", "once"),
    ("futex", "parked", "futex"),
    ("join", "parked", "join"),
    ("sleep", "parked", "sleep"),
    ("signal", "parked", "signal"),
    ("child", "parked", "child"),
    ("reader", "parked", "readable"),
    ("lock", "parked", "lock"),
    ("children", "in a call", "children"),
    ("queue", "in a call", "queue"),
    ("common", "in a call", "mutex"),
    ("in_kernel", "in a call", "in_kernel"),
];

/// Reasons whose operand the program tells.
const TELLS: &[&str] = &[
    "readable",
    "socket",
    "writable",
    "poll",
    "mutex",
    "cond",
    "semaphore",
    "read_lock",
    "write_lock",
    "barrier",
    "once",
    "futex",
    "child",
    "queue",
    "common",
];

/// A program that runs green until its input is closed.
struct Running {
    child: Child,
    /// What each thread has said of itself: its tid, and what it waits for.
    said: BTreeMap<String, (i64, i64)>,
    scratch: Scratch,
}

fn compile(scratch: &Scratch, name: &str, flags: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dump").join(name).with_extension("c");
    let program = scratch.path(name);
    let mut compiler = Command::new("cc");
    compiler.args(["-g", "-O1", "-Wall", "-pthread", "-o"]).arg(&program).arg(&source).args(flags);
    assert!(compiler.status().expect("cc").success());
    program
}

/// The kernel may write a core file, as large as the hard limit says.
fn allow_core() -> io::Result<()> {
    // SAFETY: the structure is read and filled.
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::getrlimit(libc::RLIMIT_CORE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_CORE, &limit);
    }
    Ok(())
}

impl Running {
    fn start(name: &str, options: &str) -> Running {
        let scratch = Scratch::new();
        let program = compile(&scratch, name, &[]);
        let mut command = Command::new(program);
        command
            .env("LD_PRELOAD", library())
            .env("GREENPATCH_OPTIONS", options.replace("SCRATCH", &scratch.path("").display().to_string()))
            .current_dir(scratch.path("."))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(scratch.path("stderr")).expect("a file"));
        // SAFETY: between fork and exec only one system call is made.
        unsafe { command.pre_exec(allow_core) };
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut said = BTreeMap::new();
        while !said.contains_key("main") {
            let line = lines.next().expect("main is the last to say something").expect("a line");
            let mut words = line.split(' ');
            let name = words.next().expect("a name").to_owned();
            let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            said.insert(name, (number(), number()));
        }
        Running { child, said, scratch }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, number: i32) {
        // SAFETY: kill touches no memory; the child has not been waited for.
        assert_eq!(unsafe { libc::kill(self.pid() as i32, number) }, 0);
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.scratch.path("stderr")).expect("a file")
    }

    fn dump(&self, words: &[&str]) -> Output {
        Command::new(GREENPATCH).arg("dump").arg(self.pid().to_string()).args(words).output().expect("it starts")
    }

    /// Lets the program end: its status.
    fn end(mut self) -> Option<i32> {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("it ends");
        assert_eq!(status.signal(), None);
        status.code()
    }
}

/// Asks again and again until there is an answer.
fn until<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    const LONGEST: Duration = Duration::from_secs(20);
    let begun = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(why) if begun.elapsed() > LONGEST => panic!("{what}: {why}"),
            Err(_) => sleep(Duration::from_millis(20)),
        }
    }
}

/// A thread as a list tells of it.
#[derive(Debug)]
struct Listed {
    tid: i64,
    state: String,
    words: String,
    frames: String,
}

/// The threads of a text, by name.
fn threads(text: &str) -> BTreeMap<String, Listed> {
    let mut threads = BTreeMap::new();
    let mut last = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("thread ") {
            let (tid, rest) = rest.split_once(" \"").expect("a tid and a name");
            let (name, rest) = rest.split_once("\": ").expect("a name and a state");
            let (state, words) = rest.split_once(": ").unwrap_or((rest, ""));
            let state = state.split(" on kernel thread").next().unwrap_or(state).to_owned();
            let tid = tid.parse().expect("a tid");
            threads.insert(name.to_owned(), Listed { tid, state, words: words.into(), frames: String::new() });
            last = Some(name.to_owned());
        } else if let Some(listed) = last.as_ref().and_then(|name| threads.get_mut(name)) {
            listed.frames += line;
            listed.frames.push('\n');
        }
    }
    threads
}

/// Does the text tell of every thread as it should? `frames_of_calls`: also the stacks of those that stand in calls are shown.
fn is_complete(program: &Running, text: &str, frames_of_calls: bool) -> Result<(), String> {
    let threads = threads(text);
    for (name, state, kind) in WAITS {
        let listed = threads.get(*name).ok_or_else(|| format!("no {name} in {text}"))?;
        let (tid, about) = program.said[*name];
        let fits = listed.tid == tid && listed.state == *state && listed.words.starts_with(words(kind));
        let shows = listed.frames.contains(&format!("waits_{name}")) || *state == "in a call" && !frames_of_calls;
        let operand = [format!("{about:#x}"), format!("fd {about} (pipe:["), format!(" {about}"), format!(" {about} ")];
        let tells = !TELLS.contains(name) || operand.iter().any(|operand| listed.words.contains(operand.as_str()));
        // (gdb does not ask what a descriptor stands for.)
        let leads = *name != "socket" || frames_of_calls || listed.words.contains(" (socket to 127.0.0.1:");
        if !(fits && shows && tells && leads) {
            return Err(format!("{name} {:?} is {listed:?}", program.said[*name]));
        }
    }
    let sleeper = program.said["sleep"].0;
    for (name, state, words) in
        [("running", "running", ""), ("ended", "ended", ""), ("join", "parked", &*format!("joins thread {sleeper}"))]
    {
        let listed = threads.get(name).ok_or_else(|| format!("no {name} in {text}"))?;
        if (listed.tid, &*listed.state, &*listed.words) != (program.said[name].0, state, words) {
            return Err(format!("{name} is {listed:?}"));
        }
    }
    Ok(())
}

/// How the reason's words begin.
fn words(kind: &str) -> &'static str {
    match kind {
        "readable" => "waits to read fd ",
        "writable" => "waits to write fd ",
        "poll" => "waits for one of 2 descriptors",
        "mutex" => "waits for the mutex at 0x",
        "cond" => "waits for the condition variable at 0x",
        "semaphore" => "waits for the semaphore at 0x",
        "read_lock" => "waits to read under the rwlock at 0x",
        "write_lock" => "waits to write under the rwlock at 0x",
        "barrier" => "waits at the barrier at 0x",
        "once" => "waits for another's pthread_once at 0x",
        "futex" => "waits for the futex at 0x",
        "join" => "joins thread ",
        "sleep" => "sleeps",
        "signal" => "waits for a signal",
        "child" => "waits for child ",
        "children" => "waits for a child",
        "queue" => "waits for the queue or semaphores of id ",
        "lock" => "waits for libc's lock at 0x",
        "in_kernel" => "waits in the kernel",
        _ => panic!("no words for {kind}"),
    }
}

#[test]
fn a_signal_lists_every_kind_of_wait_on_stderr() {
    let program = Running::start("waits", "dump=USR2");
    until("stderr", || {
        program.signal(libc::SIGUSR2);
        sleep(Duration::from_millis(200));
        let text = program.stderr();
        is_complete(&program, text.rsplit("greenpatch 0").next().unwrap_or(""), false)
    });
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_signal_adds_to_a_file() {
    let program = Running::start("waits", "dump=SIGRTMIN+3:SCRATCH/list.%p:workers=2");
    let file = program.scratch.path(&format!("list.{}", program.pid()));
    until("the file", || {
        program.signal(34 + 3);
        sleep(Duration::from_millis(200));
        let text = fs::read_to_string(&file).map_err(|why| why.to_string())?;
        is_complete(&program, text.rsplit("greenpatch 0").next().unwrap_or(""), false)
    });
    assert_eq!(program.stderr(), "");
    assert_eq!(program.end(), Some(0));
}

#[test]
fn the_command_lists_the_same() {
    let program = Running::start("waits", "workers=2");
    until("the command", || is_complete(&program, &stdout(&program.dump(&[])), false));
    let list: Value = serde_json::from_str(&stdout(&program.dump(&["--json"]))).expect("JSON");
    assert_eq!(list["pid"], program.pid());
    let threads = list["threads"].as_array().expect("a list");
    for (name, state, kind) in WAITS {
        let thread = threads.iter().find(|thread| thread["name"] == *name).unwrap_or_else(|| panic!("no {name}"));
        let (tid, about) = program.said[*name];
        assert_eq!((&thread["tid"], &thread["state"]), (&tid.into(), &(*state).into()), "{name}: {thread}");
        assert_eq!(thread["reason"]["kind"], *kind, "{name}: {thread}");
        if TELLS.contains(name) {
            assert_eq!(thread["reason"]["operand"], about, "{name}: {thread}");
        }
        let frames = thread["frames"].as_array().expect("a list");
        assert_eq!(frames.is_empty(), *state == "in a call", "{name}: {thread}");
        let waits = format!("waits_{name}");
        assert!(frames.is_empty() || frames.iter().any(|frame| frame["function"] == *waits), "{name}: {thread}");
        assert_eq!(thread["kernel_thread"].is_i64(), *state == "in a call", "{name}: {thread}");
    }
    assert_eq!(program.end(), Some(0));
}

/// A wait that tries its lock from time to time is another wait by the time its stack was read, in 17 of 1,000 lists of two workers;
/// its thread is then read again, so that each parked thread has frames in each list.
#[test]
fn a_parked_thread_has_frames_in_each_of_many_lists() {
    const LISTS: usize = 400;
    let program = Running::start("waits", "workers=2");
    until("the command", || is_complete(&program, &stdout(&program.dump(&[])), false));
    for list in 0..LISTS {
        let list_of_all = stdout(&program.dump(&[]));
        let threads = threads(&list_of_all);
        let parked = threads.iter().filter(|(_, thread)| thread.state == "parked");
        let bare: Vec<_> = parked.clone().filter(|(_, thread)| thread.frames.is_empty()).collect();
        assert!(parked.count() > 10 && bare.is_empty(), "list {list}: {bare:?}");
    }
    assert_eq!(program.end(), Some(0));
}

#[test]
fn two_hundred_lists_of_threads_that_come_and_go() {
    let program = Running::start("churn", "dump=USR2:SCRATCH/list");
    let asks = || {
        program.signal(libc::SIGUSR2);
        assert!(stdout(&program.dump(&[])).contains(", "), "a list");
        sleep(Duration::from_millis(5));
    };
    (0..200).for_each(|_| asks());
    // Signals that come while a list is written are one: how many lists there are by now, the machine decides.
    until("twenty lists", || {
        asks();
        let text = fs::read_to_string(program.scratch.path("list")).expect("the file");
        let lists = text.matches("greenpatch 0").count();
        if lists > 20 && text.contains("maker") {
            Ok(())
        } else {
            Err(format!("{lists} lists"))
        }
    });
    assert_eq!(program.stderr(), "");
    assert_eq!(program.end(), Some(7));
}

/// A program without threads is told so, and lives.
#[test]
fn before_the_first_thread_there_is_none() {
    let program = Running::start("churn", "dump=USR2:workers=1");
    program.end();
    let scratch = Scratch::new();
    fs::write(scratch.path("alone.c"), "#include <signal.h>\nint main(void) { raise(SIGUSR2); return 5; }")
        .expect("a file");
    let made = Command::new("cc").arg("-o").arg(scratch.path("alone")).arg(scratch.path("alone.c")).status();
    assert!(made.expect("cc").success());
    let mut alone = Command::new(scratch.path("alone"));
    let output = alone.env("LD_PRELOAD", library()).env("GREENPATCH_OPTIONS", "dump=USR2").output().expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), error.contains("there are no green threads")), (Some(5), true), "{error}");
}

/// The program's own handler of the signal runs as well, whenever it was set.
#[test]
fn the_programs_handler_is_not_lost() {
    const PROGRAM: &str = r#"
        #include <pthread.h>
        #include <signal.h>
        #include <stdio.h>
        #include <unistd.h>
        static volatile sig_atomic_t early, late;
        static void first(int number) { early++; (void)number; }
        static void second(int number) { late++; (void)number; }
        static void *nothing(void *argument) { return argument; }
        int main(void)
        {
            char byte;
            pthread_t thread;
            signal(SIGUSR2, first);
            pthread_create(&thread, NULL, nothing, NULL);
            pthread_join(thread, NULL);
            kill(getpid(), SIGUSR2);
            while (!early) usleep(1000);
            signal(SIGUSR2, second);
            kill(getpid(), SIGUSR2);
            while (!late) usleep(1000);
            signal(SIGUSR2, SIG_DFL);
            kill(getpid(), SIGUSR2);
            while (read(0, &byte, 1) > 0) {}
            printf("%d %d\n", early, late);
            return 0;
        }"#;
    let scratch = Scratch::new();
    fs::write(scratch.path("program.c"), PROGRAM).expect("a file");
    let (source, path) = (scratch.path("program.c"), scratch.path("program"));
    let made = Command::new("cc").args(["-pthread", "-o"]).arg(&path).arg(&source).status();
    assert!(made.expect("cc").success());
    let stderr = scratch.path("stderr");
    let mut program = Command::new(scratch.path("program"))
        .env("LD_PRELOAD", library())
        .env("GREENPATCH_OPTIONS", "dump=USR2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&stderr).expect("a file"))
        .spawn()
        .expect("it starts");
    // The lists are written by a kernel thread of the library's, whenever that gets a processor.
    until("a list", || {
        let error = fs::read_to_string(&stderr).expect("a file");
        if error.contains("green threads\n") {
            Ok(())
        } else {
            Err(error)
        }
    });
    drop(program.stdin.take());
    assert_eq!(stdout(&program.wait_with_output().expect("it ends")), "1 1\n");
    let error = fs::read_to_string(&stderr).expect("a file");
    assert!((1..=3).contains(&error.matches("green threads\n").count()), "{error}");
}

/// The kernel thread that writes the list is none of the program's.
#[test]
fn the_program_sees_its_own_threads_only() {
    const PROGRAM: &str = r#"
        #include <dirent.h>
        #include <pthread.h>
        #include <stdio.h>
        #include <unistd.h>
        static void *waits(void *argument) { pause(); return argument; }
        int main(void)
        {
            pthread_t thread;
            int count = 0;
            pthread_create(&thread, NULL, waits, NULL);
            usleep(100000);
            DIR *folder = opendir("/proc/self/task");
            for (struct dirent *entry; (entry = readdir(folder)) != NULL;) count += entry->d_name[0] != '.';
            printf("%d\n", count);
            return 0;
        }"#;
    let scratch = Scratch::new();
    let (source, path) = (scratch.path("program.c"), scratch.path("program"));
    fs::write(&source, PROGRAM).expect("a file");
    let made = Command::new("cc").args(["-pthread", "-o"]).arg(&path).arg(&source).status();
    assert!(made.expect("cc").success());
    let output = Command::new(path).env("LD_PRELOAD", library()).env("GREENPATCH_OPTIONS", "dump=USR2").output();
    assert_eq!(stdout(&output.expect("it starts")), "2\n");
}

#[test]
fn what_cannot_be_written_to_is_said_and_waits_for_nobody() {
    for (path, why) in [("SCRATCH/nowhere/list", "no such file or folder"), ("SCRATCH/fifo", "nobody reads it")] {
        let program = Running::start("churn", &format!("dump=USR2:{path}"));
        let fifo = CString::new(program.scratch.path("fifo").display().to_string()).expect("a path");
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
        program.signal(libc::SIGUSR2);
        until("a sentence", || {
            let text = program.stderr();
            if text.contains(&format!(": {why}\n")) {
                Ok(())
            } else {
                Err(text)
            }
        });
        assert_eq!(program.end(), Some(7));
    }
}

#[test]
fn wrong_options_are_one_line() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "churn", &[]);
    for value in ["KILL", "SEGV", "32", "0", "65", "RTMIN+31", "USR3", "USR2:"] {
        let mut command = Command::new(&program);
        command.env("LD_PRELOAD", library()).env("GREENPATCH_OPTIONS", format!("dump={}", value.replace(':', "%3A")));
        let output = command.stdin(Stdio::null()).output().expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            error.starts_with("greenpatch: GREENPATCH_OPTIONS: dump=") && error.lines().count() == 1,
            "{value}: {error}"
        );
        let refused =
            Command::new(GREENPATCH).args(["run", "--dump", value, "--", "true"]).output().expect("it starts");
        let expected = if value == "USR2:" { "USR2%3A" } else { value };
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(
            refused.status.code() == Some(125) && error.contains(&format!("option dump: “{expected}” is not")),
            "{error}"
        );
    }
}

#[test]
fn whom_the_command_cannot_list() {
    let says = |pid: u32, sentence: &str| {
        let output = Command::new(GREENPATCH).arg("dump").arg(pid.to_string()).output().expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(125) && error.contains(sentence), "{pid}: {error}");
    };
    let mut native = Command::new("sleep").arg("100").spawn().expect("it starts");
    until("exec", || match fs::read_to_string(format!("/proc/{}/comm", native.id())) {
        Ok(name) if name == "sleep\n" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    says(native.id(), "greenpatch is not loaded in it");
    native.kill().expect("it is killed");
    native.wait().expect("it ends");
    says(native.id(), "there is no such process");
    // SAFETY: it touches no memory.
    if unsafe { libc::geteuid() } != 0 {
        says(1, "its memory may not be read");
    }
}
