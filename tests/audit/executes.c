/* Executes the program that the second argument names, in the way that the first one says, and waits for it; a third argument: twice. */
#define _GNU_SOURCE
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int execute(const char *how, char *program)
{
	char *words[] = { program, NULL }, *none[] = { NULL };
	pid_t child;
	int status;
	if (!strcmp(how, "spawn") || !strcmp(how, "fails")) {
		if (posix_spawn(&child, program, NULL, NULL, words, environ))
			return strcmp(how, "fails") != 0;
	} else if (!strcmp(how, "vfork")) {
		child = vfork();
		if (child == 0) {
			execve("/nowhere", words, environ);
			execve(program, words, environ);
			_exit(1);
		}
	} else {
		child = fork();
		if (child == 0) {
			execve("/nowhere", words, environ);
			execve(program, words, strcmp(how, "cleaned") ? environ : none);
			_exit(1);
		}
	}
	return waitpid(child, &status, 0) != child || status;
}

int main(int count, char **arguments)
{
	int error = count < 3 || execute(arguments[1], arguments[2]);
	return error || (count > 3 && execute(arguments[1], arguments[2]));
}
