/* A library (libhides, made of this file, too) that sleeps by an instruction of its own. */
#include <sys/syscall.h>
#include <time.h>

void library_sleeps(void);

#ifdef LIBRARY
void library_sleeps(void)
{
	struct timespec moment = { 0, 30000000 };
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "0"(SYS_nanosleep), "D"(&moment), "S"(0) : "rcx", "r11", "memory");
}
#else
int main(void)
{
	library_sleeps();
	return 0;
}
#endif
