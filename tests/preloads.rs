//! The library beside others: a second copy of itself, libraries that put themselves in front of the same functions, and what children
//! find of all that in their environment.

mod support;

use std::fs;
use std::process::{Command, Output};
use support::library::library;
use support::place::{stdout, Place, GREENPATCH};

/// Five threads sleep, and meet; a library that is named is loaded before.
const SLEEPERS: &str = r#"
    #include <dlfcn.h>
    #include <pthread.h>
    #include <stdio.h>
    #include <unistd.h>
    static void *sleeps(void *nothing) { usleep(2000); return nothing; }
    int main(int count, char **words)
    {
        pthread_t threads[5];
        if (count > 1 && !dlopen(words[1], RTLD_NOW | RTLD_GLOBAL))
            return 2;
        for (int i = 0; i < 5; i++)
            pthread_create(&threads[i], NULL, sleeps, NULL);
        for (int i = 0; i < 5; i++)
            pthread_join(threads[i], NULL);
        return puts("done") < 0;
    }"#;

/// What a program did beside these preloads, and its statistics.
struct Run {
    output: Output,
    figures: serde_json::Value,
}

fn run(place: &Place, preloads: &[&str], workers: &str, words: &[&str]) -> Run {
    let statistics = place.path("statistics.json");
    fs::remove_file(&statistics).ok();
    let output = Command::new(words[0])
        .args(&words[1..])
        .env("LD_PRELOAD", preloads.join(":"))
        .env("GREENPATCH_OPTIONS", format!("{workers}stats={}", statistics.display()))
        .output()
        .expect("it starts");
    let text = fs::read_to_string(statistics).unwrap_or_default();
    Run { output, figures: serde_json::from_str(&text).unwrap_or_default() }
}

const WORKERS: [&str; 2] = ["", "workers=1:"];

#[test]
fn a_second_copy_stays_inert() {
    let place = Place::new();
    let sleepers = place.compile("sleepers", SLEEPERS, &["-pthread"]);
    let own = library().display().to_string();
    let renamed = place.path("copy.so").display().to_string();
    fs::copy(&own, &renamed).expect("a copy");
    // A version that has no note of its own is known by its name, and does not look for others.
    fs::create_dir(place.path("old")).expect("a folder");
    let unmarked = place.compile("old/libgreenpatch.so", "", &["-shared"]);

    for workers in WORKERS {
        for (preloads, words) in [
            (vec![&own[..], &renamed], vec![&sleepers[..]]),
            (vec![&renamed, &own], vec![&sleepers]),
            (vec![&own], vec![&sleepers, &renamed]),
            (vec![&renamed, &own], vec![&sleepers, &own]),
        ] {
            let Run { output, figures } = run(&place, &preloads, workers, &words);
            assert_eq!(stdout(&output), "done\n", "{preloads:?} {words:?}: {output:?}");
            assert_eq!(figures["green_threads"], 5, "{workers}{preloads:?} {words:?}: {figures:#}");
        }
        for preloads in [[&own[..], &unmarked], [&unmarked, &own]] {
            let Run { output, figures } = run(&place, &preloads, workers, &[&sleepers]);
            assert!(stdout(&output) == "done\n" && figures.is_null(), "{preloads:?}: {output:?} {figures:#}");
        }
    }
}

/// Counts the program's connects, and says at the end how many.
const COUNTER: &str = r#"
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <stdio.h>
    #include <sys/socket.h>
    static int connects;
    int connect(int fd, const struct sockaddr *address, socklen_t bytes)
    {
        int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
        __atomic_fetch_add(&connects, 1, __ATOMIC_SEQ_CST);
        return next(fd, address, bytes);
    }
    __attribute__((destructor)) static void tell(void) { printf("%d\n", connects); }"#;

/// Five threads connect to main.
const CONNECTS: &str = r#"
    #include <netinet/in.h>
    #include <pthread.h>
    #include <sys/socket.h>
    #include <unistd.h>
    static struct sockaddr_in address = { .sin_family = AF_INET };
    static void *connects(void *result)
    {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        return connect(fd, (struct sockaddr *)&address, sizeof address) ? result : NULL;
    }
    int main(void)
    {
        pthread_t threads[5];
        void *failed;
        socklen_t bytes = sizeof address;
        int fd = socket(AF_INET, SOCK_STREAM, 0), failures = 0;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (bind(fd, (struct sockaddr *)&address, bytes) || listen(fd, 5) || getsockname(fd, (struct sockaddr *)&address, &bytes))
            return 2;
        for (int i = 0; i < 5; i++)
            pthread_create(&threads[i], NULL, connects, &address);
        for (int i = 0; i < 5; i++)
            failures += accept(fd, NULL, NULL) < 0;
        for (int i = 0; i < 5; i++) {
            pthread_join(threads[i], &failed);
            failures += failed != NULL;
        }
        return failures;
    }"#;

