//! The statistics: of whom they are, where they stand, and that they are there however a program ends.

mod support;

use serde_json::Value;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use support::needs::skips_without;
use support::place::{stdout, Place, GREENPATCH};

/// `threads N [HOW]`: makes N threads that come and go, says "made", and ends in the way that is asked for.
const THREADS: &str = r#"
    #define _GNU_SOURCE
    #include <pthread.h>
    #include <signal.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/syscall.h>
    #include <sys/wait.h>
    #include <unistd.h>
    static void *nap(void *argument) { usleep(1000); return argument; }
    static void make(int count)
    {
        pthread_t threads[64];
        for (int i = 0; i < count; i++) pthread_create(&threads[i], NULL, nap, NULL);
        for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
    }
    int main(int count, char **words)
    {
        const char *how = count > 2 ? words[2] : "return";
        if (strcmp(how, "moves") == 0 && chdir("/")) return 1;
        make(atoi(words[1]));
        puts("made");
        fflush(stdout);
        if (strcmp(how, "_exit") == 0) _exit(0);
        if (strcmp(how, "quick") == 0) quick_exit(0);
        if (strcmp(how, "group") == 0) syscall(SYS_exit_group, 0);
        if (strcmp(how, "chroot") == 0 && chroot("/proc")) return 1;
        if (strcmp(how, "user") == 0 && setresuid(54321, 54321, 54321)) return 1;
        if (strcmp(how, "abort") == 0) abort();
        if (strcmp(how, "fault") == 0) *(volatile int *)8 = 0;
        if (strcmp(how, "pipe") == 0) {
            int ends[2];
            if (pipe(ends) || close(ends[0])) return 1;
            return (int)write(ends[1], "x", 1);
        }
        if (strcmp(how, "fork") == 0) {
            if (fork() == 0) { make(9); exit(0); }
            wait(NULL);
        }
        if (strcmp(how, "raise") == 0) raise(atoi(words[3]));
        if (strcmp(how, "exec") == 0) execlp("true", "true", NULL);
        if (strcmp(how, "wait") == 0) pause();
        return 0;
    }"#;

fn library() -> &'static str {
    support::library::library().display().to_string().leak()
}

fn place() -> Place {
    let place = Place::new();
    place.compile("threads", THREADS, &["-pthread", "-w"]);
    place
}

/// A command of the place, in its folder.
fn command(place: &Place, words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(place.path(".")).env_remove("LD_PRELOAD").env_remove("GREENPATCH_OPTIONS");
    command
}

/// `greenpatch run --stats FILE -- WORDS…`
fn run(place: &Place, file: &str, words: &[&str]) -> Output {
    let own = [GREENPATCH, "run", "--lib", library(), "--stats", file, "--"];
    let mut command = command(place, &[&own[..], words].concat());
    // SAFETY: between fork and exec only system calls are made.
    unsafe { command.pre_exec(support::run::defaults) };
    command.output().expect("it starts")
}

fn figures(place: &Place, file: &str) -> Value {
    let text = fs::read_to_string(place.path(file)).unwrap_or_else(|why| panic!("{file}: {why}"));
    serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"))
}

fn green_threads(place: &Place, file: &str) -> u64 {
    figures(place, file)["green_threads"].as_u64().expect("a number")
}

#[test]
fn they_are_the_programs_and_not_its_wrappers() {
    let place = place();
    for (words, expected) in [
        (&["timeout", "20", "./threads", "5"][..], 5),
        (&["sh", "-c", "./threads 6; exit 0"], 6),
        (&["sh", "-c", "cd /; exec \"$OLDPWD/threads\" 7"], 7),
        (&["env", "nice", "./threads", "8", "moves"], 8),
        (&["./threads", "3", "fork"], 3),
        (&["sh", "-c", "./threads 4; true | true; ls >/dev/null"], 4),
        (&["true"], 0),
    ] {
        stdout(&run(&place, "one.json", words));
        assert_eq!(green_threads(&place, "one.json"), expected, "{words:?}");
    }
    let left =
        fs::read_dir(place.path(".")).expect("a folder").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let stray: Vec<_> = left.filter(|name| name.starts_with(".greenpatch")).collect();
    assert!(stray.is_empty(), "{stray:?}");
}

