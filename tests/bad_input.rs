//! Bad input: each hook answers it as libc does. Whatever a program passes (a descriptor that is none, memory that is not there,
//! a size, a flag or a moment that cannot be), the green call gives the same value, the same errno, or the same crash.
//!
//! The calls are generated: each row of the hook table becomes a row of tests/bad_input/calls.c, which knows good and bad values
//! for each class of argument and tries combinations of them. `CLASSES` says which class an argument is of; one that no line
//! describes fails the test, so a new hook is tried without being asked for. The program runs natively, then green, and prints a
//! line for each call: the lines must be equal.

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::library::library;
use support::run::Scratch;

/// A row of the table: its symbol, its arguments' names and types, and what it gives.
struct Row {
    symbol: &'static str,
    arguments: &'static [(&'static str, &'static str)],
    fails: &'static str,
    result: &'static str,
}

macro_rules! hooks {
    ($($room:ident { $($scope:ident $fails:ident $check:ident $waits:ident
        $symbol:ident($($argument:ident: $type:ty),*) -> $result:ty => $handler:ident;)* })*) => {
        const ROWS: &[Row] = &[$($(Row {
            symbol: stringify!($symbol),
            arguments: &[$((stringify!($argument), stringify!($type))),*],
            fails: stringify!($fails),
            result: stringify!($result),
        },)*)*];
    };
}

include!("../src/hooks/table.rs");

/// Hooks to which no input is bad, or for which it has no answer.
const LEFT_OUT: &[(&str, &str)] = &[
    ("sleep usleep", "any number is a good one"),
    ("pthread_exit thrd_exit _exit _Exit quick_exit", "any value is a good one"),
    ("daemon", "any value is a good one"),
    ("swapcontext", "when libc's own fails it has lost a register of its caller's"),
    ("clone __clone", "libc's own, called as it is; with good input a child returns as well"),
    ("posix_spawn posix_spawnp", "libc's own, called as they are"),
    ("execve execv execvp execvpe fexecve execveat", "the kernel's answers, as they are; with good input they do not return"),
    ("arch_prctl ptrace", "the kernel's own answers; some of them end the program, or stop it"),
    (
        "getaddrinfo getnameinfo gethostbyname gethostbyname2 gethostbyname_r gethostbyname2_r gethostbyaddr gethostbyaddr_r res_query \
         res_search res_nquery res_nsearch res_send res_nsend",
        "libc's own, called as they are; what they answer is the name server's to say",
    ),
    ("clone __clone", "libc's own, called as they are; a child on memory that is no stack dies, or its parent does"),
    ("lio_listio lio_listio64", "libc's own, called as they are, and trusting each pointer"),
    ("siglongjmp longjmp _longjmp __longjmp_chk", "a jump to what nobody set goes anywhere"),
];

