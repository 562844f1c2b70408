/* A thread in each kind of wait: its name is the reason's, and the function that waits begins with waits_. Each writes a line before
 * it waits: its name, its tid, and what it is about to wait for. main ends everything when its input ends. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, other = PTHREAD_MUTEX_INITIALIZER, common;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t written = PTHREAD_RWLOCK_INITIALIZER, read_by_main = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_t sleeper;
static sem_t semaphore;
static FILE *stream;
static int connected, empty[2], full[2], word, queue, locked;
static pid_t child;
static volatile int initialising;
static int told;

static void tell(const char *name, long about)
{
	char line[128];
	int bytes = snprintf(line, sizeof line, "%s %ld %ld\n", name, (long)gettid(), about);
	pthread_setname_np(pthread_self(), name);
	if (write(1, line, bytes) != bytes)
		abort();
	__atomic_add_fetch(&told, 1, __ATOMIC_SEQ_CST);
}

/* What a wait would come back to. Main's end of the queue and of the child ends two of the waits, an instant before the process ends. */
static volatile int ending;
#define NEVER() do { if (!ending) abort(); pause(); } while (1)

static void initialise(void) { initialising = 1; pause(); NEVER(); }

#define WAITS(name, about, call) \
	__attribute__((noinline)) static void waits_##name(void) { tell(#name, (long)(about)); call; NEVER(); } \
	static void *run_##name(void *argument) { waits_##name(); return argument; }

static char byte;
static void poll_two(void)
{
	struct pollfd both[2] = { { empty[0], POLLIN, 0 }, { full[1], POLLOUT, 0 } };
	poll(both, 2, -1);
}
static void wait_for_signal(void)
{
	sigset_t set;
	int number;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigwait(&set, &number);
}
static void wait_for_cond(void)
{
	pthread_mutex_lock(&other);
	for (;;)
		pthread_cond_wait(&cond, &other);
}
static void receive(void)
{
	struct { long type; char text[8]; } message;
	msgrcv(queue, &message, sizeof message.text, 0, 0);
}

WAITS(readable, empty[0], (void)!read(empty[0], &byte, 1))
WAITS(socket, connected, (void)!recv(connected, &byte, 1, 0))
WAITS(writable, full[1], (void)!write(full[1], &byte, 1))
WAITS(poll, 2, poll_two())
WAITS(mutex, &mutex, pthread_mutex_lock(&mutex))
WAITS(cond, &cond, wait_for_cond())
WAITS(semaphore, &semaphore, sem_wait(&semaphore))
WAITS(read_lock, &written, pthread_rwlock_rdlock(&written))
WAITS(write_lock, &read_by_main, pthread_rwlock_wrlock(&read_by_main))
WAITS(barrier, &barrier, pthread_barrier_wait(&barrier))
WAITS(initialiser, 0, pthread_once(&once, initialise))
WAITS(once, &once, pthread_once(&once, initialise))
WAITS(futex, &word, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0))
WAITS(sleep, 0, sleep(1000))
WAITS(join, 0, pthread_join(sleeper, NULL))
WAITS(signal, 0, wait_for_signal())
WAITS(child, child, waitpid(child, NULL, 0))
WAITS(children, 0, wait(NULL))
WAITS(queue, queue, receive())
WAITS(reader, empty[0], (void)!fgetc(stream))
WAITS(lock, 0, (void)!fgetc(stream))
WAITS(common, &common, pthread_mutex_lock(&common))
WAITS(in_kernel, 0, flock(locked, LOCK_EX))
static void *run_running(void *argument)
{
	tell("running", 0);
	for (;;)
		__asm__ volatile("pause");
	return argument;
}
static void *run_ended(void *argument) { tell("ended", 0); return argument; }

static int connect_to_self(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, bytes) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &bytes) || connect(client, (struct sockaddr *)&address, bytes))
		abort();
	return client;
}

static pthread_t start(void *(*function)(void *))
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, function, NULL))
		abort();
	return thread;
}

int main(void)
{
	pthread_mutexattr_t shared;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_mutexattr_init(&shared);
	pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&common, &shared);
	pthread_barrier_init(&barrier, NULL, 2);
	sem_init(&semaphore, 0, 0);
	char name[] = "lockedXXXXXX", block[4096] = "";
	if (pipe(empty) || pipe2(full, O_NONBLOCK) || (child = fork()) < 0)
		return 1;
	if (child == 0) {
		pause();
		_exit(0);
	}
	while (write(full[1], block, sizeof block) > 0)
		;
	fcntl(full[1], F_SETFL, 0);
	int holder = mkstemp(name);
	locked = open(name, O_RDWR);
	unlink(name);
	connected = connect_to_self();
	stream = fdopen(empty[0], "r");
	if (flock(holder, LOCK_EX) || (queue = msgget(IPC_PRIVATE, 0600)) < 0)
		return 1;
	pthread_mutex_lock(&mutex);
	pthread_mutex_lock(&common);
	pthread_rwlock_wrlock(&written);
	pthread_rwlock_rdlock(&read_by_main);
	void *(*const functions[])(void *) = { run_readable, run_socket, run_writable, run_poll, run_mutex, run_cond, run_semaphore, run_read_lock,
		run_write_lock, run_barrier, run_initialiser, run_futex, run_signal, run_child, run_children, run_queue, run_reader, run_common,
		run_in_kernel, run_running, run_ended };
	int count = sizeof functions / sizeof *functions;
	for (int i = 0; i < count; i++)
		start(functions[i]);
	sleeper = start(run_sleep);
	start(run_join);
	while (!initialising)
		usleep(1000);
	start(run_once);
	usleep(100000); /* fgetc has the stream's lock by now */
	start(run_lock);
	while (told < count + 4) /* sleep, join, once, lock */
		usleep(1000);
	tell("main", 0);
	while (read(0, &byte, 1) > 0)
		;
	ending = 1;
	msgctl(queue, IPC_RMID, NULL);
	kill(child, SIGKILL);
	_exit(0);
}
