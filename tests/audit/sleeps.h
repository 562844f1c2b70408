/* What the kernel says of another thread: does it sleep? So one can wait until it waits, however late that is. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* Does this thread of a process sleep? A thread has the state from the moment on that its wait begins until another one ends the wait. */
static int sleeps(pid_t process, pid_t thread)
{
	char path[64], text[64] = "", state = 0;
	snprintf(path, sizeof path, "/proc/%d/task/%d/stat", process, thread);
	int file = open(path, O_RDONLY);
	ssize_t count = file < 0 ? -1 : read(file, text, sizeof text - 1);
	close(file);
	return count > 0 && sscanf(text, "%*d (%*[^)]) %c", &state) == 1 && state == 'S';
}

/* Waits until the first thread of a process sleeps, or the process is gone. Sleeps not itself: such sleeps would be told. */
__attribute__((unused)) static void until_it_sleeps(pid_t process)
{
	while (!sleeps(process, process) && kill(process, 0) == 0)
		sched_yield();
}
