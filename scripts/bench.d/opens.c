// opens DIRECTORY FILES OPENS: opens and closes DIRECTORY/0 … DIRECTORY/(FILES-1) in turn, OPENS times in all.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[64];
	if (argc != 4 || chdir(argv[1]) != 0)
		return 2;
	long files = atol(argv[2]), opens = atol(argv[3]);
	for (long i = 0; i < opens; i++) {
		snprintf(path, sizeof path, "%ld", i % files);
		int fd = open(path, O_RDONLY);
		if (fd < 0) {
			perror(path);
			return 1;
		}
		close(fd);
	}
	return 0;
}
