# shellcheck shell=bash disable=SC2034,SC2154
# A job that compiles, assembles, links and runs a program: many programs, one after the other.
packages=(gcc libc6-dev)
entrypoint=(/bin/sh -c 'gcc -O2 -o /tmp/hello /app/hello.c && /tmp/hello')
options=(--ready end --same-output)

build() {
  put "$1" /app/hello.c <<'END'
#include <stdio.h>
int main(void) { return puts("micro") < 0; }
END
}
