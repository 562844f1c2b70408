/* What a process sees of itself, told at several moments: audited, it must be what it is natively. `state WAY`; what each way does is said
 * at it. Told are kernel threads, descriptors below 1,000, masks, actions, limits, the robust list, alternate stacks, timers, children,
 * rights and settings; of the environment all but the preload and its options. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LONG_MS = 25 };

extern char **environ;
static char text[1 << 16];
static size_t told;
static int out = 1;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	told += vsnprintf(text + told, sizeof text - told, format, arguments);
	va_end(arguments);
}

static void flush(void)
{
	if (write(out, text, told) != (ssize_t)told)
		_exit(90);
	told = 0;
}

static int by_number(const void *one, const void *other)
{
	return *(const int *)one - *(const int *)other;
}

/* The descriptors below 1,000, and what they stand for: pipes and sockets by their kind alone, for their numbers differ. */
static void tell_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	if (!folder) {
		say(" descriptors: %s\n", strerrorname_np(errno));
		return;
	}
	int numbers[1024], count = 0;
	for (struct dirent *entry; (entry = readdir(folder));)
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder) && atoi(entry->d_name) < 1000)
			numbers[count++] = atoi(entry->d_name);
	closedir(folder);
	qsort(numbers, count, sizeof *numbers, by_number);
	for (int i = 0; i < count; i++) {
		char name[32], link[256];
		snprintf(name, sizeof name, "/proc/self/fd/%d", numbers[i]);
		ssize_t length = readlink(name, link, sizeof link - 1);
		link[length < 0 ? 0 : length] = 0;
		say(" fd %d %.*s %x\n", numbers[i], (int)strcspn(link, "["), link, fcntl(numbers[i], F_GETFD));
	}
}

/* The lines of a file of /proc that begin with one of these words. */
static void tell_lines(const char *path, const char *const *words)
{
	char content[8192];
	int fd = open(path, O_RDONLY);
	ssize_t length = fd < 0 ? -1 : read(fd, content, sizeof content - 1);
	if (fd >= 0)
		close(fd);
	content[length < 0 ? 0 : length] = 0;
	for (char *line = strtok(content, "\n"); line; line = strtok(NULL, "\n"))
		for (const char *const *word = words; *word; word++)
			if (strncmp(line, *word, strlen(*word)) == 0)
				say(" %s\n", line);
}

static void tell(const char *when)
{
	static const char *const status[] = { "Umask", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "Cap", "NoNewPrivs",
					      "Seccomp", "Uid", "Gid", "Groups", "FDSize", "VmLck", "VmPin", "Cpus_allowed:", "CoreDumping", "THP", NULL };
	static const char *const timers[] = { "ID", "signal", "notify", NULL };
	static const char *const limits[] = { "Max", NULL };
	int kept = errno;
	say("%s\n", when);
	tell_lines("/proc/thread-self/status", status);
	tell_lines("/proc/self/timers", timers);
	tell_lines("/proc/self/limits", limits);
	tell_descriptors();
	for (int number = 1; number < 65; number++) {
		struct sigaction action;
		if (sigaction(number, NULL, &action) == 0 && (action.sa_handler != SIG_DFL || action.sa_flags))
			say(" action %d %d %x\n", number, action.sa_handler == SIG_IGN ? 1 : action.sa_handler != SIG_DFL, action.sa_flags);
	}
	stack_t stack;
	sigaltstack(NULL, &stack);
	say(" stack %x %zu\n", stack.ss_flags, stack.ss_size);
	char *head = NULL;
	size_t length = 0;
	syscall(SYS_get_robust_list, 0, &head, &length);
	say(" robust %td %zu\n", head - (char *)pthread_self(), length);
	for (int which = 0; which < 3; which++) {
		struct itimerval timer;
		getitimer(which, &timer);
		say(" timer %ld %d\n", (long)timer.it_interval.tv_sec, timer.it_value.tv_sec || timer.it_value.tv_usec);
	}
	int signal = 0, reaper = 0;
	char name[16] = "";
	prctl(PR_GET_PDEATHSIG, &signal);
	prctl(PR_GET_CHILD_SUBREAPER, &reaper);
	prctl(PR_GET_NAME, name);
	say(" prctl %d %d %d %ld %s\n", signal, reaper, prctl(PR_GET_DUMPABLE), (long)prctl(PR_GET_TIMERSLACK), name);
	struct sched_param priority;
	sched_getparam(0, &priority);
	say(" scheduling %d %d %d\n", sched_getscheduler(0), priority.sched_priority, getpriority(PRIO_PROCESS, 0));
	siginfo_t child = { .si_pid = -1 };
	int waited = waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT);
	say(" children %d %d\n", waited, waited ? 0 : child.si_pid != 0);
	unsigned mxcsr = __builtin_ia32_stmxcsr();
	say(" mxcsr %x\n", mxcsr & ~0x3fu);
	for (char **word = environ; *word; word++)
		if (strncmp(*word, "LD_PRELOAD", 10) && strncmp(*word, "GREENPATCH", 10))
			say(" %s\n", *word);
	errno = kept;
	flush();
}