/// The class of an argument: the first line whose words all hold of it. A symbol's beginning, the argument's name, its type; an
/// empty one holds of all.
const CLASSES: &[(&str, &str, &str, &str)] = &[
    ("syscall", "number", "", "SYSTEM_CALL"),
    ("prctl", "option", "", "PRCTL"),
    ("epoll_", "fd", "c_int", "EPOLL_FD"),
    ("dup", "to", "c_int", "NEW_FD"),
    ("wait", "pid", "", "CHILD"),
    ("__wait", "pid", "", "CHILD"),
    ("waitid", "id", "", "CHILD"),
    ("personality", "", "", "PERSONALITY"),
    ("setgroups", "count", "", "GROUP_COUNT"),
    ("initgroups", "user", "", "USER"),
    ("pthread_getname_np", "room", "", "NAME_SIZE"),
    ("pthread_getname_np", "name", "", "ZEROES"),
    ("pthread_setname_np", "name", "", "NAME"),
    ("setsockopt", "name", "c_int", "OPTION"),
    ("setsockopt", "level", "c_int", "LEVEL"),
    ("pthread_sigqueue", "signal", "", "SENT"),
    ("pthread_kill", "signal", "", "SENT"),
    ("kill", "signal", "", "SENT"),
    ("tgkill", "signal", "", "SENT_BY_NUMBER"),
    ("tgkill", "tid", "", "PROCESS"),
    ("sigqueue", "signal", "", "SENT"),
    ("raise", "signal", "", "SENT"),
    ("sigwait", "signal", "*mut c_int", "ZEROES"),
    ("select", "n", "", "SELECT_COUNT"),
    ("__select", "n", "", "SELECT_COUNT"),
    ("pselect", "n", "", "SELECT_COUNT"),
    ("pkey_", "flags|rights", "c_uint", "UNSIGNED"),
    ("ioperm", "from|count", "", "LONG_NUMBER"),
    ("ioperm", "allow", "", "NUMBER"),
    ("iopl", "level", "", "NUMBER"),
    ("mq_", "queue", "", "FD"),
    ("mq_", "message", "", "ZEROES"),
    ("mq_", "priority", "c_uint", "UNSIGNED"),
    ("mq_", "priority", "*mut c_uint", "OPTIONAL"),
    ("sync_file_range", "offset|bytes", "", "OFFSET"),
    ("msgrcv", "kind", "", "NUMBER"),
    ("", "operations", "*mut sembuf", "ZEROES"),
    ("aio_suspend", "list", "", "ZEROES"),
    ("prlimit", "resource", "", "UNSIGNED"),
    ("prlimit", "new", "", "LIMIT"),
    ("process_vm_", "", "*const iovec", "IOVEC"),
    ("process_vm_", "flags", "", "FLAGS"),
    ("process_vm_", "", "c_ulong", "COUNT"),
    ("setpgid", "", "", "PROCESS"),
    ("", "into", "", "ZEROES"),
    ("__", "version", "", "NUMBER"),
    ("", "fd|from|to", "c_int", "FD"),
    ("", "dir", "c_int", "FOLDER_FD"),
    ("", "first|last", "", "UNSIGNED"),
    ("", "iov", "", "IOVEC"),
    ("", "msg", "", "MESSAGE"),
    ("", "msgs", "", "MESSAGES"),
    ("", "fds", "*mut pollfd", "POLLFD"),
    ("", "n", "nfds_t", "POLL_COUNT"),
    ("", "timeout_ms", "", "MILLISECONDS"),
    ("", "", "*mut fd_set", "FD_SET"),
    ("", "", "*mut timeval", "TIMEVAL"),
    ("", "left", "*mut timespec", "OPTIONAL"),
    ("clock_", "time", "*mut timespec", "ZEROES"),
    ("", "", "*const timespec", "TIMESPEC"),
    ("", "timeout", "*mut timespec", "TIMESPEC"),
    ("", "", "*const sockaddr", "ADDRESS"),
    ("", "", "*mut sockaddr", "OPTIONAL"),
    ("", "", "*mut socklen_t", "NUMBER_AT"),
    ("", "", "socklen_t", "ADDRESS_LENGTH"),
    ("", "", "*mut off_t", "OFFSET_AT"),
    ("", "", "off_t", "OFFSET"),
    ("", "", "*const sigset_t", "SIGSET"),
    ("", "", "*mut sigset_t", "SIGSET_OUT"),
    ("", "number|signal|mask", "c_int", "SIGNAL"),
    ("", "handler", "usize", "HANDLER"),
    ("", "new", "*const libc::sigaction", "SIGACTION"),
    ("", "old", "", "OPTIONAL"),
    ("", "new", "*const stack_t", "STACK"),
    ("", "", "*mut sigevent|*const sigevent", "EVENT"),
    ("", "timer", "*mut c_void", "TIMER"),
    ("timer_settime", "new", "", "LIMIT"),
    ("", "", "*mut itimerspec", "OPTIONAL"),
    ("", "", "clockid_t", "CLOCK"),
    ("", "", "*const sched_param", "PARAMETER"),
    ("", "policy", "c_int", "POLICY"),
    ("", "", "*const cpu_set_t", "PROCESSORS"),
    ("", "", "*mut cpu_set_t", "ZEROES"),
    ("", "size", "size_t", "SET_SIZE"),
    ("", "which", "", "WHICH"),
    ("", "who", "", "WHO"),
    ("", "tid", "pid_t", "TASK"),
    ("", "pid", "pid_t", "PROCESS"),
    ("", "", "uid_t|gid_t", "ID"),
    ("", "groups", "", "ZEROES"),
    ("", "thread", "pthread_t", "THREAD"),
    ("", "attr", "*const pthread_attr_t", "ATTRIBUTES"),
    ("", "start", "", "START"),
    ("", "visit", "", "VISITOR"),
    ("", "initialise", "", "INITIALISER"),
    ("", "destructor", "", "DESTRUCTOR"),
    ("", "path", "", "PATH"),
    ("", "mode", "mode_t", "MODE"),
    ("", "mode", "*const c_char", "FILE_MODE"),
    ("", "", "*mut FILE", "FILE_POINTER"),
    ("", "command", "*const c_char", "COMMAND"),
    ("", "command", "c_int", "CONTROL"),
    ("", "request", "", "REQUEST"),
    ("", "", "*mut pthread_mutex_t", "MUTEX"),
    ("", "", "*mut pthread_cond_t", "CONDITION"),
    ("", "", "*mut pthread_rwlock_t", "RWLOCK"),
    ("", "", "*mut pthread_barrier_t", "BARRIER"),
    ("", "", "*mut pthread_spinlock_t", "SPIN"),
    ("", "", "*mut sem_t", "SEMAPHORE"),
    ("", "once", "", "ONCE"),
    ("", "", "usize", "WORD"),
    ("", "", "u64", "LONG_NUMBER"),
    ("", "", "size_t", "SIZE"),
    ("", "flags|options", "c_int|c_uint", "FLAGS"),
    ("", "n", "c_int|c_uint", "COUNT"),
    ("", "", "c_int|idtype_t", "NUMBER"),
    ("", "result|status|usage|info", "", "OPTIONAL"),
    ("", "argument", "*mut c_void", "OPTIONAL"),
    (
        "",
        "",
        "*mut c_void|*const c_void|*mut c_int|*mut u64|*mut *mut c_void|*mut epoll_event|*mut timespec|*mut clockid_t\
         |*mut sched_param|*mut pthread_t|*mut pthread_attr_t|*mut pthread_key_t|*mut ucontext_t|*const ucontext_t",
        "ZEROES",
    ),
];

