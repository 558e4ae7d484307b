// How processes and threads begin and end.
#include "transparency.h"
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>

extern char **environ;

static void vfork_shares(void)
{
	volatile int changed = 0;
	int status;
	pid_t child = vfork();
	if (child == 0) {
		changed = 1;
		_exit(6);
	}
	// Not before the child has ended.
	show("vfork", "changed %d", changed);
	need(waitpid(child, &status, 0) == child, "waitpid");
	show("vfork", "%s", ending(status));
}

static void spawn(void)
{
	char *arguments[] = {"again", "--child", NULL};
	int status = 0;
	pid_t child = 0;
	show("posix_spawn", "%s", error_name(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ)));
	need(waitpid(child, &status, 0) == child, "waitpid");
	show("posix_spawn", "%s", ending(status));
	show("posix_spawn", "no such file: %s",
		error_name(posix_spawn(&child, "/no/such/file", NULL, NULL, arguments, environ)));
	show("posix_spawn", "no child of it: %s", outcome(waitpid(-1, &status, WNOHANG)));
	show("exec", "of a directory: %s", outcome(execv("/proc", arguments)));
}

static int ends_with_8(void *argument)
{
	(void)argument;
	_exit(8);
}

static void clones(void)
{
	static const int signals[] = {0, SIGUSR1};
	enum { STACK = 65536 };
	int status;
	sigset_t set;
	siginfo_t info;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		need(stack != MAP_FAILED, "mmap");
		pid_t child = clone(ends_with_8, stack + STACK, signals[i], NULL);
		show("clone", "with signal %d: %s", signals[i], outcome(child));
		if (signals[i])
			show("clone", "heard %d", sigwaitinfo(&set, &info) == SIGUSR1 && info.si_pid == child);
		show("clone", "waitpid: %s", outcome(waitpid(child, &status, 0)));
		need(waitpid(child, &status, __WALL) == child, "waitpid");
		show("clone", "__WALL: %s", ending(status));
		munmap(stack, STACK);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void *give(void *value) { return value; }

static void *ends_the_process(void *leader)
{
	pthread_join(*(pthread_t *)leader, NULL);
	exit(12);
}

// A thread that was joined is listed until the kernel has taken it away: a moment later alone, and when its tracer has
// waited for it under trace. It must be gone in the end.
static const char *threads_left(void)
{
	for (;;) {
		char *status = text_of("/proc/self/status");
		char *left = field(status, "Threads");
		free(status);
		if (strcmp(left, "1") == 0)
			return left;
		free(left);
		sched_yield();
	}
}

static void threads(void)
{
	pthread_t thread;
	void *result = NULL;
	int status;
	need(pthread_create(&thread, NULL, give, &status) == 0, "pthread_create");
	need(pthread_join(thread, &result) == 0, "pthread_join");
	show("thread", "result %d, threads left %s", result == &status, threads_left());
	pid_t child = fork();
	need(child >= 0, "fork");
	if (child == 0) {
		static pthread_t leader;
		leader = pthread_self();
		need(pthread_create(&thread, NULL, ends_the_process, &leader) == 0, "pthread_create");
		pthread_exit(NULL);
	}
	need(waitpid(child, &status, 0) == child, "waitpid");
	show("thread", "the last one ends the process: %s", ending(status));
}

// A grandchild asks for SIGTERM when its parent ends, and reports what it gets.
static void parent_death(void)
{
	int report[2], ready[2], status, got = 0;
	char byte;
	need(pipe(report) == 0 && pipe(ready) == 0, "pipe");
	pid_t child = fork();
	need(child >= 0, "fork");
	if (child == 0) {
		if (fork() == 0) {
			sigset_t set;
			sigemptyset(&set);
			sigaddset(&set, SIGTERM);
			sigprocmask(SIG_BLOCK, &set, NULL);
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			need(write(ready[1], "", 1) == 1, "write");
			sigwait(&set, &got);
			need(write(report[1], &got, sizeof got) == sizeof got, "write");
			_exit(0);
		}
		need(read(ready[0], &byte, 1) == 1, "read");
		_exit(0);
	}
	need(waitpid(child, &status, 0) == child, "waitpid");
	need(read(report[0], &got, sizeof got) == sizeof got, "read");
	show("PR_SET_PDEATHSIG", "signal %d", got);
	for (int i = 0; i < 2; i++) {
		close(report[i]);
		close(ready[i]);
	}
	// As PID 1 we have the grandchild now.
	if (getpid() == 1)
		waitpid(-1, &status, 0);
}

void see_processes(void)
{
	vfork_shares();
	spawn();
	clones();
	threads();
	parent_death();
}
