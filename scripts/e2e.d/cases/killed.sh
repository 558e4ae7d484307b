# shellcheck shell=bash disable=SC2034,SC2154
# A service that is killed from outside without a word: traced by its own child, it loses no output.

packages=(busybox)
entrypoint=(/service.sh)
tracing=(--inverted)
ends=killed
status=137
user=1000:1000
capless=yes
absent=(/usr/bin/perl /usr/bin/dpkg /www/unused.html)

build() {
  put "$1" /service.sh 755 <<'END'
#!/bin/sh
busybox httpd -f -p 8080 -h /www &
while :; do wait; done
END
  put "$1" /www/index.html <<<'alive'
  put "$1" /www/late.html <<<'asked for in the last moment'
  put "$1" /www/unused.html <<<'never asked for'
}

exercise() {
  fetch / | sed '/^Last-Modified: /d'
  fetch /late.html | sed '/^Last-Modified: /d'
}
