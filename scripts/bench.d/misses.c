// misses DIRECTORY NAMES OPENS: opens that fail, of NAMES names that are not there, OPENS times in all.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[64];
	if (argc != 4 || chdir(argv[1]) != 0)
		return 2;
	long names = atol(argv[2]), opens = atol(argv[3]);
	for (long i = 0; i < opens; i++) {
		snprintf(path, sizeof path, "missing-%ld", i % names);
		if (open(path, O_RDONLY) >= 0 || errno != ENOENT)
			return 1;
	}
	return 0;
}
