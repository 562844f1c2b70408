/* A hundred children, which wait for 30 ms each, and end by _exit. */
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	for (int i = 0; i < 100; i++) {
		pid_t child = fork();
		if (child < 0)
			return 2;
		if (child == 0) {
			usleep(30000);
			_exit(0);
		}
	}
	for (int i = 0; i < 100; i++)
		if (wait(NULL) < 0)
			return 3;
	return 0;
}