static void wait_long(void)
{
	errno = 4711;
	if (usleep(LONG_MS * 1000) || errno != 4711)
		say("errno %d\n", errno);
}

static void wait_short(void)
{
	int ends[2];
	char byte = 0;
	errno = 4711;
	if (pipe(ends) || write(ends[1], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1 || errno != 4711)
		say("pipe: errno %d\n", errno);
	say("pipe %d %d\n", ends[0], ends[1]);
	close(ends[0]);
	close(ends[1]);
}

static int status_of(pid_t child)
{
	int status = -1;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void *in_thread(void *argument)
{
	tell("in a thread");
	wait_long();
	tell("in a thread, after a long call");
	return argument;
}

static void on_signal(int signal)
{
	(void)signal;
	tell("in a handler");
	wait_long();
	tell("in a handler, after a long call");
}

static void at_exit(void)
{
	tell("at exit");
	wait_long();
	tell("at exit, after a long call");
}

/* Everything, one moment after another. */
static int moments(char **words)
{
	tell("at the begin");
	wait_short();
	tell("after short calls");
	wait_long();
	tell("after a long call");
	pthread_t thread;
	pthread_create(&thread, NULL, in_thread, NULL);
	pthread_join(thread, NULL);
	tell("after a thread");
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	sigaction(SIGUSR1, &action, NULL);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR2);
	raise(SIGUSR1);
	tell("after a handler");
	pid_t child = fork();
	if (child == 0) {
		tell("in a child");
		wait_long();
		tell("in a child, after a long call");
		words[1] = "again";
		execv("/proc/self/exe", words);
		_exit(91);
	}
	say("child %x\n", status_of(child));
	child = vfork();
	if (child == 0) {
		usleep(LONG_MS * 1000);
		_exit(7);
	}
	say("vfork child %x\n", status_of(child));
	atexit(at_exit);
	return 0;
}

/* After exec. */
static int again(void)
{
	tell("after exec");
	wait_long();
	tell("after exec and a long call");
	return 5;
}

/* All descriptors are closed but one of 1005, through which it tells. */
static int closes(void)
{
	out = dup2(1, 1005);
	wait_long();
	for (int fd = 0; fd < 1005; fd++)
		close(fd);
	close_range(1006, ~0u, 0);
	wait_long();
	wait_short();
	tell("after closing");
	pid_t child = fork();
	if (child == 0) {
		wait_long();
		wait_short();
		tell("in a child, after closing");
		_exit(0);
	}
	say("child %x\n", status_of(child));
	tell("after a child");
	return 0;
}

/* A thousand children, which all wait. */
static int forks(void)
{
	enum { CHILDREN = 1000, AT_ONCE = 20 };
	long sum = 0;
	for (int made = 0; made < CHILDREN;) {
		pid_t children[AT_ONCE];
		for (int i = 0; i < AT_ONCE; i++, made++)
			if ((children[i] = fork()) == 0) {
				struct timespec moment = { 0, 2000 };
				nanosleep(&moment, NULL);
				_exit(made & 127);
			}
		for (int i = 0; i < AT_ONCE; i++)
			sum += WEXITSTATUS(status_of(children[i]));
	}
	say("sum %ld\n", sum);
	tell("after a thousand children");
	return 0;
}

/* Little is allowed: a child that waits, and a program that it executes, under each limit alone. */
static void limited(const char *name, int resource, rlim_t limit, bool executes, char **words)
{
	pid_t child = fork();
	if (child == 0) {
		struct rlimit old, new = { limit, limit };
		getrlimit(resource, &old);
		if (setrlimit(resource, &new))
			_exit(92);
		wait_long();
		tell(name);
		words[1] = "again";
		if (executes)
			execv("/proc/self/exe", words);
		_exit(0);
	}
	say("%s: %x\n", name, status_of(child));
	flush();
}

static int limits(char **words)
{
	wait_long();
	limited("no descriptors", RLIMIT_NOFILE, 3, false, words);
	limited("one descriptor", RLIMIT_NOFILE, 4, true, words);
	limited("no bytes in files", RLIMIT_FSIZE, 0, true, words);
	limited("few bytes in files", RLIMIT_FSIZE, 1 << 16, true, words);
	limited("no more memory", RLIMIT_AS, 1 << 20, false, words);
	limited("a little more memory", RLIMIT_AS, 12 << 20, false, words);
	limited("no data", RLIMIT_DATA, 0, false, words);
	limited("no locked memory", RLIMIT_MEMLOCK, 0, true, words);
	limited("no processes", RLIMIT_NPROC, 1, true, words);
	limited("no queued signals", RLIMIT_SIGPENDING, 0, true, words);
	return 0;
}

/* The whole process is limited from before its first recorded call on. */
static int limited_alone(int resource, rlim_t limit)
{
	struct rlimit new = { limit, limit };
	if (setrlimit(resource, &new))
		return 92;
	wait_short();
	wait_long();
	tell("limited");
	return 0;
}

/* Into an empty folder, as nobody. */
static int jailed(void)
{
	char folder[] = "jailXXXXXX";
	tell("before");
	if (!mkdtemp(folder) || chroot(folder) || chdir("/") || setgid(65534) || setuid(65534))
		return 93;
	wait_long();
	pid_t child = fork();
	if (child == 0) {
		wait_long();
		tell("in a child");
		_exit(0);
	}
	say("child %x\n", status_of(child));
	tell("in jail");
	return 0;
}

/* The smallest stacks: of threads that wait, and of handlers that do. */
static void *on_little(void *argument)
{
	wait_long();
	struct pollfd one = { -1, 0, 0 };
	poll(&one, 1, LONG_MS);
	return argument;
}

static void waits(int signal)
{
	(void)signal;
	usleep(LONG_MS * 1000);
	struct timespec moment = { 0, 5000 };
	nanosleep(&moment, NULL);
}

static void *has_a_little_alternate_stack(void *argument)
{
	stack_t stack = { .ss_sp = malloc(sysconf(_SC_MINSIGSTKSZ)), .ss_size = sysconf(_SC_MINSIGSTKSZ) };
	if (sigaltstack(&stack, NULL))
		return NULL;
	pthread_kill(pthread_self(), SIGUSR1);
	return argument;
}

static int stacks(void)
{
	struct sigaction action = { .sa_handler = waits, .sa_flags = SA_ONSTACK };
	sigaction(SIGUSR1, &action, NULL);
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
	pthread_t threads[8];
	for (int i = 0; i < 8; i++)
		if (pthread_create(threads + i, &attributes, on_little, NULL))
			return 94;
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	void *result;
	pthread_create(threads, NULL, has_a_little_alternate_stack, "yes");
	pthread_join(threads[0], &result);
	say("%s\n", result ? "stacks" : "none");
	tell("after little stacks");
	return 0;
}

/* How deep a stack becomes, in bytes, in a thread that makes long calls and short ones. */
static void *goes_deep(void *argument)
{
	wait_long();
	wait_short();
	struct pollfd one = { -1, 0, 0 };
	poll(&one, 1, LONG_MS);
	fd_set none;
	FD_ZERO(&none);
	struct timeval limit = { 0, LONG_MS * 1000 };
	select(0, &none, NULL, NULL, &limit);
	limit = (struct timeval){ 0, LONG_MS * 1000 };
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit))
		return NULL;
	char byte;
	recv(ends[0], &byte, 1, 0);
	return argument;
}

