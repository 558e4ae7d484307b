// getpid CALLS: the cheapest system call, which no tracer of files has any business with.
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	for (long i = atol(argv[1]); i > 0; i--)
		syscall(SYS_getpid);
	return 0;
}