#[test]
fn every_way_to_end_writes_them() {
    let place = place();
    for how in ["return", "_exit", "quick", "group", "exec"] {
        stdout(&run(&place, "one.json", &["./threads", "5", how]));
        assert_eq!(green_threads(&place, "one.json"), 5, "{how}");
    }
    for (how, signal) in [("abort", libc::SIGABRT), ("fault", libc::SIGSEGV), ("pipe", libc::SIGPIPE)] {
        fs::remove_file(place.path("one.json")).expect("the last one's");
        let status = run(&place, "one.json", &["./threads", "5", how]).status;
        assert_eq!(status.signal(), Some(signal), "{how}: {status}");
        assert_eq!(green_threads(&place, "one.json"), 5, "{how}");
    }
    for signal in
        [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGALRM, libc::SIGFPE, 34 + 3]
    {
        let output = run(&place, "one.json", &["./threads", "6", "raise", &signal.to_string()]);
        assert_eq!(output.status.signal(), Some(signal), "{output:?}");
        assert_eq!(green_threads(&place, "one.json"), 6, "signal {signal}");
    }
}

/// Waits until what is asked for is there.
fn until<T>(mut there: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "it does not come");
        sleep(Duration::from_millis(20));
    }
}

/// The file keeps up while the program waits, so that even SIGKILL leaves it; and `greenpatch stats` tells the same without a file.
#[test]
fn a_running_program_tells_them() {
    let place = place();
    let words = [GREENPATCH, "run", "--lib", library(), "--stats", "one.json", "--", "./threads", "5", "wait"];
    let mut child = command(&place, &words).stdout(Stdio::null()).spawn().expect("it starts");
    let complete = |text: String| serde_json::from_str::<Value>(&text).ok().filter(|all| all["green_threads"] == 5);
    until(|| fs::read_to_string(place.path("one.json")).ok().and_then(complete));
    let told = place.greenpatch(&["stats", &child.id().to_string()]);
    let told: Value = serde_json::from_str(&stdout(&told)).expect("JSON");
    assert!(
        told["green_threads"] == 5 && told["started"] == true && told["hooks"]["usleep"].as_u64() >= Some(5),
        "{told:#}"
    );
    child.kill().expect("it runs");
    assert_eq!(child.wait().expect("it ends").signal(), Some(libc::SIGKILL));
    assert_eq!(green_threads(&place, "one.json"), 5);
    for (pid, sentence) in [("999999999", "no such process"), (&*std::process::id().to_string(), "not loaded")] {
        let output = place.greenpatch(&["stats", pid]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(125) && error.contains(sentence), "{error}");
    }
}

#[test]
fn names_are_kept_whole() {
    let place = place();
    fs::create_dir(place.path("of stats_owner=me")).expect("a folder can be made");
    for name in ["of stats_owner=me/one=1", "a:b", "%3A", "50%off", "no%", "ä ö"] {
        let file = if name == "%3A" { ":" } else { name };
        stdout(&run(&place, name, &["sh", "-c", "cd /; exec \"$OLDPWD/threads\" 3"]));
        assert_eq!(green_threads(&place, file), 3, "{name}");
    }
    stdout(&run(&place, "one.%p", &["sh", "-c", "./threads 3; ./threads 4; true"]));
    let files =
        fs::read_dir(place.path(".")).expect("a folder").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut made: Vec<_> =
        files.filter(|name| name.starts_with("one.")).map(|name| green_threads(&place, &name)).collect();
    made.sort_unstable();
    assert!(made.ends_with(&[3, 4]), "{made:?}");
}

#[test]
fn a_run_within_a_run_has_its_own() {
    let place = place();
    let inner = format!("{GREENPATCH} run --lib {} --stats inner.json -- ./threads 4", library());
    stdout(&run(&place, "outer.json", &["sh", "-c", &format!("{inner}; ./threads 6; true")]));
    assert_eq!((green_threads(&place, "inner.json"), green_threads(&place, "outer.json")), (4, 6));
    let plain = format!("{GREENPATCH} run --lib {} -- ./threads 5", library());
    stdout(&run(&place, "outer.json", &["sh", "-c", &plain]));
    assert_eq!(green_threads(&place, "outer.json"), 5);
}

