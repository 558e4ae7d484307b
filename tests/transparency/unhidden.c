// What no tracer can hide. compare knows what each line may be under trace, docs/limits.md tells it to people.
#include "transparency.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ptrace.h>

// The exit status of what a child finds.
static int in_child(int (*look)(void))
{
	int status = 0;
	pid_t child = fork();
	need(child >= 0, "fork");
	if (child == 0)
		_exit(look());
	need(waitpid(child, &status, 0) == child, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int trace_me(void)
{
	return ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 ? errno : 0;
}

static int io_uring(void)
{
	char parameters[120] = {0};
	return syscall(SYS_io_uring_setup, 1, parameters) < 0 ? errno : 0;
}

static int listener(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {1, &allow};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) < 0 ? errno : 0;
}

// 255 for one that cannot change its IDs.
static int dumpable_after_change(void)
{
	if (setresgid(12345, 12345, 12345) != 0 || setresuid(12345, 12345, 12345) != 0)
		return 255;
	return prctl(PR_GET_DUMPABLE);
}

// Who becomes the parent of one whose parent has ended: 0 we, 1 process 1, 2 another.
static int adopter(void)
{
	int ends[2], found = -1;
	pid_t self = getppid();
	need(pipe(ends) == 0, "pipe");
	if (fork() == 0) {
		pid_t parent = getpid();
		if (fork() == 0) {
			while (getppid() == parent)
				usleep(1000);
			int is = getppid() == self ? 0 : getppid() == 1 ? 1 : 2;
			need(write(ends[1], &is, sizeof is) == sizeof is, "write");
		}
		_exit(0);
	}
	close(ends[1]);
	need(read(ends[0], &found, sizeof found) == sizeof found, "read");
	return found;
}

static void tell(const char *name, const char *value)
{
	fprintf(stderr, "%s: %s\n", name, value);
}

void see_what_cannot_be_hidden(void)
{
	static const char *const adopters[] = {"the program", "process 1", "another process"};
	const char *status = text_of("/proc/self/status");
	const char *tracer = field(status, "TracerPid"), *filters = field(status, "Seccomp_filters");
	int dumpable = in_child(dumpable_after_change);
	tell("TracerPid", tracer && strcmp(tracer, "0") == 0 ? "none" : "a process");
	tell("NoNewPrivs", field(status, "NoNewPrivs"));
	tell("Seccomp", field(status, "Seccomp"));
	tell("Seccomp_filters", filters ? filters : "-");
	tell("PTRACE_TRACEME", error_name(in_child(trace_me)));
	tell("io_uring_setup", error_name(in_child(io_uring)));
	tell("SECCOMP_FILTER_FLAG_NEW_LISTENER", error_name(in_child(listener)));
	tell("PR_GET_DUMPABLE", dumpable == 255 ? "IDs cannot change" : dumpable == 0 ? "0" : dumpable == 1 ? "1" : "2");
	tell("PID 1", getpid() == 1 ? "the program" : "another");
	tell("orphans", adopters[in_child(adopter) & 3]);
	// As PID 1 we have them now.
	while (waitpid(-1, NULL, 0) > 0)
		;
}
