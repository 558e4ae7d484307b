// What a program is started with and in: words, variables, descriptors, limits, directory, terminal, processor.
#include "transparency.h"
#include <linux/capability.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

extern char **environ;

static int by_text(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

static void words(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		show("argument", "%d is '%s'", i, argv[i]);
	int count = 0;
	while (environ[count])
		count++;
	// Podman gives them in another order each time.
	qsort(environ, count, sizeof *environ, by_text);
	for (char **variable = environ; *variable; variable++) {
		// Each container has another host name.
		if (strncmp(*variable, "HOSTNAME=", 9) == 0)
			show("variable", "HOSTNAME=…");
		else
			show("variable", "%s", *variable);
	}
	char *line = text_of("/proc/self/cmdline");
	show("cmdline", "begins '%s'", line);
	show("comm", "%s", text_of("/proc/self/comm"));
}

static void auxiliary(void)
{
	static const unsigned long plain[] = {AT_PAGESZ, AT_CLKTCK, AT_PHENT, AT_PHNUM, AT_FLAGS, AT_UID, AT_EUID,
		AT_GID, AT_EGID, AT_SECURE, AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ};
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		show("auxv", "%lu is %#lx", plain[i], getauxval(plain[i]));
	const char *platform = (const char *)getauxval(AT_PLATFORM);
	show("auxv", "AT_EXECFN is '%s'", (const char *)getauxval(AT_EXECFN));
	show("auxv", "AT_PLATFORM is '%s'", platform ? platform : "");
}

static void descriptors(void)
{
	for (int fd = 0; fd < 256; fd++) {
		struct stat there;
		if (fstat(fd, &there) != 0)
			continue;
		int device = S_ISCHR(there.st_mode) || S_ISBLK(there.st_mode);
		show("descriptor", "%d: type %#o, device %u:%u, status %#x, flags %#x", fd, there.st_mode & S_IFMT,
			device ? major(there.st_rdev) : 0, device ? minor(there.st_rdev) : 0, fcntl(fd, F_GETFL),
			fcntl(fd, F_GETFD));
	}
	int next = dup(2);
	show("descriptor", "the next is %d", next);
	close(next);
}

static void limits(void)
{
	for (int which = 0; which < 16; which++) {
		struct rlimit limit;
		long result = getrlimit(which, &limit);
		show("limit", "%d: %s, %llu of %llu", which, outcome(result), (unsigned long long)limit.rlim_cur,
			(unsigned long long)limit.rlim_max);
	}
}

static void place(void)
{
	char name[4096] = "";
	need(getcwd(name, sizeof name) != NULL, "getcwd");
	show("place", "directory %s", name);
	ssize_t length = readlink("/proc/self/root", name, sizeof name - 1);
	show("place", "root %.*s", length < 0 ? 0 : (int)length, name);
	mode_t mask = umask(0);
	umask(mask);
	show("place", "umask %04o", mask);
}

static void processor(void)
{
	cpu_set_t set;
	struct sched_param parameters = {0};
	CPU_ZERO(&set);
	show("processor", "affinity: %s", outcome(sched_getaffinity(0, sizeof set, &set)));
	show("processor", "affinity: %d processors", CPU_COUNT(&set));
	sched_getparam(0, &parameters);
	show("processor", "scheduler %d, priority %d", sched_getscheduler(0), parameters.sched_priority);
	errno = 0;
	show("processor", "nice %d, %s", getpriority(PRIO_PROCESS, 0), error_name(errno));
	show("processor", "io priority %ld", syscall(SYS_ioprio_get, 1, 0));
	show("processor", "personality %#x", personality(0xffffffff));
}

static void session(void)
{
	pid_t self = getpid();
	show("session", "leads it: %d, leads its group: %d", getsid(0) == self, getpgrp() == self);
	int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	show("session", "terminal: %s", outcome(terminal));
	if (terminal >= 0) {
		show("session", "in the foreground: %d, of its own session: %d", tcgetpgrp(terminal) == getpgrp(),
			tcgetsid(terminal) == getsid(0));
		close(terminal);
	}
	for (int fd = 0; fd < 3; fd++)
		show("session", "%d is a terminal: %d", fd, isatty(fd));
	show("session", "parent is in the same: %d", getppid() != 0 && getsid(getppid()) == getsid(0));
}

void see_surroundings(int argc, char **argv)
{
	descriptors();
	words(argc, argv);
	auxiliary();
	limits();
	place();
	processor();
	session();
}
