// timeit FILE COMMAND…: writes to FILE how many nanoseconds COMMAND took and how many KiB of memory it, or one of
// those it waited for, had at most; ends as it did.
// It runs inside the tracer, so that what the tracer does after its command has ended is not counted.
#include <stdint.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int main(int argc, char **argv)
{
	int status;
	struct rusage usage;
	if (argc < 3)
		return 2;
	int64_t start = now();
	pid_t child = fork();
	if (child == 0) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &usage) != child) {
		perror("timeit");
		return 1;
	}
	int64_t taken = now() - start;
	FILE *file = fopen(argv[1], "w");
	if (!file || fprintf(file, "%" PRId64 " %ld\n", taken, usage.ru_maxrss) < 0 || fclose(file) != 0) {
		perror(argv[1]);
		return 1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
