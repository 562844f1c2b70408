//! The tools that everybody has, each at a job of its own that uses its threads, children, pipes and sockets: natively, green on one
//! worker and green on the default number of workers, with the same output and status.
//!
//! The jobs are in tests/tools/. Most of the tools make threads in their children only, and run natively until then; what a job of
//! several commands executes last is the process whose statistics are judged. The tools are packages of scripts/packages.txt.

#[allow(dead_code)]
#[path = "programs/case.rs"]
mod case;
#[allow(dead_code)]
#[path = "programs/server.rs"]
mod server;
mod support;

use case::Case;

/// Does the job in all worlds, if its command and the programs that it uses are installed; `{folder}` is a folder of its own.
fn job(line: &str, programs: &[&str], judgement: &str) {
    let command = line.split(' ').next().expect("a command");
    let Some(case) = Case::with(&[&[command], programs].concat()) else { return };
    case.compare(&line.replace("{folder}", &case.path("folder")), judgement);
}

#[test]
fn bash() {
    let judgement = "
        covers: fork waitpid read pipe
        proof: started==0
        passes: fork waitpid read pipe: bash has no threads, and runs native
        no_park: bash has no threads";
    job("bash tests/tools/bash.sh", &[], judgement);
}

#[test]
fn perl() {
    let judgement = "
        covers: pthread_create pthread_join pthread_cond_wait pthread_mutex_lock accept4 connect read write fork select
        proof: green_threads>=11 parks>=50";
    job("perl tests/tools/perl.pl", &[], judgement);
}

#[test]
fn python() {
    let judgement = "
        covers: pthread_create sem_wait poll epoll_wait accept4 connect recv send read write fork waitpid
        proof: green_threads>=20 parks>=200";
    job("/usr/bin/python3 tests/tools/python.py", &[], judgement);
}

#[test]
fn git() {
    let judgement = "
        covers: pthread_create pthread_join pthread_cond_wait read
        proof: green_threads==4 parks>=1";
    job("bash tests/tools/git.sh {folder}", &["git"], judgement);
}

#[test]
fn cargo() {
    let judgement = "
        covers: pthread_create poll read waitpid
        proof: green_threads>=2 parks>=1";
    job("bash tests/tools/cargo.sh tests/tools/crate {folder}", &["cargo"], judgement);
}

#[test]
fn node() {
    let judgement = "
        covers: pthread_create pthread_join pthread_cond_wait read write accept4 connect getaddrinfo fork
        proof: green_threads>=12 parks>=50";
    job("node tests/tools/node.js", &[], judgement);
}

#[test]
fn java() {
    let judgement = "
        covers: pthread_create pthread_cond_wait pthread_cond_timedwait accept connect posix_spawn
        proof: green_threads>=30 parks>=200
        exit: 4";
    job("java tests/tools/Threads.java", &[], judgement);
}

/// What gdb says of a program that is native, whoever is preloaded into gdb.
#[test]
fn gdb() {
    let Some(case) = Case::with(&["gdb", "cc"]) else { return };
    let program = case.path("threads");
    case.prepare(&format!("cc -g -O0 -pthread tests/tools/threads.c -o {program}"));
    let tidy = |output: String| output.lines().filter(|line| !line.starts_with('[')).collect::<Vec<_>>().join("\n");
    let judgement = "
        covers: pthread_create fork waitpid poll
        proof: green_threads>=1 parks>=1";
    let output = case.compare_tidied(&format!("gdb -nx -batch -x tests/tools/gdb.commands {program}"), tidy, judgement);
    assert!(output.contains("turns: 1 2 3"), "{output}");
}

#[test]
fn gcc() {
    let judgement = "
        covers: waitpid read
        proof: started==0
        passes: waitpid read: the compiler has no threads, and runs native
        no_park: the compiler has no threads";
    job("bash tests/tools/gcc.sh {folder}", &["gcc", "make"], judgement);
}

#[test]
fn apt_get() {
    let judgement = "
        covers: fork select waitpid read write
        proof: started==0
        passes: fork select waitpid read write: apt-get has no threads, and runs native
        no_park: apt-get has no threads";
    job("bash tests/tools/apt.sh {folder}", &["apt-get", "dpkg-deb"], judgement);
}
