// Does what its arguments say, three words each, says "ready", and ends when its input does:
//   tcp ADDRESS PORT     binds and listens
//   bound ADDRESS PORT   binds
//   udp ADDRESS PORT     binds a datagram socket
//   peer ADDRESS PORT    the same, and connects it
//   taken ADDRESS PORT   the same as udp, where that must fail
//   away ADDRESS PORT    the same as tcp, in a network of its own
//   hidden ADDRESS PORT  the same as tcp, under a filter of its own and then as another user
#include "../fixtures/own_filter.h"
#include <arpa/inet.h>
#include <grp.h>
#include <sched.h>
#include <sys/socket.h>

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

static union address parse(const char *text, const char *port)
{
	union address address = {0};
	if (strchr(text, ':')) {
		address.six.sin6_family = AF_INET6;
		address.six.sin6_port = htons(atoi(port));
		CHECK(inet_pton(AF_INET6, text, &address.six.sin6_addr) == 1);
	} else {
		address.four.sin_family = AF_INET;
		address.four.sin_port = htons(atoi(port));
		CHECK(inet_pton(AF_INET, text, &address.four.sin_addr) == 1);
	}
	return address;
}

static void serve(const char *kind, const char *text, const char *port)
{
	union address address = parse(text, port);
	int one = 1, is_six = address.any.sa_family == AF_INET6;
	int is_datagram = !strcmp(kind, "udp") || !strcmp(kind, "peer") || !strcmp(kind, "taken");
	if (!strcmp(kind, "away"))
		CHECK(unshare(CLONE_NEWNET) == 0);
	if (!strcmp(kind, "hidden")) {
		CHECK(own_filter(SYS_prctl, 0, 0, SECCOMP_RET_KILL_PROCESS, 0) == 0);
		CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
	}
	int fd = socket(address.any.sa_family, is_datagram ? SOCK_DGRAM : SOCK_STREAM, 0);
	CHECK(fd >= 0);
	if (is_six)
		CHECK(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0);
	int result = bind(fd, &address.any, is_six ? sizeof address.six : sizeof address.four);
	if (!strcmp(kind, "taken")) {
		CHECK(result < 0 && errno == EADDRINUSE);
		return;
	}
	CHECK(result == 0);
	if (!strcmp(kind, "peer")) {
		union address other = parse("127.0.0.1", "9");
		CHECK(connect(fd, &other.any, sizeof other.four) == 0);
	}
	if (!is_datagram && strcmp(kind, "bound"))
		CHECK(listen(fd, 16) == 0);
}

int main(int argc, char **argv)
{
	char byte;
	for (int at = 1; at + 2 < argc; at += 3)
		serve(argv[at], argv[at + 1], argv[at + 2]);
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
