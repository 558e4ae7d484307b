// Blocking calls that a signal interrupts: which fail with EINTR and which are begun again (signal(7)). A timer
// rings until the call has returned. Where a call should be begun again, the third ring lets it succeed; where it
// should not, a late one does, so that a wrong answer is no endless wait.
#include "transparency.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

static int ends[2], sockets[2], other, listening;
static volatile int word;
static pid_t child;
static char fifo[64];
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t address_length;
static void (*release)(void);
static volatile sig_atomic_t rings, last_ring;

static void ring(int number)
{
	(void)number;
	int kept = errno;
	if (++rings == last_ring)
		release();
	errno = kept;
}

static void write_byte(void) { need(write(ends[1], "", 1) == 1, "write"); }
static void drain(void)
{
	char buffer[65536];
	need(read(ends[0], buffer, sizeof buffer) > 0, "read");
}
static void end_child(void) { kill(child, SIGKILL); }
static void wake(void)
{
	word = 1;
	syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
}
static void open_fifo(void) { other = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC); }
static void unlock(void) { close(other); }
static void send_byte(void) { need(send(sockets[1], "", 1, 0) == 1, "send"); }
static void connect_to_us(void)
{
	other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(connect(other, (struct sockaddr *)&address, address_length) == 0, "connect");
}
static void nothing(void) {}

static long read_pipe(void)
{
	char byte;
	return read(ends[0], &byte, 1);
}
static long write_pipe(void)
{
	static char page[4096];
	return write(ends[1], page, sizeof page);
}
static long wait_for_child(void) { return waitpid(child, NULL, 0); }
static long wait_on_futex(void)
{
	long result = syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
	// Begun again when the word has changed already.
	return result < 0 && errno == EAGAIN ? 0 : result;
}
static long open_for_reading(void)
{
	int fd = open(fifo, O_RDONLY | O_CLOEXEC);
	int error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return fd < 0 ? -1 : 0;
}
static int own;
static long take_lock(void) { return flock(own, LOCK_EX); }
static long receive(void)
{
	char byte;
	return recv(sockets[0], &byte, 1, 0);
}
static long receive_in_time(void)
{
	struct timeval limit = {.tv_sec = 100};
	setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	return receive();
}
static long accept_one(void)
{
	int fd = accept(listening, NULL, NULL);
	return fd < 0 ? -1 : close(fd);
}
static long sleep_long(void) { return nanosleep(&(struct timespec){.tv_sec = 100}, NULL); }
static long sleep_by_clock(void)
{
	errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_sec = 100}, NULL);
	return errno ? -1 : 0;
}
static long poll_pipe(void) { return poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 100000); }
static long select_pipe(void)
{
	fd_set set;
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	return select(ends[0] + 1, &set, NULL, NULL, &(struct timeval){.tv_sec = 100});
}
static long wait_for_events(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
	long got = epoll_wait(epoll, &event, 1, 100000);
	int error = errno;
	close(epoll);
	errno = error;
	return got;
}
static long wait_for_signal(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigtimedwait(&set, NULL, &(struct timespec){.tv_sec = 100});
}
static long suspend(void)
{
	sigset_t set;
	sigemptyset(&set);
	return sigsuspend(&set);
}

static const struct { const char *name; long (*call)(void); void (*release)(void); } calls[] = {
	{"read", read_pipe, write_byte},
	{"write", write_pipe, drain},
	{"waitpid", wait_for_child, end_child},
	{"futex", wait_on_futex, wake},
	{"open of a FIFO", open_for_reading, open_fifo},
	{"flock", take_lock, unlock},
	{"recv", receive, send_byte},
	{"recv with a limit", receive_in_time, send_byte},
	{"accept", accept_one, connect_to_us},
	{"nanosleep", sleep_long, nothing},
	{"clock_nanosleep", sleep_by_clock, nothing},
	{"poll", poll_pipe, nothing},
	{"select", select_pipe, nothing},
	{"epoll_wait", wait_for_events, nothing},
	{"sigtimedwait", wait_for_signal, nothing},
	{"sigsuspend", suspend, nothing},
};

static void prepare(void)
{
	need(pipe2(ends, O_CLOEXEC) == 0, "pipe");
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0, "socketpair");
	word = 0;
	other = -1;
	// An abstract name that the kernel chooses.
	address_length = sizeof(sa_family_t);
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(bind(listening, (struct sockaddr *)&address, address_length) == 0, "bind");
	address_length = sizeof address;
	need(getsockname(listening, (struct sockaddr *)&address, &address_length) == 0, "getsockname");
	need(listen(listening, 1) == 0, "listen");
}

static void fill(void)
{
	static char page[4096];
	for (int left = fcntl(ends[1], F_GETPIPE_SZ); left > 0; left -= sizeof page)
		need(write(ends[1], page, sizeof page) == sizeof page, "write");
}

static void interrupt(size_t which, int flags)
{
	struct sigaction action = {.sa_handler = ring, .sa_flags = flags};
	struct itimerval often = {{.tv_usec = 3000}, {.tv_usec = 3000}}, never = {0};
	prepare();
	if (calls[which].call == write_pipe)
		fill();
	if (calls[which].call == wait_for_child) {
		child = fork();
		need(child >= 0, "fork");
		if (child == 0)
			for (;;)
				pause();
	}
	if (calls[which].call == take_lock) {
		other = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		need(flock(other, LOCK_EX) == 0, "flock");
	}
	rings = 0;
	last_ring = flags ? 3 : 2000;
	release = calls[which].release;
	need(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
	setitimer(ITIMER_REAL, &often, NULL);
	long result = calls[which].call();
	const char *how = outcome(result);
	setitimer(ITIMER_REAL, &never, NULL);
	show("interrupted", "%s%s: %s", calls[which].name, flags ? ", SA_RESTART" : "", how);
	if (calls[which].call == wait_for_child && result < 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	close(ends[0]);
	close(ends[1]);
	close(sockets[0]);
	close(sockets[1]);
	close(listening);
	close(own);
	if (other >= 0)
		close(other);
}

void see_restarts(void)
{
	snprintf(fifo, sizeof fifo, "/tmp/transparency.%d.fifo", getpid());
	show("interrupted", "a FIFO can be made: %s", outcome(mkfifo(fifo, 0600)));
	for (size_t which = 0; which < sizeof calls / sizeof *calls; which++) {
		interrupt(which, 0);
		interrupt(which, SA_RESTART);
	}
	unlink(fifo);
}
