# shellcheck shell=bash disable=SC2034,SC2154
# A program that prints what it can see of its environment and of its children: the same under trace, but for what docs/limits.md tells.

from_scratch=yes
entrypoint=(/transparency 'an argument')
changes=('ENV GREETING=hello' 'WORKDIR /srv')
port=none
ends=itself
user=1000:1000
capless=yes
# What it prints tells how it was started.
plainly=no
# In no container there is no engine that makes these.
explained=('host-user /dev' 'host-user /sys')
absent=(/bin /lib /usr /etc/passwd)

build() {
  cc -static -std=gnu11 -O1 -pthread -o "$1/transparency" "$repository"/tests/transparency/*.c
  mkdir "$1"/{srv,proc}
  install -d -m 1777 "$1/tmp"
}

exercise() { :; }

compare_traced() {
  local engine
  case $(engine_of transparency "$1") in
    'seccomp user notification') engine=notify ;;
    'seccomp stops') engine=seccomp ;;
    'system call stops') engine=syscall ;;
    *) echo 'the engine is not told' >&2; return 1 ;;
  esac
  "$repository/tests/transparency/compare" "$engine" "$directory/original.stderr" "$directory/traced.stderr" >&2
}
