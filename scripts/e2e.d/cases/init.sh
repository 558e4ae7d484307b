# shellcheck shell=bash disable=SC2034,SC2154
# An init that works as PID 1 only, and that SIGTERM does not end: traced by its own child, it starts a service, which answers until all is killed.

packages=(sysvinit-core busybox)
entrypoint=(/sbin/init)
tracing=(--inverted)
# Longer than packing takes, shorter than any patience that is needed.
patience=5
status=137
absent=(/usr/bin/perl /usr/bin/dpkg /www/unused.html)

build() {
  put "$1" /etc/inittab <<'END'
id:2:initdefault:
si::sysinit:/init.d/boot
s1:2:respawn:/bin/busybox httpd -f -p 8080 -h /www
END
  put "$1" /init.d/boot 755 <<'END'
#!/bin/sh
# A daemon that is nobody's child but init's, and an orphan that init has to reap.
(setsid busybox httpd -f -p 8081 -h /www </dev/null >/dev/null 2>&1 &)
(true &)
END
  put "$1" /www/index.html <<<'started by init'
  put "$1" /www/daemon.html <<<'started by hand'
  put "$1" /www/unused.html <<<'never asked for'
}

exercise() {
  wait_until 60 answers 8081
  fetch / | sed '/^Last-Modified: /d'
  fetch /daemon.html 8081 | sed '/^Last-Modified: /d'
  # The service is started anew when it ends.
  # The inner shell expands the dollars.
  # shellcheck disable=SC2016
  inside sh -c 'kill -9 "$(cat "/proc/$1/task/$1/children" | tr " " "\n" | while read -r pid; do
      tr "\0" " " <"/proc/$pid/cmdline" | grep -q "httpd -f -p 8080" && echo "$pid"; done)"' - "$container_pid"
  wait_until 60 answers 8080
  fetch / | sed '/^Last-Modified: /d'
}
