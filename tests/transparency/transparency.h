// What an application can see of its environment and of its children, a line for each thing. Standard output must
// be the same with and without a tracer; standard error has what cannot be hidden from whoever looks for it.
#ifndef TRANSPARENCY_H
#define TRANSPARENCY_H
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

// A line of standard output: AREA: and what printf(3) makes of the rest.
void show(const char *area, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The name of an error, or "ok"; of a call's result with errno.
const char *error_name(int number);
const char *outcome(long result);

// Ends the program: what it needs to look at anything is missing.
void need(int condition, const char *what);

// A file's whole text, or the error's name in parentheses; never freed.
char *text_of(const char *path);

// The value of "KEY:" in a text of the form of /proc/PID/status, copied; NULL when there is none.
char *field(const char *text, const char *key);

// How a child ended, stopped or went on, by its wait status.
const char *ending(int status);

void see_surroundings(int argc, char **argv);
void see_identity(void);
void see_signal_state(void);
void see_signals(void);
void see_restarts(void);
void see_waiting(void);
void see_processes(void);
void see_what_cannot_be_hidden(void);
#endif
