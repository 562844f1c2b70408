//! The library loaded late, by dlopen: what the program calls is bound to libc by then, and comes by libc's entries.

mod support;

use std::fs;
use std::process::Command;
use support::library::library;
use support::run::Scratch;

const PROGRAM: &str = r#"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int pairs[20][2], begun;
static void *thread(void *number)
{
	char line[8];
	FILE *stream = fdopen(pairs[(long)number][0], "r");
	pthread_mutex_lock(&lock);
	begun++;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	return fgets(line, sizeof line, stream) ? stream : NULL;
}
int main(int count, char **words)
{
	pthread_t threads[20];
	void *result;
	if (count > 1 && !dlopen(words[1], RTLD_NOW | RTLD_GLOBAL))
		return 2;
	for (long i = 0; i < 20; i++) {
		socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]);
		pthread_create(&threads[i], NULL, thread, (void *)i);
	}
	pthread_mutex_lock(&lock);
	while (begun < 20)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	usleep(2000);
	for (int i = 0; i < 20; i++) {
		if (write(pairs[i][1], "line\n", 5) != 5 || pthread_join(threads[i], &result) || !result)
			return 3;
	}
	printf("%d lines\n", begun);
	return 0;
}
"#;

#[test]
fn a_program_that_loads_it_late_runs_green() {
    let scratch = Scratch::new();
    let (source, program, statistics) = (scratch.path("late.c"), scratch.path("late"), scratch.path("late.json"));
    fs::write(&source, PROGRAM).expect("the program's source");
    let compiled = Command::new("cc").args(["-g", "-O1", "-pthread", "-o"]).arg(&program).arg(&source).status();
    assert!(compiled.expect("cc").success());
    let options = format!("workers=1:stats={}", statistics.display());
    let output = Command::new(&program).arg(library()).env("GREENPATCH_OPTIONS", options).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "20 lines\n");
    let text = fs::read_to_string(&statistics).expect("the statistics");
    let statistics: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(statistics["green_threads"], 20, "{text}");
    assert!(statistics["hooks"]["read"].as_u64() >= Some(20), "{text}");
    assert!(statistics["parks"].as_u64() >= Some(20), "{text}");
}
