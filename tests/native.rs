//! What keeps a program native: it does as without the library, and the statistics say why.

mod support;

use std::fs;
use std::process::{Command, Output};
use support::library::library;
use support::needs::{skips_without, skips_without_programs};
use support::place::{stdout, Place, GREENPATCH};

/// Threads sleep and meet under a seccomp filter that kills the process for calls that this program never makes natively. The first word
/// says who sets it: `prctl`, `number` (by `syscall`), `function` (likewise, for all threads), `inline` (an instruction of its own),
/// `refuses` (a filter that only refuses some calls, as a container's does) or nobody. With a second word the program executes itself then.
const FILTERED: &str = r#"
    #include <errno.h>
    #include <linux/filter.h>
    #include <linux/seccomp.h>
    #include <pthread.h>
    #include <stddef.h>
    #include <stdio.h>
    #include <string.h>
    #include <sys/prctl.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    static void *sleeps(void *nothing) { usleep(2000); return nothing; }
    static int filter(const char *way)
    {
        static const int unusual[] = { SYS_gettid, SYS_epoll_create1, SYS_eventfd2, SYS_tgkill, SYS_epoll_pwait };
        unsigned action = strcmp(way, "refuses") ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | ENOSYS;
        struct sock_filter lines[8] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)) };
        struct sock_fprog program = { 8, lines };
        long result;
        for (int i = 0; i < 5; i++)
            lines[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, unusual[i], 5 - i, 0);
        if (!strcmp(way, "refuses"))
            for (int i = 0; i < 5; i++)
                lines[i + 1].k = i ? SYS_userfaultfd : SYS_preadv2;
        lines[6] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        lines[7] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
            return -1;
        if (!strcmp(way, "number") || !strcmp(way, "refuses"))
            return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
        if (!strcmp(way, "function"))
            return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
        if (!strcmp(way, "prctl"))
            return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
        __asm__ volatile("syscall" : "=a"(result)
            : "a"((long)SYS_seccomp), "D"((long)SECCOMP_SET_MODE_FILTER), "S"(0L), "d"(&program) : "rcx", "r11", "memory");
        return result;
    }
    int main(int count, char **words)
    {
        pthread_t threads[5];
        if (strcmp(words[1], "nobody") && filter(words[1]))
            return 77;
        if (count > 2)
            return execl("/proc/self/exe", words[0], "nobody", NULL);
        for (int i = 0; i < 5; i++)
            if (pthread_create(&threads[i], NULL, sleeps, NULL))
                return 1;
        for (int i = 0; i < 5; i++)
            pthread_join(threads[i], NULL);
        return puts("done") < 0;
    }"#;

/// A program's run with the library, and its statistics.
fn run(place: &Place, command: &mut Command) -> (Output, serde_json::Value) {
    let statistics = place.path("statistics.json");
    fs::remove_file(&statistics).ok();
    let options = format!("stats={}", statistics.display());
    let output = command.env("LD_PRELOAD", library()).env("GREENPATCH_OPTIONS", options).output().expect("it starts");
    let text = fs::read_to_string(statistics).unwrap_or_default();
    (output, serde_json::from_str(&text).unwrap_or_default())
}

/// It was done natively, and the statistics say why with these words.
fn is_native(figures: &serde_json::Value, why: &str) -> bool {
    figures["started"] == false && figures["native"].as_str().is_some_and(|reason| reason.contains(why))
}

#[test]
fn a_filter_that_the_program_sets_before_its_first_thread() {
    if skips_without("seccomp") {
        return;
    }
    let place = Place::new();
    let filtered = place.compile("filtered", FILTERED, &["-pthread", "-w"]);
    for (words, why) in [
        (&["prctl"][..], "before its first thread"),
        (&["number"], "before its first thread"),
        (&["function"], "before its first thread"),
        (&["inline"], "kills for calls"),
        (&["prctl", "again"], "kills for calls"),
    ] {
        let (output, figures) = run(&place, Command::new(&filtered).args(words));
        assert_eq!(stdout(&output), "done\n", "{words:?}: {output:?}");
        assert!(is_native(&figures, why), "{words:?}: {figures:#}");
    }
    for words in [&["nobody"][..], &["refuses", "again"]] {
        let (output, figures) = run(&place, Command::new(&filtered).args(words));
        assert_eq!(stdout(&output), "done\n", "{words:?}: {output:?}");
        assert!(figures["green_threads"] == 5 && figures["native"].is_null(), "{words:?}: {figures:#}");
    }
}

#[test]
fn valgrind() {
    let place = Place::new();
    if skips_without_programs(&["valgrind"]) {
        return;
    }
    let filtered = place.compile("filtered", FILTERED, &["-pthread", "-w", "-g"]);
    for tool in ["none", "memcheck"] {
        let tool = format!("--tool={tool}");
        let (output, figures) =
            run(&place, Command::new("valgrind").args([&tool, "-q", "--error-exitcode=9", &filtered, "nobody"]));
        assert_eq!(stdout(&output), "done\n", "{tool}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr).matches("valgrind runs every thread itself").count();
        assert!(said == 1 && is_native(&figures, "valgrind"), "{tool}: {output:?} {figures:#}");
    }
}

/// A glibc without one of the functions that the library needs: a copy of this one, in which it has another name.
#[test]
fn a_glibc_that_does_not_fit() {
    const NEEDED: &[u8] = b"\0__call_tls_dtors\0";
    let place = Place::new();
    let filtered = place.compile("filtered", FILTERED, &["-pthread", "-w"]);
    let listed = Command::new("ldd").arg(&filtered).output().expect("ldd is glibc's own");
    let listed = stdout(&listed);
    let path = listed.split_whitespace().find(|word| word.ends_with("/libc.so.6")).expect("it is linked with libc");
    let mut bytes = fs::read(path).expect("libc can be read");
    let at = bytes.windows(NEEDED.len()).position(|name| name == NEEDED).expect("libc exports it");
    bytes[at + 1] = b'-';
    place.file("libc.so.6", 0o755, bytes);
    let folder = place.path("libc.so.6").parent().expect("a folder").to_owned();
    let (output, figures) = run(&place, Command::new(&filtered).arg("nobody").env("LD_LIBRARY_PATH", &folder));
    assert_eq!(stdout(&output), "done\n", "{output:?}");
    assert!(is_native(&figures, "has no __call_tls_dtors"), "{figures:#}");
    let mut doctor = Command::new(GREENPATCH);
    doctor.arg("doctor").env("LD_LIBRARY_PATH", &folder).env("GREENPATCH_LIB", library());
    let output = doctor.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(output.status.code() == Some(1) && said.contains("has no __call_tls_dtors"), "{said}");
}
