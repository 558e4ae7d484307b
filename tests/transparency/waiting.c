// What a parent hears of its children: each thing once, in the right form.
#include "transparency.h"
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

static sigset_t chld;

// A child that runs until it is killed, in a group of its own, so that it can be stopped by any job control signal.
static pid_t sleeper(void)
{
	pid_t child = fork();
	need(child >= 0, "fork");
	if (child == 0) {
		setpgid(0, 0);
		for (;;)
			pause();
	}
	setpgid(child, child);
	return child;
}

static pid_t exits(int code)
{
	pid_t child = fork();
	need(child >= 0, "fork");
	if (child == 0)
		_exit(code);
	return child;
}

// The next SIGCHLD, which must be blocked: what it says, and that no second one waits behind it.
static void next_sigchld(const char *what, pid_t child)
{
	siginfo_t info = {0};
	struct timespec none = {0};
	need(sigwaitinfo(&chld, &info) == SIGCHLD, "sigwaitinfo");
	show("SIGCHLD", "%s: code %d, status %d, of this child %d, user is ours %d", what, info.si_code, info.si_status,
		info.si_pid == child, info.si_uid == getuid());
	show("SIGCHLD", "then %s", outcome(sigtimedwait(&chld, &info, &none)));
}

static void statuses(void)
{
	static const int codes[] = {0, 1, 7, 127, 128, 255};
	static const int signals[] = {SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGSYS, 35, 64};
	int status;
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		pid_t child = exits(codes[i]);
		need(waitpid(child, &status, 0) == child, "waitpid");
		show("status", "%d: %#x, %s", codes[i], status, ending(status));
		show("status", "again: %s", outcome(waitpid(child, &status, 0)));
	}
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		pid_t child = sleeper();
		kill(child, signals[i]);
		need(waitpid(child, &status, 0) == child, "waitpid");
		show("status", "killed by %d: %#x, %s", signals[i], status, ending(status));
	}
}

static void news(void)
{
	static const int stops[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
	int status = 0;
	pid_t child = sleeper();
	siginfo_t info;
	show("news", "WNOHANG: %d", waitpid(child, &status, WNOHANG | WUNTRACED | WCONTINUED));
	for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
		kill(child, stops[i]);
		next_sigchld("a stop", child);
		need(waitpid(child, &status, WUNTRACED) == child, "waitpid");
		show("news", "%d: %#x, %s", stops[i], status, ending(status));
		show("news", "once: %d", waitpid(child, &status, WUNTRACED | WNOHANG));
		kill(child, SIGCONT);
		next_sigchld("going on", child);
		memset(&info, 0, sizeof info);
		need(waitid(P_PID, child, &info, WCONTINUED | WNOWAIT) == 0, "waitid");
		show("news", "waitid: code %d, status %d", info.si_code, info.si_status);
		need(waitpid(child, &status, WCONTINUED) == child, "waitpid");
		show("news", "%#x, %s", status, ending(status));
		show("news", "once: %d", waitpid(child, &status, WCONTINUED | WNOHANG));
	}
	kill(child, SIGSTOP);
	// First: a stop's status that is taken is not in a signal that comes after (wait_task_stopped in kernel/exit.c).
	next_sigchld("a stop", child);
	need(waitpid(child, &status, WUNTRACED) == child, "waitpid");
	kill(child, SIGKILL);
	next_sigchld("killed while it is stopped", child);
	need(waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0, "waitid");
	show("news", "waitid, not taken: code %d, status %d", info.si_code, info.si_status);
	need(waitpid(-1, &status, 0) == child, "waitpid");
	show("news", "taken: %s, then %s", ending(status), outcome(waitpid(-1, &status, WNOHANG)));
}

static void group(void)
{
	enum { COUNT = 16 };
	int ended[COUNT] = {0}, status, code;
	pid_t children[COUNT];
	for (int i = 0; i < COUNT; i++)
		children[i] = exits(i);
	while ((code = waitpid(-1, &status, 0)) > 0)
		for (int i = 0; i < COUNT; i++)
			ended[i] += children[i] == code && WEXITSTATUS(status) == i;
	for (int i = 0; i < COUNT; i++)
		if (ended[i] != 1)
			show("group", "child %d was told of %d times", i, ended[i]);
	show("group", "then %s", error_name(errno));
	siginfo_t info;
	struct timespec none = {0};
	// Those that waited were one signal.
	sigtimedwait(&chld, &info, &none);
}

static void unwaited(void)
{
	struct sigaction ignored = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT}, before;
	int status;
	sigaction(SIGCHLD, &ignored, &before);
	pid_t child = exits(3);
	show("SA_NOCLDWAIT", "%s", outcome(waitpid(child, &status, 0)));
	// The kernel tells of its end a moment before it takes it away.
	while (kill(child, 0) == 0)
		sched_yield();
	show("SA_NOCLDWAIT", "gone: %s", outcome(kill(child, 0)));
	ignored = (struct sigaction){.sa_handler = SIG_IGN};
	sigaction(SIGCHLD, &ignored, NULL);
	child = exits(4);
	show("SIGCHLD ignored", "%s", outcome(waitpid(child, &status, 0)));
	ignored = (struct sigaction){.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP};
	sigaction(SIGCHLD, &ignored, NULL);
	struct timespec none = {0};
	siginfo_t info;
	// SIG_IGN has thrown away what waited; SA_NOCLDWAIT has not.
	sigtimedwait(&chld, &info, &none);
	child = sleeper();
	kill(child, SIGSTOP);
	need(waitpid(child, &status, WUNTRACED) == child, "waitpid");
	show("SA_NOCLDSTOP", "after a stop %s", outcome(sigtimedwait(&chld, &info, &none)));
	kill(child, SIGKILL);
	next_sigchld("SA_NOCLDSTOP", child);
	need(waitpid(child, &status, 0) == child, "waitpid");
	sigaction(SIGCHLD, &before, NULL);
}

void see_waiting(void)
{
	int status;
	sigset_t before;
	show("waiting", "children at the start: %s", outcome(waitpid(-1, &status, WNOHANG | __WALL)));
	statuses();
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &before);
	siginfo_t info;
	struct timespec none = {0};
	sigtimedwait(&chld, &info, &none);
	pid_t child = exits(5);
	next_sigchld("an exit", child);
	waitpid(child, &status, 0);
	news();
	group();
	unwaited();
	sigprocmask(SIG_SETMASK, &before, NULL);
}
