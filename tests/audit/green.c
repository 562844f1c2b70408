// What keeps a worker in a green program, and what parks: each in a function of its own, whose name the report is to have.
//
// waits_parked           poll, usleep, pthread_mutex_lock: a green thread parks, and keeps no other
// locks_file             flock, held by a child process: keeps its kernel thread
// calls_by_instruction   nanosleep by a system call instruction of the program's own, which no hook sees
// computes               nothing but arithmetic, while another thread wants to run
// asks_name              (the word "name") a name server that does not answer: parks where libc's entries are taken
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <resolv.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// For so long a call by instruction sleeps: the library's own thread, which is to see it, may have to wait for a processor meanwhile.
enum { INSTRUCTION_MS = 500 };

static int ends[2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int over, busy_turns;

// On a slow machine a thread may have lost its worker by all that it did so far, and then keeps none in a call: from here on it has one.
static void comes_from_a_park(void)
{
	usleep(1000);
}

__attribute__((noinline)) static void *waits_parked(void *unused)
{
	struct pollfd polled = {ends[0], POLLIN, 0};
	pthread_setname_np(pthread_self(), "parks");
	poll(&polled, 1, 80);
	usleep(80000);
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	return unused;
}

__attribute__((noinline)) static void *locks_file(void *path)
{
	int file = open(path, O_RDWR);
	pthread_setname_np(pthread_self(), "locks");
	comes_from_a_park();
	flock(file, LOCK_EX);
	close(file);
	return NULL;
}

__attribute__((noinline)) static void *calls_by_instruction(void *unused)
{
	struct timespec time = {0, INSTRUCTION_MS * 1000000L};
	long result;
	pthread_setname_np(pthread_self(), "instruction");
	comes_from_a_park();
	__asm__ volatile("syscall" : "=a"(result) : "a"(SYS_nanosleep), "D"(&time), "S"(0) : "rcx", "r11", "memory");
	return unused;
}

static long now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

__attribute__((noinline)) static void *computes(void *unused)
{
	pthread_setname_np(pthread_self(), "computes");
	// The other thread's next turns show that this one has lost the worker, whenever that is.
	for (int turns = busy_turns; busy_turns < turns + 2;)
		;
	for (long end = now_ms() + 120; now_ms() < end;)
		;
	return unused;
}

__attribute__((noinline)) static void *asks_name(void *unused)
{
	unsigned char reply[512];
	struct sockaddr_in silent = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof silent;
	int server = socket(AF_INET, SOCK_DGRAM, 0);
	pthread_setname_np(pthread_self(), "asks");
	if (bind(server, (struct sockaddr *)&silent, length) || getsockname(server, (struct sockaddr *)&silent, &length) || res_init())
		_exit(2);
	_res.nscount = 1;
	_res.nsaddr_list[0] = silent;
	_res.retrans = _res.retry = 1;
	comes_from_a_park();
	res_query("greenpatch.invalid", ns_c_in, ns_t_a, reply, sizeof reply);
	close(server);
	return unused;
}

// Always has something to do, so that others wait whenever a thread keeps the worker.
static void *is_busy(void *unused)
{
	for (; !atomic_load(&over); busy_turns++)
		usleep(500);
	return unused;
}

// Does anybody wait for the lock of a file, which this process has?
static int is_wanted(int file)
{
	char line[256], number[32];
	struct stat known;
	int found = 0;
	FILE *locks = fopen("/proc/locks", "r");
	fstat(file, &known);
	snprintf(number, sizeof number, ":%lu ", (unsigned long)known.st_ino);
	while (locks && fgets(line, sizeof line, locks))
		found |= strstr(line, "-> FLOCK") && strstr(line, number);
	if (locks)
		fclose(locks);
	return found || !locks;
}

static pthread_t begins(void *(*what)(void *), void *with)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, what, with))
		_exit(2);
	return thread;
}

int main(int count, char **words)
{
	static char path[] = "locked.file";
	if (count > 1 && strcmp(words[1], "name") == 0) {
		pthread_t busy = begins(is_busy, NULL);
		pthread_join(begins(asks_name, NULL), NULL);
		atomic_store(&over, 1);
		pthread_join(busy, NULL);
		return 0;
	}
	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	int file = open(path, O_RDWR | O_CREAT, 0600), told[2];
	if (file < 0 || pipe(told))
		return 2;
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		int own = open(path, O_RDWR);
		flock(own, LOCK_EX);
		if (write(told[1], "l", 1) != 1)
			_exit(2);
		while (!is_wanted(own) && getppid() == parent)
			sched_yield();
		usleep(250000);
		_exit(0);
	}
	char byte;
	if (read(told[0], &byte, 1) != 1)
		return 2;
	pthread_t busy = begins(is_busy, NULL);
	pthread_mutex_lock(&mutex);
	pthread_t all[] = {begins(waits_parked, NULL), begins(locks_file, path)};
	usleep(200000);
	pthread_mutex_unlock(&mutex);
	for (size_t at = 0; at < 2; at++)
		pthread_join(all[at], NULL);
	pthread_join(begins(calls_by_instruction, NULL), NULL);
	pthread_join(begins(computes, NULL), NULL);
	atomic_store(&over, 1);
	pthread_join(busy, NULL);
	waitpid(child, NULL, 0);
	puts("done");
	return 0;
}