#[test]
fn the_programs_output_stays() {
    let place = place();
    let words = ["sh", "-c", "echo first; exec ./threads 3"];
    let piped = stdout(&run(&place, "/dev/stdout", &words));
    for (file, name) in [("/dev/stdout", "out"), ("/proc/self/fd/1", "out"), ("out", "out")] {
        let out = fs::File::create(place.path(name)).expect("a file");
        let own = [GREENPATCH, "run", "--lib", library(), "--stats", file, "--"];
        let status = command(&place, &[&own[..], &words].concat()).stdout(out).status().expect("it starts");
        let text = fs::read_to_string(place.path(name)).expect("text");
        for text in [&text, &piped] {
            let last = text.strip_prefix("first\nmade\n").expect("the program's output");
            let figures: Value = serde_json::from_str(last).expect("JSON");
            assert!(status.success() && figures["green_threads"] == 3, "{file}: {text}");
        }
    }
}

#[test]
fn what_cannot_be_written_is_said_once() {
    let place = place();
    fs::create_dir(place.path("folder")).expect("a folder can be made");
    assert!(Command::new("mkfifo").arg(place.path("pipe")).status().expect("coreutils").success());
    for (file, reason) in [
        ("/no/such/folder/one.json", "no such file or folder"),
        ("folder", "it is a folder"),
        ("/dev/full", "no space left"),
        ("pipe", "nobody reads it"),
        ("threads/one.json", "no folder"),
    ] {
        let output = run(&place, file, &["timeout", "20", "./threads", "2"]);
        assert_eq!(stdout(&output), "made\n", "{file}");
        let error = String::from_utf8_lossy(&output.stderr);
        let said = error.lines().filter(|line| line.contains(file) && line.contains(reason)).count();
        assert_eq!((said, error.lines().count()), (1, 1), "{file}: {error}");
    }
}

/// Where no path leads to the file any more.
#[test]
fn they_follow_the_program_to_other_roots_and_users() {
    let place = place();
    // SAFETY: it only asks.
    if unsafe { libc::geteuid() } != 0 {
        return println!("not tested: only root can change its root");
    }
    for how in ["chroot", "user"] {
        stdout(&run(&place, "one.json", &["./threads", "4", how]));
        let figures = figures(&place, "one.json");
        assert!(figures["green_threads"] == 4 && figures["hooks"]["write"].as_u64() >= Some(1), "{how}: {figures:#}");
    }
}

/// A file keeps its mode, a link stays a link, and a new file has the mode that the umask leaves.
#[test]
fn files_are_replaced_as_they_were() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let mode = |name: &str| fs::metadata(place.path(name)).expect("a file").permissions().mode() & 0o777;
    place.file("old.json", 0o640, "{}");
    std::os::unix::fs::symlink("old.json", place.path("link.json")).expect("a link can be made");
    for name in ["old.json", "link.json"] {
        stdout(&run(&place, name, &["./threads", "3"]));
        assert_eq!((green_threads(&place, "old.json"), mode("old.json")), (3, 0o640), "{name}");
    }
    assert!(fs::read_link(place.path("link.json")).is_ok());
    stdout(&run(&place, "new.json", &["sh", "-c", "umask 027; exec ./threads 3"]));
    assert_eq!(mode("new.json"), 0o640);
}

/// The program gives up the right to write to any file before its first thread (xz does so from 5.6 on); with a second word it makes none.
const CONFINED: &str = r#"
    #include <linux/landlock.h>
    #include <pthread.h>
    #include <stdio.h>
    #include <sys/prctl.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    static void *sleeps(void *nothing) { usleep(1000); return nothing; }
    int main(int count, char **words)
    {
        pthread_t threads[3];
        struct landlock_ruleset_attr all = { .handled_access_fs = (1 << 13) - 1 };
        int rules = syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, rules, 0) || fopen(words[0], "r"))
            return 1;
        for (int i = 0; i < 3 && count == 1; i++)
            if (pthread_create(&threads[i], NULL, sleeps, NULL))
                return 1;
        for (int i = 0; i < 3 && count == 1; i++)
            pthread_join(threads[i], NULL);
        return puts("done") < 0;
    }"#;

#[test]
fn a_program_that_may_write_no_more_files_has_them() {
    if skips_without("landlock") {
        return;
    }
    let place = place();
    let confined = place.compile("confined", CONFINED, &["-pthread", "-w"]);
    let script = format!("{confined}; true");
    for words in [&[confined.as_str()][..], &["sh", "-c", &script]] {
        let output = run(&place, "confined.json", words);
        assert!(stdout(&output) == "done\n" && output.stderr.is_empty(), "{words:?}: {output:?}");
        assert_eq!(green_threads(&place, "confined.json"), 3, "{words:?}");
    }
    run(&place, "one.json", &[&confined, "alone"]);
    assert_eq!(figures(&place, "one.json")["started"], false);
}
