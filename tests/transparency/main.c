// Everything in order, and what all parts use.
#include "transparency.h"
#include <stdarg.h>

void show(const char *area, const char *format, ...)
{
	va_list values;
	va_start(values, format);
	printf("%s: ", area);
	vprintf(format, values);
	putchar('\n');
	va_end(values);
	// A fork must not copy what was not written.
	fflush(stdout);
}

const char *error_name(int number)
{
	const char *name = strerrorname_np(number);
	return number == 0 ? "ok" : name ? name : "an unknown error";
}

const char *outcome(long result)
{
	return error_name(result < 0 ? errno : 0);
}

void need(int condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "transparency: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

char *text_of(const char *path)
{
	size_t size = 1 << 16;
	char *text = calloc(1, size);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	need(text != NULL, "memory");
	if (fd < 0) {
		snprintf(text, size, "(%s)", error_name(errno));
		return text;
	}
	for (size_t had = 0;;) {
		ssize_t got = read(fd, text + had, size - 1 - had);
		if (got <= 0)
			break;
		had += got;
	}
	close(fd);
	size = strlen(text);
	if (size > 0 && text[size - 1] == '\n')
		text[size - 1] = '\0';
	return text;
}

char *field(const char *text, const char *key)
{
	size_t length = strlen(key);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) == 0 && line[length] == ':') {
			const char *value = line + length + 1;
			value += strspn(value, " \t");
			return strndup(value, strcspn(value, "\n"));
		}
	}
	return NULL;
}

const char *ending(int status)
{
	static char text[64];
	if (WIFEXITED(status))
		snprintf(text, sizeof text, "exit %d", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof text, "signal %d%s", WTERMSIG(status), WCOREDUMP(status) ? ", core" : "");
	else if (WIFSTOPPED(status))
		snprintf(text, sizeof text, "stopped by %d, event %d", WSTOPSIG(status), status >> 16);
	else
		snprintf(text, sizeof text, "%s", WIFCONTINUED(status) ? "continued" : "what is this?");
	return text;
}

int main(int argc, char **argv)
{
	// What processes.c starts.
	if (argc == 2 && strcmp(argv[1], "--child") == 0)
		return 9;
	// First, before anything here changes what there is.
	see_surroundings(argc, argv);
	see_identity();
	see_signal_state();
	see_what_cannot_be_hidden();
	see_signals();
	see_waiting();
	see_processes();
	see_restarts();
	return 0;
}
