// How signals are set up at the start, and how they arrive: once each, in order, with all that belongs to them.
#include "transparency.h"
#include <sys/time.h>
#include <time.h>

struct kernel_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	unsigned long long mask;
};

// By the kernel's own words: a C library keeps some signals to itself.
void see_signal_state(void)
{
	unsigned long long mask = 0, pending = 0;
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
	syscall(SYS_rt_sigpending, &pending, sizeof pending);
	show("signal", "blocked %#llx, pending %#llx", mask, pending);
	for (int number = 1; number <= 64; number++) {
		struct kernel_action action = {0};
		long result = syscall(SYS_rt_sigaction, number, NULL, &action, sizeof action.mask);
		show("signal", "%d: %s, %s, flags %#lx", number, outcome(result),
			action.handler == (void *)SIG_DFL ? "default" : action.handler == (void *)SIG_IGN ? "ignored" : "handled",
			action.flags);
	}
	stack_t stack = {0};
	sigaltstack(NULL, &stack);
	show("signal", "alternate stack flags %d", stack.ss_flags);
	// What follows needs the plain ones.
	for (int number = 1; number <= 64; number++)
		signal(number, SIG_DFL);
	mask = 0;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

static volatile sig_atomic_t count;
static siginfo_t last;

static void note(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	last = *info;
	count++;
}

static void handle(int number, int flags)
{
	struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | flags};
	count = 0;
	memset(&last, 0, sizeof last);
	need(sigaction(number, &action, NULL) == 0, "sigaction");
}

static void told(const char *what)
{
	int from_us = last.si_pid == getpid();
	show("delivery", "%s: %d times, signal %d, code %d, from us %d, value %d", what, (int)count, last.si_signo,
		last.si_code, from_us, from_us && last.si_code == SI_QUEUE ? last.si_value.sival_int : 0);
}

static void sent_to_self(void)
{
	handle(SIGUSR1, 0);
	kill(getpid(), SIGUSR1);
	told("kill");
	handle(SIGUSR1, 0);
	raise(SIGUSR1);
	told("raise");
	handle(SIGUSR1, 0);
	sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 42});
	told("sigqueue");
	handle(SIGTRAP, 0);
	raise(SIGTRAP);
	told("SIGTRAP");
	handle(SIGUSR2, SA_RESETHAND);
	raise(SIGUSR2);
	told("SA_RESETHAND");
	struct sigaction now;
	sigaction(SIGUSR2, NULL, &now);
	show("delivery", "and then it is default: %d", now.sa_handler == SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
	signal(SIGTRAP, SIG_DFL);
}

static void queued(void)
{
	sigset_t set;
	siginfo_t info;
	struct timespec none = {0};
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGRTMIN + 2);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int value = 1; value <= 3; value++) {
		sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = value});
		sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10 * value});
		kill(getpid(), SIGHUP);
	}
	while (sigtimedwait(&set, &info, &none) > 0)
		show("queue", "signal %d, code %d, value %d", info.si_signo, info.si_code,
			info.si_code == SI_QUEUE ? info.si_value.sival_int : 0);
	show("queue", "then %s", error_name(errno));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void end_with_code(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	_exit(info->si_code & 0x7f);
}

static void faults(void)
{
	static const struct { const char *what; int number; } kinds[] = {
		{"a write to nowhere", SIGSEGV}, {"abort", SIGABRT}, {"a breakpoint", SIGTRAP}, {"an illegal instruction", SIGILL}};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		int status = 0;
		pid_t child = fork();
		need(child >= 0, "fork");
		if (child == 0) {
			struct sigaction action = {.sa_sigaction = end_with_code, .sa_flags = SA_SIGINFO};
			sigaction(kinds[i].number, &action, NULL);
			if (i == 0) {
				*(volatile int *volatile)16 = 1;
			} else if (i == 1) {
				raise(SIGABRT);
			} else if (i == 2) {
#if defined __x86_64__
				__asm__ volatile("int3");
#else
				raise(SIGTRAP);
#endif
			} else {
#if defined __x86_64__
				__asm__ volatile("ud2");
#else
				raise(SIGILL);
#endif
			}
			_exit(255);
		}
		waitpid(child, &status, 0);
		show("fault", "%s: %s", kinds[i].what, ending(status));
	}
}

static void timers(void)
{
	struct itimerval soon = {.it_value = {.tv_usec = 2000}}, none = {0};
	sigset_t set, pending;
	siginfo_t info;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigaddset(&set, SIGRTMIN + 3);
	sigaddset(&set, SIGVTALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	show("timer", "setitimer: signal %d", sigwaitinfo(&set, &info));
	show("timer", "code %d", info.si_code);
	alarm(1);
	show("timer", "alarm: signal %d", sigwaitinfo(&set, &info));
	setitimer(ITIMER_VIRTUAL, &soon, NULL);
	while (sigpending(&pending) == 0 && !sigismember(&pending, SIGVTALRM))
		;
	show("timer", "ITIMER_VIRTUAL: signal %d", sigwaitinfo(&set, &info));
	setitimer(ITIMER_VIRTUAL, &none, NULL);
	timer_t timer;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3, .sigev_value.sival_int = 77};
	struct itimerspec once = {.it_value.tv_nsec = 2000000};
	need(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "timer_create");
	timer_settime(timer, 0, &once, NULL);
	show("timer", "timer_create: signal %d", sigwaitinfo(&set, &info));
	show("timer", "code %d, value %d, overruns %d", info.si_code, info.si_value.sival_int, timer_getoverrun(timer));
	timer_delete(timer);
	struct timespec nothing = {0};
	show("timer", "then %s", outcome(sigtimedwait(&set, &info, &nothing)));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void see_signals(void)
{
	sent_to_self();
	queued();
	faults();
	timers();
}
