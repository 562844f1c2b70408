//! A debugger walks a green thread's stack as it walks any thread's: through our frames, the switch among them, down to where
//! glibc begins a thread.

mod support;

use std::fs;
use std::process::Command;
use support::library::library;
use support::needs;
use support::run::Scratch;

const PROGRAM: &str = r#"
#include <pthread.h>
#include <unistd.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int go;
__attribute__((noinline)) void reached(int value) { __asm__ volatile("" : : "r"(value)); }
__attribute__((noinline)) static int waits(void)
{
	pthread_mutex_lock(&lock);
	while (!go)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return 3;
}
static void *thread(void *argument) { reached(waits()); return argument; }
int main(void)
{
	pthread_t one;
	pthread_create(&one, 0, thread, 0);
	usleep(20000); /* green, on one worker: the thread waits by now */
	pthread_mutex_lock(&lock);
	go = 1;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	return pthread_join(one, 0);
}
"#;

/// What gdb prints of the stack at the breakpoint `place`, in a green run.
fn backtrace(scratch: &Scratch, place: &str) -> String {
    let (source, program) = (scratch.path("program.c"), scratch.path("program"));
    fs::write(&source, PROGRAM).expect("the program's source");
    let compiled = Command::new("cc").args(["-g", "-O1", "-pthread", "-o"]).arg(&program).arg(&source).status();
    assert!(compiled.expect("cc").success());
    let preload = format!("set environment LD_PRELOAD {}", library().display());
    let commands = [
        preload.as_str(),
        "set environment GREENPATCH_OPTIONS workers=1",
        // Births are caught by this signal (src/runtime/trap/capture.rs).
        "handle SIGSYS nostop noprint pass",
        "set breakpoint pending on",
        "break waits",
        "run",
        &format!("break {place}"),
        "continue",
        "backtrace",
    ];
    let mut gdb = Command::new("gdb");
    gdb.args(["-q", "-nx", "-batch"]).args(commands.iter().flat_map(|command| ["-ex", *command])).arg(&program);
    let output = gdb.output().expect("gdb (Debian package gdb)");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_running_green_thread_is_walked() {
    if needs::skips_without_programs(&["gdb"]) {
        return;
    }
    let trace = backtrace(&Scratch::new(), "reached");
    for frame in ["reached (", "thread (", "start_thread"] {
        assert!(trace.contains(frame), "no {frame} in {trace}");
    }
}

#[test]
fn a_switch_is_walked() {
    if needs::skips_without_programs(&["gdb"]) {
        return;
    }
    let trace = backtrace(&Scratch::new(), "gp_switch");
    for frame in ["gp_switch", "pthread_cond_wait", "waits (", "thread (", "start_thread"] {
        assert!(trace.contains(frame), "no {frame} in {trace}");
    }
}
