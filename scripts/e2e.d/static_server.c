// A web server of one thread for the static case: serves /srv, ends with 0 on SIGTERM.
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(int signal)
{
	(void)signal;
	_exit(0);
}

// The path of "GET /path HTTP/1.1" below /srv, or -1.
static int open_requested(char *request)
{
	char path[300];
	char *name = strchr(request, ' ');
	if (!name || strstr(name, ".."))
		return -1;
	name[1 + strcspn(name + 1, " \r\n")] = 0;
	snprintf(path, sizeof path, "/srv%.200s", name + 1);
	return open(path, O_RDONLY);
}

static void serve(int client)
{
	char request[2048], body[2048], head[256];
	ssize_t size = read(client, request, sizeof request - 1);
	if (size <= 0)
		return;
	request[size] = 0;
	int file = open_requested(request);
	ssize_t length = file < 0 ? 0 : read(file, body, sizeof body);
	int head_length = snprintf(head, sizeof head,
	                           "HTTP/1.1 %s\r\nX-Greeting: %s\r\nContent-Length: %zd\r\nConnection: close\r\n\r\n",
	                           file < 0 ? "404 Not Found" : "200 OK", getenv("GREETING"), length);
	if (write(client, head, (size_t)head_length) < 0 || write(client, body, (size_t)length) < 0)
		perror("write");
	close(file);
}

int main(int argc, char **argv)
{
	int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (argc != 2)
		return 2;
	address.sin_port = htons((unsigned short)atoi(argv[1]));
	signal(SIGTERM, end);
	signal(SIGPIPE, SIG_IGN);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 16) < 0) {
		perror("listen");
		return 1;
	}
	for (;;) {
		int client = accept(listener, NULL, NULL);
		if (client < 0)
			continue;
		serve(client);
		shutdown(client, SHUT_WR);
		close(client);
	}
}