#[test]
fn the_command_puts_the_library_behind_other_preloads() {
    let place = Place::new();
    let counter = place.compile("counter.so", COUNTER, &["-shared", "-fPIC"]);
    let connects = place.compile("connects", CONNECTS, &["-pthread"]);
    let statistics = place.path("statistics.json").display().to_string();
    let output = Command::new(GREENPATCH)
        .args(["run", "--lib", &library().display().to_string(), "--stats", &statistics, "--", &connects])
        .env("LD_PRELOAD", &counter)
        .env_remove("GREENPATCH_OPTIONS")
        .output()
        .expect("it starts");
    assert_eq!(stdout(&output), "5\n", "{output:?}");
    let figures: serde_json::Value = serde_json::from_slice(&fs::read(statistics).expect("figures")).expect("JSON");
    assert_eq!([&figures["green_threads"], &figures["hooks"]["connect"]], [5, 5], "{figures:#}");
}

#[test]
fn nothing_passes_by_a_library_that_is_behind() {
    let place = Place::new();
    let counter = place.compile("counter.so", COUNTER, &["-shared", "-fPIC"]);
    let connects = place.compile("connects", CONNECTS, &["-pthread"]);
    let own = library().display().to_string();
    for workers in WORKERS {
        let Run { output, figures } = run(&place, &[&counter, &own], workers, &[&connects]);
        assert!(stdout(&output) == "5\n" && figures["green_threads"] == 5, "{output:?} {figures:#}");
        let Run { output, figures } = run(&place, &[&own, &counter], workers, &[&connects]);
        assert!(stdout(&output) == "5\n" && figures["started"] == false, "{output:?} {figures:#}");
        let reason = figures["native"].as_str().unwrap_or_default();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(reason.contains("behind it in LD_PRELOAD") && said.matches(reason).count() == 1, "{said} {figures:#}");
    }
    for (order, warns) in [(format!("{own}:{counter}"), true), (format!("{counter}:{own}"), false)] {
        let output = Command::new(GREENPATCH)
            .arg("doctor")
            .env("GREENPATCH_LIB", &own)
            .env("LD_PRELOAD", &order)
            .env_remove("GREENPATCH_OPTIONS")
            .output()
            .expect("it starts");
        let words = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words.contains("programs stay native; put it first"), warns, "{order}: {words}");
    }
}

/// Each way in which a program executes another.
const EXECUTES: &str = r#"
    #define _GNU_SOURCE
    #include <spawn.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <sys/wait.h>
    #include <unistd.h>
    extern char **environ;
    int main(int count, char **words, char **environment)
    {
        char *shown[] = { "sh", "-c", "echo ${LD_PRELOAD-none}", NULL }, line[1000] = "";
        pid_t pid;
        FILE *command = popen(shown[2], "r");
        setvbuf(stdout, NULL, _IONBF, 0);
        fputs(fgets(line, sizeof line, command), stdout);
        pclose(command);
        system(shown[2]);
        posix_spawnp(&pid, "sh", NULL, NULL, shown, environment);
        waitpid(pid, NULL, 0);
        for (int way = 0; way < 3; way++) {
            if (!fork()) {
                way == 0 ? execve("/bin/sh", shown, environ) : way == 1 ? execvpe("sh", shown, environment) : execvp("sh", shown);
                _exit(1);
            }
            wait(NULL);
        }
        return puts(getenv("LD_PRELOAD") ? getenv("LD_PRELOAD") : "none") < 0;
    }"#;

#[test]
fn without_follow_children_find_what_the_user_had() {
    let place = Place::new();
    let executes = place.compile("executes", EXECUTES, &["-w"]);
    let own = library().display().to_string();
    for others in ["", "libm.so.6", "libm.so.6:libdl.so.2"] {
        let found = if others.is_empty() { "none" } else { others };
        let orders = [
            format!("{own}:{others}"),
            format!("{others}:{own}"),
            format!("{own} {others}"),
            format!("{others}:{own}:{own}"),
        ];
        for order in orders {
            let output = Command::new(&executes)
                .env("LD_PRELOAD", &order)
                .env("GREENPATCH_OPTIONS", "follow=0")
                .output()
                .expect("it starts");
            assert_eq!(stdout(&output), format!("{found}\n").repeat(7), "{order}: {output:?}");
        }
    }
}