static int deepest(void)
{
	enum { BYTES = 256 << 10, UNTOUCHED = 0xa5 };
	unsigned char *block = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(block, UNTOUCHED, BYTES);
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, block, BYTES);
	pthread_t thread;
	pthread_create(&thread, &attributes, goes_deep, NULL);
	pthread_join(thread, NULL);
	int free = 0;
	while (block[free] == UNTOUCHED)
		free++;
	told = 0;
	say("%d\n", BYTES - free);
	return 0;
}

/* Under a filter that kills for every system call but those that it makes natively. */
static int filtered(bool by_number)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_nanosleep, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
	wait_long();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	long refused = by_number ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL)
				 : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0);
	wait_long();
	long set = by_number ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)
			     : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
	wait_long();
	int executed = execl("/nonexistent/program", "program", NULL);
	say("filtered %ld %ld, executed %d\n", refused, set, executed);
	flush();
	_exit(6);
}

/* The ends of a process. */
static int ends(const char *how)
{
	wait_long();
	say("ends by %s\n", how);
	flush();
	if (!strcmp(how, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(how, "_exit"))
		_exit(4);
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "fault"))
		*(volatile int *)16 = 1;
	if (!strcmp(how, "thread")) {
		atexit(at_exit);
		pthread_exit(NULL);
	}
	return 3;
}

int main(int count, char **words)
{
	const char *way = count > 1 ? words[1] : "";
	int status = !strcmp(way, "moments")  ? moments(words)
		     : !strcmp(way, "again")  ? again()
		     : !strcmp(way, "closes") ? closes()
		     : !strcmp(way, "forks")  ? forks()
		     : !strcmp(way, "limits") ? limits(words)
		     : !strcmp(way, "nofile") ? limited_alone(RLIMIT_NOFILE, 5)
		     : !strcmp(way, "memory") ? limited_alone(RLIMIT_AS, 1 << 20)
		     : !strcmp(way, "jailed") ? jailed()
		     : !strcmp(way, "stacks") ? stacks()
		     : !strcmp(way, "prctl") ? filtered(false)
		     : !strcmp(way, "seccomp") ? filtered(true)
		     : !strcmp(way, "deepest") ? deepest()
					       : ends(way);
	flush();
	return status;
}