/// Is one of the words this one? None of them: it does not matter.
fn holds(words: &str, word: &str) -> bool {
    words.is_empty() || words.split('|').any(|one| one == word)
}

fn class(symbol: &str, argument: &str, kind: &str) -> &'static str {
    let fits =
        |line: &&(&str, &str, &str, &str)| symbol.starts_with(line.0) && holds(line.1, argument) && holds(line.2, kind);
    CLASSES.iter().find(fits).unwrap_or_else(|| panic!("{symbol}: no class for {argument}: {kind}")).3
}

/// The rows as C: `{"recv", ERRNO, LONG, {"FD", …}},`.
fn rows() -> String {
    let left_out = |symbol: &str| LEFT_OUT.iter().any(|(symbols, _)| symbols.split(' ').any(|one| one == symbol));
    let tried = ROWS.iter().filter(|row| !row.arguments.is_empty() && !left_out(row.symbol));
    let row = |row: &Row| {
        let fails = if row.fails == "errno" { "ERRNO" } else { "CODE" };
        format!("    {{\"{}\", {fails}, {}, {{{}}}}},\n", row.symbol, result(row), classes(row))
    };
    tried.map(row).collect()
}

fn classes(row: &Row) -> String {
    let class = |(argument, kind): &(&str, &str)| format!("\"{}\", ", class(row.symbol, argument, kind));
    row.arguments.iter().map(class).collect()
}

fn result(row: &Row) -> &'static str {
    match row.result {
        "c_int" => "INTEGER",
        "c_uint" => "UNSIGNED",
        "ssize_t" | "c_long" => "LONG",
        "pid_t" => "PID",
        "*mut FILE" | "*mut DIR" | "usize" => "POINTER",
        "()" => "NOTHING",
        other => panic!("{}: no word for {other}", row.symbol),
    }
}

fn compile() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad_input");
    fs::create_dir_all(&folder).expect("a folder for the program");
    fs::write(folder.join("rows.h"), rows()).expect("the rows");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_input/calls.c");
    let program = folder.join("calls");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let flags = ["-O1", "-g", "-w", "-pthread", "-I"];
    let status = Command::new(compiler).args(flags).arg(&folder).arg("-o").arg(&program).arg(source).status();
    assert!(status.expect("a C compiler").success(), "does not compile");
    program
}

/// Runs the program with these variables and this input: its first line, and those about calls.
fn run(program: &Path, variables: &[(&str, &str)], input: Option<&str>) -> (String, Vec<String>) {
    let scratch = Scratch::new();
    fs::write(scratch.path("input"), input.unwrap_or_default()).expect("its input");
    let mut command = Command::new(program);
    command.current_dir(scratch.path("")).envs(variables.iter().copied());
    let output =
        command.stdin(File::open(scratch.path("input")).expect("its input")).output().expect("the program runs");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = output.lines().map(str::to_owned);
    (lines.next().unwrap_or_default(), lines.collect())
}

#[test]
fn every_hook_answers_bad_input_as_libc_does() {
    let program = compile();
    let library = library();
    let (threads, native) = run(&program, &[], None);
    assert_eq!(threads, "9 kernel threads", "the native run");
    let preload = library.to_str().expect("its path");
    let variables = [("LD_PRELOAD", preload), ("GREENPATCH_OPTIONS", "workers=2")];
    let (threads, green) = run(&program, &variables, Some(&native.join("\n")));
    let threads: usize = threads.split(' ').next().and_then(|number| number.parse().ok()).expect("a number of threads");
    assert!(threads < 9, "not green: {threads} kernel threads");
    assert_eq!(native.len(), green.len());
    let differ: Vec<_> = native.iter().zip(&green).filter(|(native, green)| native != green).collect();
    for (native, green) in &differ {
        let (call, native) = native.split_once("): ").unwrap_or_default();
        println!("{call}): natively {native}, green {}", green.split_once("): ").unwrap_or_default().1);
    }
    assert!(differ.is_empty(), "{} of {} calls differ", differ.len(), native.len());
}
